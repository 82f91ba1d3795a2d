/** The ways of a reader through the page, in a real browser against a real search API. `BASE_URL` says where it is. */

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import axe from "axe-core";
import { baseUrl, launch } from "./browser.mjs";

/** @typedef {Record<string, any>} Answer */

const PATIENCE_MS = 20_000;
const BASE = baseUrl();
const QUERY = "bird";
const LARGEST_SHIFT = 0.1; // of the layout while the page loads; above it is felt as jumping

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("playwright-core").Page} */
let page;
/** @type {string[]} */
let complaints;

before(async () => {
  browser = await launch();
});
after(() => browser?.close());

beforeEach(async () => {
  page = await open({ viewport: { width: 1280, height: 800 } });
});
afterEach(async () => {
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.context().close();
  assert.deepEqual(complaints, [], "errors of the page's own code, or of its content security policy");
});

/** @param {import("playwright-core").BrowserContextOptions} options */
async function open(options) {
  const context = await browser.newContext({ baseURL: BASE, locale: "en-GB", ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const opened = await context.newPage();
  complaints = [];
  opened.on("pageerror", (error) => complaints.push(String(error)));
  opened.on("console", (message) => {
    // Pictures that do not load and answers of 4xx and 5xx are shown on the page; anything else is a fault.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
      complaints.push(message.text());
    }
  });
  return opened;
}

const box = () => page.getByRole("searchbox", { name: "Search pictures" });
const tiles = () => page.getByRole("button", { name: /^Show / }).filter({ has: page.locator(".picture") });
const heading = (/** @type {string} */ name) => page.getByRole("heading", { name });
const dialog = () => page.getByRole("dialog");
const removal = (/** @type {RegExp} */ name) => page.getByRole("button", { name });
const parameter = (/** @type {string} */ name) => new URL(page.url()).searchParams.get(name);

/** @param {string} path @param {object} body */
async function ask(path, body) {
  const answer = await page.request.post(path, { data: body });
  assert.equal(answer.status(), 200, await answer.text());
  return answer.json();
}

async function firstCollection() {
  return (await (await page.request.get("collections")).json()).collections[0].collection;
}

/** Let the answers of searches pass through `change`. @param {(answer: Answer) => Answer} change */
async function changeAnswers(change) {
  await page.route("**/search", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: change(await response.json()) });
  });
}

/** @param {number} status @param {string} title @param {string} detail @param {Record<string, string>} headers */
function problem(status, title, detail, headers = {}) {
  const body = JSON.stringify({ type: "about:blank", title, status, detail, instance: "/", errors: [] });
  return { status, headers, contentType: "application/problem+json", body };
}

async function chooseFile(/** @type {{ name: string, mimeType: string, buffer: Buffer }} */ file) {
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Search by a picture of yours" }).click();
  await (await chooser).setFiles(file);
}

test("words find pictures that load, with author and licence; the address keeps the search", async () => {
  await page.goto("./");
  await box().fill(QUERY);
  await box().press("Enter");
  await heading(`Pictures for “${QUERY}”`).waitFor();
  assert.equal(parameter("q"), QUERY);

  await tiles().first().waitFor();
  await page.locator('.tile .picture[data-loaded="true"]').first().waitFor();
  assert.notEqual((await page.locator(".tile .attribution").first().innerText()).trim(), "");
  assert.match(await page.locator(".tile .score").first().innerText(), /[01]\.\d\d$/);
  assert.match(await page.getByRole("status").first().innerText(), /pictures, closest first/);
  const shown = await tiles().first().getAttribute("aria-label");

  await page.reload();
  await tiles().first().waitFor();
  assert.equal(await tiles().first().getAttribute("aria-label"), shown);
  assert.equal(await box().inputValue(), QUERY);
});

test("answers come while words are typed, and one step back leads to where the typing began", async () => {
  await page.goto("./");
  await heading("Newest pictures").waitFor();
  await box().pressSequentially("musical ", { delay: 30 });
  await heading("Pictures for “musical”").waitFor();
  await box().pressSequentially("instrument", { delay: 30 });
  await heading("Pictures for “musical instrument”").waitFor();
  await tiles().first().waitFor();
  await page.goBack();
  await page.getByRole("list", { name: "Examples" }).waitFor();
  assert.equal(await box().inputValue(), "");
});

test("an example shows its pictures and is one click away; back returns to the examples", async () => {
  await page.goto("./");
  const example = page.getByRole("list", { name: "Examples" }).getByRole("button").first();
  await example.locator('.picture[data-loaded="true"]').first().waitFor();
  const words = (await example.innerText()).trim();
  await example.click();
  await heading(`Pictures for “${words}”`).waitFor();
  await tiles().first().waitFor();
  await page.goBack();
  await example.waitFor();
});

test("without words the collection is looked through, in either order", async () => {
  await page.goto("./");
  await heading("Newest pictures").waitFor();
  await tiles().first().waitFor();
  assert.match(await page.getByRole("status").first().innerText(), /newest/);
  await page.getByRole("combobox", { name: "Sort" }).selectOption("Oldest first");
  await heading("Oldest pictures").waitFor();
  await tiles().first().waitFor();
  assert.equal(parameter("sort"), "oldest");
});

test("an uploaded picture of the collection finds itself, also after a reload; an address alone asks for it again", async () => {
  await page.goto("./");
  await tiles().first().waitFor();
  const [known] = (await ask("text_search", { collection: await firstCollection(), query: QUERY, from: 0, size: 1 }))
    .hits;
  const picture = await page.request.get(known.url);
  const answered = page.waitForResponse((response) => response.request().postData()?.includes("image_base64") ?? false);
  await chooseFile({
    name: "mine.png",
    mimeType: picture.headers()["content-type"] ?? "image/png",
    buffer: await picture.body(),
  });
  const { hits } = await (await answered).json();
  const itself = hits.find((/** @type {{ id: string }} */ hit) => hit.id === known.id);
  assert.ok(itself, `${known.id} is not among the hits`);
  assert.ok(hits[0].score - itself.score < 1e-4, `${hits[0].id} is nearer to ${known.id} than it is to itself`);

  await heading("Similar pictures").waitFor();
  await page.locator('.chip .picture[data-loaded="true"]').waitFor();
  await tiles().first().waitFor();
  await page.reload();
  await removal(/^Remove: Like mine\.png$/).waitFor();
  await tiles().first().waitFor();

  const other = await page.context().newPage();
  await other.goto(page.url());
  await other.getByRole("note").getByText("which an address cannot carry").waitFor();
});

test("a picture opens large, steps by arrow keys, closes with Escape and by going back", async () => {
  await page.goto(`./?q=${QUERY}`);
  await tiles().first().focus();
  await page.keyboard.press("Enter");
  await dialog().locator('.picture[data-loaded="true"]').waitFor();
  const title = await dialog().getByRole("heading").innerText();
  assert.equal(await tiles().first().getAttribute("aria-label"), `Show ${title}`);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await dialog().getByRole("heading").innerText(), title);
  await page.keyboard.press("Escape");
  await dialog().waitFor({ state: "detached" });
  assert.equal(await focused(), `Show ${title}`);
  await page.waitForURL((url) => !url.searchParams.has("show")); // a step back takes the browser a moment

  await tiles().first().click();
  await dialog().waitFor();
  const address = page.url();
  await page.goBack();
  await dialog().waitFor({ state: "detached" });
  await page.goto(address);
  assert.equal(await dialog().getByRole("heading").innerText(), title);
  assert.match(await dialog().getByRole("region", { name: "Attribution" }).innerText(), /https?:/);
});

test("others like a picture are found, without the picture itself", async () => {
  await page.goto(`./?q=${QUERY}`);
  await tiles().first().click();
  const title = await dialog().getByRole("heading").innerText();
  await dialog().getByRole("button", { name: "Similar pictures" }).click();
  await heading("Similar pictures").waitFor();
  await removal(/^Remove: More like /).waitFor();
  await page.waitForFunction(
    (id) => document.querySelector(".tile[data-id]") && !document.querySelector(`.tile[data-id="${CSS.escape(id)}"]`),
    parameter("like") ?? "",
  );
  assert.notEqual(await tiles().first().getAttribute("aria-label"), `Show ${title}`);
  assert.equal(parameter("q"), null);
});

test("plus and minus ask for more and less like a picture; each part of the search can be taken out again", async () => {
  await page.goto(`./?q=${QUERY}`);
  const tile = page.locator(".tile[data-id]").nth(1);
  await tile.hover();
  await tile.getByRole("button", { name: /^More like / }).click();
  await removal(/^Remove: More like /).waitFor();
  await page.locator('.results[aria-busy="false"]').waitFor();
  await page
    .locator(".tile[data-id]")
    .nth(2)
    .getByRole("button", { name: /^Less like / })
    .click();
  await removal(/^Remove: Less like /).waitFor();
  assert.ok(parameter("like") && parameter("unlike") && parameter("q"));
  await page.locator('.results[aria-busy="false"]').waitFor();
  const shown = await page.locator(".tile").evaluateAll((all) => all.map((one) => one.getAttribute("data-id")));
  assert.ok(!shown.includes(parameter("like")) && !shown.includes(parameter("unlike")), "a judged picture is shown");

  await page.reload();
  await removal(/^Remove: More like /).click();
  await removal(/^Remove: More like /).waitFor({ state: "detached" });
  assert.equal(parameter("like"), null);
  await page.goBack();
  await removal(/^Remove: More like /).waitFor();
});

test("the keyboard is enough: slash, arrows, plus, minus, Enter and Escape", async () => {
  await page.goto(`./?q=${QUERY}`);
  await tiles().nth(9).waitFor();
  await page.keyboard.press("/");
  assert.equal(await box().evaluate((input) => input === document.activeElement), true);
  await tiles().first().focus();
  const first = await focused();
  await page.keyboard.press("ArrowDown");
  assert.notEqual(await focused(), first);
  const below = await page.evaluate(() => document.activeElement?.getBoundingClientRect().top);
  const above = await tiles()
    .first()
    .evaluate((tile) => tile.getBoundingClientRect().top);
  assert.ok((below ?? 0) > above, "down does not lead to the row below");
  await page.keyboard.press("ArrowUp");
  assert.equal(await focused(), first);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("-");
  await removal(/^Remove: Less like /).waitFor();
  await page.locator('.results[aria-busy="false"]').waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await dialog().waitFor();
  await page.keyboard.press("+");
  await dialog().waitFor({ state: "detached" });
  await removal(/^Remove: More like /).waitFor();
});

test("filters come with counts, narrow what is found, stand in the address and are taken away", async () => {
  await page.goto(`./?q=${QUERY}`);
  const chip = page.getByRole("region", { name: "Filters" }).getByRole("button", { name: /^Tags/ });
  await chip.focus();
  await page.keyboard.press("Enter");
  const choice = page.getByRole("group", { name: "Tags" }).getByRole("checkbox").first();
  await page.keyboard.press("Tab");
  assert.equal(await choice.evaluate((input) => input === document.activeElement), true);
  const count = Number(await page.locator(".facet-count").first().innerText());
  await page.keyboard.press("Space");
  await page.getByRole("list", { name: "Chosen filters" }).waitFor();
  await page
    .getByRole("status")
    .filter({ hasText: `${count} pictures` })
    .waitFor();
  assert.ok(parameter("tag"));
  await page.keyboard.press("Escape");
  assert.equal(await page.getByRole("group", { name: "Tags" }).count(), 0);
  assert.equal(await chip.evaluate((button) => button === document.activeElement), true);

  await page.reload();
  await removal(/^Remove: Tags: /).click();
  await page.getByRole("list", { name: "Chosen filters" }).waitFor({ state: "detached" });
  assert.equal(parameter("tag"), null);
});

test("years are filters, too", async () => {
  const years = [
    { value: "2024", count: 7 },
    { value: "2021", count: 3 },
  ];
  await changeAnswers((answer) => ({ ...answer, facets: { ...answer.facets, uploaded: years } }));
  await page.goto(`./?q=${QUERY}`);
  await page.getByRole("button", { name: "Uploaded" }).click();
  const asked = page.waitForRequest((request) => request.postData()?.includes('"from":"2021-01-01"') ?? false);
  await page.getByRole("combobox", { name: "From" }).selectOption("2021");
  await asked;
  await removal(/^Remove: Uploaded: since 2021$/).waitFor();
  assert.equal(parameter("uploaded"), "2021-");
});

test("scrolling on brings further pictures, each once, and going back leads to the same place", async () => {
  await page.goto(`./?q=${QUERY}`);
  await tiles().nth(29).waitFor();
  await page.mouse.wheel(0, 20_000);
  await tiles().nth(59).waitFor();
  const ids = await page.locator(".tile").evaluateAll((all) => all.map((tile) => tile.getAttribute("data-id")));
  assert.equal(new Set(ids).size, ids.length);

  const similar = page
    .locator(".tile")
    .nth(50)
    .getByRole("button", { name: /^Similar to / });
  await similar.hover();
  const place = await page.evaluate(() => window.scrollY);
  assert.ok(place > 1_000, `only ${place} pixels down`);
  await similar.click();
  await heading("Similar pictures").waitFor();
  assert.equal(await page.evaluate(() => window.scrollY), 0);
  await page.goBack();
  await heading(`Pictures for “${QUERY}”`).waitFor();
  await page.waitForFunction((wanted) => Math.abs(window.scrollY - wanted) < 3, place);
  await page.reload();
  await page.waitForFunction((wanted) => Math.abs(window.scrollY - wanted) < 3, place);
});

test("a picture that the stamps have twice is shown once, and the other one after it when that is asked for", async () => {
  await page.goto("./?q=fireman");
  const badge = page.getByRole("button", { name: "2 alike: 1 other much the same as A fireman." });
  await badge.waitFor();
  const ids = () => page.locator(".tile[data-id]").evaluateAll((all) => all.map((one) => one.getAttribute("data-id")));
  const before = await ids();
  await badge.focus();
  await page.keyboard.press("Enter");
  const copy = page.locator(".tile.copy[data-id]");
  await copy.waitFor();
  assert.equal(await badge.getAttribute("aria-expanded"), "true");
  assert.equal((await ids()).length, before.length + 1);
  assert.ok(!before.includes(await copy.getAttribute("data-id")));
  await page.keyboard.press("ArrowRight");
  assert.ok(await copy.locator(".tile-picture").evaluate((button) => button === document.activeElement));
  await badge.click();
  await copy.waitFor({ state: "detached" });
  assert.deepEqual(await ids(), before);
});

test("a quiet line stands where strong matches end, and weak ones can be left out", async () => {
  const strong = 4;
  await changeAnswers((answer) => ({
    ...answer,
    strong,
    hits: answer.hits.map((/** @type {Answer} */ hit, /** @type {number} */ place) => ({
      ...hit,
      match: answer.from + place < strong ? "strong" : "weak",
    })),
  }));
  await page.goto(`./?q=${QUERY}`);
  await heading("Less like what was searched").waitFor();
  assert.equal(await page.locator(".grid").first().locator(".tile").count(), strong);
  assert.match(await page.getByRole("status").first().innerText(), /4 strong matches/);
  const asked = page.waitForRequest((request) => request.postData()?.includes('"matches":"strong"') ?? false);
  await page.getByRole("checkbox", { name: "Strong matches only" }).check();
  await asked;
  assert.equal(parameter("matches"), "strong");
});

test("where nothing matches, the page says so above what is nearest", async () => {
  await changeAnswers((answer) => ({ ...answer, strong: 0 }));
  await page.goto(`./?q=${QUERY}`);
  await page.getByText("Nothing matches. The nearest pictures are:").waitFor();
  await tiles().first().waitFor();
});

test("answers by words alone say so", async () => {
  await changeAnswers((answer) => ({
    ...answer,
    degraded: true,
    hits: answer.hits.map((/** @type {Answer} */ hit) => ({ ...hit, score: null, has_words: true })),
  }));
  await page.goto(`./?q=${QUERY}`);
  await page.getByRole("note").getByText("Found by their words alone").waitFor();
  assert.equal(await page.locator(".tile .score").first().innerText(), "by its words");
});

test("a service that is down is reported in its own words, and a second try brings the pictures", async () => {
  const detail = "The encoder of this collection does not answer.";
  await page.route("**/search", (route) => route.fulfill(problem(503, "Not now", detail)));
  await page.goto(`./?q=${QUERY}`);
  const alert = page.getByRole("alert");
  await alert.getByText(detail).waitFor();
  await page.unroute("**/search");
  await alert.getByRole("button", { name: "Try again" }).click();
  await tiles().first().waitFor();
});

test("a service that has too much to do is asked again when it says", async () => {
  let asked = 0;
  await page.route("**/search", (route) => {
    asked += 1;
    return asked === 1
      ? route.fulfill(problem(429, "Too many requests", "Slow down.", { "Retry-After": "2" }))
      : route.continue();
  });
  await page.goto(`./?q=${QUERY}`);
  await page.getByRole("status").filter({ hasText: "Asking again in 2 seconds" }).waitFor();
  await tiles().first().waitFor();
});

test("a service that wants a key is asked with it", async () => {
  /** @param {import("playwright-core").Route} route */
  const guard = (route) =>
    route.request().headers().authorization === "Bearer right"
      ? route.continue()
      : route.fulfill(problem(401, "An API key is needed", "Send an API key.", { "WWW-Authenticate": "Bearer" }));
  await page.route("**/collections", guard);
  await page.route("**/search", guard);
  await page.goto(`./?q=${QUERY}`);
  await page.getByLabel("API key").fill("wrong");
  await page.keyboard.press("Enter");
  await page.getByText("does not know this key").waitFor();
  await assertReachable();
  await page.getByLabel("API key").fill("right");
  await page.keyboard.press("Enter");
  await tiles().first().waitFor();
});

test("a search that cannot be answered says why, in the service's words", async () => {
  await page.goto(`./?q=${QUERY}&collection=no-such-collection`);
  const alert = page.getByRole("alert");
  await alert.getByText("no-such-collection").waitFor();
  assert.equal(await alert.getByRole("button", { name: "Try again" }).count(), 0);
});

test("an uploaded file that is no picture is refused in words", async () => {
  await page.goto("./");
  await tiles().first().waitFor();
  await chooseFile({ name: "fake.png", mimeType: "image/png", buffer: Buffer.from("no picture at all") });
  assert.notEqual((await page.getByRole("alert").innerText()).trim(), "");
});

test("a search without hits says so", async () => {
  await changeAnswers((answer) => ({ ...answer, total: 0, available: 0, next_from: null, hits: [], facets: {} }));
  await page.goto(`./?q=${QUERY}`);
  await heading("No pictures found").waitFor();
});

test("a picture that cannot be loaded gives way to its title and the way to the original", async () => {
  const { hits } = await ask("text_search", { collection: await firstCollection(), query: QUERY, from: 0, size: 1 });
  await page.route(new URL("/**", hits[0].url).href, (route) =>
    route.request().resourceType() === "image" ? route.abort() : route.continue(),
  );
  await page.goto(`./?q=${QUERY}`);
  const link = page.getByRole("link", { name: /Cannot be loaded here/ }).first();
  await link.waitFor();
  assert.ok(await link.getAttribute("href"));
  await assertReachable();
});

test("the page speaks the browser's language, or the one that was chosen", async () => {
  await page.context().close();
  page = await open({ viewport: { width: 1280, height: 800 }, locale: "de-DE" });
  await page.goto("./?q=Vögel");
  await heading("Bilder zu „Vögel“").waitFor();
  assert.equal(await page.locator("html").getAttribute("lang"), "de");
  await page
    .getByRole("button", { name: / zeigen$/ })
    .first()
    .waitFor();
  await assertReachable();
  await page.getByRole("combobox", { name: "Sprache" }).selectOption("English");
  await heading("Pictures for “Vögel”").waitFor();
  await page.reload();
  await heading("Pictures for “Vögel”").waitFor();
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
});

test("the collections are listed with their counts, and lead to their pictures", async () => {
  await page.goto("./");
  await page.getByRole("link", { name: "Collections" }).click();
  await heading("Collections").waitFor();
  const collection = page.locator(".collection").first();
  assert.match(await collection.innerText(), /\d pictures?/);
  await assertReachable();
  await collection.click();
  await heading("Newest pictures").waitFor();
  assert.ok(parameter("collection"));
});

test("the page stands still while it loads", async () => {
  await page.addInitScript(() => {
    const shifts = /** @type {any} */ (window);
    shifts.shifted = 0;
    new PerformanceObserver((list) => {
      for (const entry of /** @type {any[]} */ (list.getEntries()))
        if (!entry.hadRecentInput) shifts.shifted += entry.value;
    }).observe({ type: "layout-shift", buffered: true });
  });
  for (const address of ["./", `./?q=${QUERY}`]) {
    await page.goto(address);
    await page.locator('.tile .picture[data-loaded="true"]').first().waitFor();
    await page.waitForLoadState("networkidle");
    const shifted = await page.evaluate(() => /** @type {any} */ (window).shifted);
    assert.ok(shifted < LARGEST_SHIFT, `${address} shifts by ${shifted}`);
  }
});

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  for (const [device, viewport] of Object.entries({
    phone: { width: 390, height: 844 },
    desk: { width: 1280, height: 800 },
  })) {
    test(`every view is without barriers and without sideways scrolling (${device}, ${colorScheme})`, async () => {
      await page.context().close();
      page = await open({ viewport, colorScheme, hasTouch: device === "phone", reducedMotion: "reduce" });
      await page.goto("./");
      await page.getByRole("list", { name: "Examples" }).locator('.picture[data-loaded="true"]').first().waitFor();
      await tiles().first().waitFor();
      await assertReachable();
      await page.goto(`./?q=${QUERY}`);
      await tiles().first().waitFor();
      await assertReachable();
      await page
        .locator(".tile[data-id]")
        .nth(1)
        .getByRole("button", { name: /^Less like / })
        .click();
      await removal(/^Remove: Less like /).waitFor();
      await page.getByRole("button", { name: /^Tags/ }).click();
      await page.getByRole("group", { name: "Tags" }).getByRole("checkbox").first().check();
      await page.getByRole("list", { name: "Chosen filters" }).waitFor();
      await page.locator('.results[aria-busy="false"]').waitFor();
      await assertReachable();
      await page.keyboard.press("Escape");
      await tiles().first().click();
      await dialog().waitFor();
      await assertReachable();
    });
  }
}

function focused() {
  return page.evaluate(() => document.activeElement?.getAttribute("aria-label"));
}

async function assertReachable() {
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(overflow <= 0, `${overflow} pixels stick out sideways`);
  await page.evaluate(axe.source);
  const faults = await page.evaluate("axe.run().then(({ violations }) => violations)");
  const told = /** @type {import("axe-core").Result[]} */ (faults).map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`,
  );
  assert.deepEqual(told, []);
}
