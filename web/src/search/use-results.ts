import { useInfiniteQuery } from "@tanstack/react-query";
import type { Api, Hit, SearchResponse } from "../api/client.ts";
import { type Query, queryKey } from "./search-params.ts";

export const PAGE_SIZE = 30;

/** The pages of one search, fetched as they are asked for. An answer to an older search never overtakes a newer one. */
export function useResults(api: Api, query: Query, collection: string) {
  return useInfiniteQuery({
    queryKey: ["search", collection, ...queryKey(query)],
    queryFn: ({ pageParam, signal }) => api.search(query, { collection, from: pageParam, size: PAGE_SIZE }, signal),
    initialPageParam: 0,
    getNextPageParam: (page) => page.next_from,
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
