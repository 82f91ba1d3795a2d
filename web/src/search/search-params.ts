/**
 * What is searched, and how it stands in the page's address.
 *
 * The address is the state of the page: `?q=…`, `?image=<picture's URL>`, and `&collection=…` with either. An uploaded
 * picture does not fit there; it travels in the state of its history entry, so back, forward and reload keep it.
 */

export const TEXT_LIMIT = 1_000;

/** A picture chosen by the reader. Bytes and not a Blob: every browser can keep those in its history. */
export type Picture = { id: string; name: string; type: string; bytes: ArrayBuffer };

export type Query =
  | { kind: "text"; text: string }
  | { kind: "url"; url: string }
  | { kind: "upload"; picture: Picture };

export type Search = { query: Query | null; collection: string | null };

export function toParams({ query, collection }: Search): string {
  const params = new URLSearchParams();
  if (query?.kind === "text") params.set("q", query.text);
  if (query?.kind === "url") params.set("image", query.url);
  if (collection !== null) params.set("collection", collection);
  const text = params.toString();
  return text && `?${text}`;
}

/** The part that goes into the history entry's state. */
export function toHistoryState({ query }: Search): unknown {
  return query?.kind === "upload" ? { picture: query.picture } : null;
}

export function fromLocation(params: string, historyState: unknown): Search {
  const given = new URLSearchParams(params);
  return { query: queryOf(given, historyState), collection: given.get("collection") || null };
}

function queryOf(given: URLSearchParams, historyState: unknown): Query | null {
  const url = asPictureUrl(given.get("image") ?? "");
  if (url !== null) return { kind: "url", url };
  const text = (given.get("q") ?? "").trim();
  if (text) return { kind: "text", text };
  const picture = pictureOf(historyState);
  return picture && { kind: "upload", picture };
}

function pictureOf(historyState: unknown): Picture | null {
  if (typeof historyState !== "object" || historyState === null || !("picture" in historyState)) return null;
  return historyState.picture as Picture;
}

/** The text as an http(s) address, or null where it is none. */
export function asPictureUrl(text: string): string | null {
  const trimmed = text.trim();
  return /^https?:\/\/\S+$/i.test(trimmed) && URL.canParse(trimmed) ? trimmed : null;
}

/** What someone typed: an address is a picture to search by, anything else is words. */
export function typedQuery(text: string): Query | null {
  const url = asPictureUrl(text);
  if (url !== null) return { kind: "url", url };
  const words = text.trim();
  return words ? { kind: "text", text: words } : null;
}

/** Equal keys, equal searches. An uploaded picture counts by its id, not by its bytes. */
export function queryKey(query: Query): readonly string[] {
  switch (query.kind) {
    case "text":
      return ["text", query.text];
    case "url":
      return ["url", query.url];
    case "upload":
      return ["upload", query.picture.id];
  }
}
