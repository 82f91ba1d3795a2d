"""Downloads on a thread of their own, with the real fetcher."""

from concurrent.futures import wait

from imagesearch_contract.dead_letter import Reason
from imagesearch_embedder.download import downloads
from imagesearch_fetcher.errors import FetchError
from imagesearch_fetcher.fetch import FetchPolicy


def test_the_real_fetcher_runs_on_its_own_thread_and_blocks_what_it_must() -> None:
    with downloads(FetchPolicy()) as fetch:
        futures = [fetch(f"http://127.0.0.1:1/{number}") for number in range(3)]
        wait(futures, 30)
    errors = [future.exception() for future in futures]
    assert [error.reason for error in errors if isinstance(error, FetchError)] == [Reason.BLOCKED_URL] * 3
