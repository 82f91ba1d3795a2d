import { useQuery } from "@tanstack/react-query";
import { type RefObject, useCallback, useEffect, useRef, useState } from "react";
import type { Api, Collection } from "./api/client.ts";
import { DropTarget } from "./components/drop-target.tsx";
import { Home } from "./components/home.tsx";
import { Logo } from "./components/icons.tsx";
import { Message } from "./components/message.tsx";
import { Failure, Results } from "./components/results.tsx";
import { SearchBox } from "./components/search-box.tsx";
import { WaitingTiles } from "./components/tile.tsx";
import { nameOf, numberText } from "./search/describe.ts";
import { preparePicture } from "./search/prepare-picture.ts";
import type { Query } from "./search/search-params.ts";
import { useSearch } from "./search/use-search.ts";

const COLLECTIONS_EVERY_MS = 15_000;

export function App({ api }: { api: Api }) {
  const [{ query, collection: wanted }, go] = useSearch();
  const [notice, setNotice] = useState<string | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const collections = useQuery({
    queryKey: ["collections"],
    queryFn: ({ signal }) => api.collections(signal),
    refetchInterval: COLLECTIONS_EVERY_MS, // pictures are being indexed while the page is open
  });
  const collection = wanted ?? collections.data?.[0]?.collection ?? null;

  const search = useCallback(
    (next: Query | null) => {
      setNotice(null);
      go({ query: next, collection: wanted });
      if (next === null) input.current?.focus();
    },
    [go, wanted],
  );
  const searchByFile = useCallback(
    (file: File) =>
      void preparePicture(file).then(
        (picture) => search({ kind: "upload", picture }),
        (error: Error) => setNotice(error.message),
      ),
    [search],
  );
  const searchByUrl = useCallback((url: string) => search({ kind: "url", url }), [search]);

  useEffect(() => {
    document.title = query ? `${nameOf(query)} · imagesearch` : "imagesearch";
  }, [query]);
  useSlashKey(input);

  return (
    <div className="page" data-view={query ? "results" : "home"}>
      <header className="masthead">
        <a
          className="brand"
          href="./"
          onClick={(event) => {
            if (event.metaKey || event.ctrlKey) return;
            event.preventDefault();
            search(null);
          }}
        >
          <Logo />
          <span>imagesearch</span>
        </a>
        <SearchBox query={query} inputRef={input} onSearch={search} onFile={searchByFile} />
        <CollectionPicker
          collections={collections.data ?? []}
          chosen={collection}
          onChoose={(chosen) => go({ query, collection: chosen })}
        />
      </header>
      {notice && (
        <p className="notice" role="alert">
          {notice}
        </p>
      )}
      <main>
        {collections.isError && collection === null ? (
          <Failure error={collections.error} onRetry={() => void collections.refetch()} />
        ) : collections.isPending && collection === null ? (
          query && <WaitingTiles />
        ) : collection === null ? (
          <Message title="No collection yet">
            There is nothing to search so far. As soon as a collection is created, its pictures are found here.
          </Message>
        ) : query ? (
          <Results api={api} query={query} collection={collection} onSearch={search} />
        ) : (
          <Home
            api={api}
            collection={collection}
            images={collections.data?.find((one) => one.collection === collection)?.images}
            onSearch={search}
          />
        )}
      </main>
      <DropTarget onFile={searchByFile} onUrl={searchByUrl} />
    </div>
  );
}

type PickerProps = { collections: Collection[]; chosen: string | null; onChoose: (name: string) => void };

function CollectionPicker({ collections, chosen, onChoose }: PickerProps) {
  if (collections.length < 2 || chosen === null) return null;
  const listed = collections.some(({ collection }) => collection === chosen);
  return (
    <select
      className="picker"
      aria-label="Collection"
      value={chosen}
      onChange={(event) => onChoose(event.target.value)}
    >
      {!listed && <option value={chosen}>{chosen}</option>}
      {collections.map(({ collection, images }) => (
        <option key={collection} value={collection}>
          {collection} ({numberText(images)})
        </option>
      ))}
    </select>
  );
}

/** `/` puts the cursor into the search box, unless something is being typed. */
function useSlashKey(input: RefObject<HTMLInputElement | null>): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = event.target instanceof Element && event.target.closest("input, select, textarea, dialog");
      if (event.key !== "/" || event.metaKey || event.ctrlKey || event.altKey || typing) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [input]);
}
