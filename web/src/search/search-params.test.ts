import { expect, test } from "vitest";
import { query, search } from "../test-api.ts";
import { NO_FILTERS } from "./filters.ts";
import { JUDGED_LIMIT } from "./query.ts";
import { type Search, START } from "./search.ts";
import { fromParams, toParams } from "./search-params.ts";

const picture = { id: "7", name: "cat.png", type: "image/png", bytes: new ArrayBuffer(3) };

const SEARCHES: Search[] = [
  START,
  search({ collection: "stamps", view: "collections" }),
  search({ query: query({ text: "Vögel & Bäume? 100% #1 + 犬" }), collection: "team-a/stamps" }),
  search({ query: query({ picture: { kind: "url", url: "https://example.org/a%20b.png?size=l&x=1#top" } }) }),
  search({ query: query({ picture: { kind: "upload", picture }, text: "red" }), shown: "flickr:5" }),
  search({ query: query({ liked: ["flickr:1", "manifest:a b/c.png"], disliked: ["flickr:2"] }) }),
  search({
    filters: {
      license: ["CC-BY-2.0", "CC0-1.0"],
      tags: ["dog", "black & white"],
      author: ["Ada Example"],
      source: ["flickr"],
      orientation: ["landscape", "square"],
      size: ["large"],
      uploaded: { from: "2020", to: "2023" },
      taken: { from: null, to: "2019" },
    },
    sort: "newest",
    emphasis: "meaning",
    strongOnly: true,
  }),
];

test.each(SEARCHES)("a search comes back from its address (%#)", (one) => {
  expect(fromParams(toParams(one), picture)).toEqual(one);
});

test("an empty search leaves the address bare", () => {
  expect(toParams(START)).toBe("");
});

test("an uploaded picture is not in the address: elsewhere it is lost, and the rest of the search is not", () => {
  const address = toParams(search({ query: query({ text: "red", picture: { kind: "upload", picture } }) }));
  expect(address).toBe("?q=red&image=upload");
  expect(fromParams(address, null).query).toEqual(query({ text: "red", picture: { kind: "lost" } }));
});

test("a picture in the history is not searched by where the address does not say so", () => {
  expect(fromParams("?q=red", picture).query).toEqual(query({ text: "red" }));
});

test.each([
  "?q=",
  "?q=%20%20",
  "?image=",
  "?image=javascript:alert(1)",
  "?image=not-a-url",
  "?collection=",
  "?like=&unlike=",
  "?sort=best",
  "?by=luck",
  "?matches=all",
  "?taken=yesterday",
  "?view=elsewhere",
  "?show=",
  "?orientation=tall&size=",
])("%s asks for nothing", (params) => {
  expect(fromParams(params, null)).toEqual(START);
});

test("a picture that is liked and disliked at once is liked, and no more are judged than can be asked for", () => {
  expect(fromParams("?like=a&like=a&unlike=a&unlike=b", null).query).toEqual(query({ liked: ["a"], disliked: ["b"] }));
  const many = Array.from({ length: 20 }, (_, place) => `like=a${place}&unlike=b${place}`).join("&");
  const { liked, disliked } = fromParams(`?${many}`, null).query;
  expect(liked.length + disliked.length).toBe(JUDGED_LIMIT);
});

test("each value of a filter is a parameter of its own", () => {
  expect(toParams(search({ filters: { ...NO_FILTERS, tags: ["a,b", "c"] } }))).toBe("?tag=a%2Cb&tag=c");
});
