/** Where the arrow keys lead among tiles that stand in rows of unequal widths. Pure. */

export type Place = { left: number; right: number; top: number };

/** Index of the tile to go to from `from`; null where the key leads nowhere. */
export function neighbour(tiles: readonly Place[], from: number, key: string): number | null {
  switch (key) {
    case "ArrowLeft":
      return from > 0 ? from - 1 : null;
    case "ArrowRight":
      return from < tiles.length - 1 ? from + 1 : null;
    case "ArrowUp":
      return nearestInRow(tiles, from, -1);
    case "ArrowDown":
      return nearestInRow(tiles, from, 1);
    case "Home":
      return tiles.length > 0 ? 0 : null;
    case "End":
      return tiles.length > 0 ? tiles.length - 1 : null;
    default:
      return null;
  }
}

function nearestInRow(tiles: readonly Place[], from: number, step: 1 | -1): number | null {
  const here = tiles[from];
  if (here === undefined) return null;
  let nearest: number | null = null;
  let row: number | null = null;
  for (let at = from + step; tiles[at] !== undefined; at += step) {
    const tile = tiles[at] as Place;
    if (sameRow(tile.top, here.top)) continue;
    row ??= tile.top;
    if (!sameRow(tile.top, row)) break;
    if (nearest === null || distance(tile, here) < distance(tiles[nearest] as Place, here)) nearest = at;
  }
  return nearest;
}

const sameRow = (one: number, other: number) => Math.abs(one - other) < 2;
const distance = (one: Place, other: Place) => Math.abs(one.left + one.right - other.left - other.right);
