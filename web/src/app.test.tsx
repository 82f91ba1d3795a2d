import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, test } from "vitest";
import { type Api, ApiError } from "./api/client.ts";
import { App } from "./app.tsx";
import { collection, fakeApi, hit, hits } from "./test-api.ts";

function open(api: Api, address = "/") {
  window.history.replaceState(null, "", address);
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <QueryClientProvider client={client}>
      <App api={api} />
    </QueryClientProvider>,
  );
  return userEvent.setup({ applyAccept: false });
}

const box = () => screen.getByRole("searchbox", { name: "Search pictures" });
const tiles = () => screen.findAllByRole("button", { name: /^Show (A duck|Picture)/ });
const cat = new File([new Uint8Array([1, 2, 3])], "cat.png", { type: "image/png" });

test("the empty page says how many pictures there are, and offers examples with their best answers", async () => {
  const user = open(fakeApi());
  expect(await screen.findByText(/Find 829 pictures/)).toBeTruthy();
  await user.click(screen.getByRole("button", { name: "playing dogs" }));
  expect(await screen.findByRole("heading", { name: "Pictures for “playing dogs”" })).toBeTruthy();
  expect(window.location.search).toBe("?q=playing+dogs");
});

test("a typed query is searched, named in the address and in the title, and stays in the box", async () => {
  const api = fakeApi();
  const user = open(api);
  await user.type(box(), "  red fruit {Enter}");
  expect(await tiles()).toHaveLength(3);
  expect(screen.getByRole("status").textContent).toBe("3 pictures, closest first");
  expect(window.location.search).toBe("?q=red+fruit");
  expect(document.title).toBe("“red fruit” · imagesearch");
  expect(box()).toHaveProperty("value", "red fruit");
  expect(api.asked).toHaveLength(1);
  expect(api.asked[0]?.page).toEqual({ collection: "stamps", from: 0, size: 30 });
});

test("nothing is searched for an empty box", async () => {
  const api = fakeApi();
  const user = open(api);
  await user.type(box(), "   {Enter}");
  expect(api.asked).toHaveLength(0);
  expect(window.location.search).toBe("");
});

test("an address with a search opens with its results", async () => {
  const api = fakeApi();
  open(api, "/?q=V%C3%B6gel&collection=emoji");
  expect(await tiles()).toHaveLength(3);
  expect(api.asked[0]).toMatchObject({ query: { text: "Vögel" }, page: { collection: "emoji" } });
});

test("going back shows the search before", async () => {
  const user = open(fakeApi(), "/?q=dog");
  await tiles();
  await user.clear(box());
  await user.type(box(), "cat{Enter}");
  await screen.findByRole("heading", { name: "Pictures for “cat”" });
  act(() => window.history.back());
  expect(await screen.findByRole("heading", { name: "Pictures for “dog”" })).toBeTruthy();
  await waitFor(() => expect(box()).toHaveProperty("value", "dog"));
});

test("each picture has its title as text, its score, and its author and licence with their links", async () => {
  open(fakeApi([hit()]), "/?q=duck");
  expect((await screen.findByRole("img", { name: "A duck" })).getAttribute("loading")).toBe("lazy");
  expect(screen.getByText("0.81")).toBeTruthy();
  expect(screen.getByRole("link", { name: "Ada Example" })).toHaveProperty("href", "https://people.example/ada");
  expect(screen.getByRole("link", { name: "CC BY 2.0" })).toHaveProperty("href", "https://licences.example/by");
});

test("a picture that does not load gives way to the next source, then quietly to an empty mat", async () => {
  open(fakeApi([hit({ thumbnail_url: "https://pictures.example/small.png" })]), "/?q=duck");
  const image = await screen.findByRole("img", { name: "A duck" });
  expect(image).toHaveProperty("src", "https://pictures.example/small.png");
  fireEvent.error(image);
  expect(image).toHaveProperty("src", "https://pictures.example/duck.png");
  fireEvent.error(image);
  expect(screen.getByRole("img", { name: "A duck (cannot be loaded)" })).toBeTruthy();
});

test("scores can be hidden, and stay hidden", async () => {
  const user = open(fakeApi(), "/?q=duck");
  await tiles();
  await user.click(screen.getByRole("checkbox", { name: "Scores" }));
  expect(localStorage.getItem("imagesearch.scores")).toBe("off");
  expect(document.querySelector('[data-scores="false"]')).toBeTruthy();
  localStorage.clear();
});

test("more pictures come on demand, each once, until there are no more", async () => {
  const api = fakeApi(hits(45), {
    // the second page repeats the last picture of the first, as when one was indexed in between
    search: async (_, { from, size, collection: name }) => ({
      collection: name,
      model: "starter/1",
      took_ms: 1,
      from,
      size,
      total: 45,
      next_from: from === 0 ? 30 : null,
      hits: from === 0 ? hits(45).slice(0, 30) : hits(45).slice(29),
    }),
  });
  const user = open(api, "/?q=duck");
  expect(await tiles()).toHaveLength(30);
  expect(screen.getByRole("status").textContent).toBe("The best 30 of 45, closest first");
  await user.click(screen.getByRole("button", { name: "Show more" }));
  await waitFor(() => expect(screen.getAllByRole("button", { name: /^Show P/ })).toHaveLength(45));
  expect(screen.queryByRole("button", { name: "Show more" })).toBeNull();
  expect(api.asked.map(({ page }) => page.from)).toEqual([0, 30]);
});

test("while a search is on its way, the page says so", async () => {
  open(fakeApi([], { search: () => new Promise(() => {}) }), "/?q=duck");
  await waitFor(() => expect(screen.getByRole("status").textContent).toBe("Searching…"));
});

test("an error is told in the service's words, and can be tried again", async () => {
  let down = true;
  const api = fakeApi([], {
    search: async (_, { from, size, collection: name }) => {
      if (down) throw new ApiError(503, "The encoder does not answer", "Try again in 5 seconds.");
      return { collection: name, model: "m/1", took_ms: 1, from, size, total: 1, next_from: null, hits: [hit()] };
    },
  });
  const user = open(api, "/?q=duck");
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("The encoder does not answer");
  expect(alert.textContent).toContain("Try again in 5 seconds.");
  down = false;
  await user.click(within(alert).getByRole("button", { name: "Try again" }));
  expect(await tiles()).toHaveLength(1);
});

test("a search that is refused for good offers no second try", async () => {
  const refused = new ApiError(404, "Unknown collection", "Collections: stamps.");
  open(fakeApi([], { search: () => Promise.reject(refused) }), "/?q=duck&collection=nowhere");
  expect((await screen.findByRole("alert")).textContent).toContain("Collections: stamps.");
  expect(screen.queryByRole("button", { name: "Try again" })).toBeNull();
});

test("an error on a later page keeps what was found", async () => {
  const api = fakeApi(hits(45), {
    search: async (_, { from, size, collection: name }) => {
      if (from > 0) throw new ApiError(503, "Busy", "Too many searches at once.");
      return { collection: name, model: "m/1", took_ms: 1, from, size, total: 45, next_from: 30, hits: hits(30) };
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
  expect(await screen.findByRole("heading", { name: "No pictures found" })).toBeTruthy();
});

test("without any collection the page says what it waits for", async () => {
  open(fakeApi([], { collections: async () => [] }));
  expect(await screen.findByRole("heading", { name: "No collection yet" })).toBeTruthy();
});

test("an empty collection is called empty", async () => {
  open(fakeApi([], { collections: async () => [collection("stamps", 0)] }));
  expect(await screen.findByRole("heading", { name: "Nothing to search yet" })).toBeTruthy();
});

test("when the collections cannot be had, the page offers to try again", async () => {
  let down = true;
  const collections = async () => {
    if (down) throw new ApiError(0, "No answer", "The search service cannot be reached.");
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
  expect(screen.queryByRole("combobox")).toBeNull();
});

test("a collection named in the address stays in the choice although it is not listed", async () => {
  const api = fakeApi(hits(3), { collections: async () => [collection("emoji"), collection("stamps")] });
  open(api, "/?q=duck&collection=other");
  await tiles();
  expect(screen.getByRole("combobox", { name: "Collection" })).toHaveProperty("value", "other");
});

test("a picture's address in the box is offered as a picture to search by", async () => {
  const api = fakeApi();
  const user = open(api);
  await user.click(box());
  await user.paste("https://pictures.example/duck.png");
  await user.click(screen.getByRole("button", { name: /Search by this picture/ }));
  await tiles();
  expect(api.asked[0]?.query).toEqual({ kind: "url", url: "https://pictures.example/duck.png" });
  expect(window.location.search).toBe("?image=https%3A%2F%2Fpictures.example%2Fduck.png");
  await user.click(screen.getByRole("button", { name: "Remove the picture" }));
  expect(window.location.search).toBe("");
  expect(document.activeElement).toBe(box());
});

test("an uploaded picture is searched by, and comes back with the history", async () => {
  const api = fakeApi();
  const user = open(api);
  await user.upload(screen.getByLabelText("Picture file"), cat);
  expect(await screen.findByRole("heading", { name: "Pictures like your picture cat.png" })).toBeTruthy();
  expect(api.asked[0]?.query).toMatchObject({ kind: "upload", picture: { name: "cat.png" } });
  expect(window.location.search).toBe("");
  await user.type(box(), "dog{Enter}");
  await screen.findByRole("heading", { name: "Pictures for “dog”" });
  act(() => window.history.back());
  expect(await screen.findByRole("heading", { name: "Pictures like your picture cat.png" })).toBeTruthy();
});

test("a picture can be dropped anywhere, and pasted", async () => {
  const api = fakeApi();
  open(api);
  const carried = { types: ["Files"], files: [cat], getData: () => "" };
  fireEvent.dragEnter(window, { dataTransfer: carried });
  expect(screen.getByText("Drop it to search by this picture")).toBeTruthy();
  fireEvent.drop(window, { dataTransfer: carried });
  expect(screen.queryByText("Drop it to search by this picture")).toBeNull();
  await waitFor(() => expect(api.asked).toHaveLength(1));
  fireEvent.paste(window, { clipboardData: { files: [cat] } });
  await waitFor(() => expect(api.asked).toHaveLength(2));
});

test("a picture dragged from another page is searched by its address", async () => {
  const api = fakeApi();
  open(api);
  const url = "https://pictures.example/duck.png";
  fireEvent.drop(window, { dataTransfer: { types: ["text/uri-list"], files: [], getData: () => url } });
  await waitFor(() => expect(api.asked[0]?.query).toEqual({ kind: "url", url }));
});

test("a file that is no picture is refused in words, and the next search clears them", async () => {
  const user = open(fakeApi());
  const letter = new File(["Dear"], "letter.pdf", { type: "application/pdf" });
  await user.upload(screen.getByLabelText("Picture file"), letter);
  expect((await screen.findByRole("alert")).textContent).toBe("letter.pdf is not a picture.");
  await user.type(box(), "dog{Enter}");
  expect(screen.queryByRole("alert")).toBeNull();
});

test("a picture opens large with what is known about it, and the arrows go to its neighbours", async () => {
  const user = open(
    fakeApi([hit({ tags: ["duck", "pond"], taken_at: "2024-12-01T09:30:00Z" }), ...hits(2)]),
    "/?q=duck",
  );
  await user.click(await screen.findByRole("button", { name: "Show A duck" }));
  const dialog = screen.getByRole("dialog", { name: "A duck" });
  expect(within(dialog).getByRole("link", { name: "Original" })).toHaveProperty(
    "href",
    "https://pictures.example/duck",
  );
  expect(within(dialog).getByText("300 × 200 px")).toBeTruthy();
  expect(within(dialog).getByText("0.8123")).toBeTruthy();
  within(dialog).getByRole("button", { name: "Next picture" }).focus();
  await user.keyboard("{ArrowRight}");
  expect(screen.getByRole("dialog", { name: "Picture 0" })).toBeTruthy();
  await user.keyboard("{ArrowLeft}{ArrowLeft}");
  expect(screen.getByRole("dialog", { name: "A duck" })).toBeTruthy();
  await user.click(screen.getByRole("button", { name: "Close" }));
  expect(screen.queryByRole("dialog")).toBeNull();
});

test("more like a picture is a search by its address", async () => {
  const api = fakeApi([hit()]);
  const user = open(api, "/?q=duck");
  await user.click(await screen.findByRole("button", { name: "Show A duck" }));
  await user.click(screen.getByRole("button", { name: "More like this" }));
  await waitFor(() =>
    expect(api.asked.at(-1)?.query).toEqual({ kind: "url", url: "https://pictures.example/duck.png" }),
  );
  expect(screen.queryByRole("dialog")).toBeNull();
});

test("a tag is searched as words", async () => {
  const api = fakeApi([hit({ tags: ["pond", "pond"] })]);
  const user = open(api, "/?q=duck");
  await user.click(await screen.findByRole("button", { name: "Show A duck" }));
  await user.click(screen.getByRole("button", { name: "pond" }));
  expect(window.location.search).toBe("?q=pond");
});

test("the slash key goes to the search box, unless something is being typed", async () => {
  const user = open(fakeApi());
  await user.keyboard("/");
  expect(document.activeElement).toBe(box());
  await user.keyboard("a/b");
  expect(box()).toHaveProperty("value", "a/b");
});
