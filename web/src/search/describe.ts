/** Searches, pictures and what was found, in the reader's language. Pure. */

import type { Hit, SearchResponse } from "../api/client.ts";
import type { Words } from "../i18n/en.ts";
import { isEmpty, type Query } from "./query.ts";
import type { Asked } from "./search.ts";

/** Words for what the source left without a title; also the picture's alternative text. */
export function titleOf(hit: Hit, words: Words): string {
  return hit.title || hit.description || words.untitled;
}

export function nameOf({ query, sort }: Pick<Asked, "query" | "sort">, words: Words): string {
  if (query.text) return words.picturesFor(query.text);
  if (isEmpty(query)) return sort === "oldest" ? words.oldestPictures : words.newestPictures;
  return wantsLikeness(query) ? words.picturesLike : words.picturesUnlike;
}

function wantsLikeness({ picture, liked }: Query): boolean {
  return picture !== null || liked.length > 0;
}

/**
 * How many there are and in what order they come, without claiming more than is known. Near duplicates that stand behind
 * others are pictures, too, and are counted as in the filters.
 */
export function countOf(found: SearchResponse, asked: Asked, words: Words): string {
  const { available, strong } = found;
  const total = found.total + found.collapsed;
  if (total === 0) return words.noneFound;
  const order = words[orderOf(asked)];
  if (asked.strongOnly && strong != null) return `${words.strongFound(strong)}, ${order}`;
  if (isEmpty(asked.query)) {
    if (total === available) return `${words.picturesFound(total)}, ${order}`;
    return asked.sort === "oldest" ? words.oldestOf(total, available) : words.newestOf(total, available);
  }
  const all = total < available ? words.bestOf(total, available) : words.picturesFound(total);
  return [`${all}, ${order}`, strong && words.strongFound(strong)].filter(Boolean).join(" · ");
}

function orderOf({ query, sort }: Asked): "closestFirst" | "newestFirst" | "oldestFirst" {
  if (sort === "oldest") return "oldestFirst";
  return sort === "newest" || isEmpty(query) ? "newestFirst" : "closestFirst";
}

/** Width over height, held to what a row of tiles can show; pictures of unknown size get the commonest shape. */
export function tileRatio({ width, height }: Pick<Hit, "width" | "height">): number {
  const ratio = width && height ? width / height : 4 / 3;
  return Math.min(2.4, Math.max(0.7, ratio));
}

const CREATIVE_COMMONS = /^CC-(BY(?:-(?:NC|ND|SA))*)-([\d.]+)$/;

/** `CC-BY-SA-2.0` as people write it: `CC BY-SA 2.0`. Identifiers that nobody gave another name stay as they are. */
export function licenseName(spdx: string, words: Words): string {
  switch (spdx) {
    case "CC0-1.0":
      return "CC0 1.0";
    case "CC-PDM-1.0":
    case "PDM-1.0":
      return words.publicDomain;
    case "LicenseRef-No-Known-Copyright-Restrictions":
      return words.noKnownRestrictions;
    case "LicenseRef-US-Government-Work":
      return words.usGovernment;
    default:
      return spdx
        .replace(CREATIVE_COMMONS, "CC $1 $2")
        .replace(/^LicenseRef-/, "")
        .replace(/^(A?L?GPL)-([\d.]+)(-only)?$/, "$1 $2")
        .replace(/^(A?L?GPL)-([\d.]+)-or-later$/, `$1 $2 ${words.orLater}`);
  }
}

/** What a Creative Commons licence asks for, in words; empty for any other. */
export function licenseTerms(spdx: string, words: Words): string {
  if (spdx === "CC0-1.0") return words.noRightsReserved;
  const [, parts = ""] = CREATIVE_COMMONS.exec(spdx) ?? [];
  return parts
    .split("-")
    .map((part) => words.licenseTerms[part])
    .filter(Boolean)
    .join(", ");
}

/** What to write beside the picture where it is used: title, author, source and licence, as Creative Commons asks. */
export function creditOf(hit: Hit, words: Words): string {
  const title = titleOf(hit, words);
  return [
    hit.author ? words.credit(title, hit.author) : `“${title}”`,
    hit.page_url ?? hit.url,
    hit.license &&
      [licenseName(hit.license, words), hit.license_url && `(${hit.license_url})`].filter(Boolean).join(" "),
  ]
    .filter(Boolean)
    .join(", ");
}
