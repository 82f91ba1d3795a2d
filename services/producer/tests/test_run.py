"""One run: what is published, what is not, and how it is counted."""

import logging
from collections.abc import Iterator

import pytest
from imagesearch_contract.record import ImageRecord
from imagesearch_producer.run import Tally, digest, run
from imagesearch_producer.sources import Item, Skip


def record(number: int, title: str = "") -> ImageRecord:
    return ImageRecord(id=f"zoo:{number}", url="https://zoo.example/1.jpg", title=title)


def running(
    *items: Item, known: dict[bytes, bytes] | None = None, quota: int | None = None
) -> tuple[Tally, list[bytes]]:
    tally, keys = Tally(), list[bytes]()
    run(items, {} if known is None else known, lambda key, _: keys.append(key), tally, quota=quota)
    return tally, keys


def test_a_second_run_publishes_only_what_is_new_or_changed() -> None:
    topic: dict[bytes, bytes] = {}
    _, first = running(record(1), record(2), known=topic)

    tally, second = running(record(1), record(2, "renamed"), record(3), known=topic)

    assert first == [b"zoo:1", b"zoo:2"]
    assert second == [b"zoo:2", b"zoo:3"]
    assert tally.summary(failed=0, seconds=1.25) == "published 2 unchanged 1 skipped 0 failed 0 in 1.2 s"


def test_an_id_that_comes_twice_is_published_once_in_every_run() -> None:
    topic: dict[bytes, bytes] = {}

    assert running(record(1, "one"), record(1, "other"), known=topic)[1] == [b"zoo:1"]
    tally, again = running(record(1, "one"), record(1, "other"), known=topic)

    assert again == []
    assert tally.skipped == {"seen before": 1}


def test_the_quota_counts_what_is_published_and_asks_for_no_more() -> None:
    def endless() -> Iterator[Item]:
        for number in range(1, 1_000_000):
            yield record(number)

    topic = {b"zoo:1": digest(record(1).to_bytes())}
    tally, keys = Tally(), list[bytes]()
    run(endless(), topic, lambda key, _: keys.append(key), tally, quota=2)

    assert keys == [b"zoo:2", b"zoo:3"]
    assert tally.summary(failed=0, seconds=0).endswith("(quota reached)")


def test_a_quota_that_is_just_enough_is_not_called_reached() -> None:
    assert not running(record(1), record(2), quota=2)[0].quota_reached


def test_skips_are_counted_by_reason_and_told(caplog: pytest.LogCaptureFixture) -> None:
    tally, _ = running(Skip("no url", "7"), Skip("no licence", "8"), Skip("no url", "9"), Skip("beyond", "x", 100))

    assert tally.summary(failed=0, seconds=0) == (
        "published 0 unchanged 0 skipped 103 (beyond 100, no url 2, no licence 1) failed 0 in 0.0 s"
    )
    assert "skipped: no licence: 8" in caplog.text


def test_a_thousand_skips_of_a_kind_do_not_flood_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        running(*(Skip("bad line", f"line {number}") for number in range(1000)), Skip("no url", "7"))

    assert len(caplog.records) == 22
    assert "more of these are counted only" in caplog.text
    assert "no url: 7" in caplog.text


def test_what_was_handed_over_but_did_not_arrive_is_failed_and_not_published() -> None:
    tally, _ = running(record(1), record(2), record(3))

    assert tally.summary(failed=2, seconds=0) == "published 1 unchanged 0 skipped 0 failed 2 in 0.0 s"
