import { type KeyboardEvent, useEffect, useRef } from "react";
import type { Hit } from "../api/client.ts";
import { dateOf, licenseName, titleOf } from "../search/describe.ts";
import type { Query } from "../search/search-params.ts";
import { MaybeLink } from "./attribution.tsx";
import { BackIcon, CloseIcon, ExternalIcon, ForwardIcon, SimilarIcon } from "./icons.tsx";
import { Picture } from "./picture.tsx";

const TAGS_SHOWN = 20;

type Props = {
  hit: Hit;
  onClose: () => void;
  onPrevious: (() => void) | undefined;
  onNext: (() => void) | undefined;
  onSearch: (query: Query) => void;
};

/** One picture, large, with all that its source says about it. */
export function Detail({ hit, onClose, onPrevious, onNext, onSearch }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const title = titleOf(hit);

  useEffect(() => dialog.current?.showModal(), []);

  const keys = (event: KeyboardEvent) => {
    if (event.key === "ArrowLeft") onPrevious?.();
    if (event.key === "ArrowRight") onNext?.();
  };

  return (
    <dialog
      ref={dialog}
      className="detail"
      aria-labelledby="detail-title"
      onClose={onClose}
      onKeyDown={keys}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}
    >
      <div className="detail-picture">
        <Picture key={hit.id} sources={[hit.url, hit.thumbnail_url]} alt={title} eager />
        <button
          type="button"
          className="icon-button step previous"
          aria-label="Previous picture"
          aria-disabled={!onPrevious}
          onClick={onPrevious}
        >
          <BackIcon />
        </button>
        <button
          type="button"
          className="icon-button step next"
          aria-label="Next picture"
          aria-disabled={!onNext}
          onClick={onNext}
        >
          <ForwardIcon />
        </button>
      </div>
      <div className="detail-text">
        <button type="button" className="icon-button close" aria-label="Close" onClick={() => dialog.current?.close()}>
          <CloseIcon />
        </button>
        <h2 id="detail-title">{title}</h2>
        {hit.description && hit.description !== title && <p className="description">{hit.description}</p>}
        <p className="actions">
          <button type="button" className="button primary" onClick={() => onSearch({ kind: "url", url: hit.url })}>
            <SimilarIcon />
            More like this
          </button>
          <a className="button" href={hit.page_url ?? hit.url} target="_blank" rel="noopener noreferrer">
            <ExternalIcon />
            Original
          </a>
        </p>
        <Facts hit={hit} />
        <Tags tags={hit.tags ?? []} onSearch={onSearch} />
      </div>
    </dialog>
  );
}

function Facts({ hit }: { hit: Hit }) {
  const facts = [
    ["Author", hit.author && <MaybeLink href={hit.author_url}>{hit.author}</MaybeLink>],
    ["Licence", hit.license && <MaybeLink href={hit.license_url}>{licenseName(hit.license)}</MaybeLink>],
    ["Taken", hit.taken_at && dateOf(hit.taken_at)],
    ["Size", hit.width && hit.height && `${hit.width} × ${hit.height} px`],
    ["Similarity", hit.score.toFixed(4)],
    ["Id", <code key="id">{hit.id}</code>],
  ] as const;
  return (
    <dl className="facts">
      {facts.map(
        ([name, value]) =>
          value && (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

function Tags({ tags, onSearch }: { tags: string[]; onSearch: Props["onSearch"] }) {
  if (tags.length === 0) return null;
  return (
    <ul className="tags" aria-label="Tags">
      {[...new Set(tags)].slice(0, TAGS_SHOWN).map((tag) => (
        <li key={tag}>
          <button type="button" className="tag" onClick={() => onSearch({ kind: "text", text: tag })}>
            {tag}
          </button>
        </li>
      ))}
    </ul>
  );
}
