"""CSV (RFC 4180): a header row of the record's fields, then a record a row. Commas, semicolons or tabs; UTF-8."""

import csv
from collections.abc import Iterator
from io import TextIOWrapper
from typing import IO, Any, Final

from imagesearch_producer.sources import BadRow, SourceError
from imagesearch_producer.sources.manifest.json_lines import LINE_LIMIT
from imagesearch_producer.sources.manifest.row import Row, of_table, shown

DELIMITERS: Final = ",;\t"

_UNCLOSED: Final = ("unexpected end of data", "field larger than field limit")
"""What the csv module says of a quote that nothing closes: all that follows is inside of it."""


def rows(file: IO[bytes]) -> Iterator[Row | BadRow]:
    """Yield the rows below the header, by the line on which each begins. An empty cell is absent.

    Raises:
        SourceError: there is no header, or the file ends in the middle of a row.
    """
    # Bytes that are not UTF-8 become surrogates, which no field of a record takes: they spoil their own row only.
    text = TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _rows(_Lines(text))
    finally:
        text.detach()  # or else the file would be closed with it


def _rows(lines: "_Lines") -> Iterator[Row | BadRow]:
    header = next(lines, "")
    if not header.strip():
        return
    delimiter, columns = _header(header)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = lines.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if str(error).startswith(_UNCLOSED):
                raise SourceError(f"opens a quote on line {line} that nothing closes") from error
            yield BadRow(line, str(error), shown(lines.last))
            continue
        if cells is None:
            return
        if any(cells):
            yield _row(line, columns, cells, lines)


def is_header(line: str) -> bool:
    """Whether a line names the one column that has to be there."""
    return any("url" in _names(line, delimiter) for delimiter in DELIMITERS)


class _Lines:
    """The lines of a text, with their ends; `number` is that of the `last` one."""

    def __init__(self, text: TextIOWrapper) -> None:
        self._text = text
        self.number = 0
        self.last = ""

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._text.readline(LINE_LIMIT + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > LINE_LIMIT:
            raise SourceError(f"has a line of more than {LINE_LIMIT} characters, line {self.number}")
        self.last = line
        return line


def _header(line: str) -> tuple[str, list[str]]:
    """The delimiter, and the names of the columns."""
    for delimiter in DELIMITERS:
        names = _names(line, delimiter)
        if "url" in names:
            if len(set(names)) < len(names):
                raise SourceError("names a column twice in its header")
            return delimiter, names
    raise SourceError(f"names no column url in its header; is it CSV, in UTF-8? It begins {line[:100]!a}")


def _names(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _row(line: int, header: list[str], cells: list[str], lines: _Lines) -> Row | BadRow:
    if len(cells) != len(header):
        detail = f"{len(cells)} cells, and the header has {len(header)}"
        if not lines.last.endswith(("\n", "\r")):
            raise SourceError(f"ends in the middle of line {line}: {detail}")
        return BadRow(line, detail, shown(cells))
    fields: dict[str, Any] = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    try:
        if "schema_version" in fields:
            fields["schema_version"] = int(fields["schema_version"])
        return Row(line, of_table(fields))
    except ValueError as error:
        return BadRow(line, str(error), shown(cells))
