import { type CSSProperties, type ReactNode, useState } from "react";
import type { Hit } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import { tileRatio, titleOf } from "../search/describe.ts";
import { Attribution } from "./attribution.tsx";
import { CopiesIcon, MinusIcon, PictureIcon, PlusIcon, SimilarIcon } from "./icons.tsx";
import { Picture } from "./picture.tsx";
import { Score } from "./score.tsx";
import "./tile.css";

export type Judgement = "liked" | "disliked";

/** What can be done with a picture that was found. */
export type PictureActions = {
  onShow: (id: string) => void;
  onJudge: (id: string, judgement: Judgement) => void;
  onSimilar: (id: string) => void;
};

/** What is told of how its picture comes along. */
export type PictureNews = { onMissing: (id: string) => void; onLoaded: () => void };

type Props = {
  hit: Hit;
  eager?: boolean;
  actions: PictureActions;
  news: PictureNews;
  /** Whether its near duplicates are shown, and how that is changed; none for what is one of them itself. */
  copies?: { shown: boolean; onToggle: () => void };
};

export function Tile({ hit, eager = false, actions, news, copies }: Props) {
  const { words } = useLanguage();
  const [missing, setMissing] = useState(false);
  const title = titleOf(hit, words);
  return (
    <li className={copies ? "tile" : "tile copy"} data-id={hit.id} style={shape(tileRatio(hit))}>
      <div className="tile-frame">
        {missing ? (
          <MissingPicture hit={hit} title={title} />
        ) : (
          <button
            type="button"
            className="tile-picture"
            onClick={() => actions.onShow(hit.id)}
            aria-label={words.showPicture(title)}
          >
            <Picture
              sources={[hit.thumbnail_url, hit.url]}
              alt={title}
              eager={eager}
              onMissing={() => {
                setMissing(true);
                news.onMissing(hit.id);
              }}
              onLoaded={news.onLoaded}
            />
          </button>
        )}
        <TileActions id={hit.id} title={title} actions={actions} />
        {copies && hit.duplicates > 0 && (
          <button
            type="button"
            className="tile-copies"
            aria-expanded={copies.shown}
            aria-label={`${words.alike(hit.duplicates + 1)}: ${words.othersAlike(hit.duplicates, title)}`}
            onClick={copies.onToggle}
          >
            <CopiesIcon />
            {words.alike(hit.duplicates + 1)}
          </button>
        )}
      </div>
      <div className="tile-caption">
        <span className="tile-title" title={title}>
          {title}
        </span>
        <Score hit={hit} />
        <Attribution hit={hit} />
      </div>
    </li>
  );
}

/** In place of a picture that cannot be had from here: where it is, or was. */
function MissingPicture({ hit, title }: { hit: Hit; title: string }) {
  const { words } = useLanguage();
  return (
    <a className="tile-picture missing" href={hit.page_url ?? hit.url} target="_blank" rel="noopener noreferrer">
      <PictureIcon />
      <span>{title}</span>
      <small>{words.seeOriginal}</small>
    </a>
  );
}

function TileActions({ id, title, actions }: { id: string; title: string; actions: PictureActions }) {
  const { words } = useLanguage();
  return (
    <div className="tile-actions">
      <TileAction label={words.moreLike(title)} onClick={() => actions.onJudge(id, "liked")}>
        <PlusIcon />
      </TileAction>
      <TileAction label={words.lessLike(title)} onClick={() => actions.onJudge(id, "disliked")}>
        <MinusIcon />
      </TileAction>
      <TileAction label={words.similarTo(title)} onClick={() => actions.onSimilar(id)}>
        <SimilarIcon />
      </TileAction>
    </div>
  );
}

type TileActionProps = { label: string; onClick: () => void; children: ReactNode };

function TileAction({ label, onClick, children }: TileActionProps) {
  return (
    <button type="button" className="icon-button" aria-label={label} title={label} onClick={onClick}>
      {children}
    </button>
  );
}

const WAITING = [1.3, 0.8, 1.5, 1, 1.3, 0.75, 1.4, 1.1, 1.5, 0.9, 1.2, 1.33, 0.8, 1.5, 1];

/** Empty tiles of the size the pictures will have. */
export function WaitingTiles() {
  return (
    <ul className="grid waiting" aria-hidden="true">
      {WAITING.map((ratio, place) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the places are all there is to tell them apart
        <li key={place} className="tile" style={shape(ratio)}>
          <span className="tile-picture" />
          <div className="tile-caption">
            <span className="line" />
            <span className="line short" />
          </div>
        </li>
      ))}
    </ul>
  );
}

function shape(ratio: number): CSSProperties {
  return { "--ratio": ratio.toFixed(3) } as CSSProperties;
}
