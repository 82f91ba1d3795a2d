"""Dead letters counted by reason: message by message, and look by look at a real Kafka."""

import uuid
from contextlib import suppress

import pytest
from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from imagesearch_contract.dead_letter import DeadLetter, Reason
from imagesearch_operator.stores.letters import Letters, Tally
from running import until


def letter(tally: Tally, offset: int, reason: str = "dead_link") -> None:
    tally.take(offset, b"{}", {"reason": reason.encode()})


def tombstone(tally: Tally, offset: int, clears: int | None, reason: str = "dead_link") -> None:
    headers = {"reason": reason.encode()} | ({} if clears is None else {"clears": str(clears).encode()})
    tally.take(offset, None, headers)


def counts(tally: Tally) -> dict[str, int]:
    return {reason: count for reason, count in tally.counts.items() if count}


def test_letters_count_up_and_tombstones_down() -> None:
    tally = Tally(0)
    letter(tally, 0)
    letter(tally, 1)
    letter(tally, 2, "truncated")
    tombstone(tally, 3, clears=1)
    assert counts(tally) == {"dead_link": 1, "truncated": 1}
    assert tally.next == 4


def test_a_letter_without_a_header_is_read_and_what_is_none_counts_as_unreadable() -> None:
    tally = Tally(0)
    old = DeadLetter.of(reason=Reason.TOO_LARGE, detail="", topic="t", partition=0, offset=1, key=b"k", value=b"")
    tally.take(0, old.to_bytes(), {})
    tally.take(1, b"hello", {})
    assert counts(tally) == {"too_large": 1, "unreadable": 1}


def test_a_tombstone_whose_letter_compaction_has_taken_counts_nothing() -> None:
    tally = Tally(0)
    letter(tally, 0)
    tombstone(tally, 2, clears=1)  # offset 1 is missing
    assert counts(tally) == {"dead_link": 1}
    letter(tally, 3)
    tombstone(tally, 4, clears=3)
    assert counts(tally) == {"dead_link": 1}


def test_a_tombstone_that_comes_when_all_was_counted_is_about_one_of_them() -> None:
    tally = Tally(0)
    letter(tally, 0)
    letter(tally, 5)  # what was between is compacted away
    tally.reach_end(6)
    tombstone(tally, 6, clears=0)
    assert counts(tally) == {"dead_link": 1}


@pytest.mark.parametrize("clears", [None, 0])
def test_no_count_falls_below_none(clears: int | None) -> None:
    tally = Tally(0)
    letter(tally, 0)
    tombstone(tally, 1, clears)
    tombstone(tally, 2, clears)
    assert counts(tally) == {}


class Topic:
    """A dead-letter topic of a test's own, and who counts it."""

    def __init__(self, bootstrap_servers: str, *, messages: int = 1_000) -> None:
        self.client = {"bootstrap.servers": bootstrap_servers}
        self.name = f"imagesearch.counted.{uuid.uuid4().hex[:12]}.failed"
        self._admin = AdminClient(self.client)
        self._producer = Producer(self.client)
        self._admin.create_topics([NewTopic(self.name, 1, 1)])[self.name].result(timeout=30)
        self.letters = Letters(self.client, messages=messages)
        until(self._has_leader)

    def write(self, *reasons: str) -> None:
        """Write a letter for each reason."""
        for reason in reasons:
            self._producer.produce(self.name, key="k", value="{}", headers={"reason": reason})
        assert self._producer.flush(30) == 0

    def clear(self, offset: int, reason: str) -> None:
        """Clear a letter."""
        self._producer.produce(self.name, key="k", value=None, headers={"reason": reason, "clears": str(offset)})
        assert self._producer.flush(30) == 0

    def begin_at(self, offset: int) -> None:
        """Delete what is before, as retention does."""
        place = TopicPartition(self.name, 0, offset)
        self._admin.delete_records([place])[place].result(timeout=30)

    def look(self, letters: Letters | None = None) -> dict[str, int] | None:
        """What is counted; None while it is not finished."""
        first, end = (self._offset(which()) for which in (OffsetSpec.earliest, OffsetSpec.latest))
        return (letters or self.letters).look({(self.name, 0): first}, {(self.name, 0): end}).get(self.name)

    def _has_leader(self) -> bool:
        with suppress(KafkaException):
            return self._offset(OffsetSpec.latest()) == 0
        return False

    def _offset(self, which: OffsetSpec) -> int:
        place = TopicPartition(self.name, 0)
        return self._admin.list_offsets({place: which})[place].result(30).offset


@pytest.mark.integration
def test_each_look_reads_what_is_new_and_a_restart_comes_to_the_same(kafka_bootstrap_servers: str) -> None:
    topic = Topic(kafka_bootstrap_servers)
    assert topic.look() == {}
    topic.write("dead_link", "truncated", "dead_link")
    assert topic.look() == {"dead_link": 2, "truncated": 1}
    topic.clear(1, "truncated")
    topic.write("dead_link")
    assert topic.look() == topic.look(Letters(topic.client)) == {"dead_link": 3}


@pytest.mark.integration
def test_a_look_reads_no_more_than_it_may_and_gives_no_count_before_the_end(kafka_bootstrap_servers: str) -> None:
    topic = Topic(kafka_bootstrap_servers, messages=4)
    topic.write(*["dead_link"] * 10)
    assert [topic.look() for _ in range(3)] == [None, None, {"dead_link": 10}]


@pytest.mark.integration
def test_a_topic_whose_beginning_has_moved_is_counted_anew(kafka_bootstrap_servers: str) -> None:
    topic = Topic(kafka_bootstrap_servers)
    topic.write("dead_link", "dead_link", "truncated")
    topic.clear(0, "dead_link")
    assert topic.look() == {"dead_link": 1, "truncated": 1}
    topic.begin_at(2)
    assert topic.look() == {"truncated": 1}


def test_what_has_no_end_that_moved_is_not_read() -> None:
    nowhere = {"bootstrap.servers": "127.0.0.1:1"}
    place = ("imagesearch.a.b.failed", 0)
    assert Letters(nowhere).look({place: 7}, {place: 7}) == {"imagesearch.a.b.failed": {}}
