/** Keeps the page light: a build whose scripts are larger than they may be fails. */

import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";

type Script = { fileName: string; code: string };

/** Bytes of the scripts together, as they travel: each compressed by gzip. */
export function gzippedBytes(scripts: readonly Script[]): number {
  return scripts.reduce((sum, { code }) => sum + gzipSync(code).byteLength, 0);
}

/** What is wrong with the size of the scripts, if anything is. */
export function overBudget(scripts: readonly Script[], budget: number): string | null {
  const bytes = gzippedBytes(scripts);
  if (bytes <= budget) return null;
  const names = scripts.map(({ fileName }) => fileName).join(", ");
  return `the page's scripts have ${bytes} bytes gzipped, at most ${budget} are allowed: ${names}`;
}

export function scriptBudget(budget: number): Plugin {
  return {
    name: "script-budget",
    generateBundle(_, bundle) {
      const fault = overBudget(
        Object.values(bundle).filter((file) => file.type === "chunk"),
        budget,
      );
      if (fault !== null) this.error(fault);
    },
  };
}
