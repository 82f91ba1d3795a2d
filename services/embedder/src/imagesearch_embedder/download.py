"""Pictures as they arrive, many at a time: the bridge between `embed`, which is plain, and the fetcher, which is asynchronous.

Downloads run on a thread of their own, so that they go on while the caller decodes, encodes and writes.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from itertools import islice
from threading import Thread

from imagesearch_fetcher.errors import FetchError
from imagesearch_fetcher.fetch import Fetcher, FetchPolicy

from imagesearch_embedder.embed import Fetched
from imagesearch_embedder.plan import Upsert

Submit = Callable[[str], "Future[bytes]"]
"""Start a download; the future gives the bytes or raises `FetchError`."""


@contextmanager
def downloads(policy: FetchPolicy) -> Iterator[Submit]:
    """A fetcher on a thread of its own, for as long as its connections are needed."""
    with _loop() as loop:
        fetcher = Fetcher(policy)
        asyncio.run_coroutine_threadsafe(fetcher.__aenter__(), loop).result()
        try:
            yield lambda url: asyncio.run_coroutine_threadsafe(fetcher.fetch(url), loop)
        finally:
            asyncio.run_coroutine_threadsafe(fetcher.__aexit__(None, None, None), loop).result()


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="downloads", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def fetch_all(upserts: Sequence[Upsert], submit: Submit, *, window: int) -> Iterator[Fetched]:
    """Fetch every picture and yield each as it arrives, so that a slow server holds nobody up.

    At most `window` pictures are under way or waiting for the caller: that bounds the memory.
    """
    waiting = iter(upserts)
    under_way = {submit(each.record.url): each for each in islice(waiting, window)}
    try:
        while under_way:
            for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                yield under_way.pop(future), _result(future)
                under_way |= {submit(each.record.url): each for each in islice(waiting, 1)}
    finally:
        for future in under_way:
            future.cancel()


def _result(future: "Future[bytes]") -> bytes | FetchError:
    try:
        return future.result()
    except FetchError as error:
        return error
