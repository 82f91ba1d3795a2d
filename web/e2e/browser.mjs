/** A real Chromium for the browser tests and the screenshot. */

import { execFileSync } from "node:child_process";
import { chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

// Nothing that reaches out by itself, and no GPU: the tests run on servers.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Start a headless Chromium with a fresh profile, which goes when it is closed. */
export function launch() {
  return chromium.launch({ executablePath: executable(), args: FLAGS });
}

/** The address of a running search API that serves this page, from the environment. */
export function baseUrl() {
  const given = process.env.BASE_URL;
  if (!given) throw new Error("BASE_URL is not set. Give the address of a search API that serves the built page.");
  return given.replace(/\/*$/, "/");
}

function executable() {
  if (process.env.CHROMIUM_PATH) return process.env.CHROMIUM_PATH;
  for (const name of NAMES) {
    try {
      return execFileSync("which", [name], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    } catch {
      // not installed under this name
    }
  }
  throw new Error("No Chromium found. Install one (apt-get install chromium), or set CHROMIUM_PATH.");
}
