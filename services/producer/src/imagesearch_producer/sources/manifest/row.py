"""From the fields of a row, in whatever format they were written, to a record. Pure."""

import hashlib
import json
from typing import Any, Final, NamedTuple
from urllib.parse import urljoin

from imagesearch_contract.names import image_id
from imagesearch_contract.record import ID_LIMIT, SCHEMA_VERSION, ImageRecord, describe
from pydantic import ValidationError

from imagesearch_producer.sources import BadRow

VALUE_LIMIT: Final = 100 * 1024
"""Bytes of a bad row that its letter shows, so that the letter fits into a Kafka message however it is escaped."""

_URL_FIELDS: Final = ("url", "thumbnail_url", "page_url", "author_url", "license_url")


class Row(NamedTuple):
    """A row as its format gives it."""

    line: int
    """From 1; of Parquet the number of the row."""
    fields: dict[str, Any]


def record_of(row: Row, base: str | None) -> ImageRecord | BadRow:
    """Read one row. `schema_version` may be left out, and `id` too (it is then made of the URL); null is absent.

    Args:
        row: the row.
        base: the URL that relative addresses are resolved against, None where there is none.
    """
    fields = {"schema_version": SCHEMA_VERSION} | {
        name: value for name, value in row.fields.items() if value is not None
    }
    try:
        fields |= {name: _absolute(fields[name], base) for name in _URL_FIELDS if isinstance(fields.get(name), str)}
        if "id" not in fields and isinstance(fields.get("url"), str):
            fields["id"] = image_id("manifest", _hash(fields["url"]))
        return ImageRecord.model_validate(fields)
    except ValidationError as error:
        return _bad(row, describe(error), fields.get("id"))
    except ValueError as error:
        return _bad(row, str(error), fields.get("id"))


def of_table(fields: dict[str, Any]) -> dict[str, Any]:
    """Gather what a table has in flat cells: `tags` as text, and a location in two columns.

    Raises:
        ValueError: tags that begin like a JSON list and are none.
    """
    fields = dict(fields)
    if isinstance(tags := fields.get("tags"), str):
        fields["tags"] = _tags(tags)
    columns = {"lat": "lat", "lon": "lon", "location.lat": "lat", "location.lon": "lon"}
    point = {part: fields.pop(column) for column, part in columns.items() if fields.get(column) is not None}
    return {**fields, "location": point} if point else fields


def shown(value: object) -> bytes:
    """What of a row was read, as its letter shows it."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text.encode(errors="replace")[:VALUE_LIMIT]


def is_remote(url: str) -> bool:
    """Whether an address is a URL, and not a path."""
    return url.lower().startswith(("https://", "http://"))


def _tags(text: str) -> list[Any]:
    if not text.startswith("["):
        return [tag for part in text.split(";") if (tag := part.strip())]
    try:
        tags = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"tags: begins with [ and is no JSON list: {error}") from error
    return list(tags)


def _absolute(url: str, base: str | None) -> str:
    if is_remote(url):
        return url
    if base is None:
        raise ValueError(f"{url[:100]!r} is not an http(s) URL, and a manifest read from a file gives it no base")
    return urljoin(base, url)


def _hash(url: str) -> str:
    # A lone surrogate is no URL either way; the record's own check then says so.
    return hashlib.blake2s(url.encode(errors="replace"), digest_size=16).hexdigest()


def _bad(row: Row, detail: str, id: object) -> BadRow:
    readable = isinstance(id, str) and id.isascii() and len(id) <= ID_LIMIT
    return BadRow(row.line, detail, shown(row.fields), str(id) if readable else None)
