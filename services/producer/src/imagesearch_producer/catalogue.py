"""What the topic holds: of every photo a digest, whose it is and when it was uploaded, on disk, so that memory does not
grow with them.

A million photos take about 100 MB of a temporary file, and one pass over the topic.
"""

import hashlib
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Final, NamedTuple, Self

from confluent_kafka import Message

SOURCE_HEADER: Final = "source"
"""Kafka header of a record: the name of the source that published it. A source takes down only what is its own."""

TAKEN_DOWN: Final = b""
"""Stands for the digest of what somebody took down by hand (a null value without `SOURCE_HEADER`): it stays down."""

_CACHE_KIB: Final = 4 * 1024
_PAGE: Final = 500
_UPLOADED = re.compile(rb'"uploaded_at":"([0-9T:+-]{19,32})"')
"""As a record writes it. In a text of the record the quotes would be escaped."""


class Unseen(NamedTuple):
    """A photo that the topic holds and this run has not met."""

    key: bytes
    uploaded: int
    """Seconds since 1970; 0 where the record does not say."""


def digest(value: bytes) -> bytes:
    """16 bytes that stand for a record's value."""
    return hashlib.blake2b(value, digest_size=16).digest()


class Catalogue:
    """Key -> digest, source, and whether this run has seen it; use as a context manager.

    Args:
        read: gives every message of the records topic; with `since`, those from a moment on. Called when the topic is
            first asked about, so that a run which finds nothing to do costs no pass over it; what it raises comes
            through.
    """

    def __init__(self, read: Callable[..., Iterable[Message]]) -> None:
        self._all = read
        self._read: Callable[[], Iterable[Message]] | None = read
        self._directory = TemporaryDirectory(prefix="imagesearch-catalogue-")
        self._rows = sqlite3.connect(Path(self._directory.name, "photos.sqlite"), isolation_level=None)
        # Nobody reads the file after a crash.
        self._rows.executescript(
            f"""
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            PRAGMA locking_mode = EXCLUSIVE;
            PRAGMA cache_size = -{_CACHE_KIB};
            CREATE TABLE photos (
                key BLOB PRIMARY KEY, digest BLOB, source TEXT, uploaded INTEGER NOT NULL DEFAULT 0,
                seen INTEGER NOT NULL DEFAULT 0
            ) WITHOUT ROWID;
            BEGIN;
            """
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rows.close()
        self._directory.cleanup()

    def read_since(self, moment: datetime) -> None:
        """Read only what was published from then on, instead of the whole topic."""
        self._read = partial(self._all, since=moment)

    def read_whole(self) -> None:
        """Read the whole topic after all; what was published meanwhile has to be there. What was seen stays seen."""
        self._read = self._all

    def _load(self) -> None:
        """Take in the topic, once: of several values of a key the last counts, and a takedown leaves no entry."""
        if (read := self._read) is None:
            return
        self._read = None
        for message in read():
            key, value, source = message.key() or b"", message.value(), _source(message)
            if value is not None:
                self.put(key, digest(value), source, _uploaded(value))
            elif source is None:
                self.put(key, TAKEN_DOWN, None)
            else:
                self.remove(key)

    def put(self, key: bytes, digest: bytes, source: str | None, uploaded: int = 0) -> None:
        """Say what the topic holds under a key from now on; whether it was seen stays as it was."""
        self._rows.execute(
            "INSERT INTO photos (key, digest, source, uploaded) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE "
            "SET digest = excluded.digest, source = excluded.source, uploaded = excluded.uploaded",
            (key, digest, source, uploaded),
        )

    def digest(self, key: bytes) -> bytes | None:
        """The digest of what the topic holds under a key, or `TAKEN_DOWN`; None where it holds nothing."""
        self._load()
        row = self._rows.execute("SELECT digest FROM photos WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def see(self, key: bytes) -> bool:
        """Note that this run has met a key; False where it had before."""
        changed = self._rows.execute(
            "INSERT INTO photos (key, seen) VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET seen = 1 WHERE seen = 0",
            (key,),
        )
        return changed.rowcount > 0

    def remove(self, key: bytes) -> None:
        """Forget a key: it was taken down."""
        self._rows.execute("DELETE FROM photos WHERE key = ?", (key,))

    def count(self, source: str, *, unseen: bool = False) -> int:
        """How many photos of a source the topic holds; with `unseen`, those of them that this run has not met."""
        self._load()
        (number,) = self._rows.execute(
            "SELECT COUNT(*) FROM photos WHERE source = ? AND digest IS NOT NULL AND NOT (? AND seen)", (source, unseen)
        ).fetchone()
        return int(number)

    def unseen(self, source: str) -> Iterator[bytes]:
        """The keys that the source published and this run has not met, in their order; they may be removed meanwhile."""
        self._load()
        after = b""
        while True:
            with closing(
                self._rows.execute(
                    "SELECT key FROM photos WHERE key > ? AND source = ? AND seen = 0 AND digest IS NOT NULL "
                    "ORDER BY key LIMIT ?",
                    (after, source, _PAGE),
                )
            ) as found:
                page = [key for (key,) in found]
            if not page:
                return
            yield from page
            after = page[-1]

    def unseen_between(self, source: str, first: int, last: int) -> Iterator[Unseen]:
        """Of those that `unseen` gives the ones uploaded within the seconds `first` to `last`, in that order."""
        self._load()
        self._rows.execute("CREATE INDEX IF NOT EXISTS uploads ON photos (source, uploaded, key)")
        after = (first, b"")
        while True:
            with closing(
                self._rows.execute(
                    "SELECT key, uploaded FROM photos WHERE source = ? AND (uploaded, key) > (?, ?) AND uploaded <= ? "
                    "AND seen = 0 AND digest IS NOT NULL ORDER BY uploaded, key LIMIT ?",
                    (source, *after, last, _PAGE),
                )
            ) as found:
                page = [Unseen(*row) for row in found]
            if not page:
                return
            yield from page
            after = (page[-1].uploaded, page[-1].key)


def _source(message: Message) -> str | None:
    headers = dict(message.headers() or ())
    value = headers.get(SOURCE_HEADER)
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _uploaded(value: bytes) -> int:
    found = _UPLOADED.search(value)
    try:
        return int(datetime.fromisoformat(found[1].decode()).timestamp()) if found else 0
    except (ValueError, OverflowError):
        return 0
