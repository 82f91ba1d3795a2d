"""One run: what is published, what is not, what is taken down, and how it is counted."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import pytest
from confluent_kafka import Message
from imagesearch_contract.record import ImageRecord
from imagesearch_producer.catalogue import Catalogue, digest
from imagesearch_producer.run import Tally, run
from imagesearch_producer.sources import BadRow, Checkpoint, Item, Mended, Skip, State, Takedown, Unchanged


@dataclass
class Topics:
    """A collection's topics, as an outlet sees them; what it publishes is what the next run finds."""

    records: dict[bytes, bytes] = field(default_factory=dict)
    sent: list[bytes] = field(default_factory=list)
    """Keys, in order."""
    rejected: list[BadRow] = field(default_factory=list)
    withdrawn: list[int] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    arrives: bool = True

    def publish(self, key: bytes, value: bytes | None) -> None:
        self.sent.append(key)
        if value is None:
            self.records.pop(key, None)
        else:
            self.records[key] = value

    def reject(self, row: BadRow) -> None:
        self.rejected.append(row)

    def withdraw(self, line: int) -> None:
        self.withdrawn.append(line)

    def save(self, state: State) -> bool:
        if self.arrives:
            self.states.append(state)
        return self.arrives


def record(number: int, title: str = "") -> ImageRecord:
    return ImageRecord(id=f"zoo:{number}", url="https://zoo.example/1.jpg", title=title)


def running(items: Iterable[Item], topics: Topics | None = None, *, quota: int | None = None) -> tuple[Tally, Topics]:
    """One run over the items; `topics.sent` holds what this run sent."""
    tally, topics = Tally(), topics or Topics()
    topics.sent = []
    with Catalogue(list) as catalogue:
        for key, value in topics.records.items():
            catalogue.put(key, digest(value), "zoo")
        run(items, catalogue, topics, tally, source="zoo", quota=quota)
    return tally, topics


def test_a_second_run_publishes_only_what_is_new_or_changed() -> None:
    _, topics = running([record(1), record(2)])
    assert topics.sent == [b"zoo:1", b"zoo:2"]

    tally, _ = running([record(1), record(2, "renamed"), record(3)], topics)

    assert topics.sent == [b"zoo:2", b"zoo:3"]
    assert tally.summary(failed=0, seconds=1.25) == "published 2 unchanged 1 taken down 0 skipped 0 failed 0 in 1.2 s"


def test_an_id_that_comes_twice_is_published_once_in_every_run() -> None:
    _, topics = running([record(1, "one"), record(1, "other")])
    assert topics.sent == [b"zoo:1"]

    tally, _ = running([record(1, "one"), record(1, "other")], topics)

    assert topics.sent == []
    assert tally.skipped == {"seen before": 1}


def test_the_quota_counts_what_is_published_and_asks_for_no_more() -> None:
    def endless() -> Iterator[Item]:
        for number in range(1, 1_000_000):
            yield record(number)

    tally, topics = running(endless(), Topics({b"zoo:1": record(1).to_bytes()}), quota=2)

    assert topics.sent == [b"zoo:2", b"zoo:3"]
    assert tally.summary(failed=0, seconds=0).endswith("(quota reached)")


def test_a_quota_that_is_just_enough_is_not_called_reached() -> None:
    assert not running([record(1), record(2)], quota=2)[0].quota_reached


def test_a_takedown_is_sent_as_no_value_and_counts_against_no_quota() -> None:
    topics = Topics({b"zoo:1": record(1).to_bytes()})

    tally, _ = running([Takedown("zoo:1", "not in the zoo any more"), record(2)], topics, quota=1)

    assert topics.records.keys() == {b"zoo:2"}
    assert (tally.taken_down, tally.published) == (1, 1)


def test_what_a_person_took_down_stays_down() -> None:
    with Catalogue(lambda: [Message(topic="t", partition=0, key=b"zoo:1", value=None, headers=[])]) as catalogue:
        tally, topics = Tally(), Topics()
        run([record(1), record(2)], catalogue, topics, tally, source="zoo")

    assert topics.sent == [b"zoo:2"]
    assert tally.skipped == {"taken down by hand": 1}


def test_a_checkpoint_is_kept_and_one_whose_records_did_not_arrive_ends_the_run() -> None:
    items = [record(1), Checkpoint({"line": 1}), record(2), Checkpoint({"line": 2})]

    assert running(items)[1].states == [{"line": 1}, {"line": 2}]
    lost = running(items, Topics(arrives=False))[1]
    assert (lost.states, lost.sent) == ([], [b"zoo:1"])


def test_a_bad_row_is_a_dead_letter_and_a_skip() -> None:
    row = BadRow(3, "not JSON", b"{")

    tally, topics = running([record(1), row])

    assert topics.rejected == [row]
    assert tally.skipped == {"bad line": 1}


def test_the_letter_of_a_row_that_is_good_again_is_taken_back() -> None:
    assert running([Mended(3)])[1].withdrawn == [3]


def test_what_the_source_knows_to_be_unchanged_is_counted_and_not_looked_up() -> None:
    def read() -> Iterable[Message]:
        raise AssertionError

    tally = Tally()
    with Catalogue(read) as catalogue:
        run([Unchanged(), Unchanged(5)], catalogue, Topics(), tally, source="zoo", quota=1)

    assert tally.unchanged == 6


def test_skips_are_counted_by_reason_and_told(caplog: pytest.LogCaptureFixture) -> None:
    skips = [Skip("no url", "7"), Skip("no licence", "8"), Skip("no url", "9"), Skip("beyond", "x", 100)]

    tally, _ = running(skips)

    assert tally.summary(failed=0, seconds=0) == (
        "published 0 unchanged 0 taken down 0 skipped 103 (beyond 100, no url 2, no licence 1) failed 0 in 0.0 s"
    )
    assert "skipped: no licence: 8" in caplog.text


def test_a_thousand_skips_of_a_kind_do_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        running([*(Skip("bad line", f"line {number}") for number in range(1000)), Skip("no url", "7")])

    assert len(caplog.records) == 22
    assert "more of these are counted only" in caplog.text
    assert "no url: 7" in caplog.text


def test_what_was_handed_over_but_did_not_arrive_is_failed_and_not_published() -> None:
    tally, _ = running([record(1), record(2), record(3)])

    assert tally.summary(failed=2, seconds=0) == "published 1 unchanged 0 taken down 0 skipped 0 failed 2 in 0.0 s"
