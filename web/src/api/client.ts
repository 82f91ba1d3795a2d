/** The search API, as the page uses it. The types come from its OpenAPI document (`npm run types`). */

import type { Query } from "../search/search-params.ts";
import type { components } from "./schema";

export type Collection = components["schemas"]["CollectionSummary"];
export type Hit = components["schemas"]["Hit"];
export type SearchResponse = components["schemas"]["SearchResponse"];
type Problem = components["schemas"]["ProblemDetails"];

export type Page = { collection: string; from: number; size: number };

export type Api = {
  collections: (signal: AbortSignal) => Promise<Collection[]>;
  search: (query: Query, page: Page, signal: AbortSignal) => Promise<SearchResponse>;
};

/** An answer that is not the one asked for. `status` is 0 where there was no answer at all. */
export class ApiError extends Error {
  readonly status: number;
  readonly title: string;

  constructor(status: number, title: string, detail: string) {
    super(detail);
    this.status = status;
    this.title = title;
  }

  /** Whether the same request may well succeed a little later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

const PATIENCE_MS = 30_000;

export function createApi(fetchFn: typeof fetch = (...given) => fetch(...given)): Api {
  async function ask<T>(path: string, init: RequestInit): Promise<T> {
    const signal = AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), ...(init.signal ? [init.signal] : [])]);
    // Relative to the page, so that the API is found under whatever path both are served.
    const response = await fetchFn(new URL(path, document.baseURI), { ...init, signal }).catch((error: unknown) => {
      if (init.signal?.aborted) throw error;
      throw new ApiError(0, "No answer", "The search service cannot be reached. Is it running, and are you online?");
    });
    const body: unknown = await response.json().catch(() => null);
    if (response.ok && typeof body === "object" && body !== null) return body as T;
    throw toError(response.status, body as Partial<Problem> | null);
  }

  return {
    collections: async (signal) =>
      (await ask<components["schemas"]["CollectionList"]>("collections", { signal })).collections,
    search: (query, page, signal) => ask<SearchResponse>(...request(query, page, signal)),
  };
}

function request(query: Query, page: Page, signal: AbortSignal): [string, RequestInit] {
  switch (query.kind) {
    case "text":
      return ["text_search", { ...json({ query: query.text, ...page }), signal }];
    case "url":
      return ["image_search", { ...json({ image_url: query.url, ...page }), signal }];
    case "upload": {
      const { bytes, type, name } = query.picture;
      const form = new FormData();
      form.set("image", new Blob([bytes], { type }), name);
      for (const [field, value] of Object.entries(page)) form.set(field, String(value));
      return ["image_search", { method: "POST", body: form, signal }];
    }
  }
}

function json(body: object): RequestInit {
  return { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
}

function toError(status: number, problem: Partial<Problem> | null): ApiError {
  const title = problem?.title ?? (status >= 500 ? "The search service has a problem" : "The search was refused");
  return new ApiError(status, title, problem?.detail ?? `The service answered with status ${status} and no reason.`);
}
