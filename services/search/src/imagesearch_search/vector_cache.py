"""Vectors of recent query texts: people page, reload and type the same words."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable

CAPACITY = 4096
"""Vectors; 512 dims take 2 KiB each."""


class VectorCache:
    """Least recently used out; a text that is being encoded is not encoded a second time (single flight)."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._vectors: OrderedDict[Hashable, bytes] = OrderedDict()
        self._under_way: dict[Hashable, asyncio.Task[bytes]] = {}
        self._waiting: Counter[asyncio.Task[bytes]] = Counter()

    async def get(self, key: Hashable, encode: Callable[[], Awaitable[bytes]], *, fresh: bool = False) -> bytes:
        """The vector of `key`, made by `encode` where it is not known; `fresh` makes it in any case.

        The encoding runs in a task of its own: the first to ask may leave without failing those who wait with it.
        When all have left, it is stopped.
        """
        if not fresh and (vector := self._vectors.get(key)) is not None:
            self._vectors.move_to_end(key)
            return vector
        task = None if fresh else self._under_way.get(key)
        if task is None:
            task = asyncio.ensure_future(self._make(key, encode))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        self._waiting[task] += 1
        try:
            return await asyncio.shield(task)
        finally:
            self._waiting[task] -= 1
            if not self._waiting[task]:
                self._nobody_waits(key, task)

    async def _make(self, key: Hashable, encode: Callable[[], Awaitable[bytes]]) -> bytes:
        vector = await encode()
        self._vectors[key] = vector
        self._vectors.move_to_end(key)
        while len(self._vectors) > self._capacity:
            self._vectors.popitem(last=False)
        return vector

    def _nobody_waits(self, key: Hashable, task: asyncio.Task[bytes]) -> None:
        del self._waiting[task]
        if task.cancel() and self._under_way.get(key) is task:
            del self._under_way[key]  # whoever asks before it has ended begins anew

    def _landed(self, key: Hashable, task: asyncio.Task[bytes]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        if not task.cancelled():
            task.exception()  # retrieved here too: all who waited for it may have left
