"""The Flickr API called: the real flickrapi against the stand-in, with time that passes only when told to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from flickr_standin.app import create_app
from flickr_standin.photos import Photo
from flickr_standin.serving import serving
from imagesearch_producer.ledger import RequestsUsedUpError
from imagesearch_producer.sources import SourceError
from imagesearch_producer.sources.flickr_api import FlickrApi
from imagesearch_producer.sources.flickr_response import Page, RefusedError, page_of

KEY = "valid-key"
DAY = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass
class Pauses:
    """What was waited for."""

    naps: list[float] = field(default_factory=list)
    turns: int = 0

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)

    def turn(self) -> None:
        self.turns += 1


@pytest.fixture(scope="module")
def three() -> Iterator[str]:
    """A stand-in with three photos; a test that orders faults uses them up."""
    photos = [
        Photo(str(number), "1@N01", "One", f"photo {number}", DAY + timedelta(minutes=number), DAY)
        for number in range(3)
    ]
    with serving(create_app(photos=photos, api_key=KEY)) as base_url:
        yield base_url


def search(base_url: str, pauses: Pauses | None = None, key: str = KEY, **arguments: Any) -> Page:
    pauses = pauses or Pauses()
    api = FlickrApi(f"{base_url}/services/rest/", key, turn=pauses.turn, sleep=pauses.sleep)
    return api.call("flickr.photos.search", page_of, **({"text": "photo"} | arguments))


def order(base_url: str, **fault: Any) -> None:
    httpx.post(f"{base_url}/_faults", json=fault).raise_for_status()


def test_a_call_takes_a_turn_and_gives_what_is_read_of_its_answer(three: str) -> None:
    pauses = Pauses()

    page = search(three, pauses, per_page=2)

    assert (len(page.photos), page.pages, page.total) == (2, 2, 3)
    assert (pauses.turns, pauses.naps) == (1, [])


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503},
        {"status": "throttle"},
        {"status": "html"},
        {"status": "truncated"},
        {"status": "busy"},
    ],
)
def test_what_passes_is_tried_again_after_growing_waits_each_time_in_turn(three: str, fault: dict[str, Any]) -> None:
    pauses = Pauses()
    order(three, count=3, **fault)

    assert search(three, pauses).total == 3
    assert (pauses.turns, pauses.naps) == (4, [1.0, 2.0, 4.0])


def test_the_wait_that_flickr_asks_for_is_kept(three: str) -> None:
    pauses = Pauses()
    order(three, status="throttle", retry_after="17")

    assert search(three, pauses).total == 3
    assert pauses.naps == [17.0]


def test_a_wait_that_makes_no_sense_is_our_own(three: str) -> None:
    pauses = Pauses()
    order(three, status=503, retry_after="a while")

    assert search(three, pauses).total == 3
    assert pauses.naps == [1.0]


def test_a_wait_of_an_hour_ends_the_run_and_says_so(three: str) -> None:
    order(three, status="throttle", retry_after="3600")

    with pytest.raises(SourceError, match=r"HTTP 429, after 1 of 5 attempts \(it asks to wait 3600 s\)"):
        search(three)


def test_after_five_attempts_the_run_ends(three: str) -> None:
    order(three, status=500, count=5)

    with pytest.raises(SourceError, match=r"does not answer at .*: HTTP 500, after 5 of 5 attempts; what came before"):
        search(three)


def test_an_invalid_key_is_told_at_once_and_not_repeated(three: str) -> None:
    pauses = Pauses()

    with pytest.raises(SourceError, match=r"Invalid API Key .*\(code 100\); check FLICKR_API_KEY") as caught:
        search(three, pauses, key="guessed-key")

    assert pauses.turns == 1
    assert "guessed-key" not in str(caught.value)


def test_an_unknown_user_is_told_with_a_hint(three: str) -> None:
    with pytest.raises(SourceError, match=r"Unknown user \(code 2\); check the user id"):
        search(three, user_id="nobody")


def test_a_code_that_is_an_answer_to_the_caller_reaches_it(three: str) -> None:
    pauses = Pauses()
    api = FlickrApi(f"{three}/services/rest/", KEY, turn=pauses.turn, sleep=pauses.sleep)

    with pytest.raises(RefusedError, match="Photo not found") as caught:
        api.call("flickr.photos.getInfo", dict, expected={1}, photo_id="404")

    assert caught.value.code == 1
    assert api.requests == pauses.turns == 1


def test_a_turn_that_does_not_come_comes_through(three: str) -> None:
    def turn() -> None:
        raise RequestsUsedUpError

    api = FlickrApi(f"{three}/services/rest/", KEY, turn=turn)
    with pytest.raises(RequestsUsedUpError):
        api.call("flickr.photos.search", page_of, text="photo")

    assert api.requests == 0


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(SourceError, match=r"no connection \(ConnectionError\), after 5 of 5 attempts"):
        search("http://127.0.0.1:9")


@pytest.mark.parametrize("base_url", ["http://[1", "http://"])
def test_an_endpoint_that_is_no_address_is_told(base_url: str) -> None:
    with pytest.raises(SourceError, match="is not a usable address"):
        search(base_url)


def test_an_endpoint_that_is_something_else_is_told(three: str) -> None:
    with pytest.raises(SourceError, match=r"HTTP 404 at .*; check the endpoint"):
        search(f"{three}/elsewhere")
