import { type RefObject, useEffect, useRef } from "react";
import { neighbour } from "../search/neighbour.ts";
import type { Judgement } from "./tile.tsx";

const JUDGEMENTS: Record<string, Judgement> = { "+": "liked", "=": "liked", "-": "disliked" };

/**
 * The keyboard among the tiles inside `root`: arrows, Home and End move the focus from picture to picture, and down from
 * the heading to the first one; `+` and `-` judge the picture that has the focus. Enter opens it, as a button's.
 */
export function useTileKeys(
  root: RefObject<HTMLElement | null>,
  heading: RefObject<HTMLElement | null>,
  onJudge: (id: string, judgement: Judgement) => void,
): void {
  const judge = useRef(onJudge);
  judge.current = onJudge;

  useEffect(() => {
    const element = root.current;
    const onKey = (event: KeyboardEvent) => {
      if (element === null || event.metaKey || event.ctrlKey || event.altKey) return;
      const tiles = [...element.querySelectorAll<HTMLElement>(".tile[data-id]")];
      const at = tiles.findIndex((tile) => tile.contains(event.target as Node));
      const judgement = JUDGEMENTS[event.key];
      const id = tiles[at]?.dataset.id;
      if (id !== undefined && judgement !== undefined) {
        event.preventDefault();
        return judge.current(id, judgement);
      }
      const to = at >= 0 ? toNeighbour(tiles, at, event.key) : entering(event, heading.current);
      if (to === null) return;
      event.preventDefault();
      tiles[to]?.querySelector<HTMLElement>(".tile-picture")?.focus();
    };
    element?.addEventListener("keydown", onKey);
    return () => element?.removeEventListener("keydown", onKey);
  }, [root, heading]);
}

function toNeighbour(tiles: HTMLElement[], at: number, key: string): number | null {
  return neighbour(
    tiles.map((tile) => tile.getBoundingClientRect()),
    at,
    key,
  );
}

function entering(event: KeyboardEvent, heading: HTMLElement | null): number | null {
  return event.target === heading && event.key === "ArrowDown" ? 0 : null;
}
