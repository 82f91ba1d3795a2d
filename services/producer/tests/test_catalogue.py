"""What the topic holds, kept on disk: which value counts, whose it is, and what a run has not met."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest
from confluent_kafka import Message
from imagesearch_contract.record import ImageRecord
from imagesearch_producer.catalogue import SOURCE_HEADER, TAKEN_DOWN, Catalogue, Unseen, digest
from imagesearch_producer.topics import TopicError


def message(key: bytes, value: bytes | None, source: str | None = "zoo") -> Message:
    """One that the topic might hold; `source` is who published it, None a person."""
    headers = [] if source is None else [(SOURCE_HEADER, source.encode())]
    return Message(topic="t", partition=0, key=key, value=value, headers=headers)


def test_of_several_values_the_last_counts_and_a_takedown_leaves_none() -> None:
    topic = [message(b"a", b"old"), message(b"b", b"gone"), message(b"a", b"new"), message(b"b", None)]

    with Catalogue(lambda: topic) as catalogue:
        assert catalogue.digest(b"a") == digest(b"new")
        assert catalogue.digest(b"b") is None
        assert catalogue.digest(b"c") is None


def test_the_topic_is_read_once_and_only_when_it_is_asked_about() -> None:
    reads = []

    def read() -> Iterable[Message]:
        reads.append(1)
        return [message(b"a", b"1")]

    with Catalogue(read) as catalogue:
        assert reads == []
        catalogue.digest(b"a")
        catalogue.digest(b"b")

    assert reads == [1]


def test_why_the_topic_cannot_be_read_comes_through() -> None:
    def read() -> Iterable[Message]:
        raise TopicError("gone")

    with Catalogue(read) as catalogue, pytest.raises(TopicError, match="gone"):
        catalogue.digest(b"a")


def test_what_is_published_is_known_from_then_on() -> None:
    with Catalogue(list) as catalogue:
        assert catalogue.digest(b"a") is None
        catalogue.put(b"a", digest(b"1"), "zoo")
        assert catalogue.digest(b"a") == digest(b"1")
        catalogue.remove(b"a")
        assert catalogue.digest(b"a") is None


def test_a_key_is_met_once() -> None:
    with Catalogue(lambda: [message(b"a", b"1")]) as catalogue:
        assert [catalogue.see(b"a"), catalogue.see(b"a"), catalogue.see(b"new"), catalogue.see(b"new")] == [
            True, False, True, False,
        ]  # fmt: skip


def test_a_key_that_was_met_before_the_topic_was_read_stays_met() -> None:
    with Catalogue(lambda: [message(b"a", b"1"), message(b"b", b"2")]) as catalogue:
        catalogue.see(b"a")

        assert list(catalogue.unseen("zoo")) == [b"b"]


def test_unseen_are_the_keys_of_that_source_alone_in_pages_that_may_be_removed_on_the_way() -> None:
    mine = [f"mine-{number:04}".encode() for number in range(1200)]
    topic = [*(message(key, b"1") for key in mine), message(b"other", b"1", "farm"), message(b"nobody", b"1", None)]

    with Catalogue(lambda: topic) as catalogue:
        catalogue.see(mine[7])
        met = []
        for key in catalogue.unseen("zoo"):
            met.append(key)
            catalogue.remove(key)

        assert met == mine[:7] + mine[8:]
        assert list(catalogue.unseen("zoo")) == []


def test_what_a_person_took_down_is_remembered_until_a_person_brings_it_back() -> None:
    topic = [message(b"a", b"1"), message(b"a", None, None), message(b"b", None, None), message(b"b", b"2", None)]

    with Catalogue(lambda: topic) as catalogue:
        assert catalogue.digest(b"a") == TAKEN_DOWN
        assert catalogue.digest(b"b") == digest(b"2")
        assert list(catalogue.unseen("zoo")) == []


def uploaded(key: str, second: int | None, title: str = "") -> Message:
    moment = None if second is None else datetime.fromtimestamp(second, UTC)
    record = ImageRecord(id=f"zoo:{key}", url="https://zoo.example/1.jpg", uploaded_at=moment, title=title)
    return message(key.encode(), record.to_bytes())


def test_unseen_between_two_seconds_come_in_the_order_of_their_upload() -> None:
    topic = [uploaded("a", 30), uploaded("b", 20), uploaded("c", 10), uploaded("d", 20), uploaded("e", None)]

    with Catalogue(lambda: topic) as catalogue:
        catalogue.see(b"d")

        assert list(catalogue.unseen_between("zoo", 10, 29)) == [Unseen(b"c", 10), Unseen(b"b", 20)]
        assert list(catalogue.unseen_between("zoo", 0, 9)) == [Unseen(b"e", 0)]
        assert list(catalogue.unseen_between("farm", 0, 99)) == []


def test_a_title_that_looks_like_an_upload_time_is_none() -> None:
    topic = [
        uploaded("a", 5, '"uploaded_at":"2030-01-01T00:00:00+00:00"'),
        message(b"b", b'"uploaded_at":"9999999999999999999"'),
    ]

    with Catalogue(lambda: topic) as catalogue:
        assert list(catalogue.unseen_between("zoo", 0, 2**40)) == [Unseen(b"b", 0), Unseen(b"a", 5)]


def test_a_run_may_read_the_newest_of_the_topic_first_and_all_of_it_later() -> None:
    old, new = message(b"old", b"1"), message(b"new", b"2")
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def read(since: datetime | None = None) -> Iterable[Message]:
        return [old, new] if since is None else [new] if since == noon else []

    with Catalogue(read) as catalogue:
        catalogue.read_since(noon)
        assert catalogue.digest(b"new") == digest(b"2")
        assert catalogue.digest(b"old") is None
        catalogue.see(b"new")
        catalogue.read_whole()
        assert catalogue.digest(b"old") == digest(b"1")
        assert list(catalogue.unseen("zoo")) == [b"old"]


def test_the_photos_of_a_source_are_counted_and_those_that_are_not_seen_too() -> None:
    topic = [message(b"a", b"1"), message(b"b", b"1"), message(b"c", b"1", "other"), message(b"d", None, None)]

    with Catalogue(lambda: topic) as catalogue:
        catalogue.see(b"a")
        catalogue.see(b"new")

        assert (catalogue.count("zoo"), catalogue.count("zoo", unseen=True)) == (2, 1)
