import type { Hit } from "../api/client.ts";
import type { Query } from "./search-params.ts";

/** Words for what the source left without a title; also the picture's alternative text. */
export function titleOf(hit: Hit): string {
  return hit.title || hit.description || "Untitled picture";
}

export function nameOf(query: Query): string {
  switch (query.kind) {
    case "text":
      return `“${query.text}”`;
    case "url":
      return "the picture at this address";
    case "upload":
      return `your picture ${query.picture.name}`;
  }
}

/** Width over height, held to what a row of tiles can show; pictures of unknown size get the commonest shape. */
export function tileRatio({ width, height }: Pick<Hit, "width" | "height">): number {
  const ratio = width && height ? width / height : 4 / 3;
  return Math.min(2.4, Math.max(0.7, ratio));
}

const LICENSE_NAMES: Record<string, string> = { "CC0-1.0": "CC0 1.0", "PDM-1.0": "Public domain" };

/** `CC-BY-SA-2.0` as people write it: `CC BY-SA 2.0`. Other identifiers stay as they are. */
export function licenseName(spdx: string): string {
  return LICENSE_NAMES[spdx] ?? spdx.replace(/^CC-(BY(?:-(?:NC|ND|SA))*)-([\d.]+)$/, "CC $1 $2");
}

const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });

export function dateOf(moment: string): string {
  const date = new Date(moment);
  return Number.isNaN(date.getTime()) ? moment : dates.format(date);
}

export const numberText = new Intl.NumberFormat().format;
