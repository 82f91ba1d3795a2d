import { expect, test } from "vitest";
import { NO_FILTERS } from "../search/filters.ts";
import { query, search } from "../test-api.ts";
import { picturesBody, searchBody } from "./request.ts";

const PAGE = { collection: "stamps", from: 30, size: 30 };

test("nothing asked for is no terms, and everything else is left to the API", () => {
  expect(searchBody(search(), PAGE)).toEqual({ ...PAGE, terms: [] });
});

test("words, pictures and judged pictures are terms; what is disliked counts against, and half as much", () => {
  const bytes = new Uint8Array([1, 2, 3]).buffer;
  const picture = { kind: "upload", picture: { id: "1", name: "cat.png", type: "image/png", bytes } } as const;
  const asked = search({ query: query({ text: "dog", picture, liked: ["a"], disliked: ["b", "c"] }) });
  expect(searchBody(asked, PAGE).terms).toEqual([
    { text: "dog" },
    { image_base64: "AQID" },
    { id: "a", weight: 1 },
    { id: "b", weight: -0.5 },
    { id: "c", weight: -0.5 },
  ]);
});

test("a picture's address is a term, and one that is lost is none", () => {
  const url = "https://pictures.example/duck.png";
  expect(searchBody(search({ query: query({ picture: { kind: "url", url } }) }), PAGE).terms).toEqual([
    { image_url: url },
  ]);
  expect(searchBody(search({ query: query({ picture: { kind: "lost" } }) }), PAGE).terms).toEqual([]);
});

test("a large picture is encoded whole", () => {
  const bytes = new Uint8Array(100_000).fill(65).buffer;
  const picture = { kind: "upload", picture: { id: "1", name: "a", type: "image/png", bytes } } as const;
  const [term] = searchBody(search({ query: query({ picture }) }), PAGE).terms ?? [];
  expect(atob(term?.image_base64 ?? "")).toBe("A".repeat(100_000));
});

test("filters are sent as far as they are chosen, years as their first and last days", () => {
  const filters = {
    ...NO_FILTERS,
    license: ["CC0-1.0"],
    uploaded: { from: "2020", to: "2021" },
    taken: { from: null, to: "2019" },
  };
  expect(searchBody(search({ filters }), PAGE).filters).toEqual({
    license: ["CC0-1.0"],
    uploaded: { from: "2020-01-01", to: "2021-12-31" },
    taken: { to: "2019-12-31" },
  });
});

test("order, strong matches and the weight of words are sent where they are not the usual", () => {
  const asked = search({ query: query({ text: "dog" }), sort: "newest", strongOnly: true, emphasis: "meaning" });
  expect(searchBody(asked, PAGE)).toMatchObject({ sort: "newest", matches: "strong", keyword_weight: 0 });
  expect(searchBody({ ...asked, emphasis: "words" }, PAGE).keyword_weight).toBe(1);
  expect(searchBody({ ...asked, query: query({ liked: ["a"] }) }, PAGE)).not.toHaveProperty("keyword_weight");
});

test("counts come with the first page alone", () => {
  expect(searchBody(search(), { ...PAGE, from: 0 }).facets).toEqual([
    "license",
    "tags",
    "author",
    "source",
    "orientation",
    "size",
    "uploaded",
    "taken",
  ]);
  expect(searchBody(search(), PAGE)).not.toHaveProperty("facets");
});

test("pictures are asked for by their ids, near duplicates one by one", () => {
  const ids = ["flickr:1", "flickr:2"];
  expect(picturesBody(ids, "stamps")).toEqual({ collection: "stamps", size: 2, filters: { ids }, collapse: false });
});
