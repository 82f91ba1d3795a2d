"""Flickr's requests shared out: no hour has too many, nobody is starved, and the ledger may forget."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count, pairwise
from threading import Event, Thread

import pytest
from imagesearch_producer.ledger import (
    LARGEST_BLOCK,
    LONGEST_WAIT_SECONDS,
    REQUESTS_PER_HOUR,
    SECONDS_PER_REQUEST,
    RequestsUsedUpError,
    Reservation,
    Turns,
)

FLICKRS_LIMIT = 3600


class SimulatedTime:
    """A clock for tasks in threads of which only one runs at a time: the one that wakes first."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Event]] = []
        self._numbers = count()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        woken = self._wake_at(self.now + seconds)
        self._go_on()
        woken.wait()

    def run(self, *tasks: Callable[[], None]) -> None:
        """Run the tasks to their ends."""

        def body(woken: Event, task: Callable[[], None]) -> None:
            woken.wait()
            try:
                task()
            finally:
                self._go_on()

        threads = [Thread(target=body, args=(self._wake_at(self.now), task)) for task in tasks]
        for thread in threads:
            thread.start()
        self._go_on()
        for thread in threads:
            thread.join()

    def _wake_at(self, moment: float) -> Event:
        woken = Event()
        heappush(self._due, (moment, next(self._numbers), woken))
        return woken

    def _go_on(self) -> None:
        if self._due:
            self.now, _, woken = heappop(self._due)
            woken.set()


@dataclass
class Ledger:
    """The topic: entries in their order, by the broker's clock, which is not that of the runs."""

    time: SimulatedTime
    entries: list[Reservation] = field(default_factory=list)
    keeps: float = float("inf")
    """Seconds after which it forgets, sometimes (Kafka deletes whole segments)."""

    def reader(self, latency: Callable[[], float] = lambda: 0.0) -> "LedgerLog":
        return LedgerLog(self, latency)


@dataclass
class LedgerLog:
    """As one run sees it."""

    ledger: Ledger
    latency: Callable[[], float]
    position: int = 0

    def read(self) -> list[Reservation]:
        now, entries = self.ledger.time.now + 1_000_000, self.ledger.entries
        if self.position == 0 and self.ledger.keeps < float("inf"):
            # A run that starts now finds what is not forgotten.
            self.position = next(
                (i for i, each in enumerate(entries) if each.at > now - self.ledger.keeps), len(entries)
            )
        news = entries[self.position :]
        self.position = len(entries)
        return news

    def append(self, requests: int, after: float) -> int:
        self.ledger.time.sleep(self.latency())
        offset = len(self.ledger.entries)
        self.ledger.entries.append(Reservation(offset, self.ledger.time.now + 1_000_000, requests, after))
        return offset


def most_within_an_hour(moments: list[float]) -> int:
    moments = sorted(moments)
    begin, most = 0, 0
    for end, moment in enumerate(moments):
        while moments[begin] <= moment - 3600:
            begin += 1
        most = max(most, end - begin + 1)
    return most


def test_reservations_follow_one_another_and_an_idle_key_is_free_at_once() -> None:
    first, second, later = Reservation(0, 100, 10, 0), Reservation(1, 101, 1, 0), Reservation(2, 500, 1, 0)

    free = first.ends(0)
    assert first.begins(0) == 100
    assert second.begins(free) == free == pytest.approx(100 + 10 * SECONDS_PER_REQUEST)
    assert later.begins(second.ends(free)) == 500


def test_a_run_alone_goes_at_an_even_pace() -> None:
    time = SimulatedTime()
    turn = Turns(Ledger(time).reader(), clock=time, sleep=time.sleep)
    moments = []

    def run() -> None:
        for _ in range(100):
            turn()
            moments.append(time.now)

    time.run(run)

    assert moments[0] == 0
    assert moments[-1] == pytest.approx(99 * SECONDS_PER_REQUEST)
    steps = [after - before for before, after in pairwise(moments)]
    assert min(steps) == pytest.approx(max(steps))


@pytest.mark.parametrize("seed", range(5))
def test_three_sources_that_want_all_they_can_get_share_the_hour_evenly(seed: int) -> None:
    chance = random.Random(seed)
    time = SimulatedTime()
    ledger = Ledger(time)
    moments: dict[int, list[float]] = {0: [], 1: [], 2: []}

    def source(number: int) -> Callable[[], None]:
        def run() -> None:
            time.sleep(chance.uniform(0, 60))
            turn = Turns(ledger.reader(lambda: chance.uniform(0.001, 0.5)), clock=time, sleep=time.sleep)
            while time.now < 3 * 3600:
                turn()
                moments[number].append(time.now)
                time.sleep(chance.uniform(0.1, 2.5))  # Flickr's answer

        return run

    time.run(source(0), source(1), source(2))

    together = [moment for each in moments.values() for moment in each]
    assert most_within_an_hour(together) <= FLICKRS_LIMIT
    assert len(together) >= 0.95 * 3 * REQUESTS_PER_HOUR
    assert max(map(len, moments.values())) - min(map(len, moments.values())) <= 4 * LARGEST_BLOCK


@pytest.mark.parametrize("seed", range(5))
def test_a_crowd_of_runs_that_come_and_go_never_has_too_many_even_where_the_ledger_forgets(seed: int) -> None:
    chance = random.Random(seed)
    time = SimulatedTime()
    ledger = Ledger(time, keeps=3600)
    moments = []
    refused = 0

    def source() -> None:
        nonlocal refused
        while time.now < 4 * 3600:
            turn = Turns(ledger.reader(lambda: chance.uniform(0.001, 2)), clock=time, sleep=time.sleep)
            try:
                for _ in range(chance.randrange(1, 400)):
                    turn()
                    moments.append(time.now)
                    # Now and then an answer takes longer than a reservation is good for.
                    time.sleep(chance.choice((0.2, 1.0, 3.0, 3.0, 100.0 if chance.random() < 0.01 else 0.5)))
            except RequestsUsedUpError:
                refused += 1
            time.sleep(chance.uniform(1, 120))

    time.run(*[source] * 30)

    assert most_within_an_hour(moments) <= FLICKRS_LIMIT
    assert len(moments) >= 0.8 * 4 * REQUESTS_PER_HOUR
    assert refused > 0


def test_what_the_ledger_forgot_lives_on_in_what_its_writers_saw() -> None:
    forgotten, kept = Reservation(0, 0, 1000, 0), Reservation(1, 10, 1, after=1000.0)

    assert kept.begins(0.0) == 1000.0
    assert forgotten.ends(0.0) > 1000.0


def test_a_turn_that_would_be_too_long_in_coming_ends_the_run_in_words_and_costs_the_others_one_request() -> None:
    time = SimulatedTime()
    ledger = Ledger(time)
    requests = int(LONGEST_WAIT_SECONDS / SECONDS_PER_REQUEST) + 10
    ledger.entries.append(Reservation(0, 1_000_000, requests, 0))

    with pytest.raises(RequestsUsedUpError, match=r"quota of Flickr requests used up: the next one is free in 3\d\d s"):
        Turns(ledger.reader(), clock=time, sleep=time.sleep)()

    assert sum(entry.requests for entry in ledger.entries) == requests + 1


def test_a_run_that_is_under_way_reserves_nothing_where_it_would_wait_too_long() -> None:
    time = SimulatedTime()
    ledger = Ledger(time)
    turn = Turns(ledger.reader(), clock=time, sleep=time.sleep)

    def run() -> None:
        turn()
        ledger.entries.append(Reservation(1, time.now + 1_000_000, 1000, 0))
        with pytest.raises(RequestsUsedUpError):
            turn()

    time.run(run)

    assert len(ledger.entries) == 2


def test_what_is_left_of_a_reservation_is_void_after_a_while() -> None:
    time = SimulatedTime()
    ledger = Ledger(time)
    turn = Turns(ledger.reader(), clock=time, sleep=time.sleep)

    def run() -> None:
        for _ in range(2):
            turn()
        time.sleep(600)
        turn()

    time.run(run)

    assert [entry.requests for entry in ledger.entries] == [1, 2, 4]
