"""Dead letters: what could not be used, why, and enough to try it again. The embedder writes them, people and tools read them.

The dead-letter topic is compacted and keyed like the records (by image id, or by `<partition>/<offset>` where a
record has no key), so a record that is tried again and fails again still counts once. A row of a manifest that is no
record never reached the records topic: its letter has `source` and `line` in place of partition and offset.
"""

import base64
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

SCHEMA_VERSION: Final = 1
REASON_HEADER: Final = "reason"
"""Kafka header of a letter, and of the tombstone (null value) that clears it: the reason's code, so that letters can be counted
without being parsed."""
CLEARS_HEADER: Final = "clears"
"""Kafka header of a tombstone: the offset, in the dead-letter topic, of the letter that it clears, where that is known."""


class Reason(StrEnum):
    """Why a record could not be used. The codes are part of the contract; dashboards and replays select by them."""

    BAD_RECORD = "bad_record"
    """The value is not JSON, or not a record of a known schema version."""
    KEY_MISMATCH = "key_mismatch"
    """The Kafka key is missing or is not the record's id."""
    BLOCKED_URL = "blocked_url"
    """The URL points where the fetcher must not go."""
    DEAD_LINK = "dead_link"
    """The server answered with a permanent error (404, 410, 403 and other 4xx)."""
    UNREACHABLE = "unreachable"
    """No answer in time, or only server errors, after retries."""
    TOO_LARGE = "too_large"
    """More bytes than the cap."""
    NOT_AN_IMAGE = "not_an_image"
    """The bytes are of no known image format (an HTML page, say)."""
    UNSUPPORTED_FORMAT = "unsupported_format"
    """An image, but of a format that is not decoded (SVG, TIFF, PSD)."""
    TRUNCATED = "truncated"
    """The image ends early or is damaged."""
    DECOMPRESSION_BOMB = "decompression_bomb"
    """More pixels than the cap, or more time or memory to decode than a picture is given."""
    ENCODE_FAILED = "encode_failed"
    """The encoder gave no usable vector."""
    REJECTED_BY_INDEX = "rejected_by_index"
    """Elasticsearch refused the document for good."""


def row_key(source: str, line: int) -> bytes:
    """The key of the letter of a manifest's row, under which it is published and taken back."""
    return f"{source}/{line}".encode()


class DeadLetter(BaseModel):
    """One record that could not be used, with its reason and its place in the source topic."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = SCHEMA_VERSION
    reason: Reason
    detail: str = Field(description="One sentence for people.", max_length=2_000)
    topic: str
    partition: int | None
    offset: int | None
    source: str | None = Field(default=None, description="Name of the source whose manifest holds the row.")
    line: int | None = Field(default=None, description="Of the manifest, from 1.")
    key: str | None
    value: str
    value_encoding: Literal["utf-8", "base64"]
    failed_at: AwareDatetime

    @classmethod
    def of(
        cls,
        *,
        reason: Reason,
        detail: str,
        topic: str,
        partition: int | None = None,
        offset: int | None = None,
        source: str | None = None,
        line: int | None = None,
        key: bytes | None,
        value: bytes,
        failed_at: datetime | None = None,
    ) -> "DeadLetter":
        """Make a dead letter; `value` is kept as text where it is text, as base64 otherwise."""
        try:
            text, encoding = value.decode(), "utf-8"
        except UnicodeDecodeError:
            text, encoding = base64.b64encode(value).decode(), "base64"
        return cls(
            reason=reason,
            detail=detail[:2_000],
            topic=topic,
            partition=partition,
            offset=offset,
            source=source,
            line=line,
            key=None if key is None else key.decode(errors="replace"),
            value=text,
            value_encoding=encoding,
            failed_at=failed_at or datetime.now(UTC),
        )

    @property
    def message_key(self) -> bytes:
        """The key under which this letter is published."""
        if self.source is not None and self.line is not None and self.key is None:
            return row_key(self.source, self.line)
        return (self.key or f"{self.partition}/{self.offset}").encode()

    @property
    def place(self) -> tuple[int, int] | None:
        """Partition and offset of the record; None of what never was in the records topic."""
        return None if self.partition is None or self.offset is None else (self.partition, self.offset)

    def original_value(self) -> bytes:
        """The bytes that stood in the source topic."""
        return base64.b64decode(self.value) if self.value_encoding == "base64" else self.value.encode()

    def to_bytes(self) -> bytes:
        """The letter as UTF-8 JSON."""
        return self.model_dump_json().encode()

    @classmethod
    def from_bytes(cls, value: bytes) -> "DeadLetter":
        """Read a letter; raises pydantic's `ValidationError` where it is none."""
        return cls.model_validate_json(value)
