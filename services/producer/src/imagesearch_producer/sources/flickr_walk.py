"""Every photo of a range of upload times exactly once, although Flickr gives at most 4000 of one query. `flickr` calls it.

The range is walked from its oldest second to its newest by what was found, not by page numbers: a query gives the oldest
500 from some second on, and the next one begins at the second of the last of these. So nothing slides from one page to
another when photos are added or vanish meanwhile, no request is spent on finding out how many there are (which Flickr only
estimates), and the ceiling is out of reach. A second is always taken whole from one query; only one that fills a page by
itself is paged through.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple, Protocol

from imagesearch_producer.sources.flickr_response import Page, uploaded

PER_PAGE: Final = 500
RESULT_LIMIT: Final = 4000
"""Photos of one query; Flickr repeats itself beyond."""

_ORDERS = ("date-taken-asc", "date-taken-desc")


class Search(Protocol):
    """`flickr.photos.search` with the criteria in place."""

    def __call__(self, first: int, last: int, *, sort: str = "date-posted-asc", number: int = 1) -> Page:
        """Page `number` (from 1) of the photos uploaded within the seconds `first` to `last`, both included."""
        ...


class Slice(NamedTuple):
    """All photos of some seconds."""

    photos: list[Any]
    end: int
    """The first second that does not belong to it."""
    beyond: int = 0
    """Photos that Flickr does not give."""


def walk(search: Search, first: int, last: int) -> Iterator[Slice]:
    """Yield slices that cover the seconds `first` to `last`, both included, without a gap, oldest first."""
    width = last - first + 1
    while first <= last:
        end = min(last, first + width - 1)
        page = search(first, end)
        seconds = _seconds(page.photos, first, end)
        if len(page.photos) < PER_PAGE and not (page.pages > 1 and search(first, end, number=2).photos):
            # The estimate alone proves nothing: what is announced beyond a page that is not full has to show itself.
            found = Slice(page.photos, end + 1)
        elif not _is_ordered(seconds) or not seconds:
            # Flickr does not keep to the order, or shows a page in part: a shorter time fits on one page.
            if end > first:
                width = (end - first + 1) // 2
                continue
            found = _one_second(search, first)
        elif seconds[-1] == first:
            found = _one_second(search, first)
        else:
            found = Slice(page.photos[: seconds.index(seconds[-1])], seconds[-1])
        yield found
        first, width = found.end, min(2 * width, last)


def _seconds(photos: list[Any], first: int, last: int) -> list[int]:
    """When each was uploaded; one that does not say, or makes no sense, was so when the one before it was."""
    seconds, latest = [], first
    for photo in photos:
        second = uploaded(photo, latest)
        latest = second if first <= second <= last else latest
        seconds.append(latest)
    return seconds


def _is_ordered(seconds: list[int]) -> bool:
    return all(one <= other for one, other in pairwise(seconds))


def _one_second(search: Search, second: int) -> Slice:
    """Page through it, in two opposite orders: these reach twice as far, and what slides over a page's edge meanwhile in
    one of them is met in the other.
    """
    found: dict[str, Any] = {}
    total = 0
    for sort in _ORDERS:
        for number in range(1, RESULT_LIMIT // PER_PAGE + 1):
            page = search(second, second, sort=sort, number=number)
            found |= {_name(photo): photo for photo in page.photos}
            total = max(total, page.total)
            if number >= page.pages or not page.photos:
                break
    return Slice(list(found.values()), second + 1, max(0, total - len(_ORDERS) * RESULT_LIMIT))


def _name(photo: object) -> str:
    return str(photo.get("id") if isinstance(photo, dict) else photo)
