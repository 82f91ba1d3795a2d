import { expect, test } from "vitest";
import { hits } from "../test-api.ts";
import { strongEnd } from "./use-results.ts";

const strong = hits(3, { match: "strong" });
const weak = hits(2, { match: "weak" });

test("strong matches end after the last of them", () => {
  expect(strongEnd([...strong, ...weak], 3)).toBe(3);
});

test("a weak match that stands among strong ones, for its words, stays among them", () => {
  expect(strongEnd([...strong.slice(0, 2), ...weak, ...strong.slice(2), ...weak], 3)).toBe(5);
});

test.each([
  ["there are none", weak, 0],
  ["it cannot be told", [...strong, ...weak], null],
  ["the answer says nothing of it", [...strong, ...weak], undefined],
  ["more of them are on pages to come", [...strong, ...weak], 4],
  ["nothing follows", strong, 3],
])("where %s, they end nowhere", (_, found, count) => {
  expect(strongEnd(found, count)).toBeNull();
});
