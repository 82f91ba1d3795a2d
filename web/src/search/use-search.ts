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
    if (!same(next, current())) {
      window.history.pushState(toHistoryState(next), "", toParams(next) || window.location.pathname);
    }
    setSearch(next);
    window.scrollTo(0, 0);
  }, []);

  return [search, go];
}

function same(one: Search, other: Search): boolean {
  const keys = [one, other].map(({ query, collection }) => JSON.stringify([collection, query && queryKey(query)]));
  return keys[0] === keys[1];
}
