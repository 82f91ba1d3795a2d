/** What a picture has to be, as far as the page lets a reader choose. Pure. */

/** Four digits each, both included; at least one is given. */
export type Years = { from: string | null; to: string | null };

export const VALUE_FACETS = ["license", "tags", "author", "source", "orientation", "size"] as const;
export const YEAR_FACETS = ["uploaded", "taken"] as const;

export const ORIENTATIONS = ["landscape", "portrait", "square"] as const;
export const SIZES = ["small", "medium", "large"] as const;

export type ValueFacet = (typeof VALUE_FACETS)[number];
export type YearFacet = (typeof YEAR_FACETS)[number];
export type Facet = ValueFacet | YearFacet;

export type Filters = Record<ValueFacet, readonly string[]> & Record<YearFacet, Years | null>;

export const FACETS: readonly Facet[] = [...VALUE_FACETS, ...YEAR_FACETS];

export const NO_FILTERS: Filters = {
  license: [],
  tags: [],
  author: [],
  source: [],
  orientation: [],
  size: [],
  uploaded: null,
  taken: null,
};

export function isFiltered(filters: Filters): boolean {
  return FACETS.some((facet) => chosenCount(filters, facet) > 0);
}

export function chosenCount(filters: Filters, facet: Facet): number {
  const chosen = filters[facet];
  return chosen === null ? 0 : "length" in chosen ? chosen.length : 1;
}

/** Choose a value, or take the choice back. */
export function toggle(filters: Filters, facet: ValueFacet, value: string): Filters {
  const chosen = filters[facet];
  const next = chosen.includes(value) ? chosen.filter((one) => one !== value) : [...chosen, value];
  return { ...filters, [facet]: next };
}

/** A span of years; the ends may come in any order, and none at all is no filter. */
export function withYears(filters: Filters, facet: YearFacet, { from, to }: Years): Filters {
  const span = from === null && to === null ? null : { from, to };
  const swapped = span && from !== null && to !== null && from > to ? { from: to, to: from } : span;
  return { ...filters, [facet]: swapped };
}

/** `2024`, `2020-2023`, `2020-` and `-2023`: how years stand in the page's address. */
export function writeYears({ from, to }: Years): string {
  return from === to ? `${from}` : `${from ?? ""}-${to ?? ""}`;
}

/** The inverse of `writeYears`; null where the text is nothing of the kind. */
export function readYears(text: string): Years | null {
  const [, from, dash, to] = /^(\d{4})?(-)?(\d{4})?$/.exec(text) ?? [];
  if (from === undefined && to === undefined) return null;
  if (dash === undefined) return from !== undefined && to === undefined ? { from, to: from } : null;
  return { from: from ?? null, to: to ?? null };
}
