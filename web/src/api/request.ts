/** What the page asks, as the API's request body. Pure. */

import { FACETS, type Filters, isFiltered, type YEAR_FACETS, type Years } from "../search/filters.ts";
import type { Picture, Query } from "../search/query.ts";
import type { Asked, Emphasis } from "../search/search.ts";
import type { components } from "./schema";

type Schemas = components["schemas"];
export type Term = Partial<Schemas["Term"]>;
export type Page = { collection: string; from: number; size: number };
/** What is left out has the API's own default. */
export type SearchBody = Partial<Omit<Schemas["SearchRequest"], "terms" | "filters">> & {
  collection: string;
  terms?: Term[];
  filters?: Partial<Omit<Schemas["Filters"], YearFacet> & Record<YearFacet, Partial<Schemas["DateRange"]>>>;
};
type YearFacet = (typeof YEAR_FACETS)[number];

const LIKED = 1;
/** Half as much as what is wanted: a full weight would lead as far away as it leads to the rest. */
const DISLIKED = -0.5;

/** How much captions count beside meaning; the API decides where both do. */
const KEYWORD_WEIGHTS: Record<Exclude<Emphasis, "both">, number> = { meaning: 0, words: 1 };

export function searchBody({ query, filters, sort, strongOnly, emphasis }: Asked, page: Page): SearchBody {
  return {
    ...page,
    terms: termsOf(query),
    ...(isFiltered(filters) && { filters: filtersBody(filters) }),
    ...(sort !== "relevance" && { sort }),
    ...(strongOnly && { matches: "strong" as const }),
    ...(query.text && emphasis !== "both" && { keyword_weight: KEYWORD_WEIGHTS[emphasis] }),
    ...(page.from === 0 && { facets: [...FACETS] }), // the counts are those of all pages
  };
}

/** Pictures by their ids, each for itself: near duplicates of each other, too. */
export function picturesBody(ids: readonly string[], collection: string): SearchBody {
  return { collection, size: ids.length, filters: { ids: [...ids] }, collapse: false };
}

function termsOf({ text, picture, liked, disliked }: Query): Term[] {
  return [
    ...(text ? [{ text }] : []),
    ...(picture?.kind === "url" ? [{ image_url: picture.url }] : []),
    ...(picture?.kind === "upload" ? [{ image_base64: base64(picture.picture) }] : []),
    ...liked.map((id) => ({ id, weight: LIKED })),
    ...disliked.map((id) => ({ id, weight: DISLIKED })),
  ];
}

function filtersBody({ uploaded, taken, ...values }: Filters): NonNullable<SearchBody["filters"]> {
  const given = Object.entries(values).filter(([, chosen]) => chosen.length > 0);
  return {
    ...Object.fromEntries(given.map(([facet, chosen]) => [facet, [...chosen]])),
    ...(uploaded && { uploaded: days(uploaded) }),
    ...(taken && { taken: days(taken) }),
  };
}

function days({ from, to }: Years): Partial<Schemas["DateRange"]> {
  return { ...(from !== null && { from: `${from}-01-01` }), ...(to !== null && { to: `${to}-12-31` }) };
}

const CHUNK = 0x8000; // arguments that a function call takes everywhere

function base64({ bytes }: Picture): string {
  const all = new Uint8Array(bytes);
  let text = "";
  for (let at = 0; at < all.length; at += CHUNK) text += String.fromCharCode(...all.subarray(at, at + CHUNK));
  return btoa(text);
}
