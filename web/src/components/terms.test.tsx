import { act, screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import { JUDGED_LIMIT } from "../search/query.ts";
import { fakeApi, hit, hits } from "../test-api.ts";
import { box, heading, open, tiles } from "../test-page.tsx";

const terms = () => within(screen.getByRole("list", { name: "Pictures in the search" }));

test("plus and minus on a picture ask for more and less like it, beside what was asked", async () => {
  const api = fakeApi();
  const user = open(api, "/?q=duck");
  await user.click(await screen.findByRole("button", { name: "More like Picture 1" }));
  await user.click(await screen.findByRole("button", { name: "Less like Picture 2" }));
  await waitFor(() =>
    expect(api.asked.at(-1)?.asked.query).toMatchObject({
      text: "duck",
      liked: ["manifest:1"],
      disliked: ["manifest:2"],
    }),
  );
  expect(window.location.search).toBe("?q=duck&like=manifest%3A1&unlike=manifest%3A2");
  expect(terms().getByText("More like Picture 1")).toBeTruthy();
  expect(terms().getByText("Less like Picture 2")).toBeTruthy();
});

test("a part of the search is taken out, and the focus goes to the box", async () => {
  const api = fakeApi();
  const user = open(api, "/?q=duck&like=manifest:1&unlike=manifest:2");
  await user.click(await screen.findByRole("button", { name: "Remove: Less like Picture 2" }));
  await waitFor(() => expect(api.asked.at(-1)?.asked.query).toMatchObject({ liked: ["manifest:1"], disliked: [] }));
  expect(document.activeElement).toBe(box());
  act(() => window.history.back());
  expect(await screen.findByRole("button", { name: "Remove: Less like Picture 2" })).toBeTruthy();
});

test("similar pictures take the place of the whole search", async () => {
  const api = fakeApi();
  const user = open(api, "/?q=duck&like=manifest:1&tag=pond");
  await user.click(await screen.findByRole("button", { name: "Similar to Picture 0" }));
  expect(await heading("Similar pictures")).toBeTruthy();
  expect(window.location.search).toBe("?like=manifest%3A0&tag=pond");
  expect(document.activeElement).toBe(screen.getByRole("heading", { name: "Similar pictures" }));
});

test("a liked picture that is not among those found is asked for by its id; one that is gone goes by it", async () => {
  const picture = async (id: string) => (id === "flickr:7" ? hit({ id, title: "A goose" }) : null);
  open(fakeApi(hits(2), { picture }), "/?like=flickr:7&unlike=flickr:8");
  expect(await screen.findByRole("button", { name: "Remove: More like A goose" })).toBeTruthy();
  expect(await screen.findByRole("button", { name: "Remove: Less like flickr:8" })).toBeTruthy();
});

test("one picture too many is refused in words", async () => {
  const api = fakeApi(hits(20));
  const likes = Array.from({ length: JUDGED_LIMIT }, (_, place) => `like=manifest:${place}`).join("&");
  const user = open(api, `/?${likes}`);
  await user.click(await screen.findByRole("button", { name: "More like Picture 19" }));
  expect((await screen.findByRole("alert")).textContent).toContain(`${JUDGED_LIMIT} pictures at most`);
  expect(api.asked).toHaveLength(1);
});

test("arrow keys go from picture to picture, plus and minus judge the one that has the focus", async () => {
  const api = fakeApi();
  const user = open(api, "/?q=duck");
  const [first, second] = await tiles();
  screen.getByRole("heading", { level: 1 }).focus();
  await user.keyboard("{ArrowDown}");
  expect(document.activeElement).toBe(first);
  await user.keyboard("{ArrowRight}");
  expect(document.activeElement).toBe(second);
  await user.keyboard("{Home}");
  expect(document.activeElement).toBe(first);
  await user.keyboard("+");
  await waitFor(() => expect(api.asked.at(-1)?.asked.query.liked).toEqual(["manifest:0"]));
  expect(document.activeElement).toBe(screen.getByRole("heading", { level: 1 }));
  await user.keyboard("{ArrowDown}{ArrowRight}-");
  await waitFor(() => expect(api.asked.at(-1)?.asked.query.disliked).toEqual(["manifest:1"]));
});

test("plus and minus in the search box are letters", async () => {
  const user = open(fakeApi(), "/?q=duck");
  await tiles();
  await user.type(box(), "+-");
  expect(box()).toHaveProperty("value", "duck+-");
  expect(window.location.search).not.toContain("like=");
});
