"""The dead-letter topic: writes letters, each once, also when Spark runs a batch again. `worker` makes the `LetterBox`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from imagesearch_contract.dead_letter import REASON_HEADER, DeadLetter
from imagesearch_contract.settings import KafkaSettings
from pydantic import ValidationError

FLUSH_TIMEOUT: Final = 120.0
"""Seconds until letters that Kafka does not take fail the batch; Spark then runs it again."""
READ_TIMEOUT: Final = 30.0
"""Seconds without any progress after which reading the topic fails."""

Place = tuple[int, int]
"""Partition and offset of a record in the records topic."""


class LettersNotDeliveredError(RuntimeError):
    """Kafka did not take the letters, or did not give them back."""


class LetterBox:
    """Writes to one dead-letter topic."""

    def __init__(self, settings: KafkaSettings, *, since: int, replay: bool, last: Mapping[int, int]) -> None:
        """Set up; nothing connects until there is a letter.

        Args:
            settings: the collection's Kafka.
            since: no record whose letter is written has a smaller offset.
            replay: all of this may have been done before, so what is in the topic already is not written again.
            last: partition of the records -> the last offset of which there was a letter when the driver started;
                up to there likewise, because an index that was made anew is filled from the topic's start.
        """
        self._settings, self._topic = settings, settings.dead_letter_topic
        self._since, self._replay, self._last = since, replay, last
        self._known: set[Place] | None = None
        self._producer: Producer | None = None

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Write the letters; return once Kafka has them.

        Raises:
            LettersNotDeliveredError: Kafka did not take them in time, or refused one.
        """
        written = self._written(letters)
        new = [letter for letter in letters if letter.place not in written]
        if not new:
            return
        faults: list[str] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                faults.append(str(error))

        producer = self._open()
        for letter in new:
            producer.produce(
                self._topic,
                key=letter.message_key,
                value=letter.to_bytes(),
                headers={REASON_HEADER: letter.reason.value},
                on_delivery=delivered,
            )
        if producer.flush(FLUSH_TIMEOUT) or faults:
            raise LettersNotDeliveredError(
                f"{len(new)} dead letters could not be written to {self._topic}: {faults[0] if faults else 'time is up'}"
            )

    def _open(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(
                {**self._settings.kafka_client, "enable.idempotence": True, "compression.type": "lz4"}
            )
        return self._producer

    def _written(self, letters: Sequence[DeadLetter]) -> set[Place]:
        places = {letter.place for letter in letters if letter.place}
        if not any(self._replay or offset <= self._last.get(partition, -1) for partition, offset in places):
            return set()
        if self._known is None:
            partitions = {partition for partition, _ in places}
            self._known = {
                place
                for place in _places(self._settings, letters[0].topic)
                if place[0] in partitions and place[1] >= self._since
            }
        return self._known


def last_letters(settings: KafkaSettings) -> dict[int, int]:
    """Partition of the records topic -> the last offset of which there is a letter.

    Raises:
        LettersNotDeliveredError: the dead-letter topic is missing, or Kafka does not answer.
    """
    last: dict[int, int] = {}
    for partition, offset in _places(settings, settings.topic):
        last[partition] = max(offset, last.get(partition, -1))
    return last


def _places(settings: KafkaSettings, topic: str) -> Iterator[Place]:
    """Where the records are of which there are letters."""
    return (letter.place for letter in read_letters(settings) if letter.topic == topic and letter.place)


def read_letters(settings: KafkaSettings) -> Iterator[DeadLetter]:
    """Read the dead-letter topic from its start to its present end, skipping what is no letter.

    It is read once at a start, and where a letter may have been written before; the cost is one pass over a compacted topic.

    Raises:
        LettersNotDeliveredError: the topic is missing, or Kafka does not answer.
    """
    topic = settings.dead_letter_topic
    consumer = Consumer(
        {
            **settings.kafka_client,
            "group.id": f"{topic}.reader",  # librdkafka wants one; nothing is committed under it
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=READ_TIMEOUT).topics[topic].partitions
        if not partitions:
            raise LettersNotDeliveredError(
                f"topic {topic} does not exist; whoever owns the collection has to create it"
            )
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        unread = set(partitions)
        while unread:
            message = consumer.poll(READ_TIMEOUT)
            if message is None:
                raise LettersNotDeliveredError(f"Kafka gave nothing of topic {topic} for {READ_TIMEOUT:.0f} s")
            if (error := message.error()) is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise LettersNotDeliveredError(f"topic {topic} cannot be read: {error}")
                unread.discard(message.partition())
            elif letter := _letter(message.value()):
                yield letter
    except KafkaException as error:
        raise LettersNotDeliveredError(f"topic {topic} cannot be read: {error}") from error
    finally:
        consumer.close()


def _letter(value: bytes | None) -> DeadLetter | None:
    try:
        return None if value is None else DeadLetter.from_bytes(value)
    except ValidationError:
        return None
