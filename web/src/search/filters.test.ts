import { expect, test } from "vitest";
import { chosenCount, isFiltered, NO_FILTERS, readYears, toggle, withYears, writeYears } from "./filters.ts";

test("a value is chosen, and the choice taken back", () => {
  const chosen = toggle(toggle(NO_FILTERS, "tags", "dog"), "tags", "snow");
  expect(chosen.tags).toEqual(["dog", "snow"]);
  expect(chosenCount(chosen, "tags")).toBe(2);
  expect(toggle(chosen, "tags", "dog").tags).toEqual(["snow"]);
  expect(NO_FILTERS.tags).toEqual([]);
});

test("years that come in the wrong order are put right, and no years are no filter", () => {
  expect(withYears(NO_FILTERS, "taken", { from: "2024", to: "2020" }).taken).toEqual({ from: "2020", to: "2024" });
  expect(withYears(NO_FILTERS, "taken", { from: null, to: "2020" }).taken).toEqual({ from: null, to: "2020" });
  expect(withYears(NO_FILTERS, "taken", { from: null, to: null })).toEqual(NO_FILTERS);
});

test("filters hold when any is chosen", () => {
  expect(isFiltered(NO_FILTERS)).toBe(false);
  expect(isFiltered({ ...NO_FILTERS, license: ["CC0-1.0"] })).toBe(true);
  expect(isFiltered({ ...NO_FILTERS, uploaded: { from: "2020", to: null } })).toBe(true);
});

test.each([
  ["2024", { from: "2024", to: "2024" }],
  ["2020-2023", { from: "2020", to: "2023" }],
  ["2020-", { from: "2020", to: null }],
  ["-2023", { from: null, to: "2023" }],
])("years are written %s, and read again", (text, years) => {
  expect(readYears(text)).toEqual(years);
  expect(writeYears(years)).toBe(text);
});

test.each(["", "-", "20", "2020-23", "2020-2021-2022", "20202021", "last year"])("%j is no years", (text) => {
  expect(readYears(text)).toBeNull();
});
