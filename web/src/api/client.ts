/** The search API, as the page uses it. The types come from its OpenAPI document (`npm run types`). */

import type { Asked } from "../search/search.ts";
import { apiKey } from "./key.ts";
import { type Page, picturesBody, type SearchBody, searchBody } from "./request.ts";
import type { components } from "./schema";

export type { Page } from "./request.ts";
export type Collection = components["schemas"]["CollectionSummary"];
export type Hit = components["schemas"]["Hit"];
export type FacetCount = components["schemas"]["FacetCount"];
export type SearchResponse = components["schemas"]["SearchResponse"];
type ReportBody = components["schemas"]["ReportRequest"];
type Problem = components["schemas"]["ProblemDetails"];

export type Api = {
  collections: (signal: AbortSignal) => Promise<Collection[]>;
  search: (asked: Asked, page: Page, signal: AbortSignal) => Promise<SearchResponse>;
  /** One picture of a collection; null where it has none of this id. */
  picture: (id: string, collection: string, signal: AbortSignal) => Promise<Hit | null>;
  /** These pictures, in this order; those that are gone are left out. At least one is asked for, at most a hundred. */
  pictures: (ids: readonly string[], collection: string, signal: AbortSignal) => Promise<Hit[]>;
  /** Tells that a picture cannot be loaded; the service finds out for itself whether it is gone. */
  report: (id: string, collection: string) => Promise<unknown>;
};

type Told = { title?: string | undefined; detail?: string | undefined; retryAfter?: number | null };

/** An answer that is not the one asked for, with what the service says about it, if anything. */
export class ApiError extends Error {
  /** Of HTTP; 0 where there was no answer at all. */
  readonly status: number;
  readonly title: string | null;
  readonly detail: string | null;
  /** Seconds after which the service wants to be asked again; null where it does not say. */
  readonly retryAfter: number | null;

  constructor(status: number, { title, detail, retryAfter = null }: Told = {}) {
    super(detail ?? title ?? `status ${status}`);
    this.status = status;
    this.title = title ?? null;
    this.detail = detail ?? null;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may well succeed a little later. */
  get passing(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** Whether the service answers those who have a key, and others not. */
export function wantsKey(error: Error | null): boolean {
  return error instanceof ApiError && error.status === 401;
}

const PATIENCE_MS = 30_000;

export function createApi(fetchFn: typeof fetch = (...given) => fetch(...given), key = apiKey): Api {
  async function ask<T>(path: string, init: RequestInit): Promise<T> {
    const signal = AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), ...(init.signal ? [init.signal] : [])]);
    const headers = { ...init.headers, ...authorization(key.read()) };
    // Relative to the page, so that the API is found under whatever path both are served.
    const url = new URL(path, document.baseURI);
    const response = await fetchFn(url, { ...init, headers, signal }).catch((error: unknown) => {
      if (init.signal?.aborted) throw error;
      throw new ApiError(0);
    });
    const body: unknown = await response.json().catch(() => null);
    if (response.ok && typeof body === "object" && body !== null) return body as T;
    throw toError(response, body as Partial<Problem> | null);
  }

  const post = <T>(path: string, body: object, signal: AbortSignal | null = null) =>
    ask<T>(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      signal,
    });
  const search = (body: SearchBody, signal: AbortSignal) => post<SearchResponse>("search", body, signal);

  const pictures: Api["pictures"] = async (ids, collection, signal) => {
    const { hits } = await search(picturesBody(ids, collection), signal);
    return hits.sort((one, other) => ids.indexOf(one.id) - ids.indexOf(other.id));
  };

  return {
    collections: async (signal) =>
      (await ask<components["schemas"]["CollectionList"]>("collections", { signal })).collections,
    search: (asked, page, signal) => search(searchBody(asked, page), signal),
    picture: async (id, collection, signal) => (await pictures([id], collection, signal))[0] ?? null,
    pictures,
    report: (id, collection) => post("report", { collection, id, reason: "dead" } satisfies ReportBody),
  };
}

function authorization(key: string | null): Record<string, string> {
  return key === null ? {} : { Authorization: `Bearer ${key}` };
}

function toError(response: Response, problem: Partial<Problem> | null): ApiError {
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return new ApiError(response.status, {
    title: problem?.title,
    detail: problem?.detail,
    retryAfter: Number.isNaN(seconds) ? null : seconds,
  });
}
