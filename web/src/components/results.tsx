import { useLayoutEffect, useRef } from "react";
import type { Api } from "../api/client.ts";
import { useLanguage } from "../i18n/language.tsx";
import { secondsToWait } from "../query-client.ts";
import { countOf, nameOf } from "../search/describe.ts";
import { isEmpty } from "../search/query.ts";
import { askedKey, isStart, type Search } from "../search/search.ts";
import { useDeadPictures } from "../search/use-dead-pictures.ts";
import { usePicture } from "../search/use-picture.ts";
import { usePlace } from "../search/use-place.ts";
import { strongEnd, uniqueHits, useResults } from "../search/use-results.ts";
import type { Manner } from "../search/use-search.ts";
import { Detail } from "./detail.tsx";
import { Failure } from "./failure.tsx";
import { FilterBar } from "./filter-bar.tsx";
import { More } from "./more.tsx";
import { NoneFound } from "./none-found.tsx";
import { Notice } from "./notice.tsx";
import "./results.css";
import { type PictureActions, WaitingTiles } from "./tile.tsx";
import { TileGrid } from "./tile-grid.tsx";
import { Toolbar } from "./toolbar.tsx";
import { useShowScores } from "./use-show-scores.ts";
import { useTileKeys } from "./use-tile-keys.ts";

type Props = {
  api: Api;
  search: Search;
  collection: string;
  /** The entry of the history, and how far down the reader had been in it. */
  entry: string;
  place: number;
  onChange: (next: Search) => void;
  onWords: (text: string) => void;
  onSimilar: PictureActions["onSimilar"];
  onJudge: PictureActions["onJudge"];
  onShow: (id: string, manner: Manner) => void;
  onClose: () => void;
};

export function Results({ api, search, collection, entry, place, ...on }: Props) {
  const { words } = useLanguage();
  const results = useResults(api, search, collection);
  const [showScores, setShowScores] = useShowScores();
  const section = useRef<HTMLElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);

  const pages = results.data?.pages ?? [];
  const hits = uniqueHits(pages);
  const { dead, ...news } = useDeadPictures(api, collection);
  const visible = hits.filter(({ id }) => !dead.has(id) || id === search.shown);
  const found = pages[0];
  const openAt = visible.findIndex((hit) => hit.id === search.shown);
  const elsewhere = usePicture(api, collection, openAt < 0 ? search.shown : null); // an address may show any picture
  const open = visible[openAt] ?? elsewhere.data;
  const waiting = results.isFetching && pages.length === 0;
  const focusHeading = useFocusAfterwards(heading, askedKey(search));
  const actions: PictureActions = {
    onShow: (id) => on.onShow(id, "visit"),
    onJudge: (id, judgement) => focusHeading(() => on.onJudge(id, judgement)),
    onSimilar: (id) => focusHeading(() => on.onSimilar(id)),
  };
  usePlace(entry, place, hits.length);
  useTileKeys(section, heading, actions.onJudge);

  const status = () => {
    const seconds = results.isFetching ? secondsToWait(results.failureReason) : null;
    if (seconds !== null) return words.waiting(seconds);
    if (waiting) return words.searching;
    return results.isError || found === undefined ? "" : countOf(found, search, words);
  };
  const ranked = !isEmpty(search.query) && search.sort === "relevance" && !search.strongOnly;

  return (
    <section
      ref={section}
      className="results"
      aria-busy={waiting || results.isPlaceholderData}
      data-scores={showScores}
    >
      <Toolbar
        headingRef={heading}
        level={isStart(search) ? 2 : 1}
        title={nameOf(search, words)}
        status={status()}
        quiet={!waiting && hits.length === 0}
        showScores={showScores}
        onShowScores={isEmpty(search.query) ? undefined : setShowScores}
      />
      <FilterBar
        search={search}
        facets={found?.facets ?? {}}
        strongKnown={found?.strong != null}
        onChange={on.onChange}
      />
      {search.query.picture?.kind === "lost" && <Notice>{words.lostPictureNotice}</Notice>}
      {search.shown !== null && open === null && <Notice>{words.pictureGone}</Notice>}
      {found?.degraded && (
        <Notice
          action={
            <button type="button" className="button" onClick={() => void results.refetch()}>
              {words.tryAgain}
            </button>
          }
        >
          {words.degraded}
        </Notice>
      )}
      {waiting ? (
        <WaitingTiles />
      ) : results.isError && hits.length === 0 ? (
        <Failure error={results.error} onRetry={() => void results.refetch()} />
      ) : hits.length === 0 ? (
        <NoneFound
          search={search}
          collection={collection}
          onChange={on.onChange}
          onRetry={() => void results.refetch()}
        />
      ) : (
        <>
          {ranked && found?.strong === 0 && <p className="nothing-matches">{words.nothingMatches}</p>}
          <TileGrid
            api={api}
            collection={collection}
            hits={hits}
            weakFrom={ranked ? strongEnd(hits, found?.strong) : null}
            dead={dead}
            actions={actions}
            news={news}
          />
          <More
            hasMore={results.hasNextPage}
            busy={results.isFetchingNextPage}
            failed={results.isFetchNextPageError ? results.error : null}
            onMore={() => void results.fetchNextPage()}
          />
        </>
      )}
      {search.shown !== null && open && (
        <Detail
          hit={open}
          actions={actions}
          onClose={on.onClose}
          onPrevious={step(visible[openAt - 1]?.id, on.onShow)}
          onNext={openAt < 0 ? undefined : step(visible[openAt + 1]?.id, on.onShow)}
          onWords={(text) => focusHeading(() => on.onWords(text))}
        />
      )}
    </section>
  );
}

function step(id: string | undefined, show: Props["onShow"]): (() => void) | undefined {
  return id === undefined ? undefined : () => show(id, "replace");
}

/**
 * Wraps what leads to another search from within this one: what was pressed may be gone by then, so the focus goes to the
 * heading that tells what is searched now.
 */
function useFocusAfterwards(heading: { current: HTMLElement | null }, key: string): (action: () => void) => void {
  const wanted = useRef(false);
  const before = useRef(key);

  useLayoutEffect(() => {
    if (wanted.current && before.current !== key) heading.current?.focus({ preventScroll: true });
    wanted.current = false;
    before.current = key;
  });

  return (action) => {
    wanted.current = true;
    action();
  };
}
