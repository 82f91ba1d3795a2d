import { act, screen, waitFor, within } from "@testing-library/react";
import { expect, test } from "vitest";
import { fakeApi, hits } from "../test-api.ts";
import { heading, open, tiles } from "../test-page.tsx";

const FACETS = {
  license: [
    { value: "CC-BY-NC-2.0", count: 1712 },
    { value: "CC0-1.0", count: 288 },
  ],
  tags: [
    { value: "dog", count: 12 },
    { value: "snow", count: 3 },
  ],
  orientation: [{ value: "portrait", count: 9 }],
  size: [{ value: "large", count: 4 }],
  uploaded: [
    { value: "2024", count: 30 },
    { value: "2021", count: 5 },
  ],
};
const api = () => fakeApi(hits(3), { fields: { facets: FACETS } });
const filters = () => within(screen.getByRole("region", { name: "Filters" }));

test("filters are offered with their counts and readable names, as far as there is something to choose", async () => {
  const user = open(api(), "/?q=duck");
  await user.click(await screen.findByRole("button", { name: "Licence" }));
  const group = within(screen.getByRole("group", { name: "Licence" }));
  expect(group.getByRole("checkbox", { name: /CC BY-NC 2\.0.*attribution, not for commerce.*1,712/ })).toBeTruthy();
  expect(group.getByRole("checkbox", { name: /CC0 1\.0.*288/ })).toBeTruthy();
  expect(filters().queryByRole("button", { name: "Author" })).toBeNull();
});

test("what is chosen is searched for, stands in the address, and can be taken away", async () => {
  const fake = api();
  const user = open(fake, "/?q=duck");
  await user.click(await screen.findByRole("button", { name: "Tags" }));
  await user.click(screen.getByRole("checkbox", { name: /dog/ }));
  await user.click(screen.getByRole("checkbox", { name: /snow/ }));
  await waitFor(() => expect(fake.asked.at(-1)?.asked.filters.tags).toEqual(["dog", "snow"]));
  expect(window.location.search).toBe("?q=duck&tag=dog&tag=snow");
  expect(filters().getByRole("button", { name: "Tags 2 chosen" })).toBeTruthy();
  await user.click(screen.getByRole("button", { name: "Remove: Tags: dog" }));
  await waitFor(() => expect(fake.asked.at(-1)?.asked.filters.tags).toEqual(["snow"]));
  act(() => window.history.back());
  expect(await screen.findByRole("button", { name: "Remove: Tags: dog" })).toBeTruthy();
});

test("pictures are chosen by their shape and size, in words", async () => {
  const fake = api();
  const user = open(fake, "/?q=duck&size=small");
  await user.click(await screen.findByRole("button", { name: "Orientation" }));
  await user.click(screen.getByRole("checkbox", { name: /Portrait.*9/ }));
  await waitFor(() =>
    expect(fake.asked.at(-1)?.asked.filters).toMatchObject({ orientation: ["portrait"], size: ["small"] }),
  );
  expect(window.location.search).toBe("?q=duck&orientation=portrait&size=small");
  expect(screen.getByRole("button", { name: "Remove: Size: Small" })).toBeTruthy();
});

test("all filters are cleared at once", async () => {
  const user = open(api(), "/?q=duck&tag=dog&license=CC0-1.0&uploaded=2021-2024");
  expect(await screen.findByRole("button", { name: "Remove: Uploaded: 2021 to 2024" })).toBeTruthy();
  expect(screen.getByRole("button", { name: "Remove: Licence: CC0 1.0" })).toBeTruthy();
  await user.click(screen.getByRole("button", { name: "Clear all" }));
  expect(window.location.search).toBe("?q=duck");
  expect(screen.queryByRole("list", { name: "Chosen filters" })).toBeNull();
});

test("a tag that is too rare to be counted can be typed", async () => {
  const fake = api();
  const user = open(fake, "/?q=duck");
  await user.click(await screen.findByRole("button", { name: "Tags" }));
  await user.type(screen.getByRole("textbox", { name: "Another tag" }), " pond {Enter}");
  await waitFor(() => expect(fake.asked.at(-1)?.asked.filters.tags).toEqual(["pond"]));
  expect(screen.getByRole("checkbox", { name: "pond" })).toHaveProperty("checked", true);
});

test("years are chosen from one to another", async () => {
  const fake = api();
  const user = open(fake, "/?q=duck");
  await user.click(await screen.findByRole("button", { name: "Uploaded" }));
  expect(screen.getAllByRole("option", { name: "2024 (30)" })).toHaveLength(2);
  await user.selectOptions(screen.getByRole("combobox", { name: "From" }), "2021");
  await waitFor(() => expect(fake.asked.at(-1)?.asked.filters.uploaded).toEqual({ from: "2021", to: null }));
  await user.selectOptions(screen.getByRole("combobox", { name: "To" }), "2021");
  await waitFor(() => expect(fake.asked.at(-1)?.asked.filters.uploaded).toEqual({ from: "2021", to: "2021" }));
  expect(window.location.search).toBe("?q=duck&uploaded=2021");
});

test("the keyboard opens a filter and closes it again, and so does turning elsewhere", async () => {
  const user = open(api(), "/?q=duck");
  const chip = await screen.findByRole("button", { name: "Licence" });
  chip.focus();
  await user.keyboard("{Enter}{Tab}");
  expect(chip.getAttribute("aria-expanded")).toBe("true");
  expect(document.activeElement).toBe(screen.getByRole("checkbox", { name: /CC BY-NC/ }));
  await user.keyboard("{Escape}");
  expect(chip.getAttribute("aria-expanded")).toBe("false");
  expect(document.activeElement).toBe(chip);
  await user.keyboard("{Enter}");
  await user.click(screen.getByRole("heading", { level: 1 }));
  expect(chip.getAttribute("aria-expanded")).toBe("false");
});

test("the order is chosen, and stands in the address", async () => {
  const fake = api();
  const user = open(fake, "/?q=duck");
  await tiles();
  await user.selectOptions(screen.getByRole("combobox", { name: "Sort" }), "Newest first");
  await waitFor(() => expect(fake.asked.at(-1)?.asked.sort).toBe("newest"));
  expect(window.location.search).toBe("?q=duck&sort=newest");
});

test("where nothing is asked for, the newest come first and nothing is closest", async () => {
  const user = open(api());
  await tiles();
  const sort = screen.getByRole("combobox", { name: "Sort" });
  expect(
    within(sort)
      .getAllByRole("option")
      .map((option) => option.textContent),
  ).toEqual(["Newest first", "Oldest first"]);
  await user.selectOptions(sort, "Oldest first");
  expect(await heading("Oldest pictures")).toBeTruthy();
});

test("meaning and words can be weighed, where there are words", async () => {
  const fake = api();
  const user = open(fake, "/?q=duck");
  await tiles();
  await user.selectOptions(screen.getByRole("combobox", { name: "Search by" }), "Words first");
  await waitFor(() => expect(fake.asked.at(-1)?.asked.emphasis).toBe("words"));
  await user.click(screen.getByRole("button", { name: "Similar to Picture 0" }));
  await heading("Similar pictures");
  expect(screen.queryByRole("combobox", { name: "Search by" })).toBeNull();
});

test("filters that nothing passes say so, and are cleared", async () => {
  const fake = fakeApi([]);
  const user = open(fake, "/?q=duck&tag=dodo");
  expect(await heading("No pictures found")).toBeTruthy();
  await user.click(within(screen.getByRole("main")).getAllByRole("button", { name: "Clear all" })[1] as HTMLElement);
  expect(window.location.search).toBe("?q=duck");
});
