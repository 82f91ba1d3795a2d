import { kept } from "../kept.ts";

/** The reader's API key, until the tab is closed. */
export const apiKey = kept(() => sessionStorage, "imagesearch.key");
