import { expect, test } from "vitest";
import { collection, hits, response } from "../test-api.ts";
import { ApiError, createApi } from "./client.ts";

const PAGE = { collection: "stamps", from: 30, size: 30 };
const signal = () => new AbortController().signal;

type Asked = { url: string; init: RequestInit };

/** A `fetch` that answers once, and the request that it got. */
function answering(status: number, body: unknown): [typeof fetch, Asked[]] {
  const asked: Asked[] = [];
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return [
    async (url, init) => {
      asked.push({ url: String(url), init: init ?? {} });
      return new Response(text, { status });
    },
    asked,
  ];
}

test("words are sent as JSON to text_search, beside the page", async () => {
  const page = response(hits(2), PAGE);
  const [fetchFn, asked] = answering(200, page);
  expect(await createApi(fetchFn).search({ kind: "text", text: "dog" }, PAGE, signal())).toEqual(page);
  expect(asked[0]?.url).toBe(new URL("text_search", document.baseURI).href);
  expect(JSON.parse(String(asked[0]?.init.body))).toEqual({ query: "dog", collection: "stamps", from: 30, size: 30 });
});

test("a picture's address is sent to image_search", async () => {
  const [fetchFn, asked] = answering(200, response([], PAGE));
  await createApi(fetchFn).search({ kind: "url", url: "https://a.example/b.png" }, PAGE, signal());
  expect(asked[0]?.url).toMatch(/\/image_search$/);
  expect(JSON.parse(String(asked[0]?.init.body))).toMatchObject({ image_url: "https://a.example/b.png" });
});

test("an uploaded picture is sent as a form, with its bytes and the page", async () => {
  const [fetchFn, asked] = answering(200, response([], PAGE));
  const picture = { id: "1", name: "cat.png", type: "image/png", bytes: new Uint8Array([1, 2, 3]).buffer };
  await createApi(fetchFn).search({ kind: "upload", picture }, PAGE, signal());
  const form = asked[0]?.init.body as FormData;
  const image = form.get("image") as File;
  expect([image.name, image.type, image.size]).toEqual(["cat.png", "image/png", 3]);
  expect([form.get("collection"), form.get("from"), form.get("size")]).toEqual(["stamps", "30", "30"]);
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
  expect(error.message).toContain("502");
  expect(error.passing).toBe(true);
});

test("a page of HTML in place of an answer is an error too", async () => {
  const [fetchFn] = answering(200, "<html>Please log in</html>");
  expect((await refusal(fetchFn)).status).toBe(200);
});

test("no answer at all says that the service cannot be reached", async () => {
  const error = await refusal(() => Promise.reject(new TypeError("Failed to fetch")));
  expect(error.message).toContain("cannot be reached");
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
