"""A search as data: what was asked -> Elasticsearch's body, Elasticsearch's answer -> ours. Pure; `engine` calls it."""

import base64
import binascii
import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

from imagesearch_contract import names
from imagesearch_contract.index import VECTOR_FIELD
from imagesearch_contract.settings import FetchSettings
from pydantic import ValidationError

from imagesearch_search.problems import (
    IMAGE_TOO_LARGE,
    INDEX_UNREADABLE,
    INVALID_REQUEST,
    TOO_DEEP,
    Problem,
)
from imagesearch_search.schema import Hit, Page, ProblemError, SearchResponse

_DATA_URL = re.compile(r"data:[\w.+/-]*;base64,")
_WHITE_SPACE = re.compile(r"\s+")


def clean_text(text: str, limit: int) -> str:
    """The query as it is encoded and cached: NFC, control characters and lone surrogates as spaces, spaces collapsed.

    Raises:
        Problem: nothing is left, or more than `limit` characters.
    """
    if len(text) > 10 * limit:  # before any work on it
        raise _bad_query(f"the query has {len(text)} characters, at most {limit} are taken")
    seen = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text)
    clean = _WHITE_SPACE.sub(" ", unicodedata.normalize("NFC", seen)).strip()
    if not clean:
        raise _bad_query("the query is empty; say in words what the picture shows")
    if len(clean) > limit:
        raise _bad_query(f"the query has {len(clean)} characters, at most {limit} are taken")
    return clean


def _bad_query(detail: str) -> Problem:
    return _fault("query", detail)


def _fault(field: str, detail: str) -> Problem:
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
        raise _fault("collection", str(error)) from error
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


def picture_of_base64(text: str, max_bytes: int) -> bytes:
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
        raise _fault("image_base64", "this is not base64 (RFC 4648, with padding, without line breaks)") from error
    if len(picture) > max_bytes:
        raise too_large(max_bytes)
    return picture


def too_large(max_bytes: int) -> Problem:
    """The problem of a picture with more bytes than are taken."""
    return Problem(IMAGE_TOO_LARGE, f"The picture has more than the {max_bytes} bytes that are taken.")


_SOURCE_FIELDS: Final = sorted(Hit.model_fields.keys() - {"score"})


def nearest_body(vector: Sequence[float], page: Page, max_depth: int) -> dict[str, Any]:
    """The body of the kNN search.

    Every page of a search considers the same `max_depth` candidates: approximate neighbours depend on how many are
    looked for, so a window that grew with `from` would repeat some pictures on later pages and lose others.
    Equal scores are ordered by id for the same reason.

    Args:
        vector: (dims,), unit length.
        page: the part to return, within `max_depth`.
        max_depth: how many candidates are ranked.
    """
    return {
        "knn": {"field": VECTOR_FIELD, "query_vector": list(vector), "k": max_depth, "num_candidates": max_depth},
        "from": page.from_,
        "size": page.size,
        "sort": [{"_score": "desc"}, {"id": "asc"}],
        "track_total_hits": True,
        "_source": _SOURCE_FIELDS,
    }


def preference(vector: bytes) -> str:
    """The search's routing string: the pages of one search go to the same copies, whose graphs differ a little."""
    return hashlib.blake2s(vector, digest_size=8).hexdigest()


def hit_of(found: Mapping[str, Any]) -> Hit:
    """Elasticsearch's hit -> ours.

    Raises:
        Problem: the document is not one that the embedder writes.
    """
    # Rounding in the quantised index can leave an exact match a hair above 1.
    score = min(max(found["_score"], 0.0), 1.0)
    try:
        return Hit.model_validate({**found.get("_source", {}), "id": found["_id"], "score": score})
    except ValidationError as error:
        raise Problem(
            INDEX_UNREADABLE,
            f"The document {found['_id']!r} does not have the fields of a picture; was it written by the embedder?",
        ) from error


def response_of(
    answer: Mapping[str, Any], *, collection: str, model: str, page: Page, max_depth: int, took_ms: float
) -> SearchResponse:
    """Elasticsearch's answer -> ours."""
    total = min(answer["hits"]["total"]["value"], max_depth)
    end = page.from_ + page.size
    return SearchResponse(
        collection=collection,
        model=model,
        took_ms=round(took_ms, 2),
        from_=page.from_,
        size=page.size,
        total=total,
        next_from=end if end < total and end + page.size <= max_depth else None,
        hits=tuple(hit_of(found) for found in answer["hits"]["hits"]),
    )


def body_limit(settings: FetchSettings) -> int:
    """Bytes of a body that carries the largest picture in base64, with room for the other fields."""
    return -(-settings.fetch_max_bytes // 3) * 4 + 64 * 1024
