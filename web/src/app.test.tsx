import { act, screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import { ApiError } from "./api/client.ts";
import { collection, fakeApi, hits } from "./test-api.ts";
import { box, heading, open, status, tiles, type } from "./test-page.tsx";

test("the empty page says how many pictures there are, offers examples, and shows the newest", async () => {
  const api = fakeApi();
  const user = open(api);
  expect(await screen.findByText(/Find 829 pictures/)).toBeTruthy();
  expect(await tiles()).toHaveLength(3);
  expect(await heading("Newest pictures")).toBeTruthy();
  expect(api.asked[0]?.asked.query.text).toBe("");
  await user.click(screen.getByRole("button", { name: "playing dogs" }));
  expect(await heading("Pictures for “playing dogs”")).toBeTruthy();
  expect(window.location.search).toBe("?q=playing+dogs");
});

test("a typed query is searched, named in the address and in the title, and stays in the box", async () => {
  const api = fakeApi();
  const user = open(api, "/?collection=stamps");
  await tiles();
  await user.click(box());
  type("  red fruit ");
  await user.keyboard("{Enter}");
  expect(await heading("Pictures for “red fruit”")).toBeTruthy();
  await waitFor(() => expect(status()).toBe("3 pictures, closest first"));
  expect(window.location.search).toBe("?q=red+fruit&collection=stamps");
  expect(document.title).toBe("Pictures for “red fruit” · imagesearch");
  expect(box()).toHaveProperty("value", "  red fruit ");
  expect(api.asked.at(-1)).toMatchObject({ asked: { query: { text: "red fruit" } }, page: { from: 0, size: 30 } });
});

test("nothing new is searched for an empty box", async () => {
  const api = fakeApi();
  const user = open(api);
  await tiles();
  await user.type(box(), "   {Enter}");
  expect(api.asked).toHaveLength(1);
  expect(window.location.search).toBe("");
});

test("an address with a search opens with its results", async () => {
  const api = fakeApi();
  open(api, "/?q=V%C3%B6gel&collection=emoji&tag=bird&sort=newest");
  expect(await tiles()).toHaveLength(3);
  expect(api.asked).toHaveLength(1);
  expect(api.asked[0]).toMatchObject({
    asked: { query: { text: "Vögel" }, filters: { tags: ["bird"] }, sort: "newest" },
    page: { collection: "emoji" },
  });
});

test("going back shows the search before", async () => {
  const user = open(fakeApi(), "/?q=dog");
  await tiles();
  type("cat");
  await user.type(box(), "{Enter}");
  await heading("Pictures for “cat”");
  act(() => window.history.back());
  expect(await heading("Pictures for “dog”")).toBeTruthy();
  await waitFor(() => expect(box()).toHaveProperty("value", "dog"));
});

test("the name of the page leads back to where it starts", async () => {
  const user = open(fakeApi(), "/?q=dog&tag=snow");
  await tiles();
  await user.click(screen.getByRole("link", { name: "imagesearch" }));
  expect(await screen.findByRole("list", { name: "Examples" })).toBeTruthy();
  expect(window.location.search).toBe("");
  expect(document.activeElement).toBe(box());
});

test("an error is told in the service's words, and can be tried again", async () => {
  let down = true;
  const api = fakeApi();
  const found = api.search;
  api.search = async (...given) => {
    if (down) throw new ApiError(503, { title: "The encoder does not answer", detail: "Try again in 5 seconds." });
    return found(...given);
  };
  const user = open(api, "/?q=duck");
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("The encoder does not answer");
  expect(alert.textContent).toContain("Try again in 5 seconds.");
  down = false;
  await user.click(within(alert).getByRole("button", { name: "Try again" }));
  expect(await tiles()).toHaveLength(3);
});

test("no answer at all is told in our own words", async () => {
  open(fakeApi([], { search: () => Promise.reject(new ApiError(0)) }), "/?q=duck");
  expect((await screen.findByRole("alert")).textContent).toContain("cannot be reached");
});

test("a search that is refused for good offers no second try", async () => {
  const refused = new ApiError(404, { title: "Unknown collection", detail: "Collections: stamps." });
  open(fakeApi([], { search: () => Promise.reject(refused) }), "/?q=duck&collection=nowhere");
  expect((await screen.findByRole("alert")).textContent).toContain("Collections: stamps.");
  expect(screen.queryByRole("button", { name: "Try again" })).toBeNull();
});

test("without any collection the page says what it waits for", async () => {
  open(fakeApi([], { collections: async () => [] }));
  expect(await heading("No collection yet")).toBeTruthy();
});

test("when the collections cannot be had, the page offers to try again", async () => {
  let down = true;
  const collections = async () => {
    if (down) throw new ApiError(0);
    return [collection("stamps")];
  };
  const user = open(fakeApi(hits(3), { collections }));
  await screen.findByRole("alert");
  down = false;
  await user.click(screen.getByRole("button", { name: "Try again" }));
  expect(await screen.findByText(/Find 829 pictures/)).toBeTruthy();
});

test("one collection needs no choice; of several, the chosen one is searched and stands in the address", async () => {
  const api = fakeApi(hits(3), { collections: async () => [collection("emoji"), collection("stamps")] });
  const user = open(api, "/?q=duck");
  await tiles();
  await user.selectOptions(screen.getByRole("combobox", { name: "Collection" }), "stamps");
  await waitFor(() => expect(api.asked.at(-1)?.page.collection).toBe("stamps"));
  expect(window.location.search).toBe("?q=duck&collection=stamps");
});

test("there is no choice to make of one collection", async () => {
  open(fakeApi(), "/?q=duck");
  await tiles();
  expect(screen.queryByRole("combobox", { name: "Collection" })).toBeNull();
});

test("a collection named in the address stays in the choice although it is not listed", async () => {
  const api = fakeApi(hits(3), { collections: async () => [collection("emoji"), collection("stamps")] });
  open(api, "/?q=duck&collection=other");
  await tiles();
  expect(screen.getByRole("combobox", { name: "Collection" })).toHaveProperty("value", "other");
});

test("the collections are listed with their counts and models, and lead to their pictures", async () => {
  const api = fakeApi(hits(3), { collections: async () => [collection("emoji", 1), collection("stamps", 84213)] });
  const user = open(api);
  await tiles();
  await user.click(screen.getByRole("link", { name: "Collections" }));
  expect(window.location.search).toBe("?view=collections");
  expect(await heading("Collections")).toBeTruthy();
  expect(screen.getByRole("link", { name: /emoji.*1 picture/ })).toBeTruthy();
  const stamps = screen.getByRole("link", { name: /stamps.*84,213 pictures.*starter\/1/ });
  await user.click(stamps);
  await waitFor(() => expect(api.asked.at(-1)?.page.collection).toBe("stamps"));
  expect(window.location.search).toBe("?collection=stamps");
});

test.each([
  [{ status: "up_to_date", lag: 0, images_per_second: 0 }, "Up to date"],
  [{ status: "indexing", lag: 1, images_per_second: 0 }, "1 picture waits to be indexed"],
  [{ status: "indexing", lag: 12345, images_per_second: 24.5 }, "12,345 pictures wait to be indexed, 24.5 a second"],
  [
    { status: "silent", lag: 3, updated_at: "2026-01-31T12:00:00Z" },
    /^Nothing heard of its indexing since Jan 31, 2026, \d+:00/,
  ],
] as const)("a collection says how far its indexing is: %o", async (fields, told) => {
  open(fakeApi(hits(3), { collections: async () => [collection("stamps", 3, fields)] }), "/?view=collections");
  expect(await screen.findByText(told)).toBeTruthy();
});

test("a collection of which nothing is known says nothing of its indexing", async () => {
  open(fakeApi(hits(3), { collections: async () => [collection("stamps")] }), "/?view=collections");
  await heading("Collections");
  expect(document.querySelector(".collection-status")).toBeNull();
});

test("words typed among the collections are searched", async () => {
  const user = open(fakeApi(), "/?view=collections");
  await heading("Collections");
  type("duck");
  await user.type(box(), "{Enter}");
  expect(await heading("Pictures for “duck”")).toBeTruthy();
});

test("the slash key goes to the search box, unless something is being typed", async () => {
  const user = open(fakeApi());
  await user.keyboard("/");
  expect(document.activeElement).toBe(box());
  await user.keyboard("a/b");
  expect(box()).toHaveProperty("value", "a/b");
});
