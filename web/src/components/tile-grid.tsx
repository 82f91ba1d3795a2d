import { Fragment, useState } from "react";
import type { Api, Hit } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import { Copies } from "./copies.tsx";
import { type PictureActions, type PictureNews, Tile } from "./tile.tsx";
import "./tile-grid.css";

/** Pictures that are seen before anybody scrolls, on a phone; the bandwidth of a slow network is theirs first. */
const SEEN_FIRST = 4;

type Props = {
  api: Api;
  collection: string;
  hits: Hit[];
  /** Place of the first hit that is hardly like the query; null where none is told apart. */
  weakFrom: number | null;
  /** Ids of pictures that are not shown, because they cannot be loaded. */
  dead: ReadonlySet<string>;
  actions: PictureActions;
  news: PictureNews;
};

/** The pictures, best first, with a quiet line where the strong matches end. Near duplicates are shown when asked for. */
export function TileGrid({ api, collection, hits, weakFrom, dead, actions, news }: Props) {
  const { words } = useLanguage();
  const [opened, setOpened] = useState<ReadonlySet<string>>(new Set());
  const toggle = (id: string) => setOpened(opened.has(id) ? without(opened, id) : new Set([...opened, id]));
  const seenFirst = new Set(hits.slice(0, SEEN_FIRST));
  const tiles = (some: Hit[]) => (
    <ul className="grid">
      {some.map((hit) => {
        const isDead = dead.has(hit.id); // then its near duplicates stand for it
        const shown = hit.duplicates > 0 && (isDead || opened.has(hit.id));
        return (
          <Fragment key={hit.id}>
            {!isDead && (
              <Tile
                hit={hit}
                eager={seenFirst.has(hit)}
                actions={actions}
                news={news}
                copies={{ shown, onToggle: () => toggle(hit.id) }}
              />
            )}
            {shown && <Copies api={api} collection={collection} hit={hit} dead={dead} actions={actions} news={news} />}
          </Fragment>
        );
      })}
    </ul>
  );
  if (weakFrom === null) return tiles(hits);
  return (
    <>
      {tiles(hits.slice(0, weakFrom))}
      <h2 className="divider">{words.weakerMatches}</h2>
      {tiles(hits.slice(weakFrom))}
    </>
  );
}

function without(ids: ReadonlySet<string>, id: string): ReadonlySet<string> {
  return new Set([...ids].filter((one) => one !== id));
}
