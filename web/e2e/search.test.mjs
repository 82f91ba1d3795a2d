/** The way of a reader through the page, in a real browser against a real search API. `BASE_URL` says where it is. */

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import axe from "axe-core";
import { baseUrl, launch } from "./browser.mjs";

const PATIENCE_MS = 20_000;
const BASE = baseUrl();
const QUERY = "bird";

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
  await page.context().close();
  assert.deepEqual(complaints, [], "errors of the page's own code, or of its content security policy");
});

/** @param {import("playwright-core").BrowserContextOptions} options */
async function open(options) {
  const context = await browser.newContext({ baseURL: BASE, ...options });
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
const tiles = () =>
  page.getByRole("button", { name: /^Show / }).filter({ has: page.locator(".picture, .picture-missing") });
const heading = (/** @type {string} */ name) => page.getByRole("heading", { name, level: 1 });

/** @param {string} path @param {object} body */
async function ask(path, body) {
  const answer = await page.request.post(path, { data: body });
  assert.equal(answer.status(), 200, await answer.text());
  return answer.json();
}

async function firstCollection() {
  return (await (await page.request.get("collections")).json()).collections[0].collection;
}

test("words find pictures that load, with author and licence; the address keeps the search", async () => {
  await page.goto("./");
  await box().fill(QUERY);
  await box().press("Enter");
  await heading(`Pictures for “${QUERY}”`).waitFor();
  assert.equal(new URL(page.url()).searchParams.get("q"), QUERY);

  await tiles().first().waitFor();
  await page.locator('.tile .picture[data-loaded="true"]').first().waitFor();
  assert.notEqual((await page.locator(".tile .attribution").first().innerText()).trim(), "");
  assert.match(await page.locator(".tile .score").first().innerText(), /[01]\.\d\d$/);
  const shown = await tiles().first().getAttribute("aria-label");

  await page.reload();
  await tiles().first().waitFor();
  assert.equal(await tiles().first().getAttribute("aria-label"), shown);
  assert.equal(await box().inputValue(), QUERY);
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

test("an uploaded picture of the collection finds itself, also after a reload", async () => {
  await page.goto("./");
  const [known] = (await ask("text_search", { collection: await firstCollection(), query: QUERY, from: 0, size: 1 }))
    .hits;
  const picture = await page.request.get(known.url);
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Search by a picture of yours" }).click();
  const answered = page.waitForResponse((response) => response.url().endsWith("/image_search"));
  await (await chooser).setFiles({
    name: "mine.png",
    mimeType: picture.headers()["content-type"] ?? "image/png",
    buffer: await picture.body(),
  });
  const { hits } = await (await answered).json();
  const itself = hits.find((/** @type {{ id: string }} */ hit) => hit.id === known.id);
  assert.ok(itself, `${known.id} is not among the hits`);
  assert.ok(hits[0].score - itself.score < 1e-4, `${hits[0].id} is nearer to ${known.id} than it is to itself`);

  await heading("Pictures like your picture mine.png").waitFor();
  await page.locator('.chip .picture[data-loaded="true"]').waitFor();
  await tiles().first().waitFor();
  await page.reload();
  await heading("Pictures like your picture mine.png").waitFor();
  await tiles().first().waitFor();
});

test("a picture opens large, steps by arrow keys, closes with Escape, and leads to others like it", async () => {
  await page.goto(`./?q=${QUERY}`);
  await tiles().first().focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.locator('.picture[data-loaded="true"]').waitFor();
  const title = await dialog.getByRole("heading").innerText();
  assert.equal(await tiles().first().getAttribute("aria-label"), `Show ${title}`);
  await page.keyboard.press("ArrowRight");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await dialog.getByRole("heading").innerText(), title);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });

  await tiles().first().click();
  await dialog.getByRole("button", { name: "More like this" }).click();
  await heading("Pictures like the picture at this address").waitFor();
  await tiles().first().waitFor();
  assert.equal(await tiles().first().getAttribute("aria-label"), `Show ${title}`);
  assert.ok(new URL(page.url()).searchParams.get("image"));
});

test("scrolling on brings further pictures, each once", async () => {
  await page.goto(`./?q=${QUERY}`);
  await tiles().nth(29).waitFor();
  await page.mouse.wheel(0, 20_000);
  await tiles().nth(59).waitFor();
  const sources = await page.locator(".tile").evaluateAll((all) => all.map((tile) => tile.getAttribute("data-id")));
  assert.equal(new Set(sources).size, sources.length);
});

test("a service that is down is reported in its own words, and a second try brings the pictures", async () => {
  const detail = "The encoder of this collection does not answer.";
  await page.route("**/text_search", (route) =>
    route.fulfill({
      status: 503,
      contentType: "application/problem+json",
      body: JSON.stringify({ type: "about:blank", title: "Not now", status: 503, detail, instance: "/", errors: [] }),
    }),
  );
  await page.goto(`./?q=${QUERY}`);
  const alert = page.getByRole("alert");
  await alert.getByText(detail).waitFor();
  await page.unroute("**/text_search");
  await alert.getByRole("button", { name: "Try again" }).click();
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
  const chooser = page.waitForEvent("filechooser");
  await page.getByRole("button", { name: "Search by a picture of yours" }).click();
  await (await chooser).setFiles({ name: "fake.png", mimeType: "image/png", buffer: Buffer.from("no picture at all") });
  assert.notEqual((await page.getByRole("alert").innerText()).trim(), "");
});

test("a search without hits says so", async () => {
  const collection = await firstCollection();
  const nothing = { collection, model: "m/1", took_ms: 1, from: 0, size: 30, total: 0, next_from: null, hits: [] };
  await page.route("**/text_search", (route) => route.fulfill({ json: nothing }));
  await page.goto(`./?q=${QUERY}`);
  await page.getByRole("heading", { name: "No pictures found" }).waitFor();
});

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  test(`a phone shows every view without sideways scrolling, and without barriers (${colorScheme})`, async () => {
    await page.context().close();
    page = await open({ viewport: { width: 390, height: 844 }, colorScheme, reducedMotion: "reduce" });
    await page.goto("./");
    await page.getByRole("list", { name: "Examples" }).locator('.picture[data-loaded="true"]').first().waitFor();
    await assertReachable();
    await page.goto(`./?q=${QUERY}`);
    await tiles().first().waitFor();
    await assertReachable();
    await tiles().first().click();
    await page.getByRole("dialog").waitFor();
    await assertReachable();
  });
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
