"""Where the time of one request goes: measured by the engine, told in the `Server-Timing` header."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stages:
    """The stages of one request, in the order in which they ended; the clock starts when it is made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._spent: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of the block under `name` (a token: it stands in the header as it is)."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._spent[name] = self._spent.get(name, 0.0) + (time.perf_counter() - started) * 1000

    def elapsed_ms(self) -> float:
        """Milliseconds since the request came."""
        return (time.perf_counter() - self._started) * 1000

    def header(self) -> str:
        """The value of `Server-Timing`: `encode;dur=11.3, knn;dur=4.2, total;dur=17.0`."""
        spent = {**self._spent, "total": self.elapsed_ms()}
        return ", ".join(f"{name};dur={ms:.2f}" for name, ms in spent.items())
