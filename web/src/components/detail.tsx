import { type KeyboardEvent, useLayoutEffect, useRef } from "react";
import type { Hit } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import { licenseName, titleOf } from "../search/describe.ts";
import { MaybeLink } from "./attribution.tsx";
import { Credit } from "./credit.tsx";
import "./detail.css";
import { BackIcon, CloseIcon, ExternalIcon, ForwardIcon, MinusIcon, PlusIcon, SimilarIcon } from "./icons.tsx";
import { Picture } from "./picture.tsx";
import type { PictureActions } from "./tile.tsx";

const TAGS_SHOWN = 20;

type Props = {
  hit: Hit;
  actions: PictureActions;
  onClose: () => void;
  onPrevious: (() => void) | undefined;
  onNext: (() => void) | undefined;
  onWords: (text: string) => void;
};

/** One picture, large, with all that its source says about it. */
export function Detail({ hit, actions, onClose, onPrevious, onNext, onWords }: Props) {
  const { words } = useLanguage();
  const dialog = useRef<HTMLDialogElement>(null);
  const title = titleOf(hit, words);

  useLayoutEffect(() => {
    const { current } = dialog;
    current?.showModal();
    return () => current?.close(); // gives the focus back to where it came from
  }, []);

  const keys = (event: KeyboardEvent) => {
    if (event.key === "ArrowLeft") onPrevious?.();
    if (event.key === "ArrowRight") onNext?.();
    if (event.key === "+" || event.key === "=") actions.onJudge(hit.id, "liked");
    if (event.key === "-") actions.onJudge(hit.id, "disliked");
  };

  return (
    <dialog
      ref={dialog}
      className="detail"
      aria-labelledby="detail-title"
      onClose={() => !dialog.current?.open && onClose()}
      onKeyDown={keys}
      onClick={(event) => event.target === dialog.current && dialog.current.close()}
    >
      <div className="detail-picture">
        <Picture key={hit.id} sources={[hit.url, hit.thumbnail_url]} alt={title} eager />
        <button
          type="button"
          className="icon-button step previous"
          aria-label={words.previousPicture}
          aria-disabled={!onPrevious}
          onClick={onPrevious}
        >
          <BackIcon />
        </button>
        <button
          type="button"
          className="icon-button step next"
          aria-label={words.nextPicture}
          aria-disabled={!onNext}
          onClick={onNext}
        >
          <ForwardIcon />
        </button>
      </div>
      <div className="detail-text">
        <button
          type="button"
          className="icon-button close"
          aria-label={words.close}
          onClick={() => dialog.current?.close()}
        >
          <CloseIcon />
        </button>
        <h2 id="detail-title">{title}</h2>
        {hit.description && hit.description !== title && <p className="description">{hit.description}</p>}
        <p className="actions">
          <button type="button" className="button primary" onClick={() => actions.onSimilar(hit.id)}>
            <SimilarIcon />
            {words.similar}
          </button>
          <a className="button" href={hit.page_url ?? hit.url} target="_blank" rel="noopener noreferrer">
            <ExternalIcon />
            {words.original}
          </a>
          <button type="button" className="button" onClick={() => actions.onJudge(hit.id, "liked")}>
            <PlusIcon />
            {words.more}
          </button>
          <button type="button" className="button" onClick={() => actions.onJudge(hit.id, "disliked")}>
            <MinusIcon />
            {words.less}
          </button>
        </p>
        <Facts hit={hit} />
        <Credit key={hit.id} hit={hit} />
        <Tags tags={hit.tags ?? []} onWords={onWords} />
      </div>
    </dialog>
  );
}

function Facts({ hit }: { hit: Hit }) {
  const { words, speech } = useLanguage();
  const match = [
    hit.match === "strong" && words.strongMatch,
    hit.match === "weak" && words.weakMatch,
    hit.has_words && words.hasWords,
  ].filter(Boolean);
  const facts = [
    [words.author, hit.author && <MaybeLink href={hit.author_url}>{hit.author}</MaybeLink>],
    [words.license, hit.license && <MaybeLink href={hit.license_url}>{licenseName(hit.license, words)}</MaybeLink>],
    [words.taken, hit.taken_at && speech.date(hit.taken_at)],
    [words.uploaded, hit.uploaded_at && speech.date(hit.uploaded_at)],
    [words.size, hit.width && hit.height && `${hit.width} × ${hit.height} px`],
    [words.match, match.join(", ")],
    [words.likeness, hit.score?.toFixed(4)],
    [words.id, <code key="id">{hit.id}</code>],
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

function Tags({ tags, onWords }: { tags: string[]; onWords: Props["onWords"] }) {
  const { words } = useLanguage();
  if (tags.length === 0) return null;
  return (
    <ul className="tags" aria-label={words.tags}>
      {[...new Set(tags)].slice(0, TAGS_SHOWN).map((tag) => (
        <li key={tag}>
          <button type="button" className="tag" onClick={() => onWords(tag)}>
            {tag}
          </button>
        </li>
      ))}
    </ul>
  );
}
