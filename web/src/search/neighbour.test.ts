import { expect, test } from "vitest";
import { neighbour } from "./neighbour.ts";

// Two rows of three and two, and one tile below a line:   [0][ 1 ][2]   [ 3 ][  4  ]   [5]
const tile = (left: number, right: number, top: number) => ({ left, right, top });
const TILES = [
  tile(0, 100, 0),
  tile(110, 310, 0.5),
  tile(320, 420, 0),
  tile(0, 200, 300),
  tile(210, 420, 300),
  tile(0, 90, 700),
];

test.each([
  [0, "ArrowRight", 1],
  [2, "ArrowRight", 3],
  [5, "ArrowRight", null],
  [3, "ArrowLeft", 2],
  [0, "ArrowLeft", null],
  [0, "ArrowDown", 3],
  [2, "ArrowDown", 4],
  [4, "ArrowDown", 5],
  [5, "ArrowDown", null],
  [4, "ArrowUp", 2],
  [3, "ArrowUp", 0],
  [5, "ArrowUp", 3],
  [1, "ArrowUp", null],
  [4, "Home", 0],
  [1, "End", 5],
  [1, "Enter", null],
])("from tile %i, %s leads to %s", (from, key, to) => {
  expect(neighbour(TILES, from, key)).toBe(to);
});

test("among no tiles, no key leads anywhere", () => {
  for (const key of ["Home", "End", "ArrowUp", "ArrowDown"]) expect(neighbour([], 0, key)).toBeNull();
});
