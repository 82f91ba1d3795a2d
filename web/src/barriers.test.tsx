/** Roles, names and structure of every view; colours and sizes are looked at in a real browser (`e2e`). */

import { screen } from "@testing-library/react";
import axe from "axe-core";
import { expect, test } from "vitest";
import { ApiError } from "./api/client.ts";
import { collection, fakeApi, hits } from "./test-api.ts";
import { open, tiles } from "./test-page.tsx";

const FACETS = { license: [{ value: "CC-BY-2.0", count: 3 }], uploaded: [{ value: "2024", count: 3 }] };

function api() {
  return fakeApi([...hits(2, { match: "strong" }), ...hits(3, { match: "weak" }).slice(2)], {
    collections: async () => [
      collection("emoji", 9, { status: "indexing", lag: 171, images_per_second: 2.5 }),
      collection("stamps", 829, { status: "silent", lag: 0, updated_at: "2026-01-31T12:00:00Z" }),
    ],
    fields: { facets: FACETS, strong: 2, degraded: true },
  });
}

async function barriers(): Promise<string[]> {
  const { violations } = await axe.run(document, { rules: { "color-contrast": { enabled: false } } });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

test.each([
  ["the start", "/"],
  ["results", "/?q=duck&like=manifest:1&unlike=manifest:2&license=CC-BY-2.0"],
  ["a lost picture", "/?image=upload"],
  ["a large picture", "/?q=duck&show=manifest:1"],
])("%s has no barriers", async (_, address) => {
  open(api(), address);
  await tiles();
  expect(await barriers()).toEqual([]);
});

test("an opened filter has no barriers", async () => {
  const user = open(api(), "/?q=duck");
  for (const name of ["Licence", "Uploaded"]) {
    await user.click(await screen.findByRole("button", { name }));
    expect(await barriers()).toEqual([]);
  }
});

test("the collections have no barriers", async () => {
  open(api(), "/?view=collections");
  await screen.findByRole("link", { name: /stamps/ });
  expect(await barriers()).toEqual([]);
});

test("asking for a key has no barriers", async () => {
  sessionStorage.setItem("imagesearch.key", "wrong");
  open(fakeApi([], { search: () => Promise.reject(new ApiError(401)) }), "/?q=duck");
  await screen.findByLabelText("API key");
  expect(await barriers()).toEqual([]);
});
