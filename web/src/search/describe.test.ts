import { expect, test } from "vitest";
import { hit } from "../test-api.ts";
import { dateOf, licenseName, tileRatio, titleOf } from "./describe.ts";

test.each([
  ["CC-BY-2.0", "CC BY 2.0"],
  ["CC-BY-NC-SA-4.0", "CC BY-NC-SA 4.0"],
  ["CC0-1.0", "CC0 1.0"],
  ["PDM-1.0", "Public domain"],
  ["GPL-2.0-or-later", "GPL-2.0-or-later"],
])("the licence %s reads %s", (spdx, name) => {
  expect(licenseName(spdx)).toBe(name);
});

test("a picture without a title goes by its description, and without either says so", () => {
  expect(titleOf(hit({ title: "", description: "A duck" }))).toBe("A duck");
  expect(titleOf(hit({ title: "", description: "" }))).toBe("Untitled picture");
});

test("a tile has the picture's shape, within what a row can hold", () => {
  expect(tileRatio({ width: 300, height: 200 })).toBe(1.5);
  expect(tileRatio({ width: 9000, height: 100 })).toBe(2.4);
  expect(tileRatio({ width: 10, height: 1000 })).toBe(0.7);
  expect(tileRatio({ width: null, height: 100 })).toBeCloseTo(4 / 3);
});

test("a date that cannot be read is shown as it came", () => {
  expect(dateOf("long ago")).toBe("long ago");
  expect(dateOf("2024-12-01T09:30:00Z")).toContain("2024");
});
