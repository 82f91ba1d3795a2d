"""The collection's topic: what it holds already, and how a record gets there. `main` calls both.

Topics are created by whoever owns the collection (the operator, the local stack), never here.
"""

import logging
from types import TracebackType
from typing import Final, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from imagesearch_contract.kafka import unreachable
from imagesearch_contract.settings import KafkaConnection

from imagesearch_producer.run import digest

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 15.0
SILENCE_SECONDS: Final = 30.0
DELIVERY_SECONDS: Final = 60.0
"""How long a record may wait for Kafka before it counts as failed."""


class PublishError(Exception):
    """Kafka cannot be used; the message says why and what to do, on one line."""


def published(kafka: KafkaConnection, topic: str, *, connect_seconds: float = CONNECT_SECONDS) -> dict[bytes, bytes]:
    """Read the topic once, from the start to its present end.

    It costs a pass over the compacted topic (about 1 KB a photo) and some 250 bytes of memory a photo, for its key
    and a digest of its value: a quarter of a gigabyte for a million photos. A takedown leaves no entry, so a photo that
    its source still lists is published again.

    Returns:
        Key -> digest of the last value.

    Raises:
        PublishError: Kafka cannot be reached, falls silent, or has no such topic.
    """
    faults: list[KafkaError] = []
    consumer = _open(kafka, faults)
    try:
        partitions = _partitions(consumer, kafka, topic, faults, connect_seconds)
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        return _read_to_end(consumer, topic, unread=set(partitions))
    finally:
        consumer.close()


def _open(kafka: KafkaConnection, faults: list[KafkaError]) -> Consumer:
    """A consumer that adds to `faults` what goes wrong while it connects."""
    try:
        return Consumer(
            {
                **kafka.kafka_client,
                "group.id": "imagesearch-producer",  # demanded, but unused: partitions are assigned, nothing is committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "error_cb": faults.append,
                "log_level": 0,  # it would repeat each fault at each attempt
            }
        )
    except KafkaException as error:
        raise PublishError(unreachable(kafka, [error.args[0]])) from error


def _partitions(
    consumer: Consumer, kafka: KafkaConnection, topic: str, faults: list[KafkaError], seconds: float
) -> list[int]:
    try:
        found = consumer.list_topics(topic, timeout=seconds).topics[topic]
    except KafkaException as error:
        consumer.poll(0)  # hands over what went wrong on the way
        raise PublishError(unreachable(kafka, [*faults, error.args[0]])) from error
    if found.error is not None and found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise PublishError(
            f"topic {topic} does not exist at {kafka.kafka_bootstrap_servers}; the operator or the local stack "
            "creates it, start that first"
        )
    if found.error is not None:
        raise PublishError(f"topic {topic} cannot be used: {found.error.str()}")
    return list(found.partitions)


def _read_to_end(consumer: Consumer, topic: str, *, unread: set[int]) -> dict[bytes, bytes]:
    known: dict[bytes, bytes] = {}
    while unread:
        message = consumer.poll(SILENCE_SECONDS)
        if message is None:
            raise PublishError(f"Kafka sent nothing of topic {topic} for {SILENCE_SECONDS:.0f} s; is a broker down?")
        key, value, error = message.key(), message.value(), message.error()
        if error is not None:
            if error.code() != KafkaError._PARTITION_EOF:
                raise PublishError(f"topic {topic} cannot be read: {error.str()}")
            unread.discard(message.partition())
        elif key is not None and value is not None:
            known[key] = digest(value)
        elif key is not None:
            known.pop(key, None)
    return known


class Publisher:
    """An idempotent Kafka producer for one topic; leaving the context waits for what is on its way.

    `failed` counts the records that did not arrive, `fault` says why the last of them did not.
    """

    def __init__(self, kafka: KafkaConnection, topic: str, *, delivery_seconds: float = DELIVERY_SECONDS) -> None:
        self.failed = 0
        self.fault = ""
        self._topic = topic
        self._outage = False
        self._producer = Producer(
            {
                **kafka.kafka_client,
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "linger.ms": 20,
                "delivery.timeout.ms": int(delivery_seconds * 1000),
                "queue.buffering.max.kbytes": 64 * 1024,  # the default is a gigabyte
            },
            logger=log,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._producer.flush()  # ends by itself: a record is delivered or given up within the time it has

    def publish(self, key: bytes, value: bytes) -> None:
        """Hand a record over; it is counted in `failed` should it not arrive.

        Raises:
            PublishError: an earlier record was lost to an outage, so this one would be as well.
        """
        while True:
            self._producer.poll(0)
            if self._outage:
                raise PublishError(f"Kafka takes no more records: {self.fault}")
            try:
                return self._producer.produce(self._topic, key=key, value=value, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(1)  # the queue is full: wait until some have arrived
            except KafkaException as error:
                return self._delivered(error.args[0])

    def _delivered(self, error: KafkaError | None, _message: Message | None = None) -> None:
        if error is None:
            return
        self.failed += 1
        self.fault = error.str()
        log.error("not delivered: %s", self.fault)
        # One record being too large is that record's fault; of anything else the next record would die as well.
        if error.code() != KafkaError.MSG_SIZE_TOO_LARGE:
            self._outage = True
