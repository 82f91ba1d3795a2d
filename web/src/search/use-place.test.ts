import { fireEvent, renderHook } from "@testing-library/react";
import { beforeEach, expect, test, vi } from "vitest";
import { usePlace } from "./use-place.ts";

/** How far the page can be scrolled, in pixels: as far as it is filled. */
let depth = 0;
let scrolled = 0;

beforeEach(() => {
  scrolled = 0;
  vi.spyOn(window, "scrollY", "get").mockImplementation(() => scrolled);
  window.scrollTo = (_left: number | ScrollToOptions | undefined, top?: number) => {
    scrolled = Math.min(top ?? 0, depth);
  };
});

type Given = { entry: string; place: number; filled: number };

function visit(given: Given) {
  return renderHook(({ entry, place, filled }: Given) => usePlace(entry, place, filled), { initialProps: given });
}

test("an entry is shown where it was left, as soon as enough is there", () => {
  depth = 500;
  const { rerender } = visit({ entry: "a", place: 1200, filled: 30 });
  expect(scrolled).toBe(500);
  depth = 2000;
  rerender({ entry: "a", place: 1200, filled: 60 });
  expect(scrolled).toBe(1200);
  scrolled = 100;
  rerender({ entry: "a", place: 1200, filled: 90 });
  expect(scrolled).toBe(100); // it was there, and the reader has moved on
});

test("whoever scrolls in between is left alone", () => {
  depth = 500;
  const { rerender } = visit({ entry: "a", place: 1200, filled: 30 });
  fireEvent.wheel(window);
  depth = 2000;
  rerender({ entry: "a", place: 1200, filled: 60 });
  expect(scrolled).toBe(500);
});

test("another entry has a place of its own, and a new one none", () => {
  depth = 2000;
  const { rerender } = visit({ entry: "a", place: 1200, filled: 30 });
  scrolled = 700;
  rerender({ entry: "b", place: 0, filled: 30 });
  expect(scrolled).toBe(700);
  rerender({ entry: "a", place: 1500, filled: 30 });
  expect(scrolled).toBe(1500);
});
