/** Everything that the page's address stands for. */

import { type Filters, isFiltered, NO_FILTERS } from "./filters.ts";
import { isEmpty, NOTHING, type Query } from "./query.ts";

export const SORTS = ["relevance", "newest", "oldest"] as const;
export const EMPHASES = ["both", "meaning", "words"] as const;

export type Sort = (typeof SORTS)[number];
/** What counts of the words that are searched: their meaning, that captions have them, or both. */
export type Emphasis = (typeof EMPHASES)[number];

/** What the API is asked. */
export type Asked = {
  query: Query;
  filters: Filters;
  sort: Sort;
  strongOnly: boolean;
  emphasis: Emphasis;
};

export type Search = Asked & {
  view: "search" | "collections";
  /** Null is the first one that there is. */
  collection: string | null;
  /** The picture that is shown large. */
  shown: string | null;
};

export const START: Search = {
  view: "search",
  collection: null,
  query: NOTHING,
  filters: NO_FILTERS,
  sort: "relevance",
  strongOnly: false,
  emphasis: "both",
  shown: null,
};

/** A search by words, and nothing else. */
export function wordsAlone(text: string): Asked {
  return { ...START, query: { ...NOTHING, text } };
}

/** Whether nothing at all is asked for: the page then shows what it can do. */
export function isStart({ query, filters, sort, strongOnly }: Asked): boolean {
  return isEmpty(query) && query.picture === null && !isFiltered(filters) && sort === "relevance" && !strongOnly;
}

/** Another query. Its answers come in their own order: what was browsed by date is searched by likeness. */
export function searchFor<S extends Asked>(search: S, query: Query): S {
  const begins = isEmpty(search.query) !== isEmpty(query);
  return { ...search, query, ...(begins && { sort: "relevance" as const, strongOnly: false }) };
}

/** The same search in another collection, which has other pictures to like and dislike. */
export function inCollection(search: Search, collection: string): Search {
  return { ...searchFor(search, { ...search.query, liked: [], disliked: [] }), view: "search", collection };
}

/** Equal keys, equal answers. An uploaded picture counts by its id, not by its bytes. */
export function askedKey({ query, filters, sort, strongOnly, emphasis }: Asked): string {
  const { picture } = query;
  const pictureKey = picture?.kind === "upload" ? { upload: picture.picture.id } : picture;
  return JSON.stringify([{ ...query, picture: pictureKey }, filters, sort, strongOnly, query.text ? emphasis : null]);
}
