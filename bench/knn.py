"""Recall and speed of searches on many vectors: `python bench/knn.py [--vectors 100000] [--queries 200]`.

Seeded, clustered vectors of 512 numbers in a real Elasticsearch, searched through the API (`POST /search`), without a filter
and with ones that keep 50 %, 5 % and 0.5 % of the pictures. Recall@10 is against the exact neighbours, computed here. The
encoder is a small server that knows the queries' vectors: it costs next to nothing, so that what is timed is the search.
Beside it, in turn with the same queries: Elasticsearch asked directly for the ten nearest, as a client of its own would,
which neither ranks more than ten pictures nor counts anything. A search ranks the best 1000, which can be paged through and
are counted by facets; `--depth` shows what that costs. Everything that it starts it stops.
"""

import argparse
import json
import statistics
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
from elasticsearch import Elasticsearch, helpers
from imagesearch_contract.encoder import DIMS_HEADER, MODEL_HEADER
from imagesearch_contract.index import FINGERPRINT_BYTES, FINGERPRINT_FIELD, VECTOR_FIELD, IndexMeta
from imagesearch_contract.settings import SearchSettings
from imagesearch_stack import provision, servers
from imagesearch_stack.processes import Process, Processes, free_port
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from search_latency import percentile, stages_of

DIMS = 512
K = 10
SPREAD = 0.06
"""Of each number around its cluster's centre, where the centre has unit length."""
WARM_UP = 600
"""Searches before any counts: until then Elasticsearch's JVM still compiles what it does all the time."""
KEEP = {"all": 1.0, "half": 0.5, "twentieth": 0.05, "two-hundredth": 0.005}
"""Tag -> the share of pictures that have it."""

Vectors = NDArray[np.float32]


class World(NamedTuple):
    """What is searched."""

    vectors: Vectors
    tags: dict[str, NDArray[np.bool_]]


def main() -> None:
    """Fill an index, search it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--quantization", default="int8", choices=("none", "int8", "int4", "bbq"))
    parser.add_argument("--depth", type=int, default=1000, help="pictures that a search ranks, IMAGESEARCH_MAX_DEPTH")
    args = parser.parse_args()
    random = np.random.default_rng(0)
    centres = unit(random.normal(size=(max(10, args.vectors // 200), DIMS)))
    world = World(
        clustered(random, centres, args.vectors),
        {tag: random.random(args.vectors) < share for tag, share in KEEP.items()},
    )
    queries = clustered(random, centres, args.queries)
    with (
        tempfile.TemporaryDirectory(prefix="imagesearch-knn-") as scratch,
        encoder(queries) as encoder_url,
        Processes() as processes,
    ):
        elasticsearch, api = start(processes, Path(scratch), args.depth)
        index = fill(elasticsearch, world, encoder_url, args.quantization)
        measure(api, elasticsearch, index, world, queries)


def unit(vectors: NDArray[Any]) -> Vectors:
    """The same directions at length 1."""
    lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / lengths, np.float32)


def clustered(random: np.random.Generator, centres: Vectors, count: int) -> Vectors:
    """(count, DIMS) around the centres, of which the first have the most, as with real pictures."""
    which = (len(centres) * random.random(count) ** 2).astype(int)
    return unit(centres[which] + random.normal(scale=SPREAD, size=(count, DIMS)))


def place(text: str, count: int) -> int:
    """Which query a text is; words are asked for when the API calibrates itself, and stand for any."""
    return int(text) if text.isdigit() else zlib.crc32(text.encode()) % count


@contextmanager
def encoder(queries: Vectors) -> Iterator[str]:
    """An encoder whose texts are the numbers of the queries; its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            vector = b"".join(queries[place(text, len(queries))].astype("<f4").tobytes() for text in body["texts"])
            self.send_response(200)
            for header, value in ((DIMS_HEADER, str(DIMS)), (MODEL_HEADER, "bench/1"), ("Content-Length", len(vector))):
                self.send_header(header, str(value))
            self.end_headers()
            self.wfile.write(vector)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def start(processes: Processes, scratch: Path, depth: int) -> tuple[str, str]:
    """Elasticsearch and the API; their URLs."""
    port = free_port()
    server = processes.add(servers.start_elasticsearch(scratch, port))
    elasticsearch = servers.wait_for_elasticsearch(server, port)
    settings = SearchSettings(elasticsearch_url=elasticsearch, port=free_port(), max_depth=depth)
    log = scratch / "logs" / "api.log"
    api = processes.add(Process("the API", [servers.script("imagesearch-search")], log=log, env=settings.to_env()))
    url = f"http://127.0.0.1:{settings.port}"
    api.wait_until(lambda: servers.answers_ok(f"{url}/healthz"), within_seconds=60)
    return elasticsearch, url


def fill(elasticsearch: str, world: World, encoder_url: str, quantization: Any) -> str:
    """An index with all the vectors, searched as the collection `bench`; its name."""
    meta = IndexMeta(
        namespace="default",
        collection="bench",
        model_name="bench",
        model_version="1",
        dims=DIMS,
        encoder_url=encoder_url,
    )
    index = provision.create_index(elasticsearch, meta, quantization=quantization)
    random = np.random.default_rng(1)
    with Elasticsearch(elasticsearch, request_timeout=300) as client:
        actions = (
            {
                "_index": index,
                "_id": f"bench:{number}",
                "_source": {
                    "id": f"bench:{number}",
                    "url": f"https://pictures.example/{number}.jpg",
                    "title": f"Picture {number}",
                    "source": "bench",
                    "tags": [tag for tag, has in world.tags.items() if has[number]],
                    FINGERPRINT_FIELD: random.bytes(FINGERPRINT_BYTES).hex(),
                    VECTOR_FIELD: vector.tolist(),
                },
            }
            for number, vector in enumerate(track(world.vectors, "indexing", console=Console(stderr=True)))
        )
        for _ in helpers.parallel_bulk(client, actions, thread_count=2, chunk_size=500):
            pass
        client.indices.refresh(index=index)
        while client.indices.stats(index=index, metric="merge")["_all"]["primaries"]["merges"]["current"]:
            time.sleep(1)
        segments = client.cat.segments(index=index, format="json")
        print(f"{len(segments)} segments, after the merges that filling it brought about")
    return index


def measure(api: str, elasticsearch: str, index: str, world: World, queries: Vectors) -> None:
    """Search for every query under every filter, by the API and by Elasticsearch in turn; print what came of it."""
    table = Table(title=f"{len(world.vectors)} vectors, {len(queries)} queries")
    for heading in (
        "kept",
        "recall@10",
        "API, server side",
        "of it Elasticsearch",
        "as the client waits",
        "Elasticsearch alone",
    ):
        table.add_column(heading, justify="right")
    with (
        httpx.Client(base_url=api, timeout=30, trust_env=False) as client,
        Elasticsearch(elasticsearch, request_timeout=30) as direct,
    ):
        for number in track(range(WARM_UP), "warming up", console=Console(stderr=True)):
            search(client, number % len(queries), list(KEEP)[number % len(KEEP)])
            plainly(direct, index, queries[number % len(queries)], list(KEEP)[number % len(KEEP)])
        for tag, share in KEEP.items():
            nearest = exact(world, queries, tag)
            found, server, waited, asked, alone = [], [], [], [], []
            for number, vector in enumerate(queries):
                ids, stages, seconds = search(client, number, tag)
                found.append(len(nearest[number] & ids) / K)
                server.append(stages["total"] - stages["encode"])
                asked.append(stages["knn"] + stages["documents"])
                waited.append(seconds * 1000)
                began = time.perf_counter()
                plainly(direct, index, vector, tag)
                alone.append((time.perf_counter() - began) * 1000)
            table.add_row(
                f"{share:.1%}", f"{statistics.mean(found):.3f}", *map(p50_p99, (server, asked, waited, alone))
            )
    Console(width=140).print(table)


def search(client: httpx.Client, number: int, tag: str) -> tuple[set[int], dict[str, float], float]:
    """The ten that the API finds, the milliseconds of its stages, and the seconds that it took."""
    body = {"collection": "bench", "terms": [{"text": str(number)}], "keyword_weight": 0, "size": K}
    began = time.perf_counter()
    filters = {"tags": [tag]} if tag != "all" else {}
    answer = client.post("/search", json=body | {"filters": filters}, headers={"Cache-Control": "no-cache"})
    seconds = time.perf_counter() - began
    if answer.status_code != httpx.codes.OK:
        raise SystemExit(f"the API answered {answer.status_code}: {answer.text}")
    ids = {int(hit["id"].partition(":")[2]) for hit in answer.json()["hits"]}
    return ids, stages_of(answer.headers["Server-Timing"]), seconds


def plainly(client: Elasticsearch, index: str, vector: Vectors, tag: str) -> None:
    """Ask Elasticsearch itself for the ten nearest, with the number of candidates that its documentation begins with."""
    knn: dict[str, Any] = {"field": VECTOR_FIELD, "query_vector": vector.tolist(), "k": K, "num_candidates": 100}
    if tag != "all":
        knn["filter"] = {"term": {"tags": tag}}
    client.search(index=index, knn=knn, size=K, source={"includes": ["id", "url", "title"]})


def exact(world: World, queries: Vectors, tag: str) -> list[set[int]]:
    """The K nearest of those with the tag, for each query."""
    kept = np.flatnonzero(world.tags[tag])
    scores = queries @ world.vectors[kept].T
    return [set(kept[row].tolist()) for row in np.argpartition(-scores, K, axis=1)[:, :K]]


def p50_p99(milliseconds: list[float]) -> str:
    """Two percentiles."""
    return f"p50 {percentile(milliseconds, 50):.1f} p99 {percentile(milliseconds, 99):.1f} ms"


if __name__ == "__main__":
    main()
