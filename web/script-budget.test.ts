import { expect, test } from "vitest";
import { gzippedBytes, overBudget } from "./script-budget.ts";

const script = { fileName: "index.js", code: "let picture = 1;".repeat(100) };

test("scripts count by what travels of them, all together", () => {
  const one = gzippedBytes([script]);
  expect(one).toBeLessThan(script.code.length / 2);
  expect(gzippedBytes([script, script])).toBe(2 * one);
});

test("scripts within the budget are fine, a byte more is not", () => {
  const bytes = gzippedBytes([script]);
  expect(overBudget([script], bytes)).toBeNull();
  expect(overBudget([script], bytes - 1)).toContain("index.js");
});
