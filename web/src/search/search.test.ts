import { expect, test } from "vitest";
import { query, search } from "../test-api.ts";
import { NO_FILTERS } from "./filters.ts";
import { NOTHING } from "./query.ts";
import { askedKey, inCollection, isStart, START, searchFor } from "./search.ts";

const picture = { id: "7", name: "cat.png", type: "image/png", bytes: new ArrayBuffer(3) };

test("the page starts where nothing is asked for, wherever that is", () => {
  expect(isStart(START)).toBe(true);
  expect(isStart(search({ collection: "stamps" }))).toBe(true);
  expect(isStart(search({ sort: "oldest" }))).toBe(false);
  expect(isStart(search({ filters: { ...NO_FILTERS, tags: ["dog"] } }))).toBe(false);
  expect(isStart(search({ query: query({ picture: { kind: "lost" } }) }))).toBe(false);
});

test("what was browsed by date is searched by likeness, and filters stay", () => {
  const browsed = search({ sort: "oldest", filters: { ...NO_FILTERS, tags: ["dog"] } });
  const asked = searchFor(browsed, query({ text: "dog" }));
  expect(asked).toEqual({ ...browsed, query: query({ text: "dog" }), sort: "relevance" });
  expect(searchFor({ ...asked, sort: "newest" }, query({ text: "dogs" })).sort).toBe("newest");
  expect(searchFor({ ...asked, strongOnly: true }, NOTHING).strongOnly).toBe(false);
});

test("in another collection the words stay, and the pictures that were judged do not", () => {
  const asked = search({ query: query({ text: "dog", liked: ["a"], disliked: ["b"] }), view: "collections" });
  expect(inCollection(asked, "emoji")).toEqual(search({ query: query({ text: "dog" }), collection: "emoji" }));
});

test("searches share a key only when their answers are the same", () => {
  const different = [
    search({ query: query({ text: "a" }) }),
    search({ query: query({ liked: ["a"] }) }),
    search({ query: query({ disliked: ["a"] }) }),
    search({ query: query({ picture: { kind: "url", url: "https://example.org" } }) }),
    search({ query: query({ picture: { kind: "upload", picture } }) }),
    search({ query: query({ picture: { kind: "upload", picture: { ...picture, id: "8" } } }) }),
    search({ query: query({ text: "a" }), emphasis: "words" }),
    search({ query: query({ text: "a" }), sort: "newest" }),
    search({ query: query({ text: "a" }), strongOnly: true }),
    search({ query: query({ text: "a" }), filters: { ...NO_FILTERS, tags: ["a"] } }),
  ];
  expect(new Set(different.map(askedKey)).size).toBe(different.length);
  expect(askedKey(search({ shown: "manifest:1", collection: "stamps" }))).toBe(askedKey(START));
  expect(askedKey(search({ emphasis: "words" }))).toBe(askedKey(START)); // there are no words
});
