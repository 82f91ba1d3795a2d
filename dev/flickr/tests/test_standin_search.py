"""What the stand-in finds, by Flickr's documented arguments."""

from datetime import UTC, datetime, timedelta

import pytest
from flickr_standin.photos import Library, Photo
from flickr_standin.search import FlickrError, estimated, group_at, info, owner_at, search

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


def test_beyond_4000_results_flickr_repeats_its_last_page() -> None:
    photos = [photo(number) for number in range(5000)]

    pages = [search(photos, {"text": "photo", "per_page": "500", "page": str(page)}) for page in range(1, 11)]

    assert pages[0].total == 5000
    assert pages[0].pages == 10
    assert pages[9].photos == pages[8].photos == pages[7].photos
    assert len({found.id for page in pages for found in page.photos}) == 4000


def test_upload_times_include_both_seconds_whole() -> None:
    photos = [photo(number, uploaded_at=DAY + timedelta(seconds=number, milliseconds=700)) for number in range(4)]
    second = int(DAY.timestamp())

    assert ids(photos, min_upload_date=str(second + 1), max_upload_date=str(second + 2)) == ["2", "1"]


def test_what_is_not_indexed_yet_is_not_found() -> None:
    late = photo(1, indexed_at=DAY + timedelta(hours=1))

    assert search([late], {"text": "photo"}, now=DAY).total == 0
    assert search([late], {"text": "photo"}, now=DAY + timedelta(hours=1)).total == 1


def test_a_large_total_is_an_estimate_and_a_small_one_is_true() -> None:
    assert [estimated(total) for total in (0, 1, 100)] == [0, 1, 100]
    estimates = [estimated(total) for total in range(1000, 1100)]
    assert estimates != list(range(1000, 1100))
    assert all(abs(estimate - total) <= total * 0.03 + 1 for total, estimate in enumerate(estimates, 1000))


def test_a_private_photo_is_found_by_nobody_and_refused() -> None:
    hidden = photo(1, public=False)

    assert ids([hidden], text="photo") == []
    for asked, code in ((hidden, 2), (None, 1)):
        with pytest.raises(FlickrError) as caught:
            info(asked)
        assert caught.value.code == code


def test_users_and_groups_are_found_by_the_address_of_their_page() -> None:
    photos = [photo(1), photo(2, owner="2@N01", path_alias="ada", group_id="7@N20", group_alias="dogs")]

    assert owner_at(photos, "https://www.flickr.com/photos/ada/").id == "2"
    assert owner_at(photos, "https://www.flickr.com/people/1@N01").id == "1"
    assert group_at(photos, "http://flickr.com/groups/dogs/").id == "2"
    for look_up in (owner_at, group_at):
        with pytest.raises(FlickrError, match="not found"):
            look_up(photos, "https://www.flickr.com/photos/nobody/")


def test_a_library_keeps_the_order_of_uploads_while_photos_come_change_and_go() -> None:
    library = Library([photo(3), photo(1)])

    library.put(photo(2))
    library.put(photo(1, uploaded_at=DAY + timedelta(days=9)))

    assert [found.id for found in library.photos] == ["2", "3", "1"]
    assert library.remove("3")
    assert not library.remove("3")
    assert [found.id for found in library.photos] == ["2", "1"]
    assert library.get("3") is None
