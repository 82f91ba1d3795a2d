"""Which photos a search finds, by the arguments that Flickr documents for `flickr.photos.search`. Pure; `app` calls it.

https://www.flickr.com/services/api/flickr.photos.search.html
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from flickr_standin.photos import Photo

PER_PAGE: Final = 100
MAX_PER_PAGE: Final = 500
UNIQUE_RESULTS: Final = 4000
"""Flickr gives so many photos of one query; later pages repeat them, although `total` and `pages` go on."""
MAX_TAGS_IN_ALL: Final = 20

_CRITERIA = (
    "text", "tags", "user_id", "group_id", "min_upload_date", "max_upload_date", "min_taken_date", "max_taken_date",
)  # fmt: skip
"""At least one of these makes a search; a licence or an order alone does not."""

_SORTS: Mapping[str, tuple[Callable[[Photo], Any], bool]] = {
    "date-posted-desc": (lambda photo: photo.uploaded_at, True),
    "date-posted-asc": (lambda photo: photo.uploaded_at, False),
    "date-taken-desc": (lambda photo: photo.taken_at, True),
    "date-taken-asc": (lambda photo: photo.taken_at, False),
    # The stand-in has no views to rank by: any fixed order is as good.
    "interestingness-desc": (lambda photo: photo.id, True),
    "interestingness-asc": (lambda photo: photo.id, False),
    "relevance": (lambda photo: photo.id, False),
}


class FlickrError(Exception):
    """`stat: fail` with one of Flickr's codes."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Results(NamedTuple):
    """One page of what was found."""

    photos: list[Photo]
    page: int
    pages: int
    per_page: int
    total: int


def search(photos: Sequence[Photo], arguments: Mapping[str, str], *, logged_in: bool = False) -> Results:
    """Find photos and cut out the page that is asked for.

    Args:
        photos: all there are.
        arguments: as they came; those that Flickr does not know are ignored.
        logged_in: whether the call is signed by a user. Others see only safe photos, whatever `safe_search` says.

    Raises:
        FlickrError: with the code that Flickr documents for it.
    """
    _check(photos, arguments)
    found = [photo for photo in photos if matches(photo, arguments, logged_in=logged_in)]
    key, descending = _SORTS.get(arguments.get("sort", ""), _SORTS["date-posted-desc"])
    found.sort(key=lambda photo: (key(photo), photo.id), reverse=descending)
    per_page = min(_whole(arguments.get("per_page"), PER_PAGE), MAX_PER_PAGE)
    page = _whole(arguments.get("page"), 1)
    unique = found[:UNIQUE_RESULTS]
    wanted = range((page - 1) * per_page, min(page * per_page, len(found)))
    return Results(
        photos=[unique[position % UNIQUE_RESULTS] for position in wanted],
        page=page,
        pages=-(-len(found) // per_page),
        per_page=per_page,
        total=len(found),
    )


def matches(photo: Photo, arguments: Mapping[str, str], *, logged_in: bool = False) -> bool:
    """Whether one photo is found by the arguments, those of paging and order aside."""
    return (
        _has_text(photo, arguments.get("text", ""))
        and _has_tags(photo, _items(arguments.get("tags", "")), arguments.get("tag_mode", "any"))
        and _is(photo.owner, arguments.get("user_id"))
        and _is(photo.group_id, arguments.get("group_id"))
        and (not (licenses := _items(arguments.get("license", ""))) or photo.license in licenses)
        and _within(photo.uploaded_at, arguments.get("min_upload_date"), arguments.get("max_upload_date"))
        and _within(photo.taken_at, arguments.get("min_taken_date"), arguments.get("max_taken_date"))
        and photo.safety_level <= (_whole(arguments.get("safe_search"), 1) if logged_in else 1)
        and arguments.get("media", "all") != "videos"
    )


def _check(photos: Sequence[Photo], arguments: Mapping[str, str]) -> None:
    if not any(arguments.get(name, "").strip() for name in _CRITERIA):
        raise FlickrError(3, "Parameterless searches have been disabled. Please use flickr.photos.getRecent instead.")
    if arguments.get("tag_mode") == "all" and len(_items(arguments.get("tags", ""))) > MAX_TAGS_IN_ALL:
        raise FlickrError(1, "Too many tags in ALL query")
    if (user := arguments.get("user_id")) and user not in {photo.owner for photo in photos}:
        raise FlickrError(2, "Unknown user")
    if (group := arguments.get("group_id")) and group not in {photo.group_id for photo in photos}:
        raise FlickrError(4, "You don't have permission to view this pool")


def _has_text(photo: Photo, text: str) -> bool:
    content = " ".join((photo.title, photo.description, *photo.tags)).lower()
    return all(
        word[1:] not in content if word.startswith("-") and len(word) > 1 else word in content
        for word in text.lower().split()
    )


def _has_tags(photo: Photo, tags: list[str], mode: str) -> bool:
    held = set(photo.tags)
    wanted = [_normal(tag) for tag in tags if not tag.startswith("-")]
    unwanted = [_normal(tag) for tag in tags if tag.startswith("-")]
    if held.intersection(unwanted):
        return False
    return not wanted or (held.issuperset(wanted) if mode == "all" else not held.isdisjoint(wanted))


def _normal(tag: str) -> str:
    """Flickr's tags have neither case nor spaces nor punctuation."""
    return "".join(character for character in tag.lower() if character.isalnum())


def _is(value: str | None, wanted: str | None) -> bool:
    return not wanted or value == wanted


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _within(moment: datetime, earliest: str | None, latest: str | None) -> bool:
    return (not earliest or moment >= _moment(earliest)) and (not latest or moment <= _moment(latest))


def _moment(text: str) -> datetime:
    """A Unix timestamp or a MySQL date and time."""
    try:
        return datetime.fromtimestamp(int(text), UTC) if text.isdecimal() else _utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError, OSError) as error:
        raise FlickrError(18, "Illogical arguments") from error


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _whole(text: str | None, default: int) -> int:
    """A number from 1; Flickr passes over what is none."""
    return max(1, int(text)) if text and text.isdecimal() and len(text) < 10 else default
