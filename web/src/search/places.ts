/** How far the reader had scrolled in each entry of the history, in pixels; kept over a reload. */

import type { Kept } from "../kept.ts";

export type Places = { keep: (entry: string, scrolled: number) => void; find: (entry: string) => number };

const LIMIT = 50;

export function createPlaces(memory: Kept): Places {
  const places = new Map<string, number>(read(memory));
  return {
    keep: (entry, scrolled) => {
      places.delete(entry); // the latest come last
      places.set(entry, Math.round(scrolled));
      memory.keep(JSON.stringify([...places].slice(-LIMIT)));
    },
    find: (entry) => places.get(entry) ?? 0,
  };
}

function read(memory: Kept): [string, number][] {
  try {
    return JSON.parse(memory.read() ?? "[]");
  } catch {
    return []; // not ours
  }
}
