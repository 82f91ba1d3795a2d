import { screen, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";
import { ApiError } from "../api/client.ts";
import { fakeApi, hit, hits } from "../test-api.ts";
import { open } from "../test-page.tsx";

const copies = [hit({ id: "a:1", title: "A duck, small" }), hit({ id: "a:2", title: "A duck, large" })];
const found = [hit({ duplicates: 2, duplicate_ids: ["a:1", "a:2"] }), ...hits(2)];
const badge = () => screen.findByRole("button", { name: "3 alike: 2 others much the same as A duck" });
const shown = () => [...document.querySelectorAll<HTMLElement>(".tile[data-id]")].map(({ dataset }) => dataset.id);

test("a picture says how many much the same stand behind it; the keyboard shows them after it and hides them", async () => {
  const user = open(fakeApi(found, { pictures: async () => copies }), "/?q=duck");
  const button = await badge();
  expect(button.textContent).toBe("3 alike");
  expect(screen.getAllByRole("button", { expanded: false, name: /alike/ })).toHaveLength(1);
  button.focus();
  await user.keyboard("{Enter}");
  await waitFor(() => expect(shown()).toEqual(["manifest:duck", "a:1", "a:2", "manifest:0", "manifest:1"]));
  expect(button.getAttribute("aria-expanded")).toBe("true");
  expect(document.activeElement).toBe(button);
  await user.keyboard("{Enter}");
  expect(shown()).toEqual(["manifest:duck", "manifest:0", "manifest:1"]);
});

test("what stands behind a picture opens large, too", async () => {
  const picture = async (id: string) => copies.find((copy) => copy.id === id) ?? null;
  const user = open(fakeApi(found, { pictures: async () => copies, picture }), "/?q=duck");
  await user.click(await badge());
  await user.click(await screen.findByRole("button", { name: "Show A duck, large" }));
  expect(await screen.findByRole("dialog", { name: "A duck, large" })).toBeTruthy();
});

test("where they cannot be had, the page says why and asks again", async () => {
  let asked = 0;
  const pictures = async () => {
    asked += 1;
    if (asked === 1) throw new ApiError(503, { detail: "The search index does not answer." });
    return copies;
  };
  const user = open(fakeApi(found, { pictures }), "/?q=duck");
  await user.click(await badge());
  expect((await screen.findByRole("alert")).textContent).toBe("The search index does not answer.");
  await user.click(screen.getByRole("button", { name: "Try again" }));
  expect(await screen.findByRole("button", { name: "Show A duck, small" })).toBeTruthy();
});
