import { screen, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";
import { ApiError } from "../api/client.ts";
import { collection, fakeApi, hits } from "../test-api.ts";
import { heading, open, tiles } from "../test-page.tsx";

const refused = new ApiError(401, { title: "An API key is needed", detail: "Send an API key." });

/** Answers nobody but those whose key is `right`. */
function guarded() {
  const api = fakeApi(hits(3), {
    collections: async () => {
      if (sessionStorage.getItem("imagesearch.key") !== "right") throw refused;
      return [collection("stamps")];
    },
  });
  return api;
}

test("a service that wants a key is asked again with it, and the tab keeps it", async () => {
  const user = open(guarded(), "/?q=duck");
  expect(await heading("An API key is needed")).toBeTruthy();
  expect(document.activeElement).toBe(screen.getByLabelText("API key"));
  await user.type(screen.getByLabelText("API key"), " right {Enter}");
  expect(await tiles()).toHaveLength(3);
  expect(sessionStorage.getItem("imagesearch.key")).toBe("right");
});

test("a wrong key is called unknown, and can be given up", async () => {
  const user = open(guarded(), "/?q=duck");
  await user.type(await screen.findByLabelText("API key"), "wrong{Enter}");
  expect((await screen.findByRole("alert")).textContent).toContain("does not know this key");
  await user.click(screen.getByRole("button", { name: "Go on without a key" }));
  await waitFor(() => expect(screen.queryByRole("alert")).toBeNull());
  expect(sessionStorage.getItem("imagesearch.key")).toBeNull();
});

test("a key may be needed for the search alone", async () => {
  const api = fakeApi(hits(3), { search: () => Promise.reject(refused) });
  open(api, "/?q=duck");
  expect(await heading("An API key is needed")).toBeTruthy();
});
