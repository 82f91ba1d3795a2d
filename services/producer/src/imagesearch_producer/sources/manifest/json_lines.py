"""JSON Lines: one record a line, UTF-8."""

import json
from collections.abc import Iterator
from typing import IO, Final

from imagesearch_producer.sources import BadRow, SourceError
from imagesearch_producer.sources.manifest.row import VALUE_LIMIT, Row

LINE_LIMIT: Final = 2**20
"""Bytes; the longest record the contract allows is well below."""


def rows(file: IO[bytes]) -> Iterator[Row | BadRow]:
    """Yield the lines that are not blank.

    Raises:
        SourceError: the file ends in the middle of a line.
    """
    started = False
    for number, line in _lines(file):
        row = _row(number, line)
        if isinstance(row, BadRow) and started and not line.endswith(b"\n") and len(line) <= LINE_LIMIT:
            raise SourceError(f"ends in the middle of line {number}: {row.detail}")
        started = started or isinstance(row, Row)
        yield row


def _row(number: int, line: bytes) -> Row | BadRow:
    try:
        if len(line) > LINE_LIMIT:
            raise ValueError(f"longer than {LINE_LIMIT} bytes")
        fields = json.loads(line.decode())
        if not isinstance(fields, dict):
            raise ValueError(f"expected a JSON object, got {type(fields).__name__}")
        return Row(number, fields)
    except (ValueError, RecursionError) as error:
        return BadRow(number, str(error), line[:VALUE_LIMIT])


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
