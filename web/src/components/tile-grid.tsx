import type { Hit } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import { type PictureActions, type PictureNews, Tile } from "./tile.tsx";
import "./tile-grid.css";

type Props = {
  hits: Hit[];
  /** Place of the first hit that is hardly like the query; null where none is told apart. */
  weakFrom: number | null;
  /** Ids of pictures that are not shown, because they cannot be loaded. */
  dead: ReadonlySet<string>;
  actions: PictureActions;
  news: PictureNews;
};

/** The pictures, best first, with a quiet line where the strong matches end. */
export function TileGrid({ hits, weakFrom, dead, actions, news }: Props) {
  const { words } = useLanguage();
  const tiles = (some: Hit[]) => (
    <ul className="grid">
      {some
        .filter(({ id }) => !dead.has(id))
        .map((hit) => (
          <Tile key={hit.id} hit={hit} actions={actions} news={news} />
        ))}
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
