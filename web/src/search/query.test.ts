import { expect, test } from "vitest";
import { query } from "../test-api.ts";
import { asPictureUrl, hasRoom, isEmpty, JUDGED_LIMIT, judge, NOTHING, similarTo, unjudge, withText } from "./query.ts";

test("nothing is asked for without words and pictures; a picture that is lost asks for nothing", () => {
  expect(isEmpty(NOTHING)).toBe(true);
  expect(isEmpty(query({ picture: { kind: "lost" } }))).toBe(true);
  expect(isEmpty(query({ text: "dog" }))).toBe(false);
  expect(isEmpty(query({ disliked: ["a"] }))).toBe(false);
  expect(isEmpty(query({ picture: { kind: "url", url: "https://example.org/a.png" } }))).toBe(false);
});

test("a picture is liked or disliked, and the last judgement counts", () => {
  const liked = judge(query({ text: "dog" }), "a", "liked");
  expect(liked).toEqual(query({ text: "dog", liked: ["a"] }));
  expect(judge(liked, "a", "liked").liked).toEqual(["a"]);
  expect(judge(liked, "a", "disliked")).toEqual(query({ text: "dog", disliked: ["a"] }));
  expect(unjudge(judge(liked, "b", "disliked"), "a")).toEqual(query({ text: "dog", disliked: ["b"] }));
});

test("similar pictures are asked for by the picture alone", () => {
  expect(similarTo("a")).toEqual(query({ liked: ["a"] }));
});

test("words come without the spaces around them, and leave the pictures alone", () => {
  expect(withText(query({ liked: ["a"] }), "  red fruit ")).toEqual(query({ text: "red fruit", liked: ["a"] }));
});

test("no more pictures are judged than the API takes terms", () => {
  const ids = Array.from({ length: JUDGED_LIMIT }, (_, place) => `${place}`);
  expect(hasRoom(query({ liked: ids.slice(1) }))).toBe(true);
  expect(hasRoom(query({ liked: ids.slice(5), disliked: ids.slice(0, 5) }))).toBe(false);
});

test.each([
  ["https://example.org/a.png", "https://example.org/a.png"],
  ["  http://127.0.0.1:9000/ab.png", "http://127.0.0.1:9000/ab.png"],
  ["HTTPS://EXAMPLE.ORG/A.PNG", "HTTPS://EXAMPLE.ORG/A.PNG"],
  ["https://", null],
  ["https://two words.org", null],
  ["ftp://example.org/a.png", null],
  ["what is https://example.org", null],
  ["dog", null],
])("%j as a picture's address is %j", (text, url) => {
  expect(asPictureUrl(text)).toBe(url);
});
