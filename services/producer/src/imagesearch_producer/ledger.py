"""Flickr's requests, shared out: 3600 an hour and key, among all sources that use the key, wherever they run.

A topic of the whole platform is the ledger, and its order decides. A run appends a reservation of a few requests and reads
the ledger up to it; the reservations of a key follow one another in time, each for as long as its requests take at the even
pace, so everybody who reads the ledger knows when each of them begins, and nobody has to be asked. Sources that want much
take turns in blocks, first come first served. What a run reserved and does not use is lost, at most `LARGEST_BLOCK` requests:
to give it back would take a second kind of entry, and all who wait would have to read on while they wait.

`main` opens a `KafkaLog`; the source takes a turn before each request.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from imagesearch_contract.names import FLICKR_LEDGER_TOPIC
from imagesearch_contract.settings import KafkaConnection

from imagesearch_producer.topics import (
    CONNECT_SECONDS,
    SILENCE_SECONDS,
    TopicError,
    open_consumer,
    partitions_of,
)

REQUESTS_PER_HOUR: Final = 3500
"""Flickr allows 3600; the rest is for blocks that are used up to `GRACE_SECONDS` late, so that no hour ever has more."""
SECONDS_PER_REQUEST: Final = 3600 / REQUESTS_PER_HOUR
GRACE_SECONDS: Final = 60.0
"""So long after its time a reservation is still good, for answers that are slow; then what is left of it is void."""
LARGEST_BLOCK: Final = 16
"""Requests of one reservation. A run begins with one and doubles, so that a short run wastes little."""
LONGEST_WAIT_SECONDS: Final = 300.0
"""For a turn; a run that would have to wait longer ends, and the next one on the schedule goes on."""

_PARTITION: Final = 0


class RequestsUsedUpError(Exception):
    """So many requests of this key are reserved already that a turn would be too long in coming."""


class Reservation(NamedTuple):
    """An entry of the ledger."""

    offset: int
    at: float
    """When the broker took it, in seconds since 1970."""
    requests: int
    after: float
    """When the key was free as far as its writer could see: what the ledger forgets lives on in this."""

    def begins(self, free: float) -> float:
        """When its first request may be sent, given that all before it are done at `free`."""
        return max(self.at, self.after, free)

    def ends(self, free: float) -> float:
        """When the key is free again."""
        return self.begins(free) + self.requests * SECONDS_PER_REQUEST


class Log(Protocol):
    """The ledger of one API key."""

    def read(self) -> Sequence[Reservation]:
        """What was appended since the last call, in order."""
        ...

    def append(self, requests: int, after: float) -> int:
        """Append a reservation and return its offset once it is in the ledger."""
        ...


class Turns:
    """Callable; returns when the next request may be sent, and may raise what the log raises.

    Args:
        log: of the API key.
        clock, sleep: in seconds; any clock that goes evenly.
    """

    def __init__(
        self, log: Log, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._log, self._clock, self._sleep = log, clock, sleep
        self._free = 0.0
        self._ahead: float | None = None
        """How far the broker's clock is ahead of ours."""
        self._block = 1
        self._left = 0
        self._next = self._void = 0.0

    def __call__(self) -> None:
        """Wait for one turn.

        Raises:
            RequestsUsedUpError: it would be too long in coming.
        """
        if self._left == 0 or self._clock() >= self._void:
            self._reserve()
        if (wait := self._next - self._clock()) > 0:
            self._sleep(wait)
        self._left -= 1
        self._next += SECONDS_PER_REQUEST

    def _reserve(self) -> None:
        for earlier in self._log.read():
            self._free = earlier.ends(self._free)
        if self._ahead is not None:
            _check(self._free - self._ahead - self._clock())
        offset = self._log.append(self._block, self._free)
        for entry in self._log.read():
            if entry.offset == offset:
                self._ahead = entry.at - self._clock()
                begins = entry.begins(self._free)
                _check(begins - entry.at)
                self._next = begins - self._ahead
                self._void = self._next + entry.requests * SECONDS_PER_REQUEST + GRACE_SECONDS
                self._left = entry.requests
            self._free = entry.ends(self._free)
        self._block = min(2 * self._block, LARGEST_BLOCK)


def _check(wait: float) -> None:
    if wait > LONGEST_WAIT_SECONDS:
        raise RequestsUsedUpError(
            f"quota of Flickr requests used up: the next one is free in {wait:.0f} s, and other sources wait for it too; "
            "the next run goes on from here"
        )


class KafkaLog:
    """The ledger of an API key in Kafka; use as a context manager.

    The key itself is not written down, only a hash of it.

    Raises:
        TopicError: Kafka cannot be used, or the topic is missing or not set up as a ledger. So do all methods.
    """

    def __init__(
        self,
        kafka: KafkaConnection,
        api_key: str,
        *,
        run: str,
        topic: str = FLICKR_LEDGER_TOPIC,
        connect_seconds: float = CONNECT_SECONDS,
    ) -> None:
        self._key = hashlib.blake2b(api_key.encode(), digest_size=16, person=b"flickr-requests").hexdigest().encode()
        self._run, self._topic = run, topic
        self._next_offset = 0
        self._consumer = _consumer(kafka, topic, connect_seconds)
        self._producer = Producer(
            {
                **kafka.kafka_client,
                "enable.idempotence": True,
                "acks": "all",
                "delivery.timeout.ms": int(SILENCE_SECONDS * 1000),
                "log_level": 0,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def read(self) -> list[Reservation]:
        """See `Log`."""
        return [entry for message in self._news() if (entry := reservation_of(message, self._key)) is not None]

    def _news(self) -> Iterator[Message]:
        try:
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(self._topic, _PARTITION), timeout=CONNECT_SECONDS
            )
        except KafkaException as error:
            raise _unusable(self._topic, error.args[0]) from error
        self._next_offset = max(self._next_offset, low)
        while self._next_offset < high:
            message = self._consumer.poll(SILENCE_SECONDS)
            if message is None:
                raise TopicError(f"Kafka sent nothing of topic {self._topic} for {SILENCE_SECONDS:.0f} s")
            if (fault := message.error()) is None:
                self._next_offset = (message.offset() or 0) + 1
                yield message
            elif fault.code() != KafkaError._PARTITION_EOF:
                raise _unusable(self._topic, fault)

    def append(self, requests: int, after: float) -> int:
        """See `Log`."""
        arrived: list[int] = []
        faults: list[KafkaError] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                arrived.append(message.offset() or 0)
            else:
                faults.append(error)

        value = json.dumps({"run": self._run, "requests": requests, "after": round(after, 3)})
        try:
            self._producer.produce(
                self._topic,
                partition=_PARTITION,
                key=self._key,
                value=value.encode(),
                on_delivery=delivered,
            )
            self._producer.flush()
        except KafkaException as error:
            raise _unusable(self._topic, error.args[0]) from error
        if not arrived:
            raise _unusable(self._topic, faults[0])
        return arrived[0]


def _consumer(kafka: KafkaConnection, topic: str, connect_seconds: float) -> Consumer:
    faults: list[KafkaError] = []
    consumer = open_consumer(kafka, faults)
    try:
        partitions_of(consumer, kafka, topic, faults, connect_seconds)
    except TopicError:
        consumer.close()
        raise
    consumer.assign([TopicPartition(topic, _PARTITION, 0)])
    return consumer


def reservation_of(message: Message, key: bytes) -> Reservation | None:
    """Read an entry; None where it is another key's, or none at all.

    Raises:
        TopicError: its time is not the broker's.
    """
    if message.key() != key:
        return None
    kind, milliseconds = message.timestamp()
    if kind != TIMESTAMP_LOG_APPEND_TIME:
        raise TopicError(
            f"topic {message.topic()} needs message.timestamp.type=LogAppendTime: the clock of the broker decides; "
            "the operator or the local stack creates it so"
        )
    try:
        entry = json.loads(message.value() or b"")
        return Reservation(
            message.offset() or 0, milliseconds / 1000, max(0, int(entry["requests"])), float(entry["after"])
        )
    except (ValueError, LookupError, TypeError):
        return None


def _unusable(topic: str, error: KafkaError) -> TopicError:
    return TopicError(f"topic {topic}, by which Flickr's requests are shared out, cannot be used: {error.str()}")
