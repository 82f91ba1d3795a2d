"""What was asked, checked and made ready: names, texts, pictures, and the vector of a mixture of them. Pure."""

import base64
import binascii
import hashlib
import math
import re
import struct
import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

from imagesearch_contract import names
from imagesearch_contract.settings import FetchSettings

from imagesearch_search.problems import IMAGE_TOO_LARGE, INVALID_REQUEST, TOO_DEEP, Problem
from imagesearch_search.schema import Page, ProblemError

_DATA_URL = re.compile(r"data:[\w.+/-]*;base64,")
_WHITE_SPACE = re.compile(r"\s+")
_NOTHING_LEFT: Final = 1e-3
"""The length of a mixture that says nothing any more: its terms cancel each other out."""


class Wanted(NamedTuple):
    """A term of a query, its picture at hand: exactly one of the three."""

    text: str | None = None
    picture: bytes | None = None
    id: str | None = None
    weight: float = 1.0


def clean_text(text: str, limit: int, field: str = "query") -> str:
    """The query as it is encoded and cached: NFC, control characters and lone surrogates as spaces, spaces collapsed.

    Raises:
        Problem: nothing is left, or more than `limit` characters.
    """
    if len(text) > 10 * limit:  # before any work on it
        raise fault(field, f"the query has {len(text)} characters, at most {limit} are taken")
    seen = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
    clean = _WHITE_SPACE.sub(" ", unicodedata.normalize("NFC", seen)).strip()
    if not clean:
        raise fault(field, "the query is empty; say in words what the picture shows")
    if len(clean) > limit:
        raise fault(field, f"the query has {len(clean)} characters, at most {limit} are taken")
    return clean


def fault(field: str, detail: str) -> Problem:
    """The problem of one field of the request."""
    return Problem(INVALID_REQUEST, detail, errors=[ProblemError(pointer=f"#/{field}", detail=detail)])


def collection_of(name: str, default_namespace: str) -> tuple[str, str]:
    """`name` or `namespace/name` -> (namespace, collection).

    Raises:
        Problem: one of the two is not a DNS label.
    """
    namespace, slash, collection = name.partition("/")
    found = (namespace, collection) if slash else (default_namespace, name)
    try:
        names.collection_key(*found)
    except ValueError as error:
        raise fault("collection", str(error)) from error
    return found


def collection_label(namespace: str, collection: str, default_namespace: str) -> str:
    """The inverse of `collection_of`: how a request names the collection."""
    return collection if namespace == default_namespace else f"{namespace}/{collection}"


def check_depth(page: Page, max_depth: int) -> None:
    """Raises `Problem` when the page ends past `max_depth` hits."""
    if page.from_ + page.size > max_depth:
        detail = (
            f"from + size is {page.from_ + page.size}; only the best {max_depth} pictures of a search can be paged "
            "through. Ask for something narrower instead."
        )
        raise Problem(TOO_DEEP, detail, errors=[ProblemError(pointer="#/from", detail=detail)])


def next_from(page: Page, total: int, max_depth: int) -> int | None:
    """`from` of the page after this one; None where nothing is left, or it would end past the bound."""
    end = page.from_ + page.size
    return end if end < total and end + page.size <= max_depth else None


def picture_of_base64(text: str, max_bytes: int, field: str = "image_base64") -> bytes:
    """The bytes of a picture given as base64 or as a `data:` URL.

    Raises:
        Problem: not base64, or more than `max_bytes` bytes.
    """
    if data_url := _DATA_URL.match(text[:200]):
        text = text[data_url.end() :]
    if len(text) > -(-max_bytes // 3) * 4:  # before any work on it
        raise too_large(max_bytes)
    try:
        picture = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise fault(field, "this is not base64 (RFC 4648, with padding, without line breaks)") from error
    if len(picture) > max_bytes:
        raise too_large(max_bytes)
    return picture


def too_large(max_bytes: int) -> Problem:
    """The problem of a picture with more bytes than are taken."""
    return Problem(IMAGE_TOO_LARGE, f"The picture has more than the {max_bytes} bytes that are taken.")


def words_of(wanted: Sequence[Wanted]) -> str:
    """The words that are looked for: those of the texts that count for a picture."""
    return " ".join(term.text for term in wanted if term.text and term.weight > 0)


def asks_with_a_picture(wanted: Sequence[Wanted]) -> bool:
    """Whether what counts most for a picture is a picture itself: these are nearer to each other than to any text."""
    most = max(wanted, key=lambda term: term.weight)
    return most.text is None


def mixture(vectors: Sequence[bytes], weights: Sequence[float]) -> bytes:
    """The vector of several terms: the weighted sum of theirs, at unit length again (as Rocchio did for documents).

    Args:
        vectors: each (dims,) little-endian float32, unit length.
        weights: of each; below 0 it counts against.

    Raises:
        Problem: the terms cancel each other out, or none has any weight.
    """
    if len(vectors) == 1 and weights[0] > 0:
        return vectors[0]
    columns = zip(*map(floats, vectors), strict=True)
    summed = [sum(weight * x for weight, x in zip(weights, column, strict=True)) for column in columns]
    length = math.hypot(*summed)
    if length <= _NOTHING_LEFT * sum(map(abs, weights)):
        raise fault("terms", "the terms cancel each other out, or none counts; give one of them more weight")
    return struct.pack(f"<{len(summed)}f", *(x / length for x in summed))


def floats(vector: bytes) -> tuple[float, ...]:
    """The numbers of a vector."""
    return struct.unpack(f"<{len(vector) // 4}f", vector)


def preference(text: bytes) -> str:
    """The search's routing string: the pages of one search go to the same copies, whose graphs differ a little."""
    return hashlib.blake2s(text, digest_size=8).hexdigest()


def body_limit(settings: FetchSettings) -> int:
    """Bytes of a body that carries the largest picture in base64, with room for the other fields."""
    return -(-settings.fetch_max_bytes // 3) * 4 + 64 * 1024
