"""The order of a search, made of what Elasticsearch finds, and kept for as long as somebody pages through it."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

from imagesearch_search import bodies, duplicates, query, ranking
from imagesearch_search.bodies import Body
from imagesearch_search.calibration import Scale
from imagesearch_search.index_client import Index
from imagesearch_search.ranking import Ranked
from imagesearch_search.recent import Recent
from imagesearch_search.schema import FacetName, Filters, Options

CAPACITY: Final = 256
"""Recent orders that are kept; a thousand pictures take 150 KiB."""
FRESH_SECONDS: Final = 30.0
"""Then a search is ranked anew."""
PAGED_SECONDS: Final = 600.0
"""So long its later pages go on with the order of the first: whoever looks at pictures takes their time."""


class Sought(NamedTuple):
    """What is looked for."""

    vector: bytes | None = None
    """None where there is nothing to be near to."""
    words: str = ""
    """Empty where words do not count."""
    keyword_weight: float = 0.0
    judged: tuple[str, ...] = ()
    """Pictures that are part of the query; they are no answer to it."""
    oldest_first: bool = False
    """Of pictures that nothing is asked of."""

    @property
    def asks(self) -> bool:
        """Whether anything is asked of pictures but to pass the filters."""
        return self.vector is not None or bool(self.words)

    @property
    def preference(self) -> str:
        """By which all pages of the search go to the same copies of the index."""
        return query.preference(self.vector or self.words.encode())


class Ranking(NamedTuple):
    """The order of a search, as deep as can be paged through."""

    pictures: tuple[Ranked, ...]
    available: int
    strong: int | None
    """So many of the first are strong matches; None where it cannot be told."""
    made_at: float
    """In seconds, by the clock of `Rankings`."""

    @property
    def ids(self) -> list[str]:
        """The pictures, best first."""
        return [picture.id for picture in self.pictures]

    @property
    def every_id(self) -> list[str]:
        """The pictures and their near duplicates."""
        return [each for picture in self.pictures for each in (picture.id, *picture.duplicates)]

    @property
    def collapsed(self) -> int:
        """How many stand behind others."""
        return sum(len(picture.duplicates) for picture in self.pictures)

    def with_duplicates_behind(self, fingerprints: Mapping[str, str]) -> "Ranking":
        """The same, near duplicates behind the best of their kind."""
        pictures = tuple(duplicates.collapse(self.pictures, fingerprints))
        strong = None if self.strong is None else sum(picture.match == "strong" for picture in pictures)
        return self._replace(pictures=pictures, strong=strong)

    def strong_alone(self) -> "Ranking":
        """Without what is hardly like the query, where that can be told."""
        return self if self.strong is None else self._replace(pictures=self.pictures[: self.strong])


class Rankings:
    """Makes them, and remembers the recent ones, so that the pages of one search fit together."""

    def __init__(self, index: Index, depth: int, clock: Callable[[], float]) -> None:
        self._index = index
        self._depth = depth
        self._clock = clock
        self._kept: Recent[Ranking] = Recent(CAPACITY)

    async def of(
        self, index: str, sought: Sought, options: Options, scale: Scale | None, *, fresh: bool
    ) -> dict[FacetName | None, Ranking]:
        """The ranking under None; and for each facet that is filtered by, that without its own filter.

        Args:
            index: the concrete index.
            sought: what is looked for.
            options: among which pictures, and what will be counted.
            scale: tells strong matches from weak ones.
            fresh: rank even what is known.

        Raises:
            IndexMissingError: there is no such index any more.
            Problem: Elasticsearch does not answer.
        """
        filters: dict[FacetName | None, Filters] = {None: options.filters}
        for facet in options.facets:
            if bodies.is_filtered(options.filters, facet):
                filters[facet] = bodies.without(options.filters, facet)

        def good(kept: Ranking) -> bool:
            age = self._clock() - kept.made_at
            if options.from_ > 0:
                return age <= PAGED_SECONDS
            is_calibrated_since = scale is not None and kept.strong is None
            return age <= FRESH_SECONDS and not is_calibrated_since

        found = await asyncio.gather(
            *(
                self._kept.get(
                    (index, sought, options.collapse, each.model_dump_json()),
                    partial(self._rank, index, sought, each, scale, collapse=options.collapse),
                    fresh=fresh,
                    good=good,
                )
                for each in filters.values()
            )
        )
        if options.matches == "strong":
            found = [each.strong_alone() for each in found]
        return dict(zip(filters, found, strict=True))

    async def _rank(
        self, index: str, sought: Sought, filters: Filters, scale: Scale | None, *, collapse: bool
    ) -> Ranking:
        made_at = self._clock()
        depth = self._depth + len(sought.judged)
        *found, counted = await self._index.search(
            index,
            [*_candidates(sought, filters, depth, fingerprints=collapse), bodies.count(filters)],
            preference=sought.preference,
        )
        fingerprints = {key: each for answer in found for key, each in ranking.fingerprints(answer).items()}
        if sought.asks:
            near = ranking.scored(found.pop(0)) if sought.vector is not None else []
            worded = ranking.scored(found.pop(0)) if sought.words else []
            pictures = ranking.fuse(near, worded, sought.keyword_weight, depth)
        else:
            pictures = ranking.listed(found.pop(0))
        others = [picture for picture in pictures if picture.id not in sought.judged][: self._depth]
        strong = None
        if scale is not None:
            others, strong = ranking.strong_first(others, scale)
        ranked = Ranking(tuple(others), counted["hits"]["total"]["value"], strong, made_at)
        return ranked.with_duplicates_behind(fingerprints) if collapse else ranked


def _candidates(sought: Sought, filters: Filters, depth: int, *, fingerprints: bool) -> list[Body]:
    """The searches for the candidates."""
    if not sought.asks:
        return [bodies.all_of(filters, depth, oldest_first=sought.oldest_first, fingerprints=fingerprints)]
    found = []
    if sought.vector is not None:
        found.append(bodies.nearest(query.floats(sought.vector), filters, depth, fingerprints=fingerprints))
    if sought.words:
        found.append(bodies.worded(sought.words, filters, depth, fingerprints=fingerprints))
    return found
