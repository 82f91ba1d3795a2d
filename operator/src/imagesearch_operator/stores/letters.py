"""Dead letters counted by reason, without keeping any: what came since the last look is added, what was cleared subtracted.

A topic is read once from its start, and then only where its end has moved. It is counted anew when its beginning has
moved, as retention moves it, and when the operator starts. Only then does it show what compaction removed: of two
letters of one key both count until then, because telling that they are of one key would take memory for every letter.
"""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from imagesearch_contract.dead_letter import CLEARS_HEADER, REASON_HEADER, DeadLetter
from pydantic import ValidationError

MESSAGES: Final = 20_000
"""Of one look; the rest is read by the next ones."""
LOOK_SECONDS: Final = 5.0
AT_ONCE: Final = 500
UNREADABLE: Final = "unreadable"
"""The reason of what is in the topic and is no letter."""
_logger = logging.getLogger(__name__)

Partition = tuple[str, int]
"""Topic and number."""


class Tally:
    """The letters of one partition, as far as it has been read."""

    def __init__(self, first: int) -> None:
        """Nothing is read yet; the partition begins at `first`."""
        self.first = self.next = first
        self.counts: Counter[str] = Counter()
        self._unbroken = first
        """From here on no message was missing, so every letter has been counted."""
        self._settled: int | None = None
        """Where the end was when it was reached for the first time."""

    def take(self, offset: int, value: bytes | None, headers: Mapping[str, bytes]) -> None:
        """Take the next message."""
        if offset > self.next:  # compaction has removed what was between
            self._unbroken = offset
        self.next = offset + 1
        reason = _text(headers.get(REASON_HEADER)) or _reason(value)
        if value is not None:
            self.counts[reason] += 1
        elif self._has_counted(offset, _text(headers.get(CLEARS_HEADER))) and self.counts[reason] > 0:
            self.counts[reason] -= 1

    def reach_end(self, end: int) -> None:
        """Everything before `end` was read."""
        self.next = max(self.next, end)
        if self._settled is None:
            self._settled = self.next

    def _has_counted(self, offset: int, clears: str) -> bool:
        """Whether the letter that the tombstone at `offset` clears was there to be counted, before compaction took it."""
        came_later = self._settled is not None and offset >= self._settled
        return came_later or not clears.isdecimal() or int(clears) >= self._unbroken


class Letters:
    """The dead letters of every collection."""

    def __init__(self, kafka_client: Mapping[str, str], *, messages: int = MESSAGES) -> None:
        """Nothing connects until there is a letter; of one look at most so many messages are read."""
        self._client = dict(kafka_client)
        self._messages = messages
        self._consumer: Consumer | None = None
        self._tallies: dict[Partition, Tally] = {}

    def look(self, first: Mapping[Partition, int], end: Mapping[Partition, int]) -> dict[str, dict[str, int]]:
        """Read on; reason -> letters, for each topic that has been read to its end.

        Args:
            first: where each partition begins.
            end: where each ends.
        """
        self._tallies = {partition: tally for partition, tally in self._tallies.items() if partition in end}
        for partition, begins in first.items():
            tally = self._tallies.get(partition)
            if tally is None or tally.first != begins or tally.next > end[partition]:
                self._tallies[partition] = Tally(begins)
        behind = {partition for partition, tally in self._tallies.items() if tally.next < end[partition]}
        if behind:
            behind = self._read(behind, end)
        for partition in end.keys() - behind:
            self._tallies[partition].reach_end(end[partition])
        return self._counts(unfinished={topic for topic, _ in behind})

    def _counts(self, unfinished: set[str]) -> dict[str, dict[str, int]]:
        totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for (topic, _), tally in self._tallies.items():
            if topic not in unfinished:
                totals[topic].update(tally.counts)
        return {
            topic: {reason: count for reason, count in sorted(total.items()) if count}
            for topic, total in totals.items()
        }

    def _read(self, behind: set[Partition], end: Mapping[Partition, int]) -> set[Partition]:
        """Read these to their ends, or until it is enough for this time; those that have something left."""
        consumer = self._open()
        consumer.assign([TopicPartition(*partition, self._tallies[partition].next) for partition in behind])
        left, deadline = self._messages, time.monotonic() + LOOK_SECONDS
        unread = set(behind)
        while unread and left > 0 and time.monotonic() < deadline:
            for message in consumer.consume(min(AT_ONCE, left), timeout=0.5):
                left -= 1
                unread -= self._take(message, end)
        consumer.unassign()
        return {partition for partition in behind if self._tallies[partition].next < end[partition]}

    def _take(self, message: Message, end: Mapping[Partition, int]) -> set[Partition]:
        """Take one message; the partition, if nothing more is to be read of it."""
        partition, offset = (str(message.topic()), message.partition() or 0), message.offset() or 0
        tally = self._tallies[partition]
        error = message.error()
        if error is None:
            tally.take(offset, message.value(), _headers(message))
        elif error.code() == KafkaError._PARTITION_EOF:
            tally.next = max(tally.next, offset)
        else:
            _logger.warning("dead letters of topic %s cannot be counted: %s", partition[0], error.str())
            return {partition}
        return {partition} if tally.next >= end[partition] else set()

    def _open(self) -> Consumer:
        if self._consumer is None:
            self._consumer = Consumer(
                {
                    **self._client,
                    "client.id": "imagesearch-operator",
                    "group.id": "imagesearch-operator",  # demanded, but unused: partitions are assigned, nothing is committed
                    "enable.auto.commit": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "earliest",
                    "fetch.max.bytes": 4 * 2**20,
                    "queued.max.messages.kbytes": 4 * 2**10,
                    "log_level": 0,
                }
            )
        return self._consumer


def _reason(value: bytes | None) -> str:
    """The reason of a letter that has no header."""
    try:
        return DeadLetter.from_bytes(value or b"").reason.value
    except ValidationError:
        return UNREADABLE


def _headers(message: Message) -> dict[str, bytes]:
    found = message.headers() or []
    pairs = found.items() if isinstance(found, dict) else found
    return {name: value for name, value in pairs if isinstance(value, bytes)}


def _text(header: bytes | None) -> str:
    return (header or b"").decode(errors="replace")
