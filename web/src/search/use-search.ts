import { useCallback, useEffect, useState } from "react";
import { fromLocation, queryKey, type Search, toHistoryState, toParams } from "./search-params.ts";

const current = () => fromLocation(window.location.search, window.history.state);

/** The search that the page's address stands for, and a way to go to another one. */
export function useSearch(): [Search, (next: Search) => void] {
  const [search, setSearch] = useState(current);

  useEffect(() => {
    const follow = () => setSearch(current());
    window.addEventListener("popstate", follow);
    return () => window.removeEventListener("popstate", follow);
  }, []);

  const go = useCallback((next: Search) => {
    if (!same(next, current())) push(next);
    setSearch(next);
    window.scrollTo(0, 0);
  }, []);

  return [search, go];
}

function push(next: Search): void {
  const address = toParams(next) || window.location.pathname;
  try {
    window.history.pushState(toHistoryState(next), "", address);
  } catch {
    // The browser keeps less than the picture takes: the search goes on, but a reload forgets it.
    window.history.pushState(null, "", address);
  }
}

function same(one: Search, other: Search): boolean {
  const keys = [one, other].map(({ query, collection }) => JSON.stringify([collection, query && queryKey(query)]));
  return keys[0] === keys[1];
}
