import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import type { Api } from "../api/client.ts";

const MOST_REPORTS = 10; // of one visit: a blocker or a bad line may keep many pictures away that are there

type Missing = { collection: string; id: string };

/**
 * Pictures that cannot be loaded. They are shown no longer, and reported to the service, which looks for itself. As long
 * as no picture at all was loaded, it may well be the reader's line: then everything stays, and nothing is reported.
 */
export function useDeadPictures(api: Api, collection: string) {
  const [missing, setMissing] = useState<readonly Missing[]>([]);
  const [anyLoaded, setAnyLoaded] = useState(false);
  const reported = useRef(new Set<Missing>());

  useEffect(() => {
    if (!anyLoaded) return;
    for (const one of missing) {
      if (reported.current.has(one) || reported.current.size >= MOST_REPORTS) continue;
      reported.current.add(one);
      api.report(one.id, one.collection).catch(() => {}); // the search goes on without
    }
  }, [api, missing, anyLoaded]);

  const dead = useMemo(
    () => new Set(anyLoaded ? missing.filter((one) => one.collection === collection).map(({ id }) => id) : []),
    [missing, anyLoaded, collection],
  );
  const onMissing = useCallback((id: string) => setMissing((before) => [...before, { collection, id }]), [collection]);
  const onLoaded = useCallback(() => setAnyLoaded(true), []);
  return { dead, onMissing, onLoaded };
}
