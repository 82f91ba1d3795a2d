import { useInfiniteQuery } from "@tanstack/react-query";
import type { Api, Hit, SearchResponse } from "../api/client.ts";
import { type Asked, askedKey } from "./search.ts";

export const PAGE_SIZE = 30;

/**
 * The pages of one search, fetched as they are asked for. An answer to an older search never overtakes a newer one, and
 * is given up when nobody waits for it; what was found before stays until the next answer comes, within a collection.
 */
export function useResults(api: Api, asked: Asked, collection: string) {
  return useInfiniteQuery({
    queryKey: ["search", collection, askedKey(asked)],
    queryFn: ({ pageParam, signal }) => api.search(asked, { collection, from: pageParam, size: PAGE_SIZE }, signal),
    initialPageParam: 0,
    getNextPageParam: (page) => page.next_from,
    placeholderData: (before, query) => (query?.queryKey[1] === collection ? before : undefined),
  });
}

/** All hits so far, each once: pictures indexed between two pages may push one that was shown onto the next page. */
export function uniqueHits(pages: SearchResponse[]): Hit[] {
  const first = new Map<string, Hit>();
  for (const hit of pages.flatMap((page) => page.hits)) {
    if (!first.has(hit.id)) first.set(hit.id, hit);
  }
  return [...first.values()];
}

/**
 * Where strong matches end: the place of the first hit after the last of them. Null where that is not known, not
 * reached yet, or where nothing follows.
 */
export function strongEnd(hits: readonly Hit[], strong: number | null | undefined): number | null {
  if (!strong) return null;
  let seen = 0;
  const last = hits.findIndex(({ match }) => match === "strong" && ++seen === strong);
  return last < 0 || last === hits.length - 1 ? null : last + 1;
}
