"""Which format a manifest has, and its rows."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, Final, Literal
from urllib.parse import urlsplit

from imagesearch_contract.settings import ManifestSource

from imagesearch_producer.sources import BadRow
from imagesearch_producer.sources.manifest import delimited, json_lines, parquet
from imagesearch_producer.sources.manifest.row import Row, is_remote

Format = Literal["jsonl", "csv", "parquet"]

_HEAD: Final = 64 * 1024
_SUFFIXES: Final[dict[str, Format]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}


def rows_of(format: Format, file: IO[bytes], limit: int) -> Iterator[Row | BadRow]:
    """The rows in their order; `limit` is for the bytes of what they unpack to.

    Raises:
        SourceError: the file is not of the format, or not whole.
    """
    match format:
        case "jsonl":
            return json_lines.rows(file)
        case "csv":
            return delimited.rows(file)
        case "parquet":
            return parquet.rows(file, limit)


def format_of(source: ManifestSource, file: IO[bytes]) -> Format:
    """What the settings say, else what the name says, else what the first bytes look like. Leaves the file at its start."""
    if source.format != "auto":
        return source.format
    name = PurePosixPath(urlsplit(source.url).path if is_remote(source.url) else source.url)
    suffix = (name.with_suffix("") if name.suffix.lower() == ".gz" else name).suffix.lower()
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    head = file.read(_HEAD)
    file.seek(0)
    return _by_look(head)


def _by_look(head: bytes) -> Format:
    if head.startswith(b"PAR1"):
        return "parquet"
    text = head.decode("utf-8-sig", errors="replace").lstrip()
    if not text.startswith("{") and delimited.is_header(text.partition("\n")[0]):
        return "csv"
    return "jsonl"
