import { useCallback, useEffect, useState } from "react";
import { kept } from "../kept.ts";
import { createPlaces } from "./places.ts";
import type { Picture } from "./query.ts";
import { askedKey, type Search } from "./search.ts";
import { fromParams, toParams } from "./search-params.ts";

/**
 * How to go to another search. `visit` makes an entry in the history. So does the first `type`; those that follow
 * change that entry, and `settle` does so for the last time: one step back leads to what was there before the typing
 * began. `replace` makes none.
 */
export type Manner = "visit" | "type" | "settle" | "replace";
export type Go = (next: Search, manner?: Manner) => void;

/** What a history entry carries beside its address. */
type Entry = {
  key: string;
  /** The page itself led here, so that one step back stays on the page. */
  within: boolean;
  typing: boolean;
  picture: Picture | null;
};

type Here = { search: Search; entry: string };

const places = createPlaces(kept(() => sessionStorage, "imagesearch.places"));

/** The search that the page's address stands for, ways to others, and how far this one had been scrolled. */
export function useSearch() {
  const [here, setHere] = useState(arrive);

  useEffect(() => {
    window.history.scrollRestoration = "manual"; // the browser would restore before the pictures are there
    const follow = () => {
      places.keep(here.entry, window.scrollY);
      setHere(arrive());
    };
    const leave = () => places.keep(here.entry, window.scrollY);
    window.addEventListener("popstate", follow);
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("popstate", follow);
      window.removeEventListener("pagehide", leave);
    };
  }, [here.entry]);

  const go = useCallback<Go>((next, manner = "visit") => {
    const now = entryOf(window.history.state);
    const before = fromParams(window.location.search, now.picture);
    const same = toParams(next) === toParams(before) && askedKey(next) === askedKey(before);
    const typing = manner === "type";
    places.keep(now.key, window.scrollY);
    if (manner === "replace" || same || (now.typing && manner !== "visit")) {
      write("replaceState", next, { ...now, typing: typing && now.typing });
    } else {
      write("pushState", next, { key: newKey(), within: true, typing, picture: null });
    }
    if (!sameAnswers(next, before)) window.scrollTo(0, 0);
    setHere({ search: next, entry: entryOf(window.history.state).key });
  }, []);

  /** Close what the last entry opened: a step back where the page itself led here, else the given search in its place. */
  const leave = useCallback(
    (instead: Search) => (entryOf(window.history.state).within ? window.history.back() : go(instead, "replace")),
    [go],
  );

  return { ...here, go, leave, placeOf: places.find };
}

function arrive(): Here {
  const entry = entryOf(window.history.state);
  if (window.history.state?.key !== entry.key) window.history.replaceState(entry, "");
  return { search: fromParams(window.location.search, entry.picture), entry: entry.key };
}

function write(method: "pushState" | "replaceState", next: Search, entry: Entry): void {
  const picture = next.query.picture?.kind === "upload" ? next.query.picture.picture : null;
  const address = toParams(next) || window.location.pathname;
  try {
    window.history[method]({ ...entry, picture }, "", address);
  } catch {
    // The browser keeps less than the picture takes: the search goes on, but a reload forgets it.
    window.history[method]({ ...entry, picture: null }, "", address);
  }
}

/** The state of a history entry; entries that the page did not make get one. */
function entryOf(state: unknown): Entry {
  const given = typeof state === "object" && state !== null && "key" in state ? (state as Partial<Entry>) : {};
  return { key: newKey(), within: false, typing: false, picture: null, ...given };
}

function newKey(): string {
  return `${Date.now().toString(36)}${Math.random().toString(36).slice(2)}`;
}

/** Whether the reader sees the same list; only what is opened over it may differ. */
function sameAnswers(one: Search, other: Search): boolean {
  return one.collection === other.collection && one.view === other.view && askedKey(one) === askedKey(other);
}
