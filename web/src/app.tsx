import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { type Api, wantsKey } from "./api/client.ts";
import { CollectionsPage } from "./components/collections-page.tsx";
import { DropTarget } from "./components/drop-target.tsx";
import { Failure } from "./components/failure.tsx";
import { Home } from "./components/home.tsx";
import { Masthead } from "./components/masthead.tsx";
import { Message } from "./components/message.tsx";
import { Notice } from "./components/notice.tsx";
import { Results } from "./components/results.tsx";
import { SearchBox } from "./components/search-box.tsx";
import { Terms } from "./components/terms.tsx";
import { WaitingTiles } from "./components/tile.tsx";
import { useSlashKey } from "./components/use-slash-key.ts";
import { useLanguage } from "./i18n/language.tsx";
import { nameOf } from "./search/describe.ts";
import { PictureError, preparePicture } from "./search/prepare-picture.ts";
import {
  hasRoom,
  JUDGED_LIMIT,
  judge,
  NOTHING,
  type Query,
  similarTo,
  unjudge,
  withPicture,
  withText,
} from "./search/query.ts";
import { isStart, type Search, searchFor } from "./search/search.ts";
import { type Manner, useSearch } from "./search/use-search.ts";

const COLLECTIONS_EVERY_MS = 15_000;

export function App({ api }: { api: Api }) {
  const { search, entry, go, leave, placeOf } = useSearch();
  const { words } = useLanguage();
  const [notice, setNotice] = useState<string | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const latest = useRef(search);
  latest.current = search;
  const collections = useQuery({
    queryKey: ["collections"],
    queryFn: ({ signal }) => api.collections(signal),
    // Pictures are being indexed while the page is open; while a key is typed, nothing takes it away.
    refetchInterval: ({ state }) => !wantsKey(state.error) && COLLECTIONS_EVERY_MS,
  });
  const collection = search.collection ?? collections.data?.[0]?.collection ?? null;
  const { query } = search;
  const start = search.view === "search" && isStart(search);

  const change = useCallback(
    (next: Search, manner?: Manner) => {
      setNotice(null);
      go({ ...next, shown: null }, manner);
    },
    [go],
  );
  const ask = useCallback(
    (next: (query: Query) => Query, manner?: Manner) => {
      const now = latest.current;
      change({ ...searchFor(now, next(now.query)), view: "search" }, manner);
    },
    [change],
  );
  const askByFile = useCallback(
    (file: File) =>
      void preparePicture(file).then(
        (picture) => ask((now) => withPicture(now, { kind: "upload", picture })),
        (error: Error) => setNotice(error instanceof PictureError ? words[error.fault](error.file) : error.message),
      ),
    [ask, words],
  );
  const askByUrl = useCallback((url: string) => ask((now) => withPicture(now, { kind: "url", url })), [ask]);

  const title = search.view === "collections" ? words.collections : start ? null : nameOf(search, words);
  useEffect(() => {
    document.title = title === null ? "imagesearch" : `${title} · imagesearch`;
  }, [title]);
  useSlashKey(input);

  return (
    <div className="page" data-view={start ? "home" : "results"}>
      <Masthead
        search={search}
        collections={collections.data ?? []}
        collection={collection}
        onGo={(next) => {
          change(next);
          if (isStart(next) && next.view === "search") input.current?.focus();
        }}
      >
        <SearchBox
          query={query}
          inputRef={input}
          onText={(text, manner) => ask((now) => withText(now, text), manner)}
          onSettle={() => go(latest.current)}
          onFile={askByFile}
          onUrl={askByUrl}
          onClear={() => {
            ask(() => NOTHING);
            input.current?.focus();
          }}
        />
        {collection !== null && (
          <Terms
            api={api}
            collection={collection}
            query={query}
            onRemovePicture={() => ask((now) => withPicture(now, null))}
            onRemove={(id) => ask((now) => unjudge(now, id))}
            onRemoved={() => input.current?.focus()}
          />
        )}
      </Masthead>
      {notice && <Notice alert>{notice}</Notice>}
      <main>
        {collection === null && <h1 className="for-listeners">{words.searchPictures}</h1>}
        {collections.isError && collection === null ? (
          <Failure error={collections.error} onRetry={() => void collections.refetch()} />
        ) : collections.isPending && collection === null ? (
          !start && <WaitingTiles />
        ) : collection === null ? (
          <Message title={words.noCollection}>{words.noCollectionText}</Message>
        ) : search.view === "collections" ? (
          <CollectionsPage api={api} collections={collections.data ?? []} onGo={change} />
        ) : (
          <>
            {start && (
              <Home
                api={api}
                collection={collection}
                images={collections.data?.find((one) => one.collection === collection)?.images}
                onWords={(text) => ask(() => ({ ...NOTHING, text }))}
              />
            )}
            <Results
              api={api}
              search={search}
              collection={collection}
              entry={entry}
              place={placeOf(entry)}
              onChange={change}
              onWords={(text) => ask(() => ({ ...NOTHING, text }))}
              onSimilar={(id) => ask(() => similarTo(id))}
              onJudge={(id, judgement) => {
                if (hasRoom(unjudge(query, id))) ask((now) => judge(now, id, judgement));
                else setNotice(words.tooManyTerms(JUDGED_LIMIT));
              }}
              onShow={(id, manner) => go({ ...search, shown: id }, manner)}
              onClose={() => leave({ ...search, shown: null })}
            />
          </>
        )}
      </main>
      <DropTarget onFile={askByFile} onUrl={askByUrl} />
    </div>
  );
}
