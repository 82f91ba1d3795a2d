import { act, screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import { fakeApi, hit, hits } from "../test-api.ts";
import { heading, open, tiles } from "../test-page.tsx";

const duck = hit({ tags: ["duck", "pond"], taken_at: "2024-12-01T09:30:00Z", match: "strong", has_words: true });

test("a picture opens large with what is known about it, and the arrows go to its neighbours", async () => {
  const user = open(fakeApi([duck, ...hits(2)]), "/?q=duck");
  await user.click(await screen.findByRole("button", { name: "Show A duck" }));
  const dialog = within(screen.getByRole("dialog", { name: "A duck" }));
  expect(dialog.getByRole("link", { name: "Original" })).toHaveProperty("href", "https://pictures.example/duck");
  expect(dialog.getByText("300 × 200 px")).toBeTruthy();
  expect(dialog.getByText("0.8123")).toBeTruthy();
  expect(dialog.getByText("Strong, has the words")).toBeTruthy();
  expect(dialog.getByText("December 1, 2024")).toBeTruthy();
  dialog.getByRole("button", { name: "Next picture" }).focus();
  await user.keyboard("{ArrowRight}");
  expect(await screen.findByRole("dialog", { name: "Picture 0" })).toBeTruthy();
  await user.keyboard("{ArrowLeft}{ArrowLeft}");
  expect(await screen.findByRole("dialog", { name: "A duck" })).toBeTruthy();
  await user.click(screen.getByRole("button", { name: "Close" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
});

test("an opened picture stands in the address; back closes it, and so closing leaves no step behind", async () => {
  const user = open(fakeApi([duck]), "/?q=duck");
  await user.click(await screen.findByRole("button", { name: "Show A duck" }));
  expect(window.location.search).toBe("?q=duck&show=manifest%3Aduck");
  act(() => window.history.back());
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  await user.click(await screen.findByRole("button", { name: "Show A duck" }));
  await user.click(screen.getByRole("button", { name: "Close" }));
  await waitFor(() => expect(window.location.search).toBe("?q=duck"));
});

test("an address opens its picture, although the search does not find it, and closes it in its place", async () => {
  const picture = async (id: string) => hit({ id, title: "A goose" });
  const user = open(fakeApi(hits(3), { picture }), "/?q=duck&show=flickr:7");
  expect(await screen.findByRole("dialog", { name: "A goose" })).toBeTruthy();
  await tiles();
  await user.click(screen.getByRole("button", { name: "Close" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(window.location.search).toBe("?q=duck");
});

test("an address whose picture is gone says so", async () => {
  open(fakeApi(hits(3), { picture: async () => null }), "/?q=duck&show=flickr:7");
  expect((await screen.findByRole("note")).textContent).toContain("not in the collection any more");
});

test("similar pictures are searched by the picture itself", async () => {
  const api = fakeApi([duck]);
  const user = open(api, "/?q=duck&show=manifest:duck");
  const dialog = within(await screen.findByRole("dialog"));
  await user.click(dialog.getByRole("button", { name: "Similar pictures" }));
  await waitFor(() => expect(api.asked.at(-1)?.asked.query).toMatchObject({ text: "", liked: ["manifest:duck"] }));
  expect(screen.queryByRole("dialog")).toBeNull();
  expect(document.activeElement).toBe(screen.getByRole("heading", { name: "Similar pictures" }));
});

test("the large picture is liked and disliked, too, by button and by key", async () => {
  const api = fakeApi([duck]);
  const user = open(api, "/?q=duck&show=manifest:duck");
  await user.click(within(await screen.findByRole("dialog")).getByRole("button", { name: "More like it" }));
  await waitFor(() => expect(window.location.search).toBe("?q=duck&like=manifest%3Aduck"));
  act(() => window.history.back());
  within(await screen.findByRole("dialog"))
    .getByRole("button", { name: "Close" })
    .focus();
  await user.keyboard("-");
  await waitFor(() => expect(window.location.search).toBe("?q=duck&unlike=manifest%3Aduck"));
});

test("what to write beside the picture is ready to be copied", async () => {
  const user = open(fakeApi([duck]), "/?q=duck&show=manifest:duck");
  const credit = within(await screen.findByRole("region", { name: "Attribution" }));
  await user.click(credit.getByRole("button", { name: "Copy" }));
  expect(await credit.findByText("Copied")).toBeTruthy();
  expect(await navigator.clipboard.readText()).toBe(
    "“A duck” by Ada Example, https://pictures.example/duck, CC BY 2.0 (https://licences.example/by)",
  );
});

test("a tag is searched as words", async () => {
  const user = open(fakeApi([hit({ tags: ["pond", "pond"] })]), "/?q=duck&show=manifest:duck");
  await user.click(within(await screen.findByRole("dialog")).getByRole("button", { name: "pond" }));
  expect(await heading("Pictures for “pond”")).toBeTruthy();
  expect(window.location.search).toBe("?q=pond");
});
