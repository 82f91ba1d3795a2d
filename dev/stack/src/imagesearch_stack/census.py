"""Counts a collection: how many pictures its topic lists, how many can be searched, how many are dead letters and why.

Every picture is one or the other; the demo and the smoke test show that the counts add up.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition
from elasticsearch import Elasticsearch
from imagesearch_contract import names
from imagesearch_contract.dead_letter import DeadLetter

from imagesearch_stack import StackError

KAFKA_SECONDS: Final = 10.0
IDS_AT_ONCE: Final = 5_000


class Census(NamedTuple):
    """One count of a collection."""

    pictures: int
    searchable: int
    dead_letters: Mapping[str, int]
    """By reason."""

    @property
    def settled(self) -> int:
        """Pictures whose fate is known."""
        return self.searchable + sum(self.dead_letters.values())

    def __str__(self) -> str:
        """`941 pictures = 700 searchable + 241 dead letters (unsupported_format 241)`."""
        dead = sum(self.dead_letters.values())
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(self.dead_letters.items()))
        sign = "=" if self.settled == self.pictures else "≠"
        return f"{self.pictures} pictures {sign} {self.searchable} searchable + {dead} dead letters" + (
            f" ({reasons})" if reasons else ""
        )


def take(bootstrap_servers: str, topic: str, elasticsearch_url: str, index: str) -> Census:
    """Count the collection as it is at this moment.

    Raises:
        StackError: Kafka does not answer.
    """
    keys = {key for key, value in latest(bootstrap_servers, topic).items() if value is not None}
    letters = {
        key: DeadLetter.from_bytes(value).reason.value
        for key, value in latest(bootstrap_servers, names.dead_letter_topic(topic)).items()
        if value is not None
    }
    with Elasticsearch(elasticsearch_url) as client:
        client.indices.refresh(index=index)
        searchable = int(client.count(index=index)["count"])
        # A picture that failed once and was indexed later still has its letter, and counts as searchable.
        recovered = set(_indexed(client, index, list(letters)))
    return Census(
        pictures=len(keys | letters.keys()),
        searchable=searchable,
        dead_letters=Counter(reason for key, reason in letters.items() if key not in recovered),
    )


def latest(bootstrap_servers: str, topic: str) -> dict[str, bytes | None]:
    """Read a compacted topic to its present end: the last value of each key; None is a takedown.

    Raises:
        StackError: Kafka does not answer.
    """
    return {(message.key() or b"").decode(): message.value() for message in messages(bootstrap_servers, topic)}


def messages(bootstrap_servers: str, topic: str) -> list[Message]:
    """Read a topic to its present end: every message, in the order of its partition.

    Raises:
        StackError: Kafka does not answer.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "census",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    try:
        return list(_to_end(consumer, topic))
    except KafkaException as error:
        raise StackError(f"cannot read topic {topic} from Kafka at {bootstrap_servers}: {error}") from error
    finally:
        consumer.close()


def _to_end(consumer: Consumer, topic: str) -> Iterator[Message]:
    partitions = consumer.list_topics(topic, timeout=KAFKA_SECONDS).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    unread = len(partitions)
    while unread:
        message = consumer.poll(KAFKA_SECONDS)
        if message is None:
            raise StackError(f"Kafka gave nothing of topic {topic} for {KAFKA_SECONDS:.0f} s; its log may say why")
        error = message.error()
        if error is None:
            yield message
        elif error.code() == KafkaError._PARTITION_EOF:
            unread -= 1
        else:
            raise KafkaException(error)


def _indexed(client: Elasticsearch, index: str, ids: list[str]) -> Iterator[str]:
    for start in range(0, len(ids), IDS_AT_ONCE):
        some = ids[start : start + IDS_AT_ONCE]
        found = client.search(index=index, query={"ids": {"values": some}}, size=len(some), source=False)
        yield from (hit["_id"] for hit in found["hits"]["hits"])
