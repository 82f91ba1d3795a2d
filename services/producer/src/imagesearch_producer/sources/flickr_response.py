"""What Flickr answers, read: a page of `flickr.photos.search`, a photo of it as a record, and whether one that is not
found any more is gone. Pure; `flickr` calls it.

Flickr types its fields loosely (a number may be a string, a text an object with `_content`, a date all zeros),
so every field is read by a function that gives None for what makes no sense; only what a record cannot do without
makes a photo a `Skip`.
"""

import html
import json
import math
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from imagesearch_contract.names import image_id
from imagesearch_contract.record import (
    DESCRIPTION_LIMIT,
    TAG_LIMIT,
    TAGS_LIMIT,
    TITLE_LIMIT,
    URL_LIMIT,
    ContentType,
    GeoPoint,
    ImageRecord,
    describe,
)
from pydantic import ValidationError

from imagesearch_producer.sources import Item, Skip
from imagesearch_producer.sources.flickr_licenses import LICENSES

EMBED_SIZES = ("m", "z", "w", "n", "c", "s", "l")
"""Suffixes of the sizes, best first: 500 and 640 pixels hold all that an encoder sees (224 to 384), without the
transfer of more. Never the original, which may be hundreds of megapixels."""

THUMBNAIL_SIZES = ("n", "s", "q", "t")
"""320, 240, 150 (cropped square), 100 pixels."""

_CONTENT_TYPES: Mapping[str, ContentType] = {"0": "photo", "1": "screenshot", "2": "illustration", "3": "virtual"}
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_NUMBER = re.compile(r"[0-9]{1,20}")
_OWNER = re.compile(r"[A-Za-z0-9@._-]{1,100}")


class MalformedAnswerError(ValueError):
    """Not an answer of the Flickr API: an error page, cut off, or of another shape."""


class RefusedError(Exception):
    """Flickr answered `stat: fail`."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"Flickr refused: {message} (code {code})")
        self.code = code
        self.message = message


class Page(NamedTuple):
    """One page of results."""

    photos: list[Any]
    pages: int
    total: int
    """Photos that match, on all pages; Flickr only estimates it where there are many."""


def parse(body: bytes) -> dict[str, Any]:
    """Read an answer in JSON.

    Raises:
        RefusedError: `stat` is `fail`.
        MalformedAnswerError: it is no answer of the Flickr API.
    """
    try:
        answer = json.loads(body)
        if answer["stat"] == "fail":
            raise RefusedError(int(answer["code"]), str(answer["message"]))
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise MalformedAnswerError("the answer is none of the Flickr API") from error
    if not isinstance(answer, dict):
        raise MalformedAnswerError("the answer is none of the Flickr API")
    return answer


def page_of(answer: Mapping[str, Any]) -> Page:
    """Read an answer of `flickr.photos.search`.

    Raises:
        MalformedAnswerError: it is no such answer.
    """
    try:
        photos = answer["photos"]
        page = Page(photos["photo"], int(photos["pages"]), int(photos["total"]))
    except (ValueError, LookupError, TypeError) as error:
        raise MalformedAnswerError("the answer is not a page of photos") from error
    if not isinstance(page.photos, list):
        raise MalformedAnswerError("the answer is not a page of photos")
    return page


def uploaded(photo: object, default: int) -> int:
    """The second in which a photo was uploaded, as Flickr counts."""
    moment = _moment(photo.get("dateupload")) if isinstance(photo, Mapping) else None
    return default if moment is None else int(moment.timestamp())


def why_gone(answer: Mapping[str, Any], permitted: Collection[str], safety: int) -> str | None:
    """Why a photo must not stay, by an answer of `flickr.photos.getInfo`; None where it may.

    Args:
        answer: of a photo that exists and is public.
        permitted: Flickr's ids of the licences that are taken.
        safety: the highest safety level that is taken: 1 safe, 2 moderate, 3 restricted.
    """
    photo = answer.get("photo")
    if not isinstance(photo, Mapping):
        return None
    license_id = str(photo.get("license", ""))
    if license_id and license_id not in permitted:
        name = LICENSES[license_id].spdx if license_id in LICENSES else "all rights reserved"
        return f"it is under another licence now ({name})"
    level = _positive(photo.get("safety_level"))
    # Some answers count from 0; a level above what is taken is above it either way.
    return "it is not rated as safe enough any more" if level is not None and level > safety else None


def record_of(photo: object, permitted: Collection[str]) -> Item:
    """Return the record of a photo as `flickr.photos.search` gives it with all `extras`.

    Args:
        photo: one element of `photos.photo`.
        permitted: Flickr's ids of the licences that are taken. Checked here although the search asked for them,
            because a photo without the right licence must not get through by a fault on the other side.
    """
    if not isinstance(photo, Mapping):
        return Skip("not an object", repr(photo)[:100])
    number, owner, license_id = (str(photo.get(field, "")) for field in ("id", "owner", "license"))
    if not _NUMBER.fullmatch(number):
        return Skip("no id", repr(photo.get("id"))[:100])
    if not _OWNER.fullmatch(owner):
        return Skip("no owner", number)
    if photo.get("media", "photo") != "photo":
        return Skip("not a photo", number)
    if not license_id:
        return Skip("no licence", number)
    if license_id not in permitted or license_id not in LICENSES:
        return Skip("licence not permitted", f"{number} has licence {license_id[:20]}")
    if not (size := _size(photo, EMBED_SIZES)):
        return Skip("no url", number)
    alias = str(photo.get("pathalias") or "")
    home = f"https://www.flickr.com/photos/{alias if _OWNER.fullmatch(alias) else owner}/"
    thumbnail = _size(photo, THUMBNAIL_SIZES)
    try:
        return ImageRecord(
            id=image_id("flickr", number),
            url=photo[f"url_{size}"],
            thumbnail_url=photo[f"url_{thumbnail}"] if thumbnail else None,
            page_url=f"{home}{number}",
            title=_text(photo.get("title"))[:TITLE_LIMIT],
            description=_plain(_text(photo.get("description")))[:DESCRIPTION_LIMIT],
            tags=_tags(photo.get("tags")),
            author=_text(photo.get("ownername"))[:TITLE_LIMIT] or None,
            author_id=owner,
            author_url=home,
            license=LICENSES[license_id].spdx,
            license_url=LICENSES[license_id].url,
            taken_at=None if str(photo.get("datetakenunknown", "0")) == "1" else _taken(photo.get("datetaken")),
            uploaded_at=_moment(photo.get("dateupload")),
            width=_positive(photo.get(f"width_{size}")),
            height=_positive(photo.get(f"height_{size}")),
            original_width=_positive(photo.get("o_width")),
            original_height=_positive(photo.get("o_height")),
            content_type=_CONTENT_TYPES.get(str(photo.get("content_type"))),
            location=_location(photo),
        )
    except ValidationError as error:
        return Skip("bad record", f"{number}: {describe(error)}")


def _size(photo: Mapping[str, Any], sizes: tuple[str, ...]) -> str | None:
    return next((size for size in sizes if _is_url(photo.get(f"url_{size}"))), None)


def _is_url(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= URL_LIMIT


def _text(value: object) -> str:
    if isinstance(value, Mapping):
        value = value.get("_content")
    # A lone surrogate is legal in JSON and in no encoding: it becomes a question mark.
    return value.encode(errors="replace").decode().strip() if isinstance(value, str) else ""


def _plain(text: str) -> str:
    """Descriptions are HTML (links, bold, line breaks), with everything else escaped."""
    return html.unescape(_TAG.sub("", text)).strip()


def _tags(value: object) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag[:TAG_LIMIT] for tag in _text(value).split()))[:TAGS_LIMIT]


def _taken(value: object) -> datetime | None:
    """The camera's clock, which knows no zone; it is read as UTC. Unknown parts are zeros (`2014-00-00 00:00:00`)."""
    try:
        return datetime.fromisoformat(str(value)).replace(tzinfo=UTC)
    except ValueError:
        return None


def _moment(value: object) -> datetime | None:
    try:
        seconds = int(str(value))
        return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
    except (ValueError, OverflowError, OSError):
        return None


def _positive(value: object) -> int | None:
    try:
        number = int(str(value))
    except ValueError:
        return None
    return number if 0 < number < 2**31 else None


def _location(photo: Mapping[str, Any]) -> GeoPoint | None:
    """Photos without a place have accuracy 0, at latitude 0 and longitude 0."""
    try:
        lat, lon = float(photo["latitude"]), float(photo["longitude"])
    except (KeyError, TypeError, ValueError):
        return None
    placed = str(photo.get("accuracy", "0")) != "0"
    return GeoPoint(lat=lat, lon=lon) if placed and math.fabs(lat) <= 90 and math.fabs(lon) <= 180 else None
