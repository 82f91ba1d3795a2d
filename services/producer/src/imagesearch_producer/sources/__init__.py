"""What every source yields, in the order in which it is to reach Kafka.

`main` picks the source, `run` consumes it. A source that cannot be read at all raises `SourceError`.
"""

from dataclasses import dataclass
from typing import Any

from imagesearch_contract.record import ImageRecord

State = dict[str, Any]
"""What a source remembers from one run to the next, as JSON; empty at first."""


class SourceError(Exception):
    """The source cannot be read; the message says why and what to do, on one line."""


@dataclass(frozen=True)
class Skip:
    """Photos that are left out: a reason that can be counted, and which ones or why in words."""

    reason: str
    detail: str
    count: int = 1


@dataclass(frozen=True)
class Unchanged:
    """Photos of which the source knows, without a look at the topic, that it holds them as they are."""

    count: int = 1


@dataclass(frozen=True)
class Takedown:
    """A photo that the source published once and has no more."""

    id: str
    detail: str


@dataclass(frozen=True)
class BadRow:
    """A row of a manifest that is no record; it goes to the dead letters."""

    line: int
    """From 1."""
    detail: str
    value: bytes
    id: str | None = None
    """Of the photo that it is about, where that much can be read."""


@dataclass(frozen=True)
class Mended:
    """A row that was bad once and is not any more: its dead letter goes."""

    line: int


@dataclass(frozen=True)
class Checkpoint:
    """All items before it are to be in Kafka before this state is: the next run starts from it."""

    state: State


Item = ImageRecord | Unchanged | Skip | Takedown | BadRow | Mended | Checkpoint
