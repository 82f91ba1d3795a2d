/**
 * How a search stands in the page's address.
 *
 * The address is the state of the page: `?q=<words>&image=<picture's URL>&like=<id>&unlike=<id>&license=…&sort=…`. An
 * uploaded picture does not fit there: the address says `image=upload`, and its bytes travel in the state of the history
 * entry, so back, forward and reload keep it. Elsewhere it is lost, and the page says so.
 */

import {
  type Filters,
  NO_FILTERS,
  ORIENTATIONS,
  readYears,
  SIZES,
  type ValueFacet,
  writeYears,
  YEAR_FACETS,
} from "./filters.ts";
import { asPictureUrl, JUDGED_LIMIT, type Picture, type Query, type QueryPicture } from "./query.ts";
import { EMPHASES, type Search, SORTS, START } from "./search.ts";

const UPLOAD = "upload";

/** The facets of many values, by their names in the address: one parameter for each value. */
const VALUE_NAMES = {
  license: "license",
  tags: "tag",
  author: "author",
  source: "source",
  orientation: "orientation",
  size: "size",
} as const;

/** The facets that have these values and no others: the API refuses any else. */
const KNOWN: { [facet in ValueFacet]?: readonly string[] } = { orientation: ORIENTATIONS, size: SIZES };

export function toParams(search: Search): string {
  const { query, filters } = search;
  const params = new URLSearchParams();
  const set = (name: string, value: string | null, standard = "") => {
    if (value !== null && value !== standard) params.append(name, value);
  };
  set("view", search.view, START.view);
  set("q", query.text);
  set("image", query.picture && (query.picture.kind === "url" ? query.picture.url : UPLOAD));
  for (const id of query.liked) set("like", id);
  for (const id of query.disliked) set("unlike", id);
  for (const [facet, name] of entries(VALUE_NAMES)) for (const value of filters[facet]) set(name, value);
  for (const facet of YEAR_FACETS) set(facet, filters[facet] && writeYears(filters[facet]));
  set("sort", search.sort, START.sort);
  set("by", search.emphasis, START.emphasis);
  set("matches", search.strongOnly ? "strong" : null);
  set("collection", search.collection);
  set("show", search.shown);
  const text = params.toString();
  return text && `?${text}`;
}

/** Whatever an address says; what it says wrongly is left out. */
export function fromParams(params: string, picture: Picture | null): Search {
  const given = new URLSearchParams(params);
  return {
    view: given.get("view") === "collections" ? "collections" : "search",
    collection: given.get("collection") || null,
    query: queryOf(given, picture),
    filters: filtersOf(given),
    sort: oneOf(SORTS, given.get("sort"), START.sort),
    emphasis: oneOf(EMPHASES, given.get("by"), START.emphasis),
    strongOnly: given.get("matches") === "strong",
    shown: given.get("show") || null,
  };
}

function queryOf(given: URLSearchParams, picture: Picture | null): Query {
  const liked = distinct(given.getAll("like")).slice(0, JUDGED_LIMIT);
  const disliked = distinct(given.getAll("unlike")).filter((id) => !liked.includes(id));
  return {
    text: (given.get("q") ?? "").trim(),
    picture: pictureOf(given.get("image") ?? "", picture),
    liked,
    disliked: disliked.slice(0, JUDGED_LIMIT - liked.length),
  };
}

function pictureOf(image: string, picture: Picture | null): QueryPicture | null {
  if (image === UPLOAD) return picture ? { kind: "upload", picture } : { kind: "lost" };
  const url = asPictureUrl(image);
  return url === null ? null : { kind: "url", url };
}

function filtersOf(given: URLSearchParams): Filters {
  const filters = { ...NO_FILTERS };
  for (const [facet, name] of entries(VALUE_NAMES)) {
    filters[facet] = distinct(given.getAll(name)).filter((value) => KNOWN[facet]?.includes(value) ?? true);
  }
  for (const facet of YEAR_FACETS) filters[facet] = readYears(given.get(facet) ?? "");
  return filters;
}

function oneOf<T extends string>(known: readonly T[], given: string | null, otherwise: T): T {
  return known.find((one) => one === given) ?? otherwise;
}

function distinct(values: string[]): string[] {
  return [...new Set(values.filter(Boolean))];
}

function entries<K extends string, V>(record: Record<K, V>): [K, V][] {
  return Object.entries(record) as [K, V][];
}
