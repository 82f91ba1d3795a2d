"""What the topic holds, kept on disk: which value counts, whose it is, and what a run has not met."""

from collections.abc import Iterable

import pytest
from confluent_kafka import Message
from imagesearch_producer.catalogue import SOURCE_HEADER, Catalogue, digest
from imagesearch_producer.topics import TopicError


def message(key: bytes, value: bytes | None, source: str | None = "zoo") -> Message:
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


def test_what_is_assumed_takes_the_place_of_the_topic() -> None:
    def read() -> Iterable[Message]:
        raise AssertionError

    with Catalogue(read) as catalogue:
        catalogue.assume({"a": digest(b"1")})

        assert catalogue.digest(b"a") == digest(b"1")
        assert catalogue.digest(b"b") is None


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
