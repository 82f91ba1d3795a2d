"""What becomes of the search API when more is asked than it can answer: `python bench/overload.py [URL] [--factor 10]`.

First, several clients ask one search after the other, and the most that is answered in a second is the peak. Then so
many times the peak is asked, whether it is answered or not, as if by many people. Printed are what is still answered
each second, and how fast; how fast the others are refused; and how long a single search takes again afterwards.
Every search has words that were not encoded before.
"""

import argparse
import asyncio
import itertools
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp
from search_latency import percentile, queries

CLIENTS = (1, 2, 4, 8, 16, 32)
_REFUSED = (429, 503)


class Answer(NamedTuple):
    """What became of one search."""

    status: int
    milliseconds: float


class Load:
    """Searches one collection of a running API."""

    def __init__(self, session: aiohttp.ClientSession, collection: str) -> None:
        self._session = session
        self._collection = collection
        self._texts: Iterator[str] = itertools.chain.from_iterable(queries(seed) for seed in itertools.count(1))

    async def search(self) -> Answer:
        """One search; without an answer, its status is 0."""
        started = time.perf_counter()
        body = {"collection": self._collection, "query": next(self._texts)}
        try:
            async with self._session.post("/text_search", json=body, headers={"Cache-Control": "no-cache"}) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            status = 0
        return Answer(status, (time.perf_counter() - started) * 1000)

    async def closed(self, clients: int, seconds: float) -> list[Answer]:
        """So many clients, each of which waits for its answer before it asks again."""
        end, answers = time.perf_counter() + seconds, []

        async def client() -> None:
            while time.perf_counter() < end:
                answers.append(await self.search())

        await asyncio.gather(*(client() for _ in range(clients)))
        return answers

    async def open(self, per_second: float, seconds: float) -> list[Answer]:
        """So many searches each second, whatever becomes of those before."""
        return await asyncio.gather(*[asyncio.create_task(self.search()) async for _ in _ticks(per_second, seconds)])


async def _ticks(per_second: float, seconds: float) -> AsyncIterator[int]:
    started = time.perf_counter()
    for number in range(round(per_second * seconds)):
        await asyncio.sleep(max(0.0, started + number / per_second - time.perf_counter()))
        yield number


def spread(answers: list[Answer]) -> str:
    """Median and 99th percentile of the waits."""
    waits = [answer.milliseconds for answer in answers]
    if len(waits) < 2:
        return f"n={len(waits)}"
    return f"p50 {percentile(waits, 50):7.1f} ms   p99 {percentile(waits, 99):7.1f} ms   n={len(waits)}"


def report(name: str, answers: list[Answer], seconds: float) -> float:
    """Print one line; the searches that were answered each second."""
    answered = [answer for answer in answers if answer.status == 200]
    print(f"{name:<22} {len(answered) / seconds:6.1f} searches/s   {spread(answered)}")
    return len(answered) / seconds


async def measure(url: str, collection: str | None, factor: float, seconds: float) -> None:
    """Measure, and print each line as it is known."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
        async with session.get("/collections") as listed:
            found = (await listed.json())["collections"]
        if not found:
            sys.exit("there is no collection to search")
        load = Load(session, collection or found[0]["collection"])
        await load.closed(2, 1)  # warm-up
        peak = 0.0
        for clients in CLIENTS:
            peak = max(peak, report(f"{clients} clients", await load.closed(clients, seconds / 3), seconds / 3))
        answers = await load.open(factor * peak, seconds)
        report(f"{factor:g} times {peak:.0f} a second", answers, seconds)
        print(f"  refused                                  {spread([a for a in answers if a.status in _REFUSED])}")
        print(f"  statuses               {dict(Counter(answer.status for answer in answers))}")
        started = time.perf_counter()
        alone = [await load.search() for _ in range(10)]
        print(f"afterwards, alone                           {spread(alone)}")
        print(
            f"  all answered           {all(a.status == 200 for a in alone)}, within {time.perf_counter() - started:.1f} s"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", nargs="?", default="http://127.0.0.1:8080")
    parser.add_argument("--collection", help="default: the first that the API lists")
    parser.add_argument("--factor", type=float, default=10, help="how many times its peak it is asked")
    parser.add_argument("--seconds", type=float, default=15, help="of the overload; each step before takes a third")
    args = parser.parse_args()
    try:
        asyncio.run(measure(args.url, args.collection, args.factor, args.seconds))
    except aiohttp.ClientConnectionError as error:
        sys.exit(f"no search API at {args.url} ({error}); start one with `make demo`")


if __name__ == "__main__":
    main()
