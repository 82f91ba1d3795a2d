"""The command `imagesearch-replay`: puts dead letters back into the records topic, once, and clears them; or lists them.

A letter goes back only while its record is still the newest of its key: whatever was published since, a takedown too,
has made it outdated, and it is cleared only. It is cleared (by a tombstone under its key) once Kafka has the record,
so a replay that is killed loses nothing, and the next one goes on.

The dead-letter topic is read twice and the records topic once, from the start to the present end. Memory is less
than a kilobyte for each letter that is selected, and none of their values but those of one batch.
"""

import argparse
import logging
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple, Self, TextIO

from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, Message, Producer, TopicPartition
from imagesearch_contract.dead_letter import CLEARS_HEADER, REASON_HEADER, DeadLetter, Reason
from imagesearch_contract.kafka import unreachable
from imagesearch_contract.settings import KafkaConnection, ReplaySettings, SettingsError
from pydantic import ValidationError

from imagesearch_producer.topics import CONNECT_SECONDS, TopicError, open_consumer, read_to_end

log = logging.getLogger(__name__)

DELIVERY_SECONDS: Final = 60.0
BATCH_LETTERS: Final = 1_000
BATCH_BYTES: Final = 8 * 2**20
_CUT: Final = "(value cut from "
"""So the embedder says in a letter's detail that the value did not fit into it."""

Headers = dict[str, str | bytes | None] | list[tuple[str, str | bytes | None]]
Place = tuple[int, int]
"""Partition and offset."""


class ReplayError(Exception):
    """Kafka did not take everything; the message says why, on one line."""


class Letter(NamedTuple):
    """The newest letter of a key, without its value."""

    at: Place
    """In the dead-letter topic."""
    reason: Reason
    record: Place | None
    """In the records topic; None: it cannot be replayed."""
    key: str
    """Of the record, as far as it is text."""


class Sent(NamedTuple):
    """A message that is to be sent."""

    key: bytes
    value: bytes | None
    headers: Headers


Written = tuple[Letter, DeadLetter]
"""A letter, and what is in it."""


@dataclass
class Tally:
    """What became of the letters."""

    letters: int = 0
    replayed: int = 0
    cleared: int = 0
    outdated: int = 0
    not_replayable: int = 0

    def __str__(self) -> str:
        """One line; what was replayed or is outdated was also cleared."""
        return (
            f"replayed {self.replayed} cleared {self.cleared} outdated {self.outdated} "
            f"not replayable {self.not_replayable} of {self.letters} letters"
        )


def main() -> int:
    """Replay or list, with the settings of the environment; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="imagesearch-replay",
        description="Put a collection's dead letters back into its records topic, once, and clear them.",
        epilog="It is set up by the environment: " + ", ".join(ReplaySettings.env_names().values()),
    )
    parser.add_argument("--reason", metavar="REASON", help=f"all, or one of {', '.join(Reason)}")
    parser.add_argument("--list", action="store_true", help="only show the letters, one a line, and count them")
    asked = parser.parse_args()
    logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    reason = {
        "IMAGESEARCH_REASON": asked.reason or os.environ.get("IMAGESEARCH_REASON") or ("all" if asked.list else "")
    }
    try:
        settings = ReplaySettings.from_env({**os.environ, **reason})
        (show if asked.list else replay)(settings, sys.stdout)
    except (SettingsError, TopicError, ReplayError) as error:
        sys.stderr.write(f"imagesearch-replay: {' '.join(str(error).split())}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("imagesearch-replay: stopped before the last letter; run it again to go on\n")
        return 130
    return 0


def show(settings: ReplaySettings, out: TextIO) -> None:
    """Write the letters of the reason to `out`, one a line in tab-separated columns, then how many there are of each.

    Raises:
        ReplayError: Kafka cannot be used.
    """
    with Log(settings, settings.dead_letter_topic) as letters:
        selected = newest(letters.read(), settings)
        for _, letter in written(selected, letters.read_again()):
            columns = (f"{letter.failed_at:%Y-%m-%dT%H:%M:%SZ}", letter.reason, letter.message_key.decode())
            out.write("\t".join((*columns, " ".join(letter.detail.split()))) + "\n")
    counts = Counter(letter.reason for letter in selected.values())
    told = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
    out.write(f"{len(selected)} letters{f': {told}' if told else ''}\n")


def replay(settings: ReplaySettings, out: TextIO) -> None:
    """Replay the letters of the reason, and write the summary line to `out`, and to the file that the settings name.

    Raises:
        ReplayError: Kafka cannot be used, or did not take everything; the summary tells how far it came.
    """
    tally = Tally()
    with Replay(settings, tally) as started:
        try:
            started.run()
        finally:
            out.write(f"{tally}\n")
            out.flush()
    if settings.summary_path is not None:
        settings.summary_path.write_text(f"{tally}\n")


class Replay:
    """One replay; leaving the context closes its connections."""

    def __init__(self, settings: ReplaySettings, tally: Tally) -> None:
        """Connect to Kafka; `tally` is filled as it goes.

        Raises:
            ReplayError: Kafka cannot be reached, or a topic is missing.
        """
        self._settings, self._tally = settings, tally
        self._letters = Log(settings, settings.dead_letter_topic)
        self._later_letters = Log(settings, settings.dead_letter_topic)
        self._records = Log(settings, settings.topic)
        self._sender = Sender(settings)
        self._replayed: dict[bytes, Place] = {}
        self._cleared: dict[bytes, Place] = {}
        """What the last batch sent, and where it has got to."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in (self._letters, self._later_letters, self._records):
            each.close()

    def run(self) -> None:
        """Replay what can be.

        Raises:
            ReplayError: Kafka failed, or did not take everything.
        """
        selected = newest(self._letters.read(), self._settings)
        self._later_letters.next = dict(self._letters.next)
        replayable = {key: letter for key, letter in selected.items() if letter.record is not None}
        self._tally.letters = len(selected)
        self._tally.not_replayable = len(selected) - len(replayable)
        if self._tally.not_replayable:
            log.warning(
                "%d letters stay, because they cannot be replayed: their values were cut, they have no key, or they are "
                "about lines of a source, which have to be mended there",
                self._tally.not_replayable,
            )
        if not replayable:
            return
        current = Current(replayable.values())
        for batch in batches(written(replayable, self._letters.read_again())):
            self._catch_up(current)
            self._replay(batch, current)
        self._catch_up(current)
        if faults := self._sender.faults:
            raise ReplayError(f"Kafka did not take {len(faults)} messages, whose letters stay: {faults[0]}")

    def _replay(self, batch: list[Written], current: "Current") -> None:
        again = [(each, current.record(*each)) for each in batch]
        outdated = [each for each, record in again if record is None]
        records = {record.key: (each, record) for each, record in again if record is not None}
        self._replayed = self._sender.send(self._settings.topic, [record for _, record in records.values()])
        done = [records[key][0] for key in self._replayed]
        self._cleared = self._sender.send(
            self._settings.dead_letter_topic, [tombstone(letter, content) for letter, content in (*done, *outdated)]
        )
        self._tally.replayed += len(self._replayed)
        self._tally.outdated += len(outdated)
        self._tally.cleared += len(self._cleared)

    def _catch_up(self, current: "Current") -> None:
        """See what others have written; what ours overtook (a newer record, a newer letter) is written again."""
        records = overtaken(self._records.read(), self._replayed, current.see)
        letters = overtaken(self._later_letters.read(), self._cleared)
        self._sender.send(self._settings.topic, records)
        self._sender.send(self._settings.dead_letter_topic, letters)
        self._replayed, self._cleared = {}, {}


class Current:
    """The records that letters are about, as long as they are the newest of their keys."""

    def __init__(self, letters: Iterable[Letter]) -> None:
        """Nothing of the records topic was seen yet."""
        self._wanted = {letter.record for letter in letters}
        self._records: dict[Place, _Record] = {}
        self._newest: dict[bytes, Place] = {}

    def see(self, message: Message) -> None:
        """Take the next message of the records topic."""
        key, place = message.key(), _place(message)
        if key is None:
            return
        if place in self._wanted:
            self._records[place] = _Record(key, message.value() is None, message.headers() or [])
        if place in self._wanted or key in self._newest:
            self._newest[key] = place

    def record(self, letter: Letter, content: DeadLetter) -> Sent | None:
        """The letter's record as it was; None if it is not the newest of its key, or not there any more."""
        record = self._records.get(letter.record) if letter.record else None
        if record is None or record.key.decode(errors="replace") != letter.key:
            return None
        if self._newest[record.key] != letter.record:
            return None
        # A takedown's letter has an empty value.
        return Sent(record.key, None if record.is_takedown else content.original_value(), record.headers)


class _Record(NamedTuple):
    """What a letter does not tell of its record."""

    key: bytes
    is_takedown: bool
    headers: Headers


class Log:
    """A topic that is read on, from where the last reading ended to its present end."""

    def __init__(self, kafka: KafkaConnection, topic: str) -> None:
        """Connect; nothing is read yet.

        Raises:
            ReplayError: Kafka cannot be reached, or has no such topic.
        """
        self._topic = topic
        faults: list[KafkaError] = []
        self._consumer = open_consumer(
            kafka,
            faults,
            group_id="imagesearch-replay",
            auto_offset_reset="earliest",
            fetch_wait_max_ms=10,  # nobody is waited for at the end
            queued_max_messages_kbytes=16 * 1024,
        )
        try:
            found = self._consumer.list_topics(topic, timeout=CONNECT_SECONDS).topics[topic]
        except KafkaException as error:
            raise TopicError(unreachable(kafka, [*faults, error.args[0]])) from error
        if found.error is not None:
            raise TopicError(f"topic {topic} cannot be used: {found.error.str()}")
        self.next: dict[int, int] = dict.fromkeys(found.partitions, OFFSET_BEGINNING)
        """Partition -> the offset at which reading goes on."""

    def read(self) -> Iterator[Message]:
        """Read what is new.

        Raises:
            ReplayError: Kafka fell silent, or refuses.
        """
        for message in read_to_end(
            self._consumer, self._topic, [TopicPartition(self._topic, *at) for at in self.next.items()]
        ):
            partition, offset = _place(message)
            self.next[partition] = offset + 1
            yield message

    def read_again(self) -> Iterator[Message]:
        """Read from the start."""
        self.next = dict.fromkeys(self.next, OFFSET_BEGINNING)
        return self.read()

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Sender:
    """Sends messages and waits until Kafka has them; `faults` says of each that it did not take why."""

    def __init__(self, kafka: KafkaConnection) -> None:
        """Set up; nothing is sent yet."""
        self.faults: list[str] = []
        self._producer = Producer(
            {
                **kafka.kafka_client,
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",
                "delivery.timeout.ms": int(DELIVERY_SECONDS * 1000),
                "message.max.bytes": 2 * 2**20,  # what the topic takes is for Kafka to say
            },
            logger=log,
        )

    def send(self, topic: str, messages: Iterable[Sent]) -> dict[bytes, Place]:
        """Send messages; key -> where each is that has arrived."""
        places: dict[bytes, Place] = {}

        def delivered(error: KafkaError | None, message: Message) -> None:
            key = message.key()
            if error is not None:
                self.faults.append(error.str())
            elif key is not None:
                places[key] = _place(message)

        for message in messages:
            self._producer.produce(
                topic, key=message.key, value=message.value, headers=message.headers, on_delivery=delivered
            )
        self._producer.flush()  # ends by itself: a message is delivered or given up within the time it has
        return places


def newest(messages: Iterable[Message], settings: ReplaySettings) -> dict[bytes, Letter]:
    """The newest letter of each key, of those that have the reason; what is no letter is left alone."""
    found: dict[bytes, Letter] = {}
    for message in messages:
        key = message.key()
        if key is None:
            continue
        found.pop(key, None)
        content = _content(message.value())
        if content is not None and settings.reason in ("all", content.reason):
            record = _record(content) if content.topic == settings.topic else None
            found[key] = Letter(_place(message), content.reason, record, content.key or "")
    return found


def written(letters: Mapping[bytes, Letter], messages: Iterable[Message]) -> Iterator[Written]:
    """The same letters with their content, from a second reading."""
    for message in messages:
        letter = letters.get(message.key() or b"")
        if letter is not None and letter.at == _place(message) and (content := _content(message.value())):
            yield letter, content


def batches(
    letters: Iterable[Written], *, at_most: int = BATCH_LETTERS, about_bytes: int = BATCH_BYTES
) -> Iterator[list[Written]]:
    """Parts of bounded number and size."""
    batch: list[Written] = []
    size = 0
    for letter, content in letters:
        batch.append((letter, content))
        size += len(content.value)
        if len(batch) >= at_most or size >= about_bytes:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def overtaken(
    messages: Iterable[Message], ours: Mapping[bytes, Place], see: Callable[[Message], None] = lambda _: None
) -> list[Sent]:
    """Of messages by others, those that came before ours of the same key, though they are newer than what ours repeats.

    Args:
        messages: of one topic, since the last look.
        ours: key -> where our own message is.
        see: is given the others.
    """
    found: dict[bytes, Sent] = {}
    for message in messages:
        key = message.key() or b""
        mine = ours.get(key)
        (partition, offset) = _place(message)
        if mine is not None and partition == mine[0] and offset < mine[1]:
            found[key] = Sent(key, message.value(), message.headers() or [])
        else:
            see(message)
    return list(found.values())


def _record(content: DeadLetter) -> Place | None:
    """Where the record is that goes back; None where none can."""
    if content.partition is None or content.offset is None or content.key is None or _CUT in content.detail:
        return None
    return content.partition, content.offset


def tombstone(letter: Letter, content: DeadLetter) -> Sent:
    """What clears a letter."""
    headers: Headers = [(REASON_HEADER, letter.reason.value), (CLEARS_HEADER, str(letter.at[1]))]
    return Sent(content.message_key, None, headers)


def _content(value: bytes | None) -> DeadLetter | None:
    try:
        return None if value is None else DeadLetter.from_bytes(value)
    except ValidationError:
        return None


def _place(message: Message) -> Place:
    partition, offset = message.partition(), message.offset()
    return -1 if partition is None else partition, -1 if offset is None else offset
