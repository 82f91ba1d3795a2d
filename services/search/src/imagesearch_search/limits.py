"""How much one client may ask for, and how much is done at once. Both hold for this process only: replicas multiply them."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from imagesearch_search.problems import OVERLOADED, Problem

CLIENTS: Final = 10_000
"""Clients that are remembered; 10 000 take about 2 MiB."""
WINDOW_SECONDS: Final = 60
PATIENCE_SECONDS: Final = 0.025
"""The most that a search waits for a place, and so the most after which it is refused: less than one takes."""
_CERTAINTY: Final = 0.5
"""The part of the patience within which a place is expected: paces vary."""
_NEWS: Final = 0.1
"""The weight of the last place that got free in the pace."""
_ROUNDING: Final = 1e-6  # seconds
_NEARLY: Final = 0.01  # requests


class Quota(NamedTuple):
    """What is left to a client after a request, or why it is refused."""

    per_minute: int
    remaining: int
    reset_seconds: int
    """Until all of it is there again."""
    retry_seconds: int
    """0 where the request may go on, else when the next one may."""

    def headers(self) -> dict[str, str]:
        """As the IETF's draft has them (draft-ietf-httpapi-ratelimit-headers)."""
        return {
            "RateLimit-Policy": f'"default";q={self.per_minute};w={WINDOW_SECONDS}',
            "RateLimit": f'"default";r={self.remaining};t={self.reset_seconds}',
        }


class RateLimiter:
    """A token bucket for each client, which holds a minute's requests: who was quiet may ask them all at once.

    A bucket is one number, the time at which it will be full. The least recently used is forgotten, and so full.
    """

    def __init__(self, *, clients: int = CLIENTS, clock: Callable[[], float] = time.monotonic) -> None:
        self._clients = clients
        self._clock = clock
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def take(self, client: Hashable, per_minute: int) -> Quota:
        """Count a request of `client`, unless it is one too many."""
        now, cost = self._clock(), WINDOW_SECONDS / per_minute
        full_at = max(now, self._full_at.pop(client, now))
        wait = full_at + cost - WINDOW_SECONDS - now
        allowed = wait <= _ROUNDING
        if allowed:
            full_at += cost
        self._full_at[client] = full_at
        if len(self._full_at) > self._clients:
            self._full_at.popitem(last=False)
        return Quota(
            per_minute,
            remaining=math.floor((WINDOW_SECONDS - (full_at - now)) / cost + _NEARLY),
            reset_seconds=math.ceil(full_at - now - _ROUNDING),
            retry_seconds=0 if allowed else math.ceil(wait),
        )


class Gate:
    """Lets so many in at once. Some more wait a moment for a place; everybody else is refused, without waiting.

    Past what the machine can do, another search at once only makes all of them slower. Only those wait who will have a
    place in time, by the pace at which places get free: whoever is refused is to know it at once.
    """

    def __init__(
        self,
        places: int,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = asyncio.Semaphore(places)
        self._queue = places if patience_seconds else 0
        self._patience = patience_seconds
        self._clock = clock
        self._waiting = 0
        self._pace = 0.0
        """Seconds from one place that gets free to the next, while all are taken."""
        self._since = 0.0
        """When all places were taken, or when the last one got free since."""

    @property
    def full(self) -> bool:
        """Whether whoever comes now is refused."""
        if not self._places.locked():
            return False
        return self._waiting >= self._queue or (self._waiting + 1) * self._pace > self._patience * _CERTAINTY

    async def enter(self) -> None:
        """Take a place; give it back with `leave`.

        Raises:
            Problem: there is none.
        """
        if self.full:
            raise overloaded()
        waits = self._places.locked()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._patience if waits else None):
                await self._places.acquire()
        except TimeoutError:
            raise overloaded() from None
        finally:
            self._waiting -= 1
        if not waits:
            self._since = self._clock()

    def leave(self) -> None:
        """Give a place back."""
        if self._places.locked():
            now = self._clock()
            self._pace += _NEWS * (now - self._since - self._pace)
            self._since = now
        self._places.release()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place, for the time of the block."""
        await self.enter()
        try:
            yield
        finally:
            self.leave()


def overloaded() -> Problem:
    """The problem of whoever is not let in."""
    return Problem(OVERLOADED, "More is asked than can be answered now. Try again in a moment.", retry_after=1)


class Place:
    """The place of one request in a gate, which others can have while the request waits for a stranger's server."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._held = False
        self._outside = 0

    async def take(self) -> None:
        """Wait for the place, unless it is held.

        Raises:
            Problem: there is none.
        """
        if not self._held:
            await self._gate.enter()
            self._held = True
            _current.set(self)

    def give_back(self) -> None:
        """Let others have it; more than once does no harm."""
        if self._held:
            self._held = False
            self._gate.leave()

    @asynccontextmanager
    async def left(self) -> AsyncIterator[None]:
        """Without the place during the block, and during all such blocks that overlap it; after a failure for good."""
        self._outside += 1
        self.give_back()
        try:
            yield
        finally:
            self._outside -= 1
        if not self._outside:
            await self.take()


_current: ContextVar[Place | None] = ContextVar("place", default=None)


@asynccontextmanager
async def waiting_outside() -> AsyncIterator[None]:
    """Give the current request's place to others during the block: what takes long there is not our work."""
    place = _current.get()
    if place is None:
        yield
    else:
        async with place.left():
            yield
