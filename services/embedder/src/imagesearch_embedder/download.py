"""Downloads, and questions whether there is something, on a thread of their own: the bridge between `embed`, which is plain, and the fetcher, which is asynchronous."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread

from imagesearch_fetcher.fetch import Fetcher, FetchPolicy

Submit = Callable[[str], "Future[bytes]"]
"""Start a download; the future gives the bytes or raises `FetchError`."""

Ask = Callable[[str], None]
"""Returns where a URL answers with something; raises `FetchError` else."""


@contextmanager
def downloads(policy: FetchPolicy) -> Iterator[Submit]:
    """A fetcher on a thread of its own, for as long as its connections are needed."""
    with _fetcher(policy) as (fetcher, loop):
        yield lambda url: asyncio.run_coroutine_threadsafe(fetcher.fetch(url), loop)


@contextmanager
def questions(policy: FetchPolicy) -> Iterator[Ask]:
    """Likewise, but of an answer nothing is read beyond its head."""
    with _fetcher(policy) as (fetcher, loop):

        async def ask(url: str) -> None:
            async with fetcher.open(url):
                pass

        yield lambda url: asyncio.run_coroutine_threadsafe(ask(url), loop).result()


@contextmanager
def _fetcher(policy: FetchPolicy) -> Iterator[tuple[Fetcher, asyncio.AbstractEventLoop]]:
    with _loop() as loop:
        fetcher = Fetcher(policy)
        asyncio.run_coroutine_threadsafe(fetcher.__aenter__(), loop).result()
        try:
            yield fetcher, loop
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
