import { expect, test } from "vitest";
import {
  asPictureUrl,
  fromLocation,
  queryKey,
  type Search,
  toHistoryState,
  toParams,
  typedQuery,
} from "./search-params.ts";

const picture = { id: "7", name: "cat.png", type: "image/png", bytes: new ArrayBuffer(3) };

const SEARCHES: Search[] = [
  { query: null, collection: null },
  { query: null, collection: "stamps" },
  { query: { kind: "text", text: "Vögel & Bäume? 100% #1 + 犬" }, collection: "team-a/stamps" },
  { query: { kind: "url", url: "https://example.org/a%20b.png?size=l&x=1#top" }, collection: "stamps" },
  { query: { kind: "upload", picture }, collection: "stamps" },
];

test.each(SEARCHES)("a search comes back from its address and history state (%#)", (search) => {
  expect(fromLocation(toParams(search), toHistoryState(search))).toEqual(search);
});

test("an empty search leaves the address bare", () => {
  expect(toParams({ query: null, collection: null })).toBe("");
});

test("a picture in the address wins over words, and words over a picture in the history", () => {
  const state = { picture };
  expect(fromLocation("?q=dog&image=https://example.org/a.png", state).query?.kind).toBe("url");
  expect(fromLocation("?q=dog", state).query?.kind).toBe("text");
  expect(fromLocation("", state).query?.kind).toBe("upload");
});

test.each(["?q=", "?q=%20%20", "?image=", "?image=javascript:alert(1)", "?image=not-a-url", "?collection="])(
  "%s searches nothing",
  (params) => {
    expect(fromLocation(params, null)).toEqual({ query: null, collection: null });
  },
);

test.each([null, undefined, 3, "picture", {}])("a history state of someone else (%s) is left alone", (state) => {
  expect(fromLocation("", state).query).toBeNull();
});

test.each([
  ["https://example.org/a.png", "https://example.org/a.png"],
  ["  http://127.0.0.1:9000/a b.png".replace(" b", "b"), "http://127.0.0.1:9000/ab.png"],
  ["HTTPS://EXAMPLE.ORG/A.PNG", "HTTPS://EXAMPLE.ORG/A.PNG"],
  ["https://", null],
  ["https://two words.org", null],
  ["ftp://example.org/a.png", null],
  ["what is https://example.org", null],
  ["dog", null],
])("%j as a picture's address is %j", (text, url) => {
  expect(asPictureUrl(text)).toBe(url);
});

test("what is typed is a picture's address, words, or nothing", () => {
  expect(typedQuery(" https://example.org/a.png ")).toEqual({ kind: "url", url: "https://example.org/a.png" });
  expect(typedQuery("  red fruit ")).toEqual({ kind: "text", text: "red fruit" });
  expect(typedQuery("   ")).toBeNull();
});

test("two searches share a key only when they are the same", () => {
  const keys = [
    queryKey({ kind: "text", text: "https://example.org" }),
    queryKey({ kind: "url", url: "https://example.org" }),
    queryKey({ kind: "upload", picture }),
    queryKey({ kind: "upload", picture: { ...picture, id: "8" } }),
  ];
  expect(new Set(keys.map((key) => JSON.stringify(key))).size).toBe(keys.length);
});
