import { screen, waitFor } from "@testing-library/react";
import { expect, test } from "vitest";
import { fakeApi } from "../test-api.ts";
import { open, status, tiles } from "../test-page.tsx";
import { languageOf, speak } from "./language.tsx";

test.each([
  [null, ["de-CH", "en"], "de"],
  [null, ["fr", "de"], "de"],
  [null, ["fr", "ja"], "en"],
  [null, [], "en"],
  ["en", ["de"], "en"],
  ["klingon", ["de"], "de"],
])("whoever chose %s and whose browser speaks %j reads %s", (chosen, known, language) => {
  expect(languageOf(chosen, known)).toBe(language);
});

test("numbers and dates are written as the reader's own variant of the language writes them", () => {
  expect(speak("de", ["de-CH"]).speech.number(84213)).toMatch(/^84['’]213$/);
  expect(speak("de", ["en", "de-DE"]).speech.number(84213)).toBe("84.213");
  expect(speak("en", ["en-GB"]).speech.date("2024-12-01T12:00:00Z")).toBe("1 December 2024");
});

test("a date that cannot be read stays as it came", () => {
  expect(speak("en", []).speech.date("long ago")).toBe("long ago");
});

test("one is counted otherwise than many", () => {
  const { words } = speak("de", []);
  expect([words.picturesFound(1), words.picturesFound(2000)]).toEqual(["1 Bild", "2.000 Bilder"]);
});

test("the language is switched at once, told to the browser, and kept", async () => {
  const user = open(fakeApi(), "/?q=duck");
  await tiles();
  await user.selectOptions(screen.getByRole("combobox", { name: "Language" }), "Deutsch");
  expect(await screen.findByRole("heading", { name: "Bilder zu „duck“" })).toBeTruthy();
  expect(status()).toBe("3 Bilder, ähnlichste zuerst");
  expect(document.documentElement.lang).toBe("de");
  expect(document.title).toBe("Bilder zu „duck“ · imagesearch");
  expect(localStorage.getItem("imagesearch.language")).toBe("de");
  await user.selectOptions(screen.getByRole("combobox", { name: "Sprache" }), "English");
  await waitFor(() => expect(document.documentElement.lang).toBe("en"));
});
