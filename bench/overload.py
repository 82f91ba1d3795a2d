"""What becomes of the search API when more is asked than it can answer: `python bench/overload.py [URL] [--factor 10]`.

First, several clients ask one search after the other, and the most that is answered in a second is the peak. Then so
many times the peak is asked, whether it is answered or not, as if by many people. Printed are what is still answered
each second, and how fast; how fast the others are refused; the memory of the API's process; and how long it takes
until single searches are as fast as before. At the end stands what is held to, and whether it was.
Every search is encoded anew. An answer by words alone, without the encoder, does not count as one.

Whoever asks here takes a part of the same processors as whoever answers; so it is a bare client.
"""

import argparse
import asyncio
import itertools
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import psutil
import uvloop
from bare_client import BareClient
from imagesearch_stack.processes import own_memory
from search_latency import UNCACHED, percentile, queries, verdict

CLIENTS = (1, 2, 4, 8, 16, 32)
GOODPUT = 0.8
"""What has to be answered each second under overload, as a share of the peak."""
REFUSAL_MS = 100.0
"""Within which 99 of 100 refusals have to come."""
GROWTH = 1.1
"""The most memory in the second half of the overload, beside that in the first."""
RECOVERY_SECONDS = 5.0
AS_BEFORE = 2.0
"""A single search is as fast as before within so many times its p50 then."""
IN_A_ROW = 5
_REFUSED = (429, 503)
_MIB = 2**20


class Answer(NamedTuple):
    """What became of one search."""

    status: int
    milliseconds: float
    ended: float
    """When, by the clock that only goes forward."""
    degraded: bool = False

    @property
    def good(self) -> bool:
        """It was answered, and in full."""
        return self.status == 200 and not self.degraded


class Load:
    """Searches one collection of a running API."""

    def __init__(self, client: BareClient, collection: str) -> None:
        self._client = client
        self._collection = collection
        self._texts: Iterator[str] = itertools.chain.from_iterable(queries(seed) for seed in itertools.count(1))

    async def search(self) -> Answer:
        """One search; without an answer, its status is 0."""
        started = time.perf_counter()
        body = {"collection": self._collection, "query": next(self._texts)}
        status, content = 0, b""
        try:
            async with asyncio.timeout(60):
                status, _, content = await self._client.post("/text_search", body, UNCACHED)
        except (OSError, TimeoutError):
            pass
        ended = time.perf_counter()
        return Answer(status, (ended - started) * 1000, ended, b'"degraded":true' in content)

    async def closed(self, clients: int, seconds: float) -> list[Answer]:
        """So many clients, each of which waits for its answer before it asks again."""
        end, answers = time.perf_counter() + seconds, []

        async def client() -> None:
            while time.perf_counter() < end:
                answers.append(await self.search())

        await asyncio.gather(*(client() for _ in range(clients)))
        return answers

    async def open(self, per_second: float, seconds: float) -> list[asyncio.Task[Answer]]:
        """So many searches each second, whatever becomes of those before; some may still be under way."""
        return [asyncio.create_task(self.search()) async for _ in _ticks(per_second, seconds)]

    async def until_as_before(self, milliseconds: float, within_seconds: float) -> float:
        """Seconds until several searches in a row are answered within so many milliseconds; infinite if they never are."""
        started, in_a_row = time.perf_counter(), 0
        while in_a_row < IN_A_ROW:
            if time.perf_counter() - started > within_seconds:
                return float("inf")
            answer = await self.search()
            in_a_row = in_a_row + 1 if answer.good and answer.milliseconds <= milliseconds else 0
        return time.perf_counter() - started


async def _ticks(per_second: float, seconds: float) -> AsyncIterator[int]:
    started = time.perf_counter()
    for number in itertools.count():
        due = number / per_second
        if max(due, time.perf_counter() - started) >= seconds:
            return  # whoever asks may be too slow for so much; how much it was is printed
        await asyncio.sleep(max(0.0, started + due - time.perf_counter()))
        yield number


class Memory:
    """The memory of the process that serves the API, while the block runs; of one on this machine only."""

    def __init__(self, url: str) -> None:
        self._process = process_at(urlsplit(url).port or 80)
        self.seen: list[int] = []
        """Bytes, twice a second."""

    async def __aenter__(self) -> "Memory":
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()

    async def _watch(self) -> None:
        while self._process:
            self.seen.append(own_memory(self._process))
            await asyncio.sleep(0.5)

    @property
    def growth(self) -> float:
        """The most of the second half beside the most of the first."""
        half = len(self.seen) // 2
        return max(self.seen[half:]) / max(self.seen[:half])


def process_at(port: int) -> psutil.Process | None:
    """The process on this machine that listens on a port."""
    for connection in psutil.net_connections("tcp"):
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr
        if listens and listens.port == port and connection.pid:
            return psutil.Process(connection.pid)
    return None


def spread(answers: list[Answer]) -> str:
    """Median and 99th percentile of the waits."""
    waits = [answer.milliseconds for answer in answers]
    if len(waits) < 2:
        return f"n={len(waits)}"
    return f"p50 {percentile(waits, 50):7.1f} ms   p99 {percentile(waits, 99):7.1f} ms   n={len(waits)}"


def report(name: str, answers: list[Answer], seconds: float) -> float:
    """Print one line; the searches that were answered each second."""
    good = [answer for answer in answers if answer.good]
    print(f"{name:<22} {len(good) / seconds:6.1f} searches/s   {spread(good)}", flush=True)
    return len(good) / seconds


async def measure(url: str, collection: str | None, factor: float, seconds: float) -> None:
    """Measure, and print each line as it is known."""
    found = httpx.get(f"{url}/collections", trust_env=False).json()["collections"]
    if not found:
        sys.exit("there is no collection to search")
    client = BareClient(url)
    load = Load(client, collection or found[0]["collection"])
    await load.closed(2, 1)  # warm-up
    peak = 0.0
    alone: list[float] = []
    for clients in CLIENTS:
        started = time.perf_counter()
        answers = await load.closed(clients, seconds / 6)
        peak = max(peak, report(f"{clients} clients", answers, time.perf_counter() - started))
        alone = alone or [answer.milliseconds for answer in answers if answer.good]
    if len(alone) < 2:
        sys.exit("hardly a search is answered, even of one client")
    await overload(load, url, factor * peak, seconds, peak, percentile(alone, 50))
    client.close()


async def overload(load: Load, url: str, per_second: float, seconds: float, peak: float, calm_ms: float) -> None:
    """Ask too much, and print what came of it beside `peak` searches a second and `calm_ms` of a single one."""
    async with Memory(url) as memory:
        under_way = await load.open(per_second, seconds)
    over = time.perf_counter()
    recovered = await load.until_as_before(AS_BEFORE * calm_ms, 6 * RECOVERY_SECONDS)
    answers = await asyncio.gather(*under_way)
    goodput = report(f"{per_second:.0f} a second", [answer for answer in answers if answer.ended <= over], seconds)
    refused = [answer for answer in answers if answer.status in _REFUSED]
    counted = Counter("by words alone" if answer.degraded else str(answer.status) for answer in answers)
    print(
        f"  asked                {len(answers) / seconds:6.1f} a second (fewer where this process has no time for more)"
    )
    print(f"  refused                                  {spread(refused)}")
    print(f"  answers              {dict(counted)}")
    if memory.seen:
        print(f"  memory               {memory.seen[0] / _MIB:.0f} MiB at first, {max(memory.seen) / _MIB:.0f} at most")
    for line in verdicts(peak, goodput, refused, memory, recovered):
        print(line)


def verdicts(peak: float, goodput: float, refused: list[Answer], memory: Memory, recovered: float) -> Iterator[str]:
    """What is held to, and whether it was."""
    # As a bound from above, like the others: how many times what is answered the peak may be.
    yield verdict(f"peak to what is answered ({goodput / peak:.0%} of it)", peak / max(goodput, 1e-9), 1 / GOODPUT)
    if len(refused) < 2:
        yield "MISSED nobody was refused: that was no overload"
    else:
        p99 = percentile([answer.milliseconds for answer in refused], 99)
        yield verdict("refusals, p99", p99, REFUSAL_MS, " ms")
    if len(memory.seen) < 2:
        yield "?      memory: the process is not on this machine"
    else:
        yield verdict("memory, second half to first", memory.growth, GROWTH)
    yield verdict("as fast as before after", recovered, RECOVERY_SECONDS, " s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8080")
    parser.add_argument("--collection", help="default: the first that the API lists")
    parser.add_argument("--factor", type=float, default=10, help="how many times its peak it is asked")
    parser.add_argument("--seconds", type=float, default=60, help="of the overload; each step before takes a sixth")
    args = parser.parse_args()
    try:
        uvloop.run(measure(args.url, args.collection, args.factor, args.seconds))
    except httpx.TransportError as error:
        sys.exit(f"no search API at {args.url} ({error}); start one with `make demo`")


if __name__ == "__main__":
    main()
