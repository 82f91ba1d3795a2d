"""The Flickr API through flickrapi: one call at a time, in turn, and tried again where that helps. `flickr` calls it."""

import logging
import time
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import count
from types import SimpleNamespace
from typing import Any, Final, TypeVar

import flickrapi
import requests

from imagesearch_producer.sources import SourceError
from imagesearch_producer.sources.flickr_response import MalformedAnswerError, RefusedError, parse

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

ATTEMPTS: Final = 5
LONGEST_WAIT_SECONDS: Final = 120.0
"""A run is not held up for longer; the next one on the schedule goes on."""
TIMEOUT_SECONDS: Final = 30.0

_BUSY_CODES = frozenset({0, 10, 105, 106})
"""`stat: fail` codes that pass by themselves: the search or the service is not currently available."""
_HINTS = {
    ("", 100): "check FLICKR_API_KEY",
    ("flickr.photos.search", 2): "check the user id, it looks like 12345678@N00",
    ("flickr.photos.search", 4): "the group is not public, or its id is wrong",
    (
        "flickr.urls.lookupUser",
        1,
    ): "check userId: an id such as 12345678@N00, a name as in the address of a page, or that address",
    (
        "flickr.urls.lookupGroup",
        1,
    ): "check groupId: an id such as 1234567@N20, a name as in the address of a page, or that address",
}


class _BusyError(Exception):
    """Flickr cannot answer now; `wait` is how long it asks to wait, in seconds, where it does."""

    def __init__(self, detail: str, wait: float | None = None) -> None:
        super().__init__(detail)
        self.wait = wait


class FlickrApi:
    """Calls methods of the API.

    Args:
        endpoint: URL of the REST endpoint.
        api_key: of the application.
        turn: returns when the next request may be sent; what it raises comes through.
        sleep: waits for some seconds.
    """

    def __init__(
        self, endpoint: str, api_key: str, *, turn: Callable[[], None], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.requests = 0
        """Sent so far, those that were tried again included."""
        self._endpoint, self._turn, self._sleep = endpoint, turn, sleep
        # `format="json"` gives the answer as it came: flickrapi's own parser fails in many ways on what is not JSON.
        self._api = flickrapi.FlickrAPI(
            api_key, "", format="json", cache=False, store_token=False, timeout=TIMEOUT_SECONDS
        )
        self._api.REST_URL = endpoint
        self._api.flickr_oauth.oauth = _Unsigned(api_key)
        self._key = api_key
        # flickrapi reports every HTTP error as one exception without a status, and its session is shared by all.
        self._api.flickr_oauth.session = requests.Session()
        self._api.flickr_oauth.session.hooks["response"].append(_check_status)

    def call(
        self,
        method: str,
        read: Callable[[dict[str, Any]], Answer],
        *,
        expected: Collection[int] = (),
        **arguments: Any,
    ) -> Answer:
        """Call a method, and return what `read` makes of its answer.

        Args:
            method: its full name.
            read: may raise `MalformedAnswerError`, upon which the call is tried again.
            expected: codes that are an answer to the caller; they raise `RefusedError`.
            arguments: of the method.

        Raises:
            SourceError: Flickr refuses, or stays silent after several attempts.
            RefusedError: with a code that is expected.
        """
        for attempt in count(1):
            self._turn()
            try:
                return self._attempt(method, read, expected, arguments)
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

    def _attempt(
        self,
        method: str,
        read: Callable[[dict[str, Any]], Answer],
        expected: Collection[int],
        arguments: dict[str, Any],
    ) -> Answer:
        self.requests += 1
        try:
            body = self._api.do_flickr_call(method, api_key=self._key, **arguments)
            return read(parse(body))
        except RefusedError as refused:
            if refused.code in expected:
                raise
            if refused.code in _BUSY_CODES:
                raise _BusyError(str(refused)) from refused
            hint = _HINTS.get((method, refused.code)) or _HINTS.get(("", refused.code))
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
