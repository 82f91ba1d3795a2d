import { expect, test } from "vitest";
import { kept } from "../kept.ts";
import { collection, hit, hits, query, response, search } from "../test-api.ts";
import { ApiError, createApi } from "./client.ts";

const PAGE = { collection: "stamps", from: 30, size: 30 };
const signal = () => new AbortController().signal;

type Asked = { url: string; init: RequestInit };

/** A `fetch` that answers once, and the request that it got. */
function answering(status: number, body: unknown, headers: Record<string, string> = {}): [typeof fetch, Asked[]] {
  const asked: Asked[] = [];
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return [
    async (url, init) => {
      asked.push({ url: String(url), init: init ?? {} });
      return new Response(text, { status, headers });
    },
    asked,
  ];
}

test("a search is sent as JSON, relative to the page", async () => {
  const page = response(hits(2), PAGE);
  const [fetchFn, asked] = answering(200, page);
  expect(await createApi(fetchFn).search(search({ query: query({ text: "dog" }) }), PAGE, signal())).toEqual(page);
  expect(asked[0]?.url).toBe(new URL("search", document.baseURI).href);
  expect(asked[0]?.init.headers).toEqual({ "Content-Type": "application/json" });
  expect(JSON.parse(String(asked[0]?.init.body))).toMatchObject({ terms: [{ text: "dog" }], ...PAGE });
});

test("a picture is found by its id, and one that is not there is null", async () => {
  const [known] = answering(200, response([hit()], { ...PAGE, from: 0 }));
  expect(await createApi(known).picture("manifest:duck", "stamps", signal())).toEqual(hit());
  const [unknown] = answering(200, response([], PAGE));
  expect(await createApi(unknown).picture("manifest:dodo", "stamps", signal())).toBeNull();
});

test("a picture that cannot be loaded is reported by its id", async () => {
  const [fetchFn, asked] = answering(202, { known: false });
  await createApi(fetchFn).report("manifest:duck", "stamps");
  expect(asked[0]?.url).toBe(new URL("report", document.baseURI).href);
  expect(JSON.parse(String(asked[0]?.init.body))).toEqual({
    collection: "stamps",
    id: "manifest:duck",
    reason: "dead",
  });
});

test("pictures come in the order in which they are asked for, without those that are gone", async () => {
  const [fetchFn] = answering(200, response(hits(3), { ...PAGE, from: 0 }));
  const found = await createApi(fetchFn).pictures(
    ["manifest:2", "gone", "manifest:0", "manifest:1"],
    "stamps",
    signal(),
  );
  expect(found.map(({ id }) => id)).toEqual(["manifest:2", "manifest:0", "manifest:1"]);
});

test("a key goes with every request, as soon as there is one", async () => {
  const [fetchFn, asked] = answering(200, { collections: [] });
  const key = kept(() => sessionStorage, "test.key");
  const api = createApi(fetchFn, key);
  await api.collections(signal());
  key.keep("secret");
  await api.collections(signal());
  key.forget();
  expect(asked.map(({ init }) => init.headers)).toEqual([{}, { Authorization: "Bearer secret" }]);
});

test("collections are read from their list", async () => {
  const [fetchFn] = answering(200, { collections: [collection("stamps")] });
  expect(await createApi(fetchFn).collections(signal())).toEqual([collection("stamps")]);
});

async function refusal(fetchFn: typeof fetch): Promise<ApiError> {
  const error = await createApi(fetchFn)
    .collections(signal())
    .catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

test("a problem document becomes an error in its own words", async () => {
  const [fetchFn] = answering(404, { status: 404, title: "Unknown collection", detail: "Collections: stamps." });
  const error = await refusal(fetchFn);
  expect([error.status, error.title, error.message]).toEqual([404, "Unknown collection", "Collections: stamps."]);
  expect(error.passing).toBe(false);
});

test("an error page of a proxy still becomes an error with its status", async () => {
  const [fetchFn] = answering(502, "<html>Bad Gateway</html>");
  const error = await refusal(fetchFn);
  expect([error.status, error.detail]).toEqual([502, null]);
  expect(error.passing).toBe(true);
});

test("a page of HTML in place of an answer is an error too", async () => {
  const [fetchFn] = answering(200, "<html>Please log in</html>");
  expect((await refusal(fetchFn)).status).toBe(200);
});

test("when the service wants to be asked again is known where it says so in seconds", async () => {
  const [busy] = answering(429, {}, { "Retry-After": "7" });
  expect((await refusal(busy)).retryAfter).toBe(7);
  const [silent] = answering(429, {}, { "Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT" });
  expect((await refusal(silent)).retryAfter).toBeNull();
});

test("no answer at all is an error without a status", async () => {
  const error = await refusal(() => Promise.reject(new TypeError("Failed to fetch")));
  expect(error.status).toBe(0);
  expect(error.passing).toBe(true);
});

test("a search that is given up stays given up, and is no error of the service", async () => {
  const controller = new AbortController();
  const waiting = createApi(
    (_, init) =>
      new Promise((_resolve, reject) => {
        init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      }),
  ).collections(controller.signal);
  controller.abort();
  await expect(waiting).rejects.toHaveProperty("name", "AbortError");
});
