/**
 * How fast the page is on a phone: `node bench/page.mjs [URL]` against a running search API that serves it.
 *
 * A real Chromium with an empty cache, its network and processor slowed down as Lighthouse does for its mobile score
 * (150 ms, 1.6 Mbit/s, a quarter of the speed). Printed are the medians of several visits of the start page and of a search
 * that the address holds, beside the bounds that Lighthouse calls good; `travelled` is what comes from the page's own server.
 */

import { baseUrl, launch } from "../web/e2e/browser.mjs";

const VISITS = 5;
const PHONE = { viewport: { width: 412, height: 823 }, deviceScaleFactor: 1.75, hasTouch: true, isMobile: true };
const NETWORK = { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 0.75e6 / 8 };
const SLOWER = 4;
/** What is held to, by what it is called in `measured`. */
const BOUNDS = {
  "first contentful paint": [1800, "ms"],
  "largest contentful paint": [2500, "ms"],
  "total blocking time": [200, "ms"],
  "layout shift": [0.1, ""],
  "script travelled": [150, "kB"],
};

process.env.BASE_URL = process.argv[2] ?? process.env.BASE_URL ?? "http://127.0.0.1:8080";
const browser = await launch();
try {
  for (const [what, address] of [
    ["the start page", "./"],
    ["a search", "./?q=guitar"],
  ]) {
    const visits = [];
    for (let visit = 0; visit < VISITS; visit++) visits.push(await measured(address));
    console.log(`${what}, median of ${VISITS} visits`);
    for (const [name, [most, unit]] of Object.entries(BOUNDS)) {
      const value = median(visits.map((each) => each[name]));
      console.log(`  ${value <= most ? "ok    " : "MISSED"} ${name}: ${round(value)} ${unit}, at most ${most} ${unit}`);
    }
    console.log(`         requests before all pictures are there: ${median(visits.map((each) => each.requests))}`);
  }
} finally {
  await browser.close();
}

/** One visit by somebody who was never here. */
async function measured(address) {
  const context = await browser.newContext({ baseURL: baseUrl(), ...PHONE });
  try {
    const page = await context.newPage();
    const devtools = await context.newCDPSession(page);
    await devtools.send("Network.enable");
    await devtools.send("Network.emulateNetworkConditions", NETWORK);
    await devtools.send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
    await page.addInitScript(observe);
    let requests = 0;
    page.on("request", () => requests++);
    await page.goto(address);
    await page.locator('.picture[data-loaded="true"]').first().waitFor();
    await page.waitForLoadState("networkidle");
    return { ...(await page.evaluate(figures)), requests };
  } finally {
    await context.close();
  }
}

/** In the page, before its own scripts. */
function observe() {
  window.seen = { largest: 0, tasks: [], shifted: 0 };
  const on = (type, note) =>
    new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type, buffered: true });
  on("largest-contentful-paint", (entry) => {
    window.seen.largest = entry.startTime;
  });
  on("longtask", (entry) => {
    window.seen.tasks.push([entry.startTime, entry.startTime + entry.duration]);
  });
  on("layout-shift", (entry) => {
    if (!entry.hadRecentInput) window.seen.shifted += entry.value;
  });
}

/** In the page, at the end. */
function figures() {
  const painted = performance.getEntriesByName("first-contentful-paint")[0].startTime;
  // What nobody sees cannot be in anybody's way: as Lighthouse has it, only what comes after the first paint counts.
  const blocked = window.seen.tasks.map(([start, end]) => Math.max(0, end - Math.max(start, painted) - 50));
  const scripts = performance.getEntriesByType("resource").filter((entry) => entry.initiatorType === "script");
  return {
    "first contentful paint": painted,
    "largest contentful paint": window.seen.largest,
    "total blocking time": blocked.reduce((sum, one) => sum + one, 0),
    "layout shift": window.seen.shifted,
    "script travelled": scripts.reduce((sum, entry) => sum + entry.transferSize, 0) / 1000,
  };
}

function median(values) {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)];
}

function round(value) {
  return Number(value.toPrecision(3));
}
