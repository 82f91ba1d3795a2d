"""What was made recently, kept: people page, reload and type the same words."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Recent(Generic[T]):
    """Least recently used out; what is being made is not made a second time (single flight)."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._known: OrderedDict[Hashable, T] = OrderedDict()
        self._under_way: dict[Hashable, asyncio.Task[T]] = {}
        self._waiting: Counter[asyncio.Task[T]] = Counter()

    async def get(
        self,
        key: Hashable,
        make: Callable[[], Awaitable[T]],
        *,
        fresh: bool = False,
        good: Callable[[T], bool] = lambda _: True,
    ) -> T:
        """What is kept under `key`, made by `make` where it is not known or not `good`; `fresh` makes it in any case.

        It is made in a task of its own: the first to ask may leave without failing those who wait with it.
        When all have left, it is stopped.
        """
        if not fresh and key in self._known and good(self._known[key]):
            self._known.move_to_end(key)
            return self._known[key]
        task = None if fresh else self._under_way.get(key)
        if task is None:
            task = asyncio.ensure_future(self._make(key, make))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        self._waiting[task] += 1
        try:
            return await asyncio.shield(task)
        finally:
            self._waiting[task] -= 1
            if not self._waiting[task]:
                self._nobody_waits(key, task)

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        made = await make()
        self._known[key] = made
        self._known.move_to_end(key)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return made

    def _nobody_waits(self, key: Hashable, task: asyncio.Task[T]) -> None:
        del self._waiting[task]
        if task.cancel() and self._under_way.get(key) is task:
            del self._under_way[key]  # whoever asks before it has ended begins anew

    def _landed(self, key: Hashable, task: asyncio.Task[T]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        if not task.cancelled():
            task.exception()  # retrieved here too: all who waited for it may have left
