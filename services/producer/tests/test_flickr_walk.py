"""A range of upload times walked through: every photo once, nothing missing, few requests, whatever Flickr does meanwhile."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from imagesearch_producer.sources.flickr_response import Page
from imagesearch_producer.sources.flickr_walk import PER_PAGE, RESULT_LIMIT, Slice, walk

DAY = 86_400


@dataclass
class Flickr:
    """Photos by id with the second of their upload, searched as Flickr does; `meanwhile` happens before each answer."""

    seconds: dict[str, int]
    meanwhile: Callable[[], None] = lambda: None
    estimate: Callable[[int], int] = lambda total: total
    disorder: bool = False
    requests: list[tuple[int, int, str, int]] = field(default_factory=list)

    def __call__(self, first: int, last: int, *, sort: str = "date-posted-asc", number: int = 1) -> Page:
        self.requests.append((first, last, sort, number))
        self.meanwhile()
        found = sorted((second, id) for id, second in self.seconds.items() if first <= second <= last)
        if sort == "date-taken-desc":
            found.reverse()
        if self.disorder:
            found.sort(key=lambda each: hash(each[1]))
        number = min(number, RESULT_LIMIT // PER_PAGE)
        photos = [
            {"id": id, "dateupload": str(second)} for second, id in found[(number - 1) * PER_PAGE : number * PER_PAGE]
        ]
        total = self.estimate(len(found))
        return Page(photos, pages=-(-total // PER_PAGE), total=total)


def scattered(number: int, seed: int = 0, first: int = 0, last: int = 900 * DAY) -> dict[str, int]:
    chance = random.Random(seed)
    return {f"{first}-{index}": chance.randint(first, last) for index in range(number)}


def found_in(slices: list[Slice]) -> Counter[str]:
    return Counter(photo["id"] for each in slices for photo in each.photos)


def walked(flickr: Flickr, first: int = 0, last: int = 1000 * DAY) -> list[Slice]:
    return list(walk(flickr, first, last))


def test_every_photo_of_a_long_range_with_bursts_is_found_once_in_about_as_many_requests_as_pages() -> None:
    photos = scattered(35_000) | scattered(10_000, first=DAY, last=DAY + 3600) | scattered(3, first=0, last=0)
    flickr = Flickr(photos)

    slices = walked(flickr)

    assert found_in(slices) == Counter(photos.keys())
    assert len(flickr.requests) <= len(photos) / PER_PAGE * 1.03


def test_slices_follow_one_another_without_a_gap_and_hold_the_photos_of_their_seconds() -> None:
    photos = scattered(3000)
    begin = 0

    for each in walked(Flickr(photos)):
        assert {photo["id"] for photo in each.photos} == {id for id, s in photos.items() if begin <= s < each.end}
        begin = each.end

    assert begin == 1000 * DAY + 1


def test_both_ends_of_the_range_belong_to_it() -> None:
    photos = {"before": 9, "first": 10, "last": 20, "after": 21}

    assert found_in(walked(Flickr(photos), 10, 20)) == {"first": 1, "last": 1}
    assert walked(Flickr(photos), 20, 19) == []


@pytest.mark.parametrize("seed", range(10))
def test_photos_that_vanish_or_are_tagged_otherwise_meanwhile_hide_no_others(seed: int) -> None:
    chance = random.Random(seed)
    photos = scattered(4000, seed) | scattered(1200, seed, first=DAY, last=DAY + 2)
    lasting = set(photos)
    flickr = Flickr(dict(photos))

    def vanish() -> None:
        for id in chance.sample(sorted(flickr.seconds), 25):
            del flickr.seconds[id]
            lasting.discard(id)

    flickr.meanwhile = vanish
    found = found_in(walked(flickr))

    assert max(found.values()) == 1
    assert lasting <= found.keys()


@pytest.mark.parametrize("seed", range(10))
def test_photos_that_come_meanwhile_make_no_others_come_twice(seed: int) -> None:
    chance = random.Random(seed)
    photos = scattered(4000, seed)
    flickr = Flickr(dict(photos))

    def arrive() -> None:
        number = len(flickr.seconds)
        flickr.seconds |= {f"late-{number + index}": chance.randrange(1000 * DAY) for index in range(25)}

    flickr.meanwhile = arrive
    found = found_in(walked(flickr))

    assert max(found.values()) == 1
    assert photos.keys() <= found.keys()


@pytest.mark.parametrize("number", [499, 500, 501, 4000, 4001, 5000, 8000])
def test_photos_of_one_second_are_found_up_to_twice_the_ceiling(number: int) -> None:
    photos = scattered(number, first=DAY, last=DAY) | scattered(1000)

    slices = walked(Flickr(photos))

    assert found_in(slices) == Counter(photos.keys())
    assert sum(each.beyond for each in slices) == 0


def test_what_is_beyond_even_that_is_counted() -> None:
    photos = scattered(9000, first=DAY, last=DAY) | scattered(1000)

    slices = walked(Flickr(photos))

    assert found_in(slices).total() == 9000
    assert [each.beyond for each in slices if each.beyond] == [1000]


@pytest.mark.parametrize("estimate", [lambda total: total * 2, lambda total: total // 2, lambda total: total + 1000])
def test_a_total_that_is_wrong_loses_nothing(estimate: Callable[[int], int]) -> None:
    photos = scattered(3000)

    assert found_in(walked(Flickr(photos, estimate=estimate))) == Counter(photos.keys())


def test_an_order_that_flickr_does_not_keep_to_costs_requests_and_no_photos() -> None:
    photos = scattered(3000) | scattered(700, first=DAY, last=DAY)
    flickr = Flickr(photos, disorder=True)

    assert found_in(walked(flickr)) == Counter(photos.keys())
    assert len(flickr.requests) < 60


def test_photos_that_are_announced_and_not_shown_hide_no_others() -> None:
    class Shy(Flickr):
        def __call__(self, *arguments: Any, **options: Any) -> Page:
            page = super().__call__(*arguments, **options)
            return page._replace(photos=[photo for photo in page.photos if photo["id"] not in hidden])

    hidden = scattered(1500) | scattered(600, first=DAY, last=DAY)
    shown = scattered(100, first=1, last=900 * DAY)
    flickr = Shy(hidden | shown)

    assert found_in(walked(flickr)) == Counter(shown.keys())
    assert len(flickr.requests) < 100


def test_photos_without_a_sensible_upload_time_come_with_their_neighbours() -> None:
    class Odd(Flickr):
        def __call__(self, *arguments: Any, **options: Any) -> Page:
            page = super().__call__(*arguments, **options)
            for photo in page.photos:
                if photo["id"] in odd:
                    photo["dateupload"] = odd[photo["id"]]
            return page

    photos = scattered(3000)
    odd = dict.fromkeys(random.Random(1).sample(sorted(photos), 20), "soon") | {"0-7": str(2**40), "0-8": "-5"}

    assert found_in(walked(Odd(photos))).keys() == photos.keys()
