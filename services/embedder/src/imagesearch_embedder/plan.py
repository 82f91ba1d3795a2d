"""What a Kafka message asks for, and which of several messages about one picture counts. No I/O; `embed` calls it."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from imagesearch_contract.dead_letter import DeadLetter, Reason
from imagesearch_contract.record import ImageId, ImageRecord, RecordError
from pydantic import TypeAdapter, ValidationError

LETTER_LIMIT: Final = 900_000
"""Bytes of a dead letter; Kafka's default limit for a message is 1 MiB, and a letter must never be refused."""
KEY_LIMIT: Final = 2_000
"""Bytes of a key that is repeated in a dead letter; image ids are at most 500."""

_IMAGE_ID: Final[TypeAdapter[str]] = TypeAdapter(ImageId)


class Message(NamedTuple):
    """One Kafka message of the records topic; `timestamp` in milliseconds since 1970."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None

    @property
    def version(self) -> int:
        """The external version of what this message writes: a later message wins, whoever writes it and when.

        Elasticsearch takes no negative one, and -1 is Kafka's "no timestamp".
        """
        return max(self.timestamp, 0)


class Upsert(NamedTuple):
    """Fetch, embed and index this picture."""

    message: Message
    record: ImageRecord

    @property
    def id(self) -> str:
        """The picture's id."""
        return self.record.id


class Takedown(NamedTuple):
    """Delete this picture's document."""

    message: Message
    id: str


class Superseded(NamedTuple):
    """A newer message about the same picture is known."""

    message: Message


class Unusable(NamedTuple):
    """This message goes to the dead letters."""

    message: Message
    reason: Reason
    detail: str


def plan(message: Message) -> Upsert | Takedown | Unusable:
    """Decide what a message asks for."""
    if message.value is None:
        return _takedown(message)
    try:
        record = ImageRecord.from_bytes(message.value)
    except RecordError as error:
        return Unusable(message, Reason.BAD_RECORD, str(error))
    except RecursionError:  # the JSON was just shallow enough to be read, but not to be described
        return Unusable(message, Reason.BAD_RECORD, "the JSON is nested too deeply")
    if message.key != record.id.encode():
        return Unusable(message, Reason.KEY_MISMATCH, f"the key is {_shown(message.key)}, the record's id {record.id}")
    return Upsert(message, record)


def _takedown(message: Message) -> Takedown | Unusable:
    # Checked here because one `_id` of more than 512 bytes makes Elasticsearch refuse the whole bulk request.
    try:
        return Takedown(message, _IMAGE_ID.validate_python((message.key or b"").decode()))
    except (UnicodeDecodeError, ValidationError):
        return Unusable(message, Reason.KEY_MISMATCH, f"a takedown whose key is {_shown(message.key)}, not an image id")


def _shown(key: bytes | None) -> str:
    return "missing" if key is None else repr(key.decode(errors="replace")[:200])


class Newest:
    """Which of several messages about one picture counts, among those that were told of; all of one partition.

    Newest is by timestamp first, as in Elasticsearch, so that the outcome does not depend on where batches are cut.
    """

    def __init__(self) -> None:
        self._ages: dict[str, tuple[int, int]] = {}

    def tell(self, plans: Iterable[Upsert | Takedown]) -> None:
        """Take note of more messages."""
        for each in plans:
            self._ages[each.id] = max(_age(each), self._ages.get(each.id, _age(each)))

    def is_newest(self, each: Upsert | Takedown) -> bool:
        """Whether no newer message about the same picture is known."""
        return self._ages[each.id] == _age(each)


def _age(each: Upsert | Takedown) -> tuple[int, int]:
    return each.message.version, each.message.offset


def dead_letter(failed: Unusable, *, topic: str) -> DeadLetter:
    """Write the letter. What is too large for a Kafka message is cut, and the detail says so."""
    message, value = failed.message, failed.message.value or b""
    key = message.key if message.key is not None and len(message.key) <= KEY_LIMIT else None

    def letter(detail: str, value: bytes) -> DeadLetter:
        return DeadLetter.of(
            reason=failed.reason,
            detail=detail,
            topic=topic,
            partition=message.partition,
            offset=message.offset,
            key=key,
            value=value,
        )

    # A byte may need six in JSON (\u0000), so a value may fit Kafka and its letter not.
    whole = letter(failed.detail, value)
    if len(whole.to_bytes()) <= LETTER_LIMIT:
        return whole
    cut = value[: LETTER_LIMIT // 8]
    return letter(f"{failed.detail[:1_900]} (value cut from {len(value)} to {len(cut)} bytes)", cut)
