"""How the stages of a task overlap, each within bounds. `embed` strings them together."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Final, TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")

_END: Final = object()


def in_window(
    items: Iterable[Item], start: Callable[[Item], "Future[Result]"], window: int
) -> "Iterator[tuple[Item, Future[Result]]]":
    """Start work on every item and yield each as it is done, so that a slow one holds nobody up.

    At most `window` are under way or waiting for the caller: that bounds the memory.
    """
    waiting = iter(items)
    under_way = {start(each): each for each in islice(waiting, window)}
    try:
        while under_way:
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                yield under_way.pop(future), future
                under_way |= {start(each): each for each in islice(waiting, 1)}
    finally:
        for future in under_way:
            future.cancel()


def ahead(items: Iterator[Item]) -> Generator[Item, None, None]:
    """Take each item on another thread while the caller is busy with the one before; what taking raises, this raises.

    Close it where it is not read to its end: that waits for the thread.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        coming = thread.submit(next, items, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, items, _END)
            yield cast("Item", item)


def done(result: Result) -> "Future[Result]":
    """Work that there was nothing to do for."""
    future: Future[Result] = Future()
    future.set_result(result)
    return future
