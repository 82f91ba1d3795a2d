import { act, cleanup, fireEvent, screen, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";
import { fakeApi, hits, response } from "../test-api.ts";
import { box, cat, heading, open, show, tiles, type } from "../test-page.tsx";
import { PAUSE_MS } from "./use-typed-text.ts";

const pause = () => act(() => new Promise((resolve) => setTimeout(resolve, PAUSE_MS + 50)));

test("answers come while words are typed, one search for each pause", async () => {
  const api = fakeApi();
  open(api);
  await tiles();
  for (const text of ["du", "duc", "duck"]) type(text);
  expect(await heading("Pictures for “duck”")).toBeTruthy();
  expect(api.asked.map(({ asked }) => asked.query.text)).toEqual(["", "duck"]);
  expect(window.location.search).toBe("?q=duck");
});

test("one step back leads to what was there before the typing", async () => {
  const api = fakeApi();
  open(api, "/?q=cat");
  await tiles();
  type("do");
  await heading("Pictures for “do”");
  type("dog");
  await heading("Pictures for “dog”");
  fireEvent.submit(screen.getByRole("search"));
  const before = window.history.length;
  type("dogs");
  await heading("Pictures for “dogs”");
  expect(window.history.length).toBe(before + 1); // what was submitted is kept apart from what is typed later
  act(() => window.history.back());
  await heading("Pictures for “dog”");
  act(() => window.history.back());
  expect(await heading("Pictures for “cat”")).toBeTruthy();
});

test("what is typed on while an answer comes is not overwritten", async () => {
  open(fakeApi());
  await tiles();
  type("red ");
  await heading("Pictures for “red”");
  expect(box()).toHaveProperty("value", "red ");
  type("red fr");
  expect(box()).toHaveProperty("value", "red fr");
  expect(await heading("Pictures for “red fr”")).toBeTruthy();
});

test("a single letter, and what an input method shows on the way to a word, are not searched", async () => {
  const api = fakeApi();
  open(api);
  await tiles();
  type("d");
  await pause();
  fireEvent.compositionStart(box());
  fireEvent.input(box(), { target: { value: "いn" }, isComposing: true });
  await pause();
  expect(api.asked).toHaveLength(1);
  fireEvent.compositionEnd(box(), { target: { value: "犬" } });
  expect(await heading("Pictures for “犬”")).toBeTruthy();
});

test("an emptied box shows the newest again", async () => {
  const api = fakeApi();
  open(api, "/?q=duck");
  await tiles();
  type("");
  expect(await heading("Newest pictures")).toBeTruthy();
  expect(window.location.search).toBe("");
});

test("the pictures found before stay until the next answer comes, and an answer nobody waits for is given up", async () => {
  let answer: (() => void) | undefined;
  const api = fakeApi(hits(2), {
    search: (asked, page, signal) =>
      asked.query.text === "duck"
        ? Promise.resolve(response(hits(2), page))
        : new Promise((resolve, reject) => {
            answer = () => resolve(response(hits(1), page));
            signal.addEventListener("abort", () => reject(signal.reason));
          }),
  });
  open(api, "/?q=duck");
  await tiles();
  type("ducks");
  await heading("Pictures for “ducks”");
  expect(await tiles()).toHaveLength(2);
  expect(document.querySelector('.results[aria-busy="true"]')).toBeTruthy();
  type("ducklings");
  await heading("Pictures for “ducklings”");
  await waitFor(() => expect(api.asked[1]?.signal.aborted).toBe(true));
  act(() => answer?.());
  await waitFor(async () => expect(await tiles()).toHaveLength(1));
});

test("a picture's address in the box is offered as a picture to search by, and not searched as words", async () => {
  const api = fakeApi();
  const user = open(api);
  await tiles();
  type("https://pictures.example/duck.png");
  await pause();
  expect(api.asked).toHaveLength(1);
  await user.click(screen.getByRole("button", { name: /Search by this picture/ }));
  expect(await heading("Similar pictures")).toBeTruthy();
  const picture = { kind: "url", url: "https://pictures.example/duck.png" };
  await waitFor(() => expect(api.asked.at(-1)?.asked.query).toMatchObject({ text: "", picture }));
  expect(window.location.search).toBe("?image=https%3A%2F%2Fpictures.example%2Fduck.png");
  expect(box()).toHaveProperty("value", "");
  await user.click(screen.getByRole("button", { name: "Remove: Like pictures.example" }));
  expect(window.location.search).toBe("");
  expect(document.activeElement).toBe(box());
});

test("an uploaded picture is searched by beside the words, and comes back with the history", async () => {
  const api = fakeApi();
  const user = open(api, "/?q=red");
  await tiles();
  await user.upload(screen.getByLabelText("Picture file"), cat);
  const remove = { name: "Remove: Like cat.png" };
  expect(await screen.findByRole("button", remove)).toBeTruthy();
  const picture = { kind: "upload", picture: { name: "cat.png" } };
  await waitFor(() => expect(api.asked.at(-1)?.asked.query).toMatchObject({ text: "red", picture }));
  expect(window.location.search).toBe("?q=red&image=upload");
  await user.click(screen.getByRole("button", { name: "Clear the search" }));
  expect(await heading("Newest pictures")).toBeTruthy();
  act(() => window.history.back());
  expect(await screen.findByRole("button", remove)).toBeTruthy();
});

test("an uploaded picture is still there after a reload; an address alone says that it has to be chosen again", async () => {
  const api = fakeApi();
  const user = open(api);
  await tiles();
  await user.upload(screen.getByLabelText("Picture file"), cat);
  await screen.findByRole("button", { name: "Remove: Like cat.png" });
  cleanup();
  show(fakeApi());
  expect(await screen.findByRole("button", { name: "Remove: Like cat.png" })).toBeTruthy();
  cleanup();
  open(api, window.location.search);
  expect((await screen.findByRole("note")).textContent).toContain("which an address cannot carry");
  expect(api.asked.at(-1)?.asked.query.picture).toEqual({ kind: "lost" });
});

test("a picture can be dropped anywhere, and pasted; the last one counts", async () => {
  const api = fakeApi();
  open(api);
  await tiles();
  const carried = { types: ["Files"], files: [cat], getData: () => "" };
  fireEvent.dragEnter(window, { dataTransfer: carried });
  expect(screen.getByText("Drop it to search by this picture")).toBeTruthy();
  fireEvent.drop(window, { dataTransfer: carried });
  expect(screen.queryByText("Drop it to search by this picture")).toBeNull();
  expect(await screen.findByRole("button", { name: "Remove: Like cat.png" })).toBeTruthy();
  const dog = new File([new Uint8Array([4])], "dog.png", { type: "image/png" });
  fireEvent.paste(window, { clipboardData: { files: [dog] } });
  expect(await screen.findByRole("button", { name: "Remove: Like dog.png" })).toBeTruthy();
  expect(screen.queryByRole("button", { name: "Remove: Like cat.png" })).toBeNull();
});

test("a picture dragged from another page is searched by its address", async () => {
  const api = fakeApi();
  open(api);
  await tiles();
  const url = "https://pictures.example/duck.png";
  fireEvent.drop(window, { dataTransfer: { types: ["text/uri-list"], files: [], getData: () => url } });
  await waitFor(() => expect(api.asked.at(-1)?.asked.query.picture).toEqual({ kind: "url", url }));
});

test("a file that is no picture is refused in words, and the next search clears them", async () => {
  const user = open(fakeApi());
  await tiles();
  const letter = new File(["Dear"], "letter.pdf", { type: "application/pdf" });
  await user.upload(screen.getByLabelText("Picture file"), letter);
  expect((await screen.findByRole("alert")).textContent).toBe("letter.pdf is not a picture.");
  type("dog");
  await heading("Pictures for “dog”");
  expect(screen.queryByRole("alert")).toBeNull();
});
