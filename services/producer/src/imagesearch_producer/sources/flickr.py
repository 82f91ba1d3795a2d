"""The photos of a Flickr search, followed over time; `main` calls `photos`.

A run first asks for what is new: from the second up to which earlier runs came, minus an overlap, to now. In what time is
left it compares, every `sweep_days`, the whole range with what the topic holds: photos that were edited or that match only
since then are published, and those that the search does not find any more are asked for one by one and taken down where
they are gone. Both go on in a later run where one was ended: the state says how far each came.

One request gives 500 photos with everything a record needs (`extras`), so nothing is asked for photo by photo.
"""

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from urllib.parse import quote

from imagesearch_contract.settings import FlickrSource
from pydantic import BaseModel, Field, ValidationError

from imagesearch_producer.catalogue import Catalogue
from imagesearch_producer.ledger import RequestsUsedUpError
from imagesearch_producer.sources import Checkpoint, Item, Skip, SourceError, State, Takedown
from imagesearch_producer.sources.flickr_licenses import ids_of
from imagesearch_producer.sources.flickr_response import (
    EMBED_SIZES,
    THUMBNAIL_SIZES,
    MalformedAnswerError,
    Page,
    RefusedError,
    page_of,
    record_of,
    why_gone,
)
from imagesearch_producer.sources.flickr_walk import PER_PAGE, Slice, walk

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

OVERLAP_SECONDS: Final = 2 * 3600
"""Flickr shows some photos in searches only minutes or hours after their upload, and fresh photos are edited most: so much
of the time before is asked for again by every run, mostly one request. What comes later still is found by the sweep."""
CLOCK_SECONDS: Final = 600
"""So much our clocks, Kafka's and Flickr's may differ."""
SWEEP_REQUESTS: Final = 300
"""Of one run: five minutes, so that a sweep of days keeps neither new photos nor other sources waiting."""
FIRST_UPLOAD: Final = int(datetime(2004, 1, 1, tzinfo=UTC).timestamp())
"""Flickr opened in February 2004."""

_GONE = {1: "it was deleted", 2: "it is private now"}
"""`stat: fail` codes of `flickr.photos.getInfo`."""
_SAFETY = {"safe": 1, "moderate": 2, "restricted": 3}
_SIZES = tuple(f"url_{size}" for size in dict.fromkeys(EMBED_SIZES + THUMBNAIL_SIZES))
_EXTRAS = ",".join(
    (
        "description", "license", "date_upload", "date_taken", "owner_name", "path_alias", "tags", "o_dims", "geo",
        "media", "content_type", *_SIZES,
    )
)  # fmt: skip
"""Not `views` and `last_update`, which change by themselves, nor `machine_tags`, which are among the tags."""
_ID = re.compile(r"[0-9]+@N[0-9]+")
_SITE = "https://www.flickr.com"


class Api(Protocol):
    """What is needed of `FlickrApi`."""

    requests: int

    def call(
        self,
        method: str,
        read: Callable[[dict[str, Any]], Answer],
        *,
        expected: Collection[int] = (),
        **arguments: Any,
    ) -> Answer:
        """Call a method, and return what `read` makes of its answer."""
        ...


class _Sweep(BaseModel):
    """A comparison on its way: the seconds from `next` to `last` are still to be compared."""

    next: int
    last: int


class _Memory(BaseModel):
    """What is remembered from run to run; times are seconds since 1970."""

    query: str
    """Stands for the search: another one starts from the beginning."""
    next: int
    """The photos uploaded before it are published."""
    swept: int | None = None
    """When the last sweep ended, or all was published for the first time."""
    sweep: _Sweep | None = None
    ids: dict[str, str] = Field(default_factory=dict)
    """Ids of the user and the group, where the settings give a name or an address."""


def photos(
    source: FlickrSource,
    api: Api,
    state: State,
    catalogue: Catalogue,
    *,
    source_name: str,
    now: Callable[[], float] = time.time,
) -> Iterator[Item]:
    """Yield what is new, oldest first, and then what a sweep finds; each slice is followed by a checkpoint.

    Raises:
        SourceError: the search makes no sense, Flickr refuses it, or it stays silent after several attempts.
    """
    arguments, start = query(source), first_second(source)
    memory = _remembered(state, arguments, start)
    first, last = max(start, memory.next - OVERLAP_SECONDS), int(now())
    try:
        memory.ids |= _ids(api, arguments.keys() - memory.ids.keys(), arguments)
        search = _Search(api, arguments | memory.ids, ids_of(source.licenses))
        yield from _new(search, memory, catalogue, first, last)
        if memory.sweep is None and memory.swept is not None and now() - memory.swept >= source.sweep_days * 86_400:
            memory.sweep = _Sweep(next=0, last=first - 1)
        if memory.sweep is not None:
            yield _checkpoint(memory)  # what this run published has to be there when the whole topic is read
            catalogue.read_whole()
            yield from _swept(search, memory, memory.sweep, catalogue, start, source_name)
            if memory.sweep.next > memory.sweep.last:
                memory.sweep, memory.swept = None, int(now())
                yield _checkpoint(memory)
    except RequestsUsedUpError as used_up:
        log.warning("%s", used_up)


def _new(search: "_Search", memory: _Memory, catalogue: Catalogue, first: int, last: int) -> Iterator[Item]:
    """What was uploaded within the seconds `first` to `last`."""
    # What was uploaded since then can only have been published since then.
    catalogue.read_since(datetime.fromtimestamp(first - CLOCK_SECONDS, UTC))
    for found in walk(search, first, last):
        yield from search.items(found)
        memory.next = max(memory.next, found.end)
        if found.end > last and memory.swept is None:
            memory.swept = last
        yield _checkpoint(memory)


def _swept(
    search: "_Search", memory: _Memory, sweep: _Sweep, catalogue: Catalogue, start: int, source_name: str
) -> Iterator[Item]:
    """Compare on from where the sweep is, to its end or for `SWEEP_REQUESTS`."""
    most = search.api.requests + SWEEP_REQUESTS
    for found in walk(search, max(start, sweep.next), sweep.last):
        yield from search.items(found)
        for missing in catalogue.unseen_between(source_name, sweep.next, found.end - 1):
            if missing.uploaded > sweep.next:
                # All before it are compared; where many are missing, a run need not come to the end of the slice.
                sweep.next = missing.uploaded
                yield _checkpoint(memory)
                if search.api.requests >= most:
                    return
            if (why := search.why_gone(missing.key.decode())) is not None:
                yield Takedown(missing.key.decode(), why)
        sweep.next = found.end
        yield _checkpoint(memory)
        if search.api.requests >= most:
            return


class _Search:
    """The search of a source, and what is asked about its photos."""

    def __init__(self, api: Api, arguments: Mapping[str, Any], permitted: Collection[str]) -> None:
        self.api, self._arguments, self._permitted = api, arguments, permitted

    def __call__(self, first: int, last: int, *, sort: str = "date-posted-asc", number: int = 1) -> Page:
        """See `walk`."""
        return self.api.call(
            "flickr.photos.search",
            page_of,
            **self._arguments,
            min_upload_date=first,
            max_upload_date=last,
            sort=sort,
            page=number,
            per_page=PER_PAGE,
            extras=_EXTRAS,
        )

    def items(self, found: Slice) -> Iterator[Item]:
        """The photos of a slice as records, or why they are none."""
        for photo in found.photos:
            yield record_of(photo, self._permitted)
        if found.beyond:
            yield Skip(
                "more than Flickr gives",
                f"of the photos uploaded in one second, {datetime.fromtimestamp(found.end - 1, UTC):%Y-%m-%d %H:%M:%S} UTC",
                found.beyond,
            )

    def why_gone(self, image_id: str) -> str | None:
        """Why a photo that is not found any more must not stay; None where it may, since a search is not reliable."""
        kind, _, number = image_id.partition(":")
        if kind != "flickr":
            return None  # the source was of another kind once
        try:
            return self.api.call(
                "flickr.photos.getInfo",
                lambda answer: why_gone(answer, self._permitted, self._arguments["safe_search"]),
                expected=_GONE,
                photo_id=number,
            )
        except RefusedError as refused:
            return _GONE[refused.code]


def _checkpoint(memory: _Memory) -> Checkpoint:
    return Checkpoint(memory.model_dump(mode="json", exclude_none=True))


def _remembered(state: State, arguments: Mapping[str, Any], start: int) -> _Memory:
    """What earlier runs of the same search remember; the beginning where there were none."""
    query = hashlib.blake2b(json.dumps([arguments, start]).encode(), digest_size=16).hexdigest()
    fresh = _Memory(query=query, next=start)
    try:
        memory = _Memory.model_validate(state) if state else fresh
    except ValidationError:
        log.warning("what the source remembered cannot be read, it starts from the beginning")
        return fresh
    if memory.query != query:
        log.info("the search is another one than before, it starts from the beginning")
        return fresh
    return memory


def query(source: FlickrSource) -> dict[str, Any]:
    """The arguments of `flickr.photos.search` that say what the source describes, its upload times aside.

    Raises:
        SourceError: there is no criterion, or a licence is unknown.
    """
    if not (source.text or source.tags or source.user_id or source.group_id):
        raise SourceError("a Flickr source needs at least one of text, tags, userId, groupId")
    arguments = {
        "text": source.text,
        "tags": ",".join(source.tags) or None,
        "tag_mode": source.tag_mode if source.tags else None,
        "user_id": source.user_id,
        "group_id": source.group_id,
        "license": ",".join(ids_of(source.licenses)),
        "safe_search": _SAFETY[source.safe_search],
        "media": "photos",
    }
    return {name: value for name, value in arguments.items() if value is not None}


def first_second(source: FlickrSource) -> int:
    """From when on photos are wanted, in seconds since 1970.

    Raises:
        SourceError: the date is none.
    """
    if source.min_upload_date is None:
        return FIRST_UPLOAD
    try:
        moment = datetime.fromisoformat(source.min_upload_date)
        return max(FIRST_UPLOAD, int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()))
    except (ValueError, OverflowError) as error:
        raise SourceError(
            f"minUploadDate {source.min_upload_date!r} is not an ISO 8601 date such as 2024-05-31"
        ) from error


def _ids(api: Api, wanted: Collection[str], arguments: Mapping[str, Any]) -> dict[str, str]:
    """Look up the ids of the user and the group, where these are given by name or by the address of their page."""
    return {
        name: api.call(lookup.method, lookup.read, url=lookup.address(arguments[name]))
        for name, lookup in _LOOKUPS.items()
        if name in wanted and not _ID.fullmatch(arguments[name])
    }


class _Lookup(NamedTuple):
    method: str
    what: str
    path: str

    def address(self, value: str) -> str:
        return value if value.startswith(("https://", "http://")) else f"{_SITE}/{self.path}/{quote(value)}/"

    def read(self, answer: dict[str, Any]) -> str:
        try:
            return str(answer[self.what]["id"])
        except (LookupError, TypeError) as error:
            raise MalformedAnswerError(f"the answer is no {self.what}") from error


_LOOKUPS: Final = {
    "user_id": _Lookup("flickr.urls.lookupUser", "user", "photos"),
    "group_id": _Lookup("flickr.urls.lookupGroup", "group", "groups"),
}
