"""What the stand-in finds, by Flickr's documented arguments."""

from datetime import UTC, datetime, timedelta

import pytest
from flickr_standin.photos import Photo
from flickr_standin.search import FlickrError, search

DAY = datetime(2024, 1, 1, tzinfo=UTC)


def photo(number: int, **fields: object) -> Photo:
    values: dict[str, object] = {
        "id": str(number),
        "owner": "1@N01",
        "owner_name": "One",
        "title": f"photo {number}",
        "uploaded_at": DAY + timedelta(days=number),
        "taken_at": DAY - timedelta(days=number),
    }
    return Photo(**(values | fields))  # type: ignore[arg-type]


def ids(photos: list[Photo], logged_in: bool = False, **arguments: str) -> list[str]:
    return [found.id for found in search(photos, arguments, logged_in=logged_in).photos]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"text": "dog"}, ["3", "1"]),
        ({"text": "DOG beach"}, ["1"]),
        ({"text": "dog -beach"}, ["3"]),
        ({"tags": "beach,snow"}, ["2", "1"]),
        ({"tags": "beach,sea", "tag_mode": "all"}, ["1"]),
        ({"tags": "beach,-sea"}, []),
        ({"tags": "S-E A"}, ["1"]),
        ({"text": "o", "license": "4,9"}, ["2", "1"]),
        ({"user_id": "2@N01"}, ["2"]),
        ({"group_id": "7@N20"}, ["3"]),
        ({"min_upload_date": str(int((DAY + timedelta(days=2)).timestamp()))}, ["3", "2"]),
        ({"max_upload_date": "2024-01-02 00:00:00"}, ["1"]),
        ({"text": "o", "sort": "date-posted-asc"}, ["1", "2", "3"]),
        ({"text": "o", "sort": "date-taken-desc"}, ["1", "2", "3"]),
        ({"text": "o", "media": "videos"}, []),
    ],
)
def test_each_argument_narrows_or_orders_as_documented(arguments: dict[str, str], found: list[str]) -> None:
    photos = [
        photo(1, title="A dog", description="on the beach", tags=("beach", "sea"), license="4"),
        photo(2, tags=("snow",), license="9", owner="2@N01"),
        photo(3, title="dogs", license="0", group_id="7@N20"),
    ]

    assert ids(photos, **arguments) == found


def test_only_a_logged_in_user_sees_more_than_safe_photos() -> None:
    photos = [photo(1), photo(2, safety_level=2), photo(3, safety_level=3)]

    assert ids(photos, text="photo", safe_search="3") == ["1"]
    assert ids(photos, text="photo", safe_search="2", logged_in=True) == ["2", "1"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, 3),
        ({"license": "4", "per_page": "10", "sort": "relevance"}, 3),
        ({"text": "  "}, 3),
        ({"user_id": "nobody"}, 2),
        ({"group_id": "nowhere"}, 4),
        ({"tags": ",".join(map(str, range(21))), "tag_mode": "all"}, 1),
        ({"min_upload_date": "yesterday"}, 18),
    ],
)
def test_a_search_that_flickr_refuses_is_refused_with_its_code(arguments: dict[str, str], code: int) -> None:
    with pytest.raises(FlickrError) as caught:
        search([photo(1)], arguments)

    assert caught.value.code == code


@pytest.mark.parametrize(("asked", "given"), [(None, 100), ("500", 500), ("501", 500), ("0", 1), ("many", 100)])
def test_a_page_holds_100_photos_and_never_more_than_500(asked: str | None, given: int) -> None:
    photos = [photo(number) for number in range(1200)]

    results = search(photos, {"text": "photo"} | ({"per_page": asked} if asked else {}))

    assert results.per_page == len(results.photos) == given
    assert results.total == 1200


def test_pages_are_disjoint_and_cover_everything() -> None:
    photos = [photo(number) for number in range(1201)]

    pages = [search(photos, {"text": "photo", "per_page": "500", "page": str(page)}) for page in (1, 2, 3, 4)]

    assert [len(page.photos) for page in pages] == [500, 500, 201, 0]
    assert {page.pages for page in pages} == {3}
    assert len({found.id for page in pages for found in page.photos}) == 1201


def test_beyond_4000_results_flickr_repeats_itself() -> None:
    photos = [photo(number) for number in range(5000)]

    pages = [search(photos, {"text": "photo", "per_page": "500", "page": str(page)}) for page in range(1, 11)]

    assert pages[0].total == 5000
    assert pages[0].pages == 10
    assert pages[8].photos == pages[0].photos
    assert len({found.id for page in pages for found in page.photos}) == 4000
