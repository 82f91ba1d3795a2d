"""Photos listed in a manifest: JSON Lines, one record a line, from a file or an http(s) URL. `main` calls `records`.

A line is an `ImageRecord`, of which `schema_version` may be left out and `id` too (it is then made of the URL).
Addresses may be relative to the manifest's own URL. A line that is no record is reported by its number and skipped.
"""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final
from urllib.parse import urljoin

from imagesearch_contract.names import image_id
from imagesearch_contract.record import SCHEMA_VERSION, ImageRecord, describe
from imagesearch_contract.settings import FetchSettings, ManifestSource
from imagesearch_fetcher.fetch import Fetcher, FetchError, FetchPolicy
from pydantic import ValidationError

from imagesearch_producer.catalogue import Catalogue
from imagesearch_producer.sources import Item, Skip, SourceError, State

LINE_LIMIT: Final = 2**20
"""Bytes; the longest record the contract allows is well below."""
MANIFEST_LIMIT: Final = 2**30
"""Bytes; about a million photos."""
DOWNLOAD_SECONDS: Final = 600.0

_URL_FIELDS = ("url", "thumbnail_url", "page_url", "author_url", "license_url")


def records(source: ManifestSource, fetch: FetchSettings, state: State, catalogue: Catalogue) -> Iterator[Item]:
    """Yield a record for each line, or a skip that gives the line's number.

    Raises:
        SourceError: the manifest cannot be had, or has lines and none of them is a record.
    """
    base = source.url if _is_remote(source.url) else None
    first_fault: Skip | None = None
    usable = False
    with _opened(source.url, fetch) as file:
        for number, line in _lines(file):
            item = record_of(line, number, base)
            usable = usable or isinstance(item, ImageRecord)
            if isinstance(item, Skip):
                first_fault = first_fault or item
            yield item
    if first_fault is not None and not usable:
        raise SourceError(
            f"manifest {source.url} holds no record; it has to be JSON Lines, one record a line ({first_fault.detail})"
        )


def record_of(line: bytes, number: int, base: str | None) -> Item:
    """Read one line.

    Args:
        line: UTF-8 JSON.
        number: of the line, from 1; for the report.
        base: the URL that relative addresses are resolved against, None where there is none.
    """
    try:
        if len(line) > LINE_LIMIT:
            raise ValueError(f"longer than {LINE_LIMIT} bytes")
        fields = json.loads(line.decode())
        if not isinstance(fields, dict):
            raise ValueError(f"expected a JSON object, got {type(fields).__name__}")
        absolute = {name: _absolute(fields[name], base) for name in _URL_FIELDS if isinstance(fields.get(name), str)}
        record = {"schema_version": SCHEMA_VERSION, **fields, **absolute}
        if record.get("id") is None and isinstance(record.get("url"), str):
            record["id"] = image_id("manifest", _hash(record["url"]))
        return ImageRecord.model_validate(record)
    except ValidationError as error:
        return Skip("bad line", f"line {number}: {describe(error)}")
    except (ValueError, RecursionError) as error:
        return Skip("bad line", f"line {number}: {error}")


def _absolute(url: str, base: str | None) -> str:
    if _is_remote(url):
        return url
    if base is None:
        raise ValueError(f"{url[:100]!r} is not an http(s) URL, and a manifest read from a file gives it no base")
    return urljoin(base, url)


def _is_remote(url: str) -> bool:
    return url.lower().startswith(("https://", "http://"))


def _hash(url: str) -> str:
    # A lone surrogate is no URL either way; the record's own check then says so.
    return hashlib.blake2s(url.encode(errors="replace"), digest_size=16).hexdigest()


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Number the lines that are not blank. Of a line over the limit only the beginning is kept in memory."""
    number = 0
    while line := file.readline(LINE_LIMIT + 1):
        number += 1
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = file.readline(LINE_LIMIT + 1)
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")  # the byte order mark that some editors put in front
        if line.strip():
            yield number, line


@contextmanager
def _opened(url: str, fetch: FetchSettings) -> Iterator[IO[bytes]]:
    if not _is_remote(url):
        with _open_file(url) as file:
            yield file
        return
    with TemporaryFile() as copy:
        try:
            asyncio.run(_download(url, fetch, copy))
        except FetchError as error:
            raise SourceError(f"manifest {url} cannot be fetched: {error.detail} ({error.reason})") from error
        except ValueError as error:  # the settings name something that is no host or network
            raise SourceError(f"manifest {url} cannot be fetched: {error}") from error
        copy.seek(0)
        yield copy


def _open_file(path: str) -> IO[bytes]:
    try:
        return Path(path).open("rb")
    except (OSError, ValueError) as error:  # a path with a zero byte is a ValueError
        raise SourceError(f"manifest {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error


async def _download(url: str, fetch: FetchSettings, copy: IO[bytes]) -> None:
    """Get the whole manifest first, since Kafka may take the records more slowly than its server lets us read."""
    async with (
        Fetcher(FetchPolicy.of(fetch)) as fetcher,
        aclosing(fetcher.stream(url, max_bytes=MANIFEST_LIMIT, timeout_seconds=DOWNLOAD_SECONDS)) as chunks,
    ):
        async for chunk in chunks:
            copy.write(chunk)
