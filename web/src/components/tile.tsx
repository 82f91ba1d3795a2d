import type { CSSProperties } from "react";
import type { Hit } from "../api/client.ts";
import { tileRatio, titleOf } from "../search/describe.ts";
import { Attribution } from "./attribution.tsx";
import { Picture } from "./picture.tsx";
import { Score } from "./score.tsx";

type Props = { hit: Hit; onOpen: () => void };

export function Tile({ hit, onOpen }: Props) {
  const title = titleOf(hit);
  return (
    <li className="tile" data-id={hit.id} style={shape(tileRatio(hit))}>
      <button type="button" className="tile-picture" onClick={onOpen} aria-label={`Show ${title}`}>
        <Picture sources={[hit.thumbnail_url, hit.url]} alt={title} />
      </button>
      <div className="tile-caption">
        <span className="tile-title" title={title}>
          {title}
        </span>
        <Score value={hit.score} />
        <Attribution hit={hit} />
      </div>
    </li>
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
