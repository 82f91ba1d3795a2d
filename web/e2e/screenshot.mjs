/** Takes the README's picture of the page: `BASE_URL=… npm run screenshot`, with `QUERY=…` for another search. */

import { fileURLToPath } from "node:url";
import { baseUrl, launch } from "./browser.mjs";

const FILE = fileURLToPath(new URL("../../docs/screenshot.png", import.meta.url));
const { QUERY = "musical instrument" } = process.env;

const browser = await launch();
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
  await page.goto(`${baseUrl()}?q=${encodeURIComponent(QUERY)}`);
  await page.locator('.tile .picture[data-loaded="true"]').nth(7).waitFor();
  await page.waitForLoadState("networkidle");
  await page.screenshot({ path: FILE, animations: "disabled" });
  console.log(`wrote ${FILE}`);
} finally {
  await browser.close();
}
