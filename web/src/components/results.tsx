import { useEffect, useRef, useState } from "react";
import { type Api, ApiError } from "../api/client.ts";
import { nameOf, numberText } from "../search/describe.ts";
import type { Query } from "../search/search-params.ts";
import { uniqueHits, useResults } from "../search/use-results.ts";
import { Detail } from "./detail.tsx";
import { Message } from "./message.tsx";
import { Tile, WaitingTiles } from "./tile.tsx";
import { useShowScores } from "./use-show-scores.ts";

type Props = { api: Api; query: Query; collection: string; onSearch: (query: Query) => void };

export function Results({ api, query, collection, onSearch }: Props) {
  const results = useResults(api, query, collection);
  const [openId, setOpenId] = useState<string | null>(null);
  const [showScores, setShowScores] = useShowScores();

  if (results.isPending) return <Waiting />;
  if (results.data === undefined) return <Failure error={results.error} onRetry={() => void results.refetch()} />;

  const hits = uniqueHits(results.data.pages);
  if (hits.length === 0) {
    return (
      <Message title="No pictures found">
        Nothing in <b>{collection}</b> matches {nameOf(query)}. It may still be empty: pictures appear here as they are
        indexed.
      </Message>
    );
  }

  const openAt = hits.findIndex((hit) => hit.id === openId);
  const open = hits[openAt];
  return (
    <section className="results" data-scores={showScores}>
      <div className="toolbar">
        <h1>
          {query.kind === "text" ? "Pictures for " : "Pictures like "}
          {nameOf(query)}
        </h1>
        <p role="status">
          {results.hasNextPage
            ? `The best ${numberText(hits.length)}, closest first`
            : hits.length === 1
              ? "1 picture"
              : `${numberText(hits.length)} pictures, closest first`}
        </p>
        <label className="switch">
          <input type="checkbox" checked={showScores} onChange={(event) => setShowScores(event.target.checked)} />
          Scores
        </label>
      </div>
      <ul className="grid">
        {hits.map((hit) => (
          <Tile key={hit.id} hit={hit} onOpen={() => setOpenId(hit.id)} />
        ))}
      </ul>
      <More
        failed={results.isFetchNextPageError ? results.error : null}
        hasMore={results.hasNextPage}
        busy={results.isFetchingNextPage}
        onMore={() => void results.fetchNextPage()}
      />
      {open && (
        <Detail
          hit={open}
          onClose={() => setOpenId(null)}
          onPrevious={step(hits[openAt - 1]?.id, setOpenId)}
          onNext={step(hits[openAt + 1]?.id, setOpenId)}
          onSearch={(next) => {
            setOpenId(null);
            onSearch(next);
          }}
        />
      )}
    </section>
  );
}

function step(id: string | undefined, open: (id: string) => void): (() => void) | undefined {
  return id === undefined ? undefined : () => open(id);
}

export function Waiting() {
  return (
    <section className="results" aria-busy="true">
      <div className="toolbar">
        <p role="status">Searching…</p>
      </div>
      <WaitingTiles />
    </section>
  );
}

export function Failure({ error, onRetry }: { error: Error; onRetry: () => void }) {
  const known = error instanceof ApiError ? error : null;
  return (
    <Message
      alert
      title={known?.title ?? "Something went wrong"}
      action={
        (known?.passing ?? true) && (
          <button type="button" className="button primary" onClick={onRetry}>
            Try again
          </button>
        )
      }
    >
      {error.message}
    </Message>
  );
}

type MoreProps = { hasMore: boolean; busy: boolean; failed: Error | null; onMore: () => void };

/** Fetches on as the end comes near; the button is for keyboards, and for when a page could not be had. */
function More({ hasMore, busy, failed, onMore }: MoreProps) {
  const end = useRef<HTMLDivElement>(null);
  const automatic = hasMore && !busy && failed === null;

  useEffect(() => {
    if (!automatic || end.current === null || typeof IntersectionObserver === "undefined") return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && onMore(), { rootMargin: "600px" });
    observer.observe(end.current);
    return () => observer.disconnect();
  }, [automatic, onMore]);

  return (
    <div className="more" ref={end}>
      {failed && <p role="alert">{failed.message}</p>}
      {hasMore ? (
        <button type="button" className="button" disabled={busy} onClick={onMore}>
          {busy ? "Loading…" : failed ? "Try again" : "Show more"}
        </button>
      ) : (
        <p>That is as far as this search goes.</p>
      )}
    </div>
  );
}
