"""The Flickr source end to end: the real flickrapi against the stand-in, with time that passes only when told to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from flickr_standin.app import create_app
from flickr_standin.photos import Photo
from flickr_standin.serving import serving
from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import FlickrSource
from imagesearch_producer.sources import Item, Skip, SourceError
from imagesearch_producer.sources.flickr import photos, query

KEY = "valid-key"
DAY = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    now: float = 0.0
    naps: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


def photo(number: int, **fields: Any) -> Photo:
    values = {"id": str(1000 + number), "owner": "1@N01", "owner_name": "One", "title": f"photo {number}"}
    return Photo(uploaded_at=DAY + timedelta(minutes=number), taken_at=DAY, **(values | fields))


@contextmanager
def flickr(*found: Photo, **options: Any) -> Iterator[str]:
    with serving(create_app(photos=found, api_key=KEY, **options)) as base_url:
        yield base_url


@pytest.fixture(scope="module")
def three() -> Iterator[str]:
    """A stand-in with three photos; a test that orders faults uses them up."""
    with flickr(photo(1), photo(2), photo(3)) as base_url:
        yield base_url


def search(base_url: str, clock: Clock | None = None, key: str = KEY, **criteria: Any) -> list[Item]:
    clock = clock or Clock()
    source = FlickrSource(endpoint=f"{base_url}/services/rest/", **({"text": "photo"} | criteria))
    return list(photos(source, key, sleep=clock.sleep, clock=clock))


def order(base_url: str, **fault: Any) -> None:
    httpx.post(f"{base_url}/_faults", json=fault).raise_for_status()


def ids(items: list[Item]) -> list[str]:
    return [item.id for item in items if isinstance(item, ImageRecord)]


def test_one_call_gives_whole_records_newest_first(three: str) -> None:
    items = search(three)

    assert ids(items) == ["flickr:1003", "flickr:1002", "flickr:1001"]
    assert items[0] == ImageRecord(
        id="flickr:1003",
        url=f"{three}/photos/missing.jpg",
        thumbnail_url=f"{three}/photos/missing.jpg",
        page_url="https://www.flickr.com/photos/1@N01/1003",
        title="photo 3",
        author="One",
        author_url="https://www.flickr.com/photos/1@N01/",
        license="CC-BY-2.0",
        license_url="https://creativecommons.org/licenses/by/2.0/",
        taken_at=DAY,
        uploaded_at=DAY + timedelta(minutes=3),
        width=500,
        height=375,
    )


def test_only_permitted_licences_are_asked_for() -> None:
    with flickr(
        photo(1, license="0"), photo(2, license="9"), photo(3, license="2"), photo(4, license="11")
    ) as base_url:
        assert ids(search(base_url)) == ["flickr:1004", "flickr:1002"]
        assert ids(search(base_url, licenses=("CC-BY-NC-2.0",))) == ["flickr:1003"]


def test_tags_users_groups_and_dates_narrow_the_search() -> None:
    with flickr(
        photo(1, tags=("dog", "sea")), photo(2, tags=("dog",), owner="2@N01"), photo(3, group_id="7@N20")
    ) as base_url:
        assert ids(search(base_url, tags=("dog", "sea"))) == ["flickr:1002", "flickr:1001"]
        assert ids(search(base_url, tags=("dog", "sea"), tag_mode="all")) == ["flickr:1001"]
        assert ids(search(base_url, user_id="2@N01")) == ["flickr:1002"]
        assert ids(search(base_url, group_id="7@N20")) == ["flickr:1003"]
        assert ids(search(base_url, min_upload_date="2024-01-01T00:02:00")) == ["flickr:1003", "flickr:1002"]
        assert search(base_url, min_upload_date="2024-01-02") == []


def test_5000_photos_give_the_4000_that_flickr_has_and_say_so() -> None:
    clock = Clock()
    with flickr(*(photo(number) for number in range(5000))) as base_url:
        items = search(base_url, clock)

    assert len(set(ids(items))) == len(ids(items)) == 4000
    (skip,) = [item for item in items if isinstance(item, Skip)]
    assert (skip.reason, skip.count) == ("beyond the first 4000", 1000)
    assert clock.naps == [1.0] * 7  # 8 pages, at most 3600 requests an hour


def test_a_reader_that_stops_early_asks_for_no_further_page() -> None:
    with flickr(*(photo(number) for number in range(600)), requests_per_hour=1) as base_url:
        source = FlickrSource(text="photo", endpoint=f"{base_url}/services/rest/")
        found = photos(source, KEY, sleep=Clock().sleep, clock=Clock())

        assert len([next(found) for _ in range(500)]) == 500
        found.close()  # type: ignore[attr-defined]


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
def test_what_passes_is_tried_again_after_growing_waits(three: str, fault: dict[str, Any]) -> None:
    clock = Clock()
    order(three, count=3, **fault)

    assert len(search(three, clock)) == 3
    assert clock.naps == [1.0, 2.0, 4.0]


def test_the_wait_that_flickr_asks_for_is_kept(three: str) -> None:
    clock = Clock()
    order(three, status="throttle", retry_after="17")

    assert len(search(three, clock)) == 3
    assert clock.naps == [17.0]


def test_a_wait_that_makes_no_sense_is_our_own(three: str) -> None:
    clock = Clock()
    order(three, status=503, retry_after="a while")

    assert len(search(three, clock)) == 3
    assert clock.naps == [1.0]


def test_a_wait_of_an_hour_ends_the_run_and_says_so(three: str) -> None:
    order(three, status="throttle", retry_after="3600")

    with pytest.raises(SourceError, match=r"HTTP 429, after 1 of 5 attempts \(it asks to wait 3600 s\)"):
        search(three)


def test_after_five_attempts_the_run_ends(three: str) -> None:
    order(three, status=500, count=5)

    with pytest.raises(SourceError, match=r"does not answer at .*: HTTP 500, after 5 of 5 attempts; what came before"):
        search(three)


def test_an_invalid_key_is_told_at_once_and_not_repeated(three: str) -> None:
    clock = Clock()

    with pytest.raises(SourceError, match=r"Invalid API Key .*\(code 100\); check FLICKR_API_KEY") as caught:
        search(three, clock, key="guessed-key")

    assert clock.naps == []
    assert "guessed-key" not in str(caught.value)


def test_an_unknown_user_is_told_with_a_hint(three: str) -> None:
    with pytest.raises(SourceError, match=r"Unknown user \(code 2\); check the user id"):
        search(three, user_id="nobody")


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


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ({"text": None}, "at least one of text, tags, userId, groupId"),
        ({"min_upload_date": "last week"}, "minUploadDate 'last week' is not an ISO 8601 date"),
        ({"licenses": ("MIT",)}, "no licence MIT"),
    ],
)
def test_a_search_that_makes_no_sense_is_told_before_flickr_is_asked(criteria: dict[str, Any], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        query(FlickrSource(**({"text": "photo"} | criteria)))


def test_the_query_asks_for_all_metadata_at_once_and_never_for_the_original() -> None:
    arguments = query(FlickrSource(text="dogs", safe_search="moderate", min_upload_date="2024-01-01"))

    extras = arguments.pop("extras").split(",")
    assert {"description", "license", "owner_name", "tags", "url_m"} <= set(extras)
    assert "url_o" not in extras
    assert arguments == {
        "text": "dogs", "license": "4,5,9,10,11,12", "safe_search": 2, "min_upload_date": 1704067200,
        "media": "photos", "sort": "date-posted-desc", "per_page": 500,
    }  # fmt: skip
