/** A search API in memory, for tests. */

import type { Api, Collection, Hit, Page, SearchResponse } from "./api/client.ts";
import { NOTHING, type Query } from "./search/query.ts";
import { type Asked, type Search, START } from "./search/search.ts";
import { PAGE_SIZE } from "./search/use-results.ts";

export function hit(fields: Partial<Hit> = {}): Hit {
  return {
    id: "manifest:duck",
    score: 0.8123,
    match: null,
    has_words: false,
    duplicates: 0,
    duplicate_ids: [],
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

export function hits(count: number, fields: Partial<Hit> = {}): Hit[] {
  return Array.from({ length: count }, (_, place) =>
    hit({ id: `manifest:${place}`, title: `Picture ${place}`, ...fields }),
  );
}

export function response(found: Hit[], { from, size, collection }: Page, fields: Partial<SearchResponse> = {}) {
  const next = from + size;
  const page: SearchResponse = {
    collection,
    model: "starter/1",
    took_ms: 1,
    from,
    size,
    total: found.length,
    collapsed: 0,
    available: found.length,
    next_from: next < found.length ? next : null,
    strong: null,
    degraded: false,
    hits: found.slice(from, next),
    facets: {},
    ...fields,
  };
  return page;
}

export type FakeApi = Api & {
  asked: { asked: Asked; page: Page; signal: AbortSignal }[];
  /** Ids of the pictures that were reported as dead. */
  reported: string[];
};

type Replaced = Partial<Api> & { fields?: Partial<SearchResponse> };

/** Finds `found` for every search, with `fields` in the answer. Remembers the searches, those of the examples left out. */
export function fakeApi(found: Hit[] = hits(3), { fields, ...replaced }: Replaced = {}): FakeApi {
  const asked: FakeApi["asked"] = [];
  const reported: string[] = [];
  const search = replaced.search ?? (async (_: Asked, page: Page) => response(found, page, fields));
  return {
    asked,
    reported,
    report: async (id, collection) => {
      reported.push(id);
      return replaced.report?.(id, collection);
    },
    collections: replaced.collections ?? (async () => [collection("stamps")]),
    picture: replaced.picture ?? (async (id) => found.find((one) => one.id === id) ?? null),
    pictures: replaced.pictures ?? (async (ids) => found.filter(({ id }) => ids.includes(id))),
    search: (wanted, page, signal) => {
      if (page.size === PAGE_SIZE) asked.push({ asked: wanted, page, signal });
      return search(wanted, page, signal);
    },
  };
}

export function collection(name: string, images = 829, fields: Partial<Collection> = {}): Collection {
  return {
    collection: name,
    name,
    namespace: "default",
    images,
    model: "starter/1",
    dims: 512,
    status: null,
    lag: null,
    images_per_second: null,
    updated_at: null,
    ...fields,
  };
}

export const query = (fields: Partial<Query> = {}): Query => ({ ...NOTHING, ...fields });

export const search = (fields: Partial<Search> = {}): Search => ({ ...START, ...fields });
