/**
 * What is searched by: words, a picture, and pictures of the collection that were liked or disliked, in any mixture.
 * All of it is pure; `search-params` writes it into the page's address, `api/request` into a request.
 */

export const TEXT_LIMIT = 1_000;

/** Pictures that can be liked and disliked: the API takes 16 terms, of which words and a picture are two. */
export const JUDGED_LIMIT = 14;

/** A picture chosen by the reader. Bytes and not a Blob: every browser can keep those in its history. */
export type Picture = { id: string; name: string; type: string; bytes: ArrayBuffer };

/** `lost`: the address speaks of an uploaded picture, and it is not in the history of this browser. */
export type QueryPicture = { kind: "url"; url: string } | { kind: "upload"; picture: Picture } | { kind: "lost" };

export type Query = {
  text: string;
  picture: QueryPicture | null;
  /** Ids of pictures of the collection. */
  liked: readonly string[];
  disliked: readonly string[];
};

export const NOTHING: Query = { text: "", picture: null, liked: [], disliked: [] };

/** Whether nothing is asked for: such a search looks through what there is. */
export function isEmpty({ text, picture, liked, disliked }: Query): boolean {
  return text === "" && (picture === null || picture.kind === "lost") && liked.length + disliked.length === 0;
}

export function withText(query: Query, text: string): Query {
  return { ...query, text: text.trim() };
}

export function withPicture(query: Query, picture: QueryPicture | null): Query {
  return { ...query, picture };
}

/** Only what is like a picture of the collection. */
export function similarTo(id: string): Query {
  return { ...NOTHING, liked: [id] };
}

/** More like a picture, or less; a later judgement of the same picture replaces the earlier one. */
export function judge(query: Query, id: string, judgement: "liked" | "disliked"): Query {
  const without = unjudge(query, id);
  return { ...without, [judgement]: [...without[judgement], id] };
}

export function unjudge(query: Query, id: string): Query {
  const others = (ids: readonly string[]) => ids.filter((one) => one !== id);
  return { ...query, liked: others(query.liked), disliked: others(query.disliked) };
}

/** Whether another picture can be judged. */
export function hasRoom({ liked, disliked }: Query): boolean {
  return liked.length + disliked.length < JUDGED_LIMIT;
}

/** The text as an http(s) address, or null where it is none. */
export function asPictureUrl(text: string): string | null {
  const trimmed = text.trim();
  return /^https?:\/\/\S+$/i.test(trimmed) && URL.canParse(trimmed) ? trimmed : null;
}
