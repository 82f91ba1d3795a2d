import { afterEach, expect, test } from "vitest";
import { kept } from "./kept.ts";

afterEach(() => localStorage.clear());

test("what is kept is there for whoever comes later, until it is forgotten", () => {
  kept(() => localStorage, "word").keep("bird");
  const later = kept(() => localStorage, "word");
  expect(later.read()).toBe("bird");
  later.forget();
  expect(localStorage.getItem("word")).toBeNull();
  expect(later.read()).toBeNull();
});

test("where storage is switched off, it is kept as long as the page", () => {
  const word = kept(() => {
    throw new DOMException("denied", "SecurityError");
  }, "word");
  expect(word.read()).toBeNull();
  word.keep("bird");
  expect(word.read()).toBe("bird");
  word.forget();
  expect(word.read()).toBeNull();
});
