"""Which photos a search finds, by the arguments that Flickr documents for `flickr.photos.search`, what `getInfo` says about
one, and whose an address is. Pure; `app` calls it.

https://www.flickr.com/services/api/flickr.photos.search.html
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from flickr_standin.photos import Photo

PER_PAGE: Final = 100
MAX_PER_PAGE: Final = 500
UNIQUE_RESULTS: Final = 4000
"""Flickr gives so many photos of one query; later pages repeat the last of them, although `total` and `pages` go on."""
EXACT_TOTAL: Final = 100
"""Up to so many photos are counted; of more Flickr only estimates how many."""
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


def search(
    photos: Sequence[Photo],
    arguments: Mapping[str, str],
    *,
    logged_in: bool = False,
    now: datetime | None = None,
    estimate: Callable[[int], int] = lambda total: total,
) -> Results:
    """Find photos and cut out the page that is asked for.

    Args:
        photos: all there are.
        arguments: as they came; those that Flickr does not know are ignored.
        logged_in: whether the call is signed by a user. Others see only safe photos, whatever `safe_search` says.
        now: what is indexed later is not found; None finds it all.
        estimate: what is said to be the number of photos, given the true one.

    Raises:
        FlickrError: with the code that Flickr documents for it.
    """
    _check(photos, arguments)
    found = list(photos)
    for test in _tests(arguments, logged_in=logged_in, now=now):
        found = [photo for photo in found if test(photo)]
    key, descending = _SORTS.get(arguments.get("sort", ""), _SORTS["date-posted-desc"])
    found.sort(key=lambda photo: (key(photo), photo.id), reverse=descending)
    per_page = min(_whole(arguments.get("per_page"), PER_PAGE), MAX_PER_PAGE)
    page = _whole(arguments.get("page"), 1)
    total = estimate(len(found))
    given = page if page * per_page <= UNIQUE_RESULTS or len(found) <= UNIQUE_RESULTS else UNIQUE_RESULTS // per_page
    return Results(
        photos=found[(given - 1) * per_page : given * per_page] if (page - 1) * per_page < len(found) else [],
        page=page,
        pages=-(-total // per_page),
        per_page=per_page,
        total=total,
    )


def estimated(total: int) -> int:
    """What Flickr might say instead of a number: some percent more or less, and always the same."""
    return total if total <= EXACT_TOTAL else total + total * (total * 7919 % 7 - 3) // 100


def info(photo: Photo | None) -> Photo:
    """What `flickr.photos.getInfo` shows to everybody.

    Raises:
        FlickrError: there is no such photo, or it is not public.
    """
    if photo is None:
        raise FlickrError(1, "Photo not found")
    if not photo.public:
        raise FlickrError(2, "Permission denied")
    return photo


def owner_at(photos: Sequence[Photo], url: str) -> Photo:
    """A photo of whose page the address is; like `flickr.urls.lookupUser`."""
    name = _name_in(url, "photos") or _name_in(url, "people")
    return _first(photos, lambda photo: name in (photo.owner, photo.path_alias), "User not found")


def group_at(photos: Sequence[Photo], url: str) -> Photo:
    """A photo of the group whose page the address is; like `flickr.urls.lookupGroup`."""
    name = _name_in(url, "groups")
    return _first(photos, lambda photo: name in (photo.group_id, photo.group_alias), "Group not found")


def _name_in(url: str, kind: str) -> str:
    found = re.fullmatch(rf"https?://(?:www\.)?flickr\.com/{kind}/([^/]+)/?", url)
    return unquote(found[1]) if found else ""


def _first(photos: Sequence[Photo], test: Callable[[Photo], bool], fault: str) -> Photo:
    for photo in photos:
        if test(photo):
            return photo
    raise FlickrError(1, fault)


def _tests(arguments: Mapping[str, str], *, logged_in: bool, now: datetime | None) -> Iterator[Callable[[Photo], bool]]:
    """What a photo has to pass, those of paging and order aside; what costs little comes first."""
    yield from _within(lambda photo: photo.uploaded_at, arguments, "upload_date")
    yield from _within(lambda photo: photo.taken_at, arguments, "taken_date")
    safety = _whole(arguments.get("safe_search"), 1) if logged_in else 1
    yield lambda photo: photo.public and photo.safety_level <= safety
    if now is not None:
        yield lambda photo: photo.indexed_at is None or photo.indexed_at <= now
    if user := arguments.get("user_id"):
        yield lambda photo: photo.owner == user
    if group := arguments.get("group_id"):
        yield lambda photo: photo.group_id == group
    if licenses := _items(arguments.get("license", "")):
        yield lambda photo: photo.license in licenses
    if tags := _items(arguments.get("tags", "")):
        yield lambda photo: _has_tags(photo, tags, arguments.get("tag_mode", "any"))
    if text := arguments.get("text"):
        yield lambda photo: _has_text(photo, text)
    if arguments.get("media", "all") == "videos":
        yield lambda _: False


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
    return all(
        word[1:] not in photo.words if word.startswith("-") and len(word) > 1 else word in photo.words
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


def _within(
    time_of: Callable[[Photo], datetime], arguments: Mapping[str, str], name: str
) -> Iterator[Callable[[Photo], bool]]:
    """Both ends are included, and are whole seconds."""
    if earliest := arguments.get(f"min_{name}"):
        begin = _moment(earliest)
        yield lambda photo: time_of(photo) >= begin
    if latest := arguments.get(f"max_{name}"):
        end = _moment(latest).replace(microsecond=0) + timedelta(seconds=1)
        yield lambda photo: time_of(photo) < end


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


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
