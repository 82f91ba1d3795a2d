"""Reading a topic once, from its start to its present end. `catalogue`, `state` and others call it.

Topics are created by whoever owns the collection (the operator, the local stack), never here.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from imagesearch_contract.kafka import unreachable
from imagesearch_contract.settings import KafkaConnection

CONNECT_SECONDS: Final = 15.0
SILENCE_SECONDS: Final = 30.0


class TopicError(Exception):
    """Kafka or a topic cannot be used; the message says why and what to do, on one line."""


def messages(
    kafka: KafkaConnection, topic: str, *, since: datetime | None = None, connect_seconds: float = CONNECT_SECONDS
) -> Iterator[Message]:
    """Yield every message that has a key, each partition in its order; with `since`, those published from then on.

    Raises:
        TopicError: Kafka cannot be reached, falls silent, or has no such topic.
    """
    faults: list[KafkaError] = []
    consumer = open_consumer(kafka, faults)
    try:
        partitions = partitions_of(consumer, kafka, topic, faults, connect_seconds)
        starts = _starts(consumer, topic, partitions, since, connect_seconds)
        yield from (message for message in read_to_end(consumer, topic, starts) if message.key() is not None)
    finally:
        consumer.close()


def topic_id(kafka: KafkaConnection, topic: str) -> str:
    """By what Kafka tells a topic from one of the same name that was deleted; empty where there is none.

    Raises:
        TopicError: Kafka cannot be reached.
    """
    admin = AdminClient({**kafka.kafka_client, "log_level": 0})  # it would say that it ends
    described = admin.describe_topics(TopicCollection([topic]), request_timeout=CONNECT_SECONDS)[topic]
    try:
        return str(described.result().topic_id)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return ""
        raise TopicError(unreachable(kafka, [error.args[0]])) from error


def _starts(
    consumer: Consumer, topic: str, partitions: list[int], since: datetime | None, seconds: float
) -> list[TopicPartition]:
    if since is None:
        return [TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions]
    moment = max(0, int(since.timestamp() * 1000))
    try:
        # Where there is nothing from then on it is the end.
        return consumer.offsets_for_times(
            [TopicPartition(topic, partition, moment) for partition in partitions], timeout=seconds
        )
    except KafkaException as error:
        raise TopicError(f"topic {topic} cannot be read: {error.args[0].str()}") from error


def open_consumer(kafka: KafkaConnection, faults: list[KafkaError], **options: str | int) -> Consumer:
    """A consumer that adds to `faults` what goes wrong while it connects; `options` are librdkafka's, `_` for its dots."""
    try:
        return Consumer(
            {
                **kafka.kafka_client,
                "group.id": "imagesearch-producer",  # demanded, but unused: partitions are assigned, nothing is committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "queued.max.messages.kbytes": 2 * 1024,  # of a partition; the default is thirty times that
                "error_cb": faults.append,
                "log_level": 0,  # it would repeat each fault at each attempt
                **{name.replace("_", "."): value for name, value in options.items()},
            }
        )
    except KafkaException as error:
        raise TopicError(unreachable(kafka, [error.args[0]])) from error


def partitions_of(
    consumer: Consumer, kafka: KafkaConnection, topic: str, faults: list[KafkaError], seconds: float
) -> list[int]:
    try:
        found = consumer.list_topics(topic, timeout=seconds).topics[topic]
    except KafkaException as error:
        consumer.poll(0)  # hands over what went wrong on the way
        raise TopicError(unreachable(kafka, [*faults, error.args[0]])) from error
    if found.error is not None and found.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise TopicError(
            f"topic {topic} does not exist at {kafka.kafka_bootstrap_servers}; the operator or the local stack "
            "creates it, start that first"
        )
    if found.error is not None:
        raise TopicError(f"topic {topic} cannot be used: {found.error.str()}")
    return list(found.partitions)


def read_to_end(consumer: Consumer, topic: str, starts: list[TopicPartition]) -> Iterator[Message]:
    """Yield every message of these partitions from where they start, until each has come to its present end.

    Raises:
        TopicError: Kafka falls silent, or refuses.
    """
    consumer.assign(starts)
    unread = {each.partition for each in starts}
    while unread:
        message = consumer.poll(SILENCE_SECONDS)
        if message is None:
            raise TopicError(f"Kafka sent nothing of topic {topic} for {SILENCE_SECONDS:.0f} s; is a broker down?")
        error = message.error()
        if error is None:
            yield message
        elif error.code() == KafkaError._PARTITION_EOF:
            unread.discard(message.partition() or 0)
        else:
            raise TopicError(f"topic {topic} cannot be read: {error.str()}")
