"""Downloads: as they arrive, so many at a time, each once."""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest
from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.record import ImageRecord
from imagesearch_embedder.download import downloads, fetch_all
from imagesearch_embedder.plan import Message, Upsert
from imagesearch_fetcher.errors import FetchError
from imagesearch_fetcher.fetch import FetchPolicy


def upserts(count: int) -> list[Upsert]:
    return [
        Upsert(Message(0, n, 0, None, None), ImageRecord(id=f"test:{n}", url=f"http://127.0.0.1:1/{n}"))
        for n in range(count)
    ]


def done(result: bytes) -> "Future[bytes]":
    future: Future[bytes] = Future()
    future.set_result(result)
    return future


def test_a_slow_server_holds_nobody_up() -> None:
    gate = Event()
    with ThreadPoolExecutor() as pool:

        def submit(url: str) -> "Future[bytes]":
            return (
                pool.submit(lambda: url.encode() if gate.wait(30) else b"")
                if url.endswith("/0")
                else done(url.encode())
            )

        arriving = fetch_all(upserts(5), submit, window=2)
        first = [next(arriving) for _ in range(4)]
        assert sorted(each.record.id for each, _ in first) == ["test:1", "test:2", "test:3", "test:4"]
        gate.set()
        assert [data for _, data in arriving] == [b"http://127.0.0.1:1/0"]


def test_no_more_than_the_window_is_under_way_or_waiting_for_the_caller() -> None:
    submitted: list[str] = []

    def submit(url: str) -> "Future[bytes]":
        submitted.append(url)
        return done(b"")

    taken = 0
    for _ in fetch_all(upserts(10), submit, window=3):
        taken += 1
        assert len(submitted) <= taken + 2
    assert taken == len(submitted) == 10


def test_a_failed_download_is_a_result_and_a_broken_fetcher_is_not() -> None:
    def failing(error: Exception) -> "Future[bytes]":
        future: Future[bytes] = Future()
        future.set_exception(error)
        return future

    gone = FetchError(Reason.DEAD_LINK, "404")
    assert [data for _, data in fetch_all(upserts(1), lambda _: failing(gone), window=1)] == [gone]
    with pytest.raises(ZeroDivisionError):
        list(fetch_all(upserts(1), lambda _: failing(ZeroDivisionError()), window=1))


def test_the_real_fetcher_runs_on_its_own_thread_and_blocks_what_it_must() -> None:
    policy = FetchPolicy()
    with downloads(policy) as submit:
        results = [data for _, data in fetch_all(upserts(3), submit, window=2)]
    assert [data.reason for data in results if isinstance(data, FetchError)] == [Reason.BLOCKED_URL] * 3
