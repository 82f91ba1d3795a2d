"""How stages overlap: as each is done, so many at a time, one ahead."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from threading import Event, active_count

import pytest
from imagesearch_embedder.overlap import ahead, done, in_window


def test_a_slow_one_holds_nobody_up() -> None:
    gate = Event()
    with ThreadPoolExecutor() as pool:

        def start(number: int) -> "Future[int]":
            return pool.submit(lambda: number if gate.wait(30) else -1) if number == 0 else done(number)

        arriving = in_window(range(5), start, window=2)
        assert sorted(next(arriving)[0] for _ in range(4)) == [1, 2, 3, 4]
        gate.set()
        assert [future.result() for _, future in arriving] == [0]


def test_no_more_than_the_window_is_under_way_or_waiting_for_the_caller() -> None:
    started: list[int] = []

    def start(number: int) -> "Future[int]":
        started.append(number)
        return done(number)

    taken = 0
    for _ in in_window(range(10), start, window=3):
        taken += 1
        assert len(started) <= taken + 2
    assert taken == len(started) == 10


def test_the_next_is_taken_while_the_caller_is_busy_and_no_more_than_that() -> None:
    taken: list[int] = []
    second = Event()

    def items() -> Iterator[int]:
        for number in range(5):
            taken.append(number)
            if number == 1:
                second.set()
            yield number

    with closing(ahead(items())) as numbers:
        assert next(numbers) == 0
        assert second.wait(30)
        assert list(numbers) == [1, 2, 3, 4]


def test_what_taking_raises_reaches_the_caller_after_what_came_before() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    numbers = ahead(items())
    assert next(numbers) == 1
    with pytest.raises(ZeroDivisionError):
        next(numbers)


def test_whoever_stops_in_the_middle_leaves_no_thread() -> None:
    before = active_count()
    with closing(ahead(iter(range(5)))) as numbers:
        next(numbers)
    assert active_count() == before
