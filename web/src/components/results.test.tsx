import { fireEvent, screen, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";
import { ApiError } from "../api/client.ts";
import { collection, fakeApi, hit, hits, response } from "../test-api.ts";
import { heading, open, status, tiles } from "../test-page.tsx";

test("each picture has its title as text, its score, and its author and licence with their links", async () => {
  open(fakeApi([hit()]), "/?q=duck");
  expect(await screen.findByRole("img", { name: "A duck" })).toBeTruthy();
  expect(screen.getByText("0.81")).toBeTruthy();
  expect(screen.getByRole("link", { name: "Ada Example" })).toHaveProperty("href", "https://people.example/ada");
  expect(screen.getByRole("link", { name: "CC BY 2.0" })).toHaveProperty("href", "https://licences.example/by");
});

test("the pictures that are seen first are loaded first, the others when they come near", async () => {
  open(fakeApi(hits(6)), "/?q=duck");
  await tiles();
  const loading = screen.getAllByRole("img").map((each) => each.getAttribute("loading"));
  expect(loading).toEqual(["eager", "eager", "eager", "eager", "lazy", "lazy"]);
});

test("a picture that was found by its words alone says so in place of a score", async () => {
  open(fakeApi([hit({ score: null, has_words: true })]), "/?q=duck");
  await tiles();
  expect(screen.getByText("by its words")).toBeTruthy();
});

test("a picture that does not load gives way to the next source, then to its title and the way to the original", async () => {
  open(fakeApi([hit({ thumbnail_url: "https://pictures.example/small.png" })]), "/?q=duck");
  const image = await screen.findByRole("img", { name: "A duck" });
  expect(image).toHaveProperty("src", "https://pictures.example/small.png");
  fireEvent.error(image);
  expect(image).toHaveProperty("src", "https://pictures.example/duck.png");
  fireEvent.error(image);
  const link = screen.getByRole("link", { name: /A duck.*Cannot be loaded here/ });
  expect(link).toHaveProperty("href", "https://pictures.example/duck");
});

const image = (place: number) => screen.getByRole("img", { name: `Picture ${place}` });
const noTile = (place: number) => expect(document.querySelector(`[data-id="manifest:${place}"]`)).toBeNull();

test("a picture that does not load where others do is left out, and reported once", async () => {
  const api = fakeApi(hits(4));
  open(api, "/?q=duck");
  expect(await tiles()).toHaveLength(4);
  fireEvent.error(image(1));
  expect(api.reported).toEqual([]); // it may be the line
  expect(screen.getByText(/Cannot be loaded here/)).toBeTruthy();
  fireEvent.load(image(0));
  fireEvent.error(image(2));
  noTile(1);
  noTile(2);
  expect(await tiles()).toHaveLength(2);
  expect(api.reported).toEqual(["manifest:1", "manifest:2"]);
});

test("an opened picture steps over those that were left out", async () => {
  const user = open(fakeApi(hits(4)), "/?q=duck");
  await tiles();
  fireEvent.load(image(0));
  fireEvent.error(image(1));
  await user.click(screen.getByRole("button", { name: "Show Picture 0" }));
  await user.click(screen.getByRole("button", { name: "Next picture" }));
  expect(window.location.search).toContain("show=manifest%3A2");
});

test("reports that are refused disturb nobody, and there are few of them", async () => {
  const api = fakeApi(hits(30), { report: () => Promise.reject(new ApiError(429)) });
  open(api, "/?q=duck");
  await tiles();
  fireEvent.load(image(0));
  for (let place = 1; place < 20; place++) fireEvent.error(image(place));
  await waitFor(() => expect(api.reported).toHaveLength(10));
  expect(await tiles()).toHaveLength(11);
});

test("scores can be hidden, and stay hidden", async () => {
  const user = open(fakeApi(), "/?q=duck");
  await tiles();
  await user.click(screen.getByRole("checkbox", { name: "Scores" }));
  expect(localStorage.getItem("imagesearch.scores")).toBe("off");
  expect(document.querySelector('[data-scores="false"]')).toBeTruthy();
});

test("more pictures come on demand, each once, until there are no more", async () => {
  const found = hits(45);
  const api = fakeApi(found, {
    // the second page repeats the last picture of the first, as when one was indexed in between
    search: async (_, page) => response(found, page, { hits: page.from === 0 ? found.slice(0, 30) : found.slice(29) }),
  });
  const user = open(api, "/?q=duck");
  expect(await tiles()).toHaveLength(30);
  expect(status()).toBe("45 pictures, closest first");
  await user.click(screen.getByRole("button", { name: "Show more" }));
  await waitFor(() => expect(screen.getAllByRole("button", { name: /^Show P/ })).toHaveLength(45));
  expect(screen.queryByRole("button", { name: "Show more" })).toBeNull();
  expect(api.asked.map(({ page }) => page.from)).toEqual([0, 30]);
});

test("while a search is on its way, the page says so", async () => {
  open(fakeApi([], { search: () => new Promise(() => {}) }), "/?q=duck");
  await waitFor(() => expect(status()).toBe("Searching…"));
});

test("an error on a later page keeps what was found", async () => {
  const found = hits(45);
  const api = fakeApi(found, {
    search: async (_, page) => {
      if (page.from > 0) throw new ApiError(503, { title: "Busy", detail: "Too many searches at once." });
      return response(found, page);
    },
  });
  const user = open(api, "/?q=duck");
  await tiles();
  await user.click(screen.getByRole("button", { name: "Show more" }));
  expect((await screen.findByRole("alert")).textContent).toBe("Too many searches at once.");
  expect(await tiles()).toHaveLength(30);
  expect(screen.getByRole("button", { name: "Try again" })).toBeTruthy();
});

test("a search without hits says so", async () => {
  open(fakeApi([]), "/?q=duck");
  expect(await heading("No pictures found")).toBeTruthy();
});

test("an empty collection is called empty", async () => {
  open(fakeApi([], { collections: async () => [collection("stamps", 0)] }));
  expect(await heading("Nothing to search yet")).toBeTruthy();
  expect(screen.getByText(/stamps is still empty/)).toBeTruthy();
  expect(screen.queryByRole("list", { name: "Examples" })).toBeNull();
});

test("a quiet line stands where the strong matches end", async () => {
  const found = [...hits(2, { match: "strong" }), hit({ match: "weak" })];
  open(fakeApi(found, { fields: { strong: 2 } }), "/?q=duck");
  const line = await heading("Less like what was searched");
  const [first, last] = await tiles();
  expect(first?.compareDocumentPosition(line)).toBe(Node.DOCUMENT_POSITION_FOLLOWING);
  expect(screen.getByRole("button", { name: "Show A duck" }).compareDocumentPosition(line)).toBe(
    Node.DOCUMENT_POSITION_PRECEDING,
  );
  expect(last).toBeTruthy();
  expect(status()).toBe("3 pictures, closest first · 2 strong matches");
});

test("by date, strong and weak stand in one list", async () => {
  const found = [...hits(2, { match: "strong" }), hit({ match: "weak" })];
  open(fakeApi(found, { fields: { strong: 2 } }), "/?q=duck&sort=newest");
  await tiles();
  expect(screen.queryByRole("heading", { name: "Less like what was searched" })).toBeNull();
});

test("where nothing matches, the page says so above the nearest pictures", async () => {
  open(fakeApi(hits(3, { match: "weak" }), { fields: { strong: 0 } }), "/?q=duck");
  expect(await screen.findByText("Nothing matches. The nearest pictures are:")).toBeTruthy();
  expect(await tiles()).toHaveLength(3);
});

test("weak matches can be left out, and come back where there are no others", async () => {
  const api = fakeApi(hits(2), {
    search: async (asked, page) => response(asked.strongOnly ? [] : hits(2, { match: "weak" }), page, { strong: 0 }),
  });
  const user = open(api, "/?q=duck");
  await user.click(await screen.findByRole("checkbox", { name: "Strong matches only" }));
  expect(await heading("No strong matches")).toBeTruthy();
  expect(window.location.search).toBe("?q=duck&matches=strong");
  await user.click(screen.getByRole("button", { name: "Show the nearest pictures" }));
  expect(await tiles()).toHaveLength(2);
});

test("strong matches are not spoken of where they cannot be told, or nothing is asked for", async () => {
  open(fakeApi(), "/?q=duck");
  await tiles();
  expect(screen.queryByRole("checkbox", { name: "Strong matches only" })).toBeNull();
});

test("answers by words alone say so, and can be asked for again", async () => {
  let degraded = true;
  const api = fakeApi(hits(1), { search: async (_, page) => response(hits(1), page, { degraded }) });
  const user = open(api, "/?q=duck");
  expect((await screen.findByRole("note")).textContent).toContain("Found by their words alone");
  degraded = false;
  await user.click(screen.getByRole("button", { name: "Try again" }));
  await waitFor(() => expect(screen.queryByRole("note")).toBeNull());
});

test("a service that has too much to do is asked once more when it says, and the page tells so meanwhile", async () => {
  let asked = 0;
  const api = fakeApi(hits(1), {
    search: async (_, page) => {
      asked += 1;
      if (asked === 1) throw new ApiError(429, { retryAfter: 1 });
      return response(hits(1), page);
    },
  });
  open(api, "/?q=duck");
  await waitFor(() => expect(status()).toBe("The service has much to do. Asking again in 1 second…"));
  expect(await tiles()).toHaveLength(1);
  expect(asked).toBe(2);
});

test("a service that has too much to do for long says so", async () => {
  let asked = 0;
  const search = () => {
    asked += 1;
    return Promise.reject(new ApiError(429, { title: "Too many requests", detail: "60 a minute", retryAfter: 45 }));
  };
  open(fakeApi([], { search }), "/?q=duck&collection=stamps");
  expect((await screen.findByRole("alert")).textContent).toContain("60 a minute");
  expect(asked).toBe(1);
});
