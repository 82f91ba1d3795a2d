"""The collections that wait for a reconcile: each once, however many events there were, and never two at a time."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from imagesearch_operator.live import Key

SETTLE_SECONDS: Final = 0.5
"""A change is seldom alone; those that follow this closely are reconciled together."""
FIRST_RETRY_SECONDS: Final = 2.0
LAST_RETRY_SECONDS: Final = 120.0


class Retry(Exception):  # noqa: N818 - a request, not an error: what went wrong is said elsewhere
    """The collection is to be reconciled again, later each time that it fails in a row."""


def retry_delay(failures: int) -> float:
    """How long to wait after so many failures in a row: doubling, and spread so that not all come back at once."""
    longest = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2.0 ** min(failures - 1, 16))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


class Queue:
    """Keys that become due, and the workers that take them."""

    def __init__(
        self, work: Callable[[Key], Awaitable[float | None]], retry: Callable[[int], float] = retry_delay
    ) -> None:
        """Work on each key that becomes due.

        Args:
            work: reconciles one collection; in how many seconds it shall be looked at again, or None. It raises
                `Retry` when it failed.
            retry: after how many seconds one comes again that has failed so many times in a row.
        """
        self._retry = retry
        self._work = work
        self._ready: asyncio.Queue[Key] = asyncio.Queue()
        self._ready_since: dict[Key, float] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._active: set[Key] = set()
        self._again: dict[Key, float] = {}
        """Keys that came while they were worked on, and how soon they are wanted again."""
        self._failures: dict[Key, int] = {}

    def add(self, key: Key, delay: float = SETTLE_SECONDS) -> None:
        """Have a collection reconciled, `delay` seconds from now at the latest."""
        if key in self._active:
            self._again[key] = min(delay, self._again.get(key, delay))
            return
        if key in self._ready_since:
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + delay:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(delay, self._becomes_ready, key)

    async def run(self, workers: int) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._worker(), name=f"worker {number}")

    @property
    def depth(self) -> int:
        """How many collections are due and not worked on yet."""
        return len(self._ready_since)

    @property
    def waiting_seconds(self) -> float:
        """For how long the one that waits longest has been due."""
        return time.monotonic() - min(self._ready_since.values()) if self._ready_since else 0.0

    def _becomes_ready(self, key: Key) -> None:
        self._timers.pop(key, None)
        self._ready_since[key] = time.monotonic()
        self._ready.put_nowait(key)

    async def _worker(self) -> None:
        while True:
            key = await self._ready.get()
            del self._ready_since[key]
            self._active.add(key)
            try:
                delay = await self._work(key)
                self._failures.pop(key, None)
            except Retry:
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                delay = self._retry(failures)
            finally:
                self._active.discard(key)
            asked = self._again.pop(key, None)
            delays = [seconds for seconds in (delay, asked) if seconds is not None]
            if delays:
                self.add(key, min(delays))
