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

  const pages = results.data?.pages ?? [];
  const hits = uniqueHits(pages);
  const waiting = results.isFetching && pages.length === 0;
  const openAt = hits.findIndex((hit) => hit.id === openId);
  const open = hits[openAt];

  return (
    <section className="results" aria-busy={waiting} data-scores={showScores}>
      <div className={waiting || hits.length > 0 ? "toolbar" : "for-listeners"}>
        <h1>
          {query.kind === "text" ? "Pictures for " : "Pictures like "}
          {nameOf(query)}
        </h1>
        {/* The same element in every state: a screen reader tells only what changes in a region that it knows. */}
        <p role="status">{waiting ? "Searching…" : results.isError ? "" : countText(hits.length, pages[0]?.total)}</p>
        {hits.length > 0 && (
          <label className="switch">
            <input type="checkbox" checked={showScores} onChange={(event) => setShowScores(event.target.checked)} />
            Scores
          </label>
        )}
      </div>
      {waiting ? (
        <WaitingTiles />
      ) : results.isError && hits.length === 0 ? (
        <Failure error={results.error} onRetry={() => void results.refetch()} />
      ) : hits.length === 0 ? (
        <NoMatch query={query} collection={collection} onRetry={() => void results.refetch()} />
      ) : (
        <>
          <ul className="grid">
            {hits.map((hit) => (
              <Tile key={hit.id} hit={hit} onOpen={() => setOpenId(hit.id)} />
            ))}
          </ul>
          <More
            hasMore={results.hasNextPage}
            busy={results.isFetchingNextPage}
            failed={results.isFetchNextPageError ? results.error : null}
            onMore={() => void results.fetchNextPage()}
          />
        </>
      )}
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

function countText(shown: number, total = 0): string {
  if (shown === 0) return "No pictures found";
  if (shown < total) return `The best ${numberText(shown)} of ${numberText(total)}, closest first`;
  return shown === 1 ? "1 picture" : `${numberText(shown)} pictures, closest first`;
}

function step(id: string | undefined, open: (id: string) => void): (() => void) | undefined {
  return id === undefined ? undefined : () => open(id);
}

function NoMatch({ query, collection, onRetry }: { query: Query; collection: string; onRetry: () => void }) {
  return (
    <Message
      title="No pictures found"
      action={
        <button type="button" className="button" onClick={onRetry}>
          Search again
        </button>
      }
    >
      Nothing in <b>{collection}</b> answers {nameOf(query)}. It may still be empty: pictures can be found as soon as
      they are indexed.
    </Message>
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
