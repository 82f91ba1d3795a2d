"""How long a text search takes, and where: `python bench/search_latency.py [URL] [--collection NAME]` against a running API.

Prints the p50 and p99 of searches whose words were never encoded before (one client, then several), the share of each
stage as the API reports it in `Server-Timing`, and the p50 of repeated words. `http` is what the stages leave of the
client's time: the network, FastAPI, and this client, which is a bare one, for it takes a part of the same processors.
At the end stands what is held to, and whether it was.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import httpx
import uvloop
from bare_client import BareClient

WORDS = {
    "adjective": "big small red blue green yellow old young wooden round bright dark cold warm quiet loud wild tame".split(),
    "noun": "dog cat bird tree house boat car guitar apple flower fish horse castle cloud train lamp shoe star".split(),
    "place": "garden street forest beach kitchen mountain river city field harbour desert meadow".split(),
}
ASKED = ("encode", "knn", "documents")
"""The stages in which the API waits for somebody else."""
OVER_PARTS = 1.3
"""The p50 of several clients beside the p50s of those stages together."""
TAIL = 4.0
"""Their p99 beside their p50."""
UNCACHED = {"Cache-Control": "no-cache"}
CACHED_MS = 10.0
"""The p50 of repeated words."""


class Timing(NamedTuple):
    """One search: what the client waited, and what the API says about it; milliseconds."""

    client: float
    stages: dict[str, float]


def queries(seed: int) -> Iterator[str]:
    """Plausible queries of five words, none twice."""
    every = [f"a {a} {n} in the {p}" for a, n, p in itertools.product(*WORDS.values())]
    random.Random(seed).shuffle(every)
    return iter(every)


async def search(client: BareClient, collection: str, query: str, *, cached: bool) -> Timing:
    """One search; a failure ends the measurement."""
    started = time.perf_counter()
    body = {"collection": collection, "query": query}
    answer = await client.post("/text_search", body, {} if cached else UNCACHED)
    waited = (time.perf_counter() - started) * 1000
    if answer.status != httpx.codes.OK:
        sys.exit(f"the search answered {answer.status}: {answer.body.decode()}")
    return Timing(waited, stages_of(answer.headers["server-timing"]))


def stages_of(header: str) -> dict[str, float]:
    """`encode;dur=11.3, knn;dur=4.2` -> milliseconds by stage."""
    return {
        name: float(duration) for name, _, duration in (part.strip().partition(";dur=") for part in header.split(","))
    }


def percentile(values: list[float], percent: int) -> float:
    """The value that so many percent of the values do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def line(name: str, timings: list[Timing], seconds: float) -> str:
    """One line of the report."""
    waits = [timing.client for timing in timings]
    return (
        f"{name:<24} p50 {percentile(waits, 50):7.1f} ms   p99 {percentile(waits, 99):7.1f} ms   "
        f"{len(waits) / seconds:6.1f} searches/s   n={len(waits)}"
    )


def shares(timings: list[Timing]) -> Iterator[str]:
    """The median of each stage, and its share of the time that the client waited."""
    total = sum(timing.client for timing in timings)
    by_stage = {name: [t.stages.get(name, 0.0) for t in timings] for name in ASKED}
    by_stage["api"] = [t.stages["total"] - sum(t.stages.get(name, 0.0) for name in ASKED) for t in timings]
    by_stage["http"] = [t.client - t.stages["total"] for t in timings]
    for name, spent in by_stage.items():
        yield f"  {name:<22} p50 {percentile(spent, 50):7.1f} ms   share {sum(spent) / total:6.1%}"


def verdict(what: str, value: float, most: float, unit: str = "") -> str:
    """Whether a figure is within its bound, in one line."""
    return f"{'ok    ' if value <= most else 'MISSED'} {what}: {value:.2f}{unit}, at most {most:g}{unit}"


def verdicts(crowd: list[Timing], again: list[Timing], clients: int) -> Iterator[str]:
    """What is held to, of several clients and of repeated words."""
    waits = [timing.client for timing in crowd]
    p50 = percentile(waits, 50)
    parts = sum(percentile([timing.stages.get(name, 0.0) for timing in crowd], 50) for name in ASKED)
    yield verdict(f"{clients} clients, p50 to the sum of its parts ({parts:.1f} ms)", p50 / parts, OVER_PARTS)
    yield verdict(f"{clients} clients, p99 to p50", percentile(waits, 99) / p50, TAIL)
    yield verdict("cached, p50", percentile([timing.client for timing in again], 50), CACHED_MS, " ms")


async def measure(
    client: BareClient, collection: str, texts: Iterable[str], *, clients: int, cached: bool
) -> tuple[list[Timing], float]:
    """Search for every text, with so many clients at once; the timings, and the seconds it took."""
    waiting, timings = iter(texts), []

    async def one() -> None:
        for text in waiting:
            timings.append(await search(client, collection, text, cached=cached))

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    return timings, time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8080")
    parser.add_argument("--collection", help="default: the first that the API lists")
    parser.add_argument("-n", type=int, default=200, help="searches of one client")
    parser.add_argument("--clients", type=int, default=8)
    args = parser.parse_args()
    if args.n < 2:
        parser.error("-n must be at least 2")
    try:
        uvloop.run(report(args.url, args.collection, args.n, args.clients))
    except (httpx.TransportError, OSError) as error:
        sys.exit(f"no search API at {args.url} ({error}); start one with `make demo`")


async def report(url: str, collection: str | None, n: int, clients: int) -> None:
    """Measure, and print each line as it is known."""
    listed = httpx.get(f"{url}/collections", timeout=30, trust_env=False).json()["collections"]
    if not listed:
        sys.exit("there is no collection to search")
    client, collection = BareClient(url), collection or listed[0]["collection"]
    texts = queries(seed=time.time_ns())
    await measure(client, collection, list(itertools.islice(texts, 100)), clients=clients, cached=False)  # warm-up

    alone, seconds = await measure(client, collection, list(itertools.islice(texts, n)), clients=1, cached=False)
    print(line("uncached, 1 client", alone, seconds))
    print(*shares(alone), sep="\n")
    crowd, seconds = await measure(
        client, collection, list(itertools.islice(texts, 2 * n)), clients=clients, cached=False
    )
    print(line(f"uncached, {clients} clients", crowd, seconds))
    print(*shares(crowd), sep="\n")
    again, seconds = await measure(client, collection, ["a red guitar"] * n, clients=1, cached=True)
    print(line("cached, 1 client", again, seconds))
    print(*verdicts(crowd, again, clients), sep="\n")
    client.close()


if __name__ == "__main__":
    main()
