import { expect, test } from "vitest";
import type { Kept } from "../kept.ts";
import { createPlaces } from "./places.ts";

function memory(text: string | null = null): Kept {
  let kept = text;
  return {
    read: () => kept,
    keep: (value) => {
      kept = value;
    },
    forget: () => {
      kept = null;
    },
  };
}

test("how far an entry had been scrolled is known, also after a reload", () => {
  const kept = memory();
  createPlaces(kept).keep("a", 1200.4);
  expect(createPlaces(kept).find("a")).toBe(1200);
  expect(createPlaces(kept).find("b")).toBe(0);
});

test("only the latest entries are kept over a reload", () => {
  const kept = memory();
  const places = createPlaces(kept);
  for (let entry = 0; entry < 60; entry++) places.keep(`${entry}`, 10);
  places.keep("10", 20);
  const reloaded = createPlaces(kept);
  expect([reloaded.find("9"), reloaded.find("10"), reloaded.find("59")]).toEqual([0, 20, 10]);
});

test("what somebody else kept there is no place", () => {
  expect(createPlaces(memory("{not json")).find("a")).toBe(0);
});
