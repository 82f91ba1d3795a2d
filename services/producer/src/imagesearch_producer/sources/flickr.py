"""Photos found by `flickr.photos.search`, through flickrapi; `main` calls `photos`.

One call gives 500 photos with everything a record needs (`extras`), so nothing is asked for photo by photo.
Flickr allows 3600 requests an hour and key, and gives at most 4000 photos of one query.
"""

import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from types import SimpleNamespace
from typing import Any, Final

import flickrapi
import requests
from imagesearch_contract.settings import FlickrSource

from imagesearch_producer.sources import Item, Skip, SourceError
from imagesearch_producer.sources.flickr_licenses import ids_of
from imagesearch_producer.sources.flickr_response import (
    EMBED_SIZES,
    THUMBNAIL_SIZES,
    MalformedAnswerError,
    Page,
    RefusedError,
    parse_page,
    record_of,
)

log = logging.getLogger(__name__)

PER_PAGE: Final = 500
RESULT_LIMIT: Final = 4000
"""Photos of one query; Flickr repeats itself beyond."""
SECONDS_PER_REQUEST = 1.0
"""3600 requests an hour."""
ATTEMPTS = 5
LONGEST_WAIT_SECONDS = 120.0
"""A run is not held up for longer; the next one on the schedule goes on."""
TIMEOUT_SECONDS = 30.0

_BUSY_CODES = frozenset({0, 10, 105, 106})
"""`stat: fail` codes that pass by themselves: the search or the service is not currently available."""
_HINTS = {
    100: "check FLICKR_API_KEY",
    2: "check the user id, it looks like 12345678@N00",
    4: "the group is not public, or its id is wrong",
}
_SAFETY = {"safe": 1, "moderate": 2, "restricted": 3}
_EXTRAS = ("description", "license", "date_upload", "date_taken", "owner_name", "path_alias", "tags", "o_dims", "geo")
_MORE_EXTRAS = ("media", "content_type", *(f"url_{size}" for size in dict.fromkeys(EMBED_SIZES + THUMBNAIL_SIZES)))


class _BusyError(Exception):
    """Flickr cannot answer now; `wait` is how long it asks to wait, in seconds, where it does."""

    def __init__(self, detail: str, wait: float | None = None) -> None:
        super().__init__(detail)
        self.wait = wait


def photos(
    source: FlickrSource,
    api_key: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """Yield what the search finds, newest first, page by page as it is consumed.

    Raises:
        SourceError: the search makes no sense, Flickr refuses it, or it stays silent after several attempts.
    """
    permitted = ids_of(source.licenses)
    search = _Search(query(source), source.endpoint, api_key, sleep=sleep, clock=clock)
    for number in count(1):
        page = search.page(number)
        if number == 1:
            log.info("Flickr finds %d photos", page.total)
        yield from (record_of(photo, permitted) for photo in page.photos)
        if not page.photos or number >= min(page.pages, RESULT_LIMIT // PER_PAGE):
            break
    if page.total > RESULT_LIMIT:
        yield Skip(
            f"beyond the first {RESULT_LIMIT}",
            "Flickr gives no more results of one query; narrow it, by minUploadDate for example",
            page.total - RESULT_LIMIT,
        )


def query(source: FlickrSource) -> dict[str, Any]:
    """The arguments of `flickr.photos.search` that find what the source describes.

    Raises:
        SourceError: there is no criterion, a licence is unknown, or the date is none.
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
        "min_upload_date": _epoch(source.min_upload_date) if source.min_upload_date else None,
        "media": "photos",
        # With the newest first, photos uploaded during the run push others to a later page, where they
        # come twice; in the other orders they could slip through between two pages.
        "sort": "date-posted-desc",
        "extras": ",".join(_EXTRAS + _MORE_EXTRAS),
        "per_page": PER_PAGE,
    }
    return {name: value for name, value in arguments.items() if value is not None}


def _epoch(date: str) -> int:
    try:
        moment = datetime.fromisoformat(date)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError) as error:
        raise SourceError(f"minUploadDate {date!r} is not an ISO 8601 date such as 2024-05-31") from error


class _Search:
    """One search: flickrapi, held to Flickr's pace and tried again where that helps."""

    def __init__(
        self,
        arguments: dict[str, Any],
        endpoint: str,
        api_key: str,
        *,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._arguments = {"api_key": api_key, **arguments}
        self._endpoint, self._sleep, self._clock = endpoint, sleep, clock
        self._next_call = clock()
        # `format="json"` gives the answer as it came: flickrapi's own parser fails in many ways on what is not JSON.
        self._api = flickrapi.FlickrAPI(
            api_key, "", format="json", cache=False, store_token=False, timeout=TIMEOUT_SECONDS
        )
        self._api.REST_URL = endpoint
        self._api.flickr_oauth.oauth = _Unsigned(api_key)
        # flickrapi reports every HTTP error as one exception without a status, and its session is shared by all.
        self._api.flickr_oauth.session = requests.Session()
        self._api.flickr_oauth.session.hooks["response"].append(_check_status)

    def page(self, number: int) -> Page:
        for attempt in count(1):
            self._keep_pace()
            try:
                return self._call(number)
            except _BusyError as busy:
                wait = busy.wait if busy.wait is not None else 2.0 ** (attempt - 1)
                if attempt == ATTEMPTS or wait > LONGEST_WAIT_SECONDS:
                    raise SourceError(
                        f"Flickr does not answer at {self._endpoint}: {busy}, after {attempt} of {ATTEMPTS} attempts"
                        + (f" (it asks to wait {wait:.0f} s)" if attempt < ATTEMPTS else "")
                        + "; what came before is published, a later run goes on from there"
                    ) from busy
                log.warning("Flickr: %s; trying again in %.0f s", busy, wait)
                self._sleep(wait)
        raise AssertionError("count() ends")

    def _keep_pace(self) -> None:
        if (wait := self._next_call - self._clock()) > 0:
            self._sleep(wait)
        self._next_call = self._clock() + SECONDS_PER_REQUEST

    def _call(self, number: int) -> Page:
        try:
            return parse_page(self._api.photos.search(**self._arguments, page=number))
        except RefusedError as refused:
            if refused.code in _BUSY_CODES:
                raise _BusyError(str(refused)) from refused
            hint = _HINTS.get(refused.code)
            raise SourceError(f"{refused}; {hint}" if hint else str(refused)) from refused
        except MalformedAnswerError as error:
            raise _BusyError(str(error)) from error
        except requests.RequestException as error:
            if isinstance(error, ValueError):  # the address itself is wrong, and stays so
                raise SourceError(f"the Flickr endpoint {self._endpoint} is not a usable address") from error
            raise _BusyError(f"no connection ({type(error).__name__})") from error


class _Unsigned:
    """Takes the place of flickrapi's OAuth signature: the search needs no login, and signing takes a second secret."""

    def __init__(self, api_key: str) -> None:
        self.client = SimpleNamespace(client_key=api_key)  # flickrapi reads it

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _check_status(response: requests.Response, **_: object) -> None:
    if response.status_code == 429 or response.status_code >= 500:
        raise _BusyError(f"HTTP {response.status_code}", _retry_after(response.headers.get("Retry-After")))
    if response.status_code >= 400:
        raise SourceError(f"Flickr answered HTTP {response.status_code} at {response.url}; check the endpoint")


def _retry_after(value: str | None) -> float | None:
    """Seconds; the header is either that or a date."""
    if value is None:
        return None
    try:
        if value.isdecimal():
            return float(value)
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None
