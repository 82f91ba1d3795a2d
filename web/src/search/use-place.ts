import { useEffect, useLayoutEffect, useRef } from "react";

/**
 * Bring an entry of the history back to where the reader had been in it, as soon as enough of it is there: `filled` says
 * that more came. Whoever scrolls in between is left alone.
 */
export function usePlace(entry: string, place: number, filled: unknown): void {
  const wanted = useRef({ entry: "", place: 0 });
  if (wanted.current.entry !== entry) wanted.current = { entry, place };

  // biome-ignore lint/correctness/useExhaustiveDependencies: it runs anew for another entry, and when more came
  useLayoutEffect(() => {
    const { place } = wanted.current;
    if (place === 0) return;
    window.scrollTo(0, place);
    if (window.scrollY >= place - 1) wanted.current.place = 0;
  }, [entry, filled]);

  useEffect(() => {
    const settle = () => {
      wanted.current.place = 0;
    };
    const moves = ["wheel", "touchmove", "keydown"] as const;
    for (const move of moves) window.addEventListener(move, settle, { passive: true });
    return () => {
      for (const move of moves) window.removeEventListener(move, settle);
    };
  }, []);
}
