import { expect, test } from "vitest";
import type { SearchResponse } from "../api/client.ts";
import { speak } from "../i18n/language.tsx";
import { hit, hits, query, response, search } from "../test-api.ts";
import { countOf, creditOf, licenseName, licenseTerms, nameOf, tileRatio, titleOf } from "./describe.ts";
import type { Search } from "./search.ts";

const { words } = speak("en", ["en-GB"]);
const german = speak("de", []).words;

test.each([
  ["CC-BY-2.0", "CC BY 2.0"],
  ["CC-BY-NC-SA-4.0", "CC BY-NC-SA 4.0"],
  ["CC0-1.0", "CC0 1.0"],
  ["CC-PDM-1.0", "Public domain"],
  ["LicenseRef-No-Known-Copyright-Restrictions", "No known copyright restrictions"],
  ["LicenseRef-House-Rules", "House-Rules"],
  ["GPL-2.0-or-later", "GPL 2.0 or later"],
  ["LGPL-3.0-only", "LGPL 3.0"],
  ["MIT", "MIT"],
])("the licence %s reads %s", (spdx, name) => {
  expect(licenseName(spdx, words)).toBe(name);
});

test("what a Creative Commons licence asks for is told in the reader's language, of others nothing", () => {
  expect(licenseTerms("CC-BY-NC-SA-4.0", words)).toBe("attribution, not for commerce, same licence for changes");
  expect(licenseTerms("CC-BY-2.0", german)).toBe("Namensnennung");
  expect(licenseTerms("CC0-1.0", words)).toBe("no rights reserved");
  expect(licenseTerms("MIT", words)).toBe("");
});

test("a picture without a title goes by its description, and without either says so", () => {
  expect(titleOf(hit({ title: "", description: "A duck" }), words)).toBe("A duck");
  expect(titleOf(hit({ title: "", description: "" }), words)).toBe("Untitled picture");
});

test("a credit has title, author, source and licence, as far as they are known", () => {
  expect(creditOf(hit(), words)).toBe(
    "“A duck” by Ada Example, https://pictures.example/duck, CC BY 2.0 (https://licences.example/by)",
  );
  expect(creditOf(hit({ author: null, page_url: null, license_url: null }), german)).toBe(
    "“A duck”, https://pictures.example/duck.png, CC BY 2.0",
  );
});

test("a tile has the picture's shape, within what a row can hold", () => {
  expect(tileRatio({ width: 300, height: 200 })).toBe(1.5);
  expect(tileRatio({ width: 9000, height: 100 })).toBe(2.4);
  expect(tileRatio({ width: 10, height: 1000 })).toBe(0.7);
  expect(tileRatio({ width: null, height: 100 })).toBeCloseTo(4 / 3);
});

test.each([
  [search(), "Newest pictures"],
  [search({ sort: "oldest" }), "Oldest pictures"],
  [search({ query: query({ text: "dog", liked: ["a"] }) }), "Pictures for “dog”"],
  [search({ query: query({ liked: ["a"], disliked: ["b"] }) }), "Similar pictures"],
  [search({ query: query({ disliked: ["b"] }) }), "Pictures unlike those"],
])("a search has a name (%#)", (asked, name) => {
  expect(nameOf(asked, words)).toBe(name);
});

const dog = { query: query({ text: "dog" }) };
test.each<[string, Partial<SearchResponse>, Partial<Search>]>([
  ["No pictures found", { total: 0, available: 0 }, dog],
  ["1 picture, newest first", { total: 1, available: 1 }, {}],
  ["549 pictures, newest first", { total: 549, available: 549 }, {}],
  ["The newest 1,000 of 84,213 pictures", { total: 1000, available: 84213 }, {}],
  ["The oldest 1,000 of 84,213 pictures", { total: 1000, available: 84213 }, { sort: "oldest" }],
  ["549 pictures, closest first", { total: 549, available: 549 }, dog],
  ["The best 1,000 of 84,213 pictures, closest first", { total: 1000, available: 84213 }, dog],
  ["The best 1,000 of 84,213 pictures, newest first", { total: 1000, available: 84213 }, { ...dog, sort: "newest" }],
  [
    "The best 1,000 of 84,213 pictures, closest first · 37 strong matches",
    { total: 1000, available: 84213, strong: 37 },
    dog,
  ],
  ["549 pictures, closest first", { total: 549, available: 549, strong: 0 }, dog],
  ["549 pictures, closest first", { total: 540, collapsed: 9, available: 549 }, dog],
  ["The newest 1,000 of 1,001 pictures", { total: 900, collapsed: 100, available: 1001 }, {}],
  [
    "37 strong matches, closest first",
    { total: 37, collapsed: 2, available: 99, strong: 37 },
    { ...dog, strongOnly: true },
  ],
  ["37 strong matches, closest first", { total: 37, available: 84213, strong: 37 }, { ...dog, strongOnly: true }],
])("what was found is counted honestly: %s", (text, fields, asked) => {
  const page = response(hits(1), { collection: "stamps", from: 0, size: 30 }, fields);
  expect(countOf(page, search(asked), words)).toBe(text);
});

test("numbers are written as the reader's language writes them", () => {
  const page = response(hits(1), { collection: "stamps", from: 0, size: 30 }, { total: 1000, available: 84213 });
  expect(countOf(page, search(dog), german)).toBe("Die besten 1.000 von 84.213 Bildern, ähnlichste zuerst");
});
