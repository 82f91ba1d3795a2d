/** A search API in memory, for tests. */

import type { Api, Hit, Page, SearchResponse } from "./api/client.ts";
import type { Query } from "./search/search-params.ts";
import { PAGE_SIZE } from "./search/use-results.ts";

export function hit(fields: Partial<Hit> = {}): Hit {
  return {
    id: "manifest:duck",
    score: 0.8123,
    url: "https://pictures.example/duck.png",
    thumbnail_url: null,
    page_url: "https://pictures.example/duck",
    title: "A duck",
    description: "",
    tags: [],
    author: "Ada Example",
    author_url: "https://people.example/ada",
    license: "CC-BY-2.0",
    license_url: "https://licences.example/by",
    taken_at: null,
    uploaded_at: null,
    width: 300,
    height: 200,
    location: null,
    source: "manifest",
    ...fields,
  };
}

export function hits(count: number): Hit[] {
  return Array.from({ length: count }, (_, place) => hit({ id: `manifest:${place}`, title: `Picture ${place}` }));
}

export function response(found: Hit[], { from, size, collection }: Page): SearchResponse {
  const next = from + size;
  return {
    collection,
    model: "starter/1",
    took_ms: 1,
    from,
    size,
    total: found.length,
    next_from: next < found.length ? next : null,
    hits: found.slice(from, next),
  };
}

export type FakeApi = Api & { asked: { query: Query; page: Page }[] };

/** Finds `found` for every query; both calls can be replaced. Remembers the searches, those of the examples left out. */
export function fakeApi(found: Hit[] = hits(3), replaced: Partial<Api> = {}): FakeApi {
  const asked: FakeApi["asked"] = [];
  const search = replaced.search ?? (async (_: Query, page: Page) => response(found, page));
  return {
    asked,
    collections: replaced.collections ?? (async () => [collection("stamps")]),
    search: (query, page, signal) => {
      if (page.size === PAGE_SIZE) asked.push({ query, page });
      return search(query, page, signal);
    },
  };
}

export function collection(name: string, images = 829) {
  return { collection: name, name, namespace: "default", images, model: "starter/1", dims: 512 };
}
