"""Getting a manifest: a copy of the whole of it, unpacked, before any of its rows counts.

So a download that breaks off publishes and takes down nothing, and Kafka may take the records more slowly than the
manifest's server lets us read.
"""

import asyncio
import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from imagesearch_contract.settings import FetchSettings
from imagesearch_fetcher.fetch import Fetcher, FetchError, FetchPolicy, Validators

from imagesearch_producer.sources import SourceError
from imagesearch_producer.sources.manifest.row import is_remote

MANIFEST_LIMIT: Final = 2**30
"""Bytes, packed or not; about a million photos."""
DOWNLOAD_SECONDS: Final = 600.0

_GZIP_MAGIC: Final = b"\x1f\x8b"
_CHUNK: Final = 2**20


@dataclass(frozen=True)
class Content:
    """A manifest as it was found."""

    file: IO[bytes]
    """Unpacked, at its start."""
    digest: str
    """Of the bytes as they came: of two contents with the same one, the rows are the same."""
    validators: Validators
    """By what its server knows this version; without any where it is a file."""


@contextmanager
def opened(url: str, fetch: FetchSettings, known: Validators | None = None) -> Iterator[Content | None]:
    """Give the manifest, or None where its server says that it is the one that is `known`.

    Raises:
        SourceError: it cannot be had whole, or is too large.
    """
    with TemporaryFile() as copy:
        validators = _get(url, fetch, known, copy)
        if validators is None:
            yield None
            return
        copy.seek(0)
        digest = hashlib.file_digest(copy, "sha256").hexdigest()
        with _unpacked(copy) as file:
            yield Content(file, digest, validators)


def _get(url: str, fetch: FetchSettings, known: Validators | None, copy: IO[bytes]) -> Validators | None:
    if not is_remote(url):
        _copy_file(url, copy)
        return Validators()
    try:
        return asyncio.run(_download(url, fetch, known, copy))
    except FetchError as error:
        raise SourceError(f"cannot be fetched: {error.detail} ({error.reason})") from error
    except (ValueError, OSError) as error:  # the settings name what is no host or network; the disk is full
        raise SourceError(f"cannot be fetched: {error}") from error


async def _download(url: str, fetch: FetchSettings, known: Validators | None, copy: IO[bytes]) -> Validators | None:
    async with (
        Fetcher(FetchPolicy.of(fetch)) as fetcher,
        fetcher.open(url, known=known, max_bytes=MANIFEST_LIMIT, timeout_seconds=DOWNLOAD_SECONDS) as download,
    ):
        if download.not_modified:
            return None
        async for chunk in download.chunks:
            copy.write(chunk)
        return download.validators


def _copy_file(path: str, copy: IO[bytes]) -> None:
    try:
        with Path(path).open("rb") as file:
            before = _stamp(file)
            _copy(file, copy)
            after = _stamp(file)
    except (OSError, ValueError) as error:  # a path with a zero byte is a ValueError
        raise SourceError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if before != after:
        raise SourceError("was written to while it was read; run again when that has ended")


def _stamp(file: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


@contextmanager
def _unpacked(copy: IO[bytes]) -> Iterator[IO[bytes]]:
    """The file itself, or what is in it where it begins like gzip, whatever its name is."""
    copy.seek(0)
    packed = copy.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    copy.seek(0)
    if not packed:
        yield copy
        return
    with TemporaryFile() as file:
        try:
            with gzip.open(copy) as content:
                _copy(content, file)
        except (EOFError, zlib.error, OSError) as error:
            raise SourceError(f"is gzip that cannot be unpacked: {error}") from error
        file.seek(0)
        yield file


def _copy(source: IO[bytes] | gzip.GzipFile, target: IO[bytes]) -> None:
    taken = 0
    while chunk := source.read(_CHUNK):
        taken += len(chunk)
        if taken > MANIFEST_LIMIT:
            raise SourceError(f"is larger than {MANIFEST_LIMIT} bytes{' unpacked' * isinstance(source, gzip.GzipFile)}")
        target.write(chunk)
