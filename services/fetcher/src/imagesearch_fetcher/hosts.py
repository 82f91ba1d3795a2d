"""What is known about the hosts that are fetched from, so that all fetches together behave like one polite client. No I/O.

`fetch` asks before each request and tells what came of it. A host here is an origin: what fails at one port, or under
one scheme, says nothing about the others.
"""

import asyncio
from typing import Final
from weakref import WeakValueDictionary

from imagesearch_contract.dead_letter import Reason
from yarl import URL

from imagesearch_fetcher.errors import FetchError

FAILURES_TO_REST: Final = 8
"""Requests in a row without an answer..."""
FAILING_SECONDS: Final = 5.0
"""...over at least so long, which retries outlive where it was only a hiccup: then the host counts as down."""
REST_SECONDS: Final = 30.0
"""A host that is down is not asked for so long. Without it each of its thousand dead links would take its whole time."""
LONGEST_PAUSE_SECONDS: Final = 300.0
"""Of what a server asks for; a header must not lock its host out for years."""
REMEMBERED: Final = 1_000
"""Hosts; those that are being fetched from are known besides."""


class Host:
    """One host, and when it may be asked again. Times are in seconds, of one clock that never goes back.

    Args:
        name: what it is called in errors.
        concurrency: how many may fetch from it at once.
        interval: between the starts of two fetches.
    """

    def __init__(self, name: str, *, concurrency: int, interval: float) -> None:
        self.slots: Final = asyncio.Semaphore(concurrency)
        self.door: Final = asyncio.Lock()
        """Held by the one that is next to begin, so that waiting ends for one at a time."""
        self._name = name
        self._interval = interval
        self._next_at = 0.0
        self._busy_until = 0.0
        self._answered_at = 0.0
        self._failures = 0
        self._failing_since = 0.0
        self._rests_until = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the next fetch may begin: the host asked for a pause, or has its pace.

        Raises:
            FetchError: UNREACHABLE; the host is down as far as anybody knows.
        """
        return max(0.0, self.pause(now), self._next_at - now)

    def pause(self, now: float) -> float:
        """Seconds that the host wants to be left alone by everybody, those who have begun included.

        Raises:
            FetchError: as `wait`.
        """
        if now < self._rests_until:
            raise FetchError(
                Reason.UNREACHABLE,
                f"{self._name} did not answer {self._failures} requests in a row, "
                f"and is asked again in {self._rests_until - now:.0f} s",
            )
        return max(0.0, self._busy_until - now)

    def begin(self, now: float, caution: float) -> None:
        """A fetch begins; the next one comes `caution` seconds later where the host has not answered since it failed."""
        self._next_at = now + max(self._interval, caution if self._failures else 0.0)

    def answered(self, now: float) -> None:
        """The host is there, whatever it said."""
        self._failures = 0
        self._answered_at = now

    def failed(self, asked_at: float, now: float) -> None:
        """A request got no answer. If others got one in the meantime, the host is slow rather than gone: not counted."""
        if self._answered_at > asked_at:
            return
        if not self._failures:
            self._failing_since = asked_at
        self._failures += 1
        if self._failures >= FAILURES_TO_REST and now - self._failing_since >= FAILING_SECONDS:
            self._rests_until = now + REST_SECONDS

    def refused(self, asked_at: float, now: float, retry_after: float | None) -> None:
        """The host has too much to do, and asked to be left alone for so long (None where it did not say)."""
        self.failed(asked_at, now)
        self._busy_until = max(self._busy_until, now + min(retry_after or 0.0, LONGEST_PAUSE_SECONDS))


class Hosts:
    """Every host that is being fetched from, and the last thousand others: the hosts of a month do not pile up."""

    def __init__(self, *, concurrency: int, interval: float) -> None:
        self._concurrency = concurrency
        self._interval = interval
        self._known: WeakValueDictionary[str, Host] = WeakValueDictionary()
        self._recent: dict[str, Host] = {}

    def of(self, url: URL) -> Host:
        """The host of a URL."""
        name = str(url.origin())
        host = self._known.get(name)
        if host is None:
            host = self._known[name] = Host(name, concurrency=self._concurrency, interval=self._interval)
        self._recent.pop(name, None)
        self._recent[name] = host
        if len(self._recent) > REMEMBERED:
            del self._recent[next(iter(self._recent))]
        return host
