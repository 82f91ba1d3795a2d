"""One search, from what was asked to the page of hits. `routes` calls it; `app` builds it.

A search by words goes on without its encoder: what has the words is found all the same, and the answer says so.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.settings import SearchSettings
from imagesearch_fetcher.fetch import FetchError

from imagesearch_search import bodies, query, ranking
from imagesearch_search.bodies import Body
from imagesearch_search.collections import Collection, Collections
from imagesearch_search.encoder_client import Encoder, EncoderClient
from imagesearch_search.index_client import Index, IndexMissingError
from imagesearch_search.problems import (
    ENCODER_OVERLOADED,
    ENCODER_UNAVAILABLE,
    IMAGE_NOT_FETCHED,
    INDEX_UNAVAILABLE,
    Problem,
)
from imagesearch_search.query import Wanted
from imagesearch_search.ranking import Ranked
from imagesearch_search.recent import Recent
from imagesearch_search.schema import (
    EncoderState,
    FacetCount,
    FacetName,
    Filters,
    Hit,
    Options,
    Readiness,
    SearchResponse,
)
from imagesearch_search.timing import Stages

Fetch = Callable[[str], Awaitable[bytes]]
"""`Fetcher.fetch`: the bytes at a URL, or `FetchError`."""
Sleep = Callable[[float], Awaitable[object]]
FETCH_GRACE_SECONDS: Final = 0.25
"""After the time that a fetch may take, its failure is known for certain: what was refused is told then, too."""
TEXT_VECTORS: Final = 4096
"""Vectors of recent texts that are kept; 512 dims take 2 KiB each."""
RANKINGS: Final = 256
"""Recent orders that are kept, so that the pages of one search fit together; a thousand pictures take 150 KiB each."""
RANKING_SECONDS: Final = 30.0
_AWAY: Final = (ENCODER_UNAVAILABLE, ENCODER_OVERLOADED)


class Sought(NamedTuple):
    """What is looked for in one index."""

    vector: bytes | None
    """None where there is nothing to be near to."""
    words: str
    """Empty where words do not count."""
    keyword_weight: float
    judged: tuple[str, ...]
    """Pictures that are part of the query; they are no answer to it."""
    oldest_first: bool
    """Of pictures that nothing is asked of."""

    def bodies(self, filters: Filters, depth: int) -> list[Body]:
        """The searches for the candidates, each as deep as may be paged with those that are left out."""
        asked = []
        deep = depth + len(self.judged)
        if self.vector is not None:
            asked.append(bodies.nearest(query.floats(self.vector), filters, deep))
        if self.words:
            asked.append(bodies.worded(self.words, filters, deep))
        return asked or [bodies.all_of(filters, deep, oldest_first=self.oldest_first)]


class Ranking(NamedTuple):
    """The order of a search, as deep as can be paged through."""

    pictures: tuple[Ranked, ...]
    available: int

    @property
    def ids(self) -> list[str]:
        """The pictures, best first."""
        return [picture.id for picture in self.pictures]


class SearchEngine:
    """Searches by text, by picture and by mixtures of them. `sleep` and `clock` are those by which failed fetches are answered."""

    def __init__(
        self,
        settings: SearchSettings,
        *,
        index: Index,
        encoder: EncoderClient,
        fetch: Fetch,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.collections = Collections(index, settings.default_namespace)
        self._settings = settings
        self._index = index
        self._encoder = encoder
        self._fetch = fetch
        self._sleep = sleep
        self._clock = clock
        self._text_vectors: Recent[bytes] = Recent(TEXT_VECTORS)
        self._rankings: Recent[Ranking] = Recent(RANKINGS, max_age_seconds=RANKING_SECONDS, clock=clock)

    @property
    def max_picture_bytes(self) -> int:
        """The largest picture that is taken, however it comes."""
        return self._settings.fetch_max_bytes

    def text(self, text: str, weight: float = 1.0, field: str = "query") -> Wanted:
        """A term of words, from a field of the request.

        Raises:
            Problem: there are none, or too many.
        """
        return Wanted(text=query.clean_text(text, self._settings.max_query_characters, field), weight=weight)

    async def search(
        self,
        collection: str,
        wanted: Sequence[Wanted],
        options: Options,
        stages: Stages,
        *,
        keyword_weight: float = 0.0,
        fresh: bool = False,
    ) -> SearchResponse:
        """A page of what is most like all that is wanted, best first; of everything where nothing is.

        Args:
            collection: as requests name it.
            wanted: the terms; words of those that count for a picture are looked for in captions, too.
            options: which part of the answers, among which pictures, in what order, what is counted.
            stages: where the time goes.
            keyword_weight: of captions beside meaning, 0 to 1.
            fresh: encode and rank even what is known.

        Raises:
            Problem: the collection, a term or the depth is none, or something that is needed does not answer.
        """
        query.check_depth(options, self._settings.max_depth)
        namespace, name = query.collection_of(collection, self._settings.default_namespace)
        for _ in range(2):
            target = await self.collections.find(namespace, name)
            try:
                sought, degraded = await self._sought(target, wanted, options, keyword_weight, stages, fresh=fresh)
                found = await self._rankings_of(target, sought, options, stages, fresh=fresh)
                hits, facets = await self._page(target, sought, found, options, stages)
            except IndexMissingError:
                # The collection moved to another index since it was looked up; that may speak another language.
                self.collections.forget(namespace, name)
                continue
            total = len(found[None].pictures)
            return SearchResponse(
                collection=query.collection_label(namespace, name, self._settings.default_namespace),
                model=target.model,
                took_ms=round(stages.elapsed_ms(), 2),
                from_=options.from_,
                size=options.size,
                total=total,
                available=found[None].available,
                next_from=query.next_from(options, total, self._settings.max_depth),
                degraded=degraded,
                hits=hits,
                facets=facets,
            )
        raise Problem(INDEX_UNAVAILABLE, f"The index of {collection} is being replaced. Try again.", retry_after=2)

    async def _sought(
        self,
        target: Collection,
        wanted: Sequence[Wanted],
        options: Options,
        keyword_weight: float,
        stages: Stages,
        *,
        fresh: bool,
    ) -> tuple[Sought, bool]:
        """What is looked for, and whether it had to do without the encoder."""
        words = query.words_of(wanted) if keyword_weight else ""
        sought = Sought(
            vector=None,
            words=words,
            keyword_weight=keyword_weight,
            judged=tuple(term.id for term in wanted if term.id is not None),
            oldest_first=options.sort == "oldest",
        )
        if not wanted:
            return sought, False
        try:
            with stages.stage("encode"):
                vector = await self._vector(target, wanted, fresh=fresh)
        except Problem as problem:
            if words and problem.kind in _AWAY:
                return sought, True
            raise
        return sought._replace(vector=vector), False

    async def _vector(self, target: Collection, wanted: Sequence[Wanted], *, fresh: bool) -> bytes:
        encoder = encoder_of(target)
        of_pictures = await self._vectors_of_pictures(target, wanted)

        async def encoded(term: Wanted) -> bytes:
            if term.picture is not None:
                return await self._encoder.image(encoder, term.picture)
            text = term.text or ""
            key = (encoder.url, encoder.model, text)
            return await self._text_vectors.get(key, lambda: self._encoder.text(encoder, text), fresh=fresh)

        async def vector(term: Wanted) -> bytes:
            return await encoded(term) if term.id is None else of_pictures[term.id]

        vectors = await asyncio.gather(*map(vector, wanted))
        return query.mixture(vectors, [term.weight for term in wanted])

    async def _vectors_of_pictures(self, target: Collection, wanted: Sequence[Wanted]) -> dict[str, bytes]:
        """The vectors of the pictures of the index that are part of the query.

        Raises:
            Problem: one of them is not there.
        """
        ids = [term.id for term in wanted if term.id is not None]
        found = await self._index.vectors(target.index, ids) if ids else {}
        for number, term in enumerate(wanted):
            if term.id is not None and term.id not in found:
                raise query.fault(f"terms/{number}/id", f"the collection has no picture {term.id!r}")
        return found

    async def _rankings_of(
        self, target: Collection, sought: Sought, options: Options, stages: Stages, *, fresh: bool
    ) -> dict[FacetName | None, Ranking]:
        """The order of the search, under None; and for each facet that is filtered by, that without its own filter."""
        filters: dict[FacetName | None, Filters] = {None: options.filters}
        for facet in options.facets:
            if bodies.is_filtered(options.filters, facet):
                filters[facet] = bodies.without(options.filters, facet)
        with stages.stage("knn"):
            found = await asyncio.gather(
                *(
                    self._rankings.get(
                        (target.index, sought, each.model_dump_json()),
                        partial(self._rank, target, sought, each),
                        fresh=fresh,
                    )
                    for each in filters.values()
                )
            )
        return dict(zip(filters, found, strict=True))

    async def _rank(self, target: Collection, sought: Sought, filters: Filters) -> Ranking:
        depth = self._settings.max_depth
        *found, counted = await self._index.search(
            target.index,
            [*sought.bodies(filters, depth), bodies.count(filters)],
            preference=query.preference(sought.vector or sought.words.encode()),
        )
        near = ranking.scored(found.pop(0)) if sought.vector is not None else []
        worded = ranking.scored(found.pop(0)) if sought.words else []
        pictures = (
            ranking.fuse(near, worded, sought.keyword_weight, depth + len(sought.judged))
            if sought.vector is not None or sought.words
            else ranking.listed(found.pop(0))
        )
        others = [picture for picture in pictures if picture.id not in sought.judged]
        return Ranking(tuple(others[:depth]), counted["hits"]["total"]["value"])

    async def _page(
        self,
        target: Collection,
        sought: Sought,
        found: dict[FacetName | None, Ranking],
        options: Options,
        stages: Stages,
    ) -> tuple[tuple[Hit, ...], dict[FacetName, tuple[FacetCount, ...]]]:
        """The pictures of the page, and what was counted."""
        ranked = found[None]
        by_rank = options.sort == "relevance" or (sought.vector is None and not sought.words)
        page = ranked.pictures[options.from_ : options.from_ + options.size] if by_rank else ranked.pictures
        if by_rank:
            asked = [bodies.pictures([picture.id for picture in page])]
        else:
            asked = [
                bodies.by_date(
                    ranked.ids, start=options.from_, size=options.size, oldest_first=options.sort == "oldest"
                )
            ]
        plain = [facet for facet in options.facets if facet not in found]
        if plain:
            asked.append(bodies.counts(ranked.ids, plain))
        asked += [bodies.counts(each.ids, [facet]) for facet, each in found.items() if facet is not None]
        with stages.stage("documents"):
            documents, *counted = await self._index.search(
                target.index, asked, preference=query.preference(sought.vector or sought.words.encode())
            )
        hits = ranking.hits(documents, page) if by_rank else ranking.in_answers_order(documents, page)
        facets: dict[FacetName, tuple[FacetCount, ...]] = {}
        for answer in counted:
            facets |= ranking.facet_counts(answer)
        return hits, {facet: facets[facet] for facet in options.facets}

    async def fetch(self, url: str, stages: Stages) -> bytes:
        """The picture at a URL.

        Raises:
            Problem: too large, or not to be had. Blocked, dead and silent addresses are told apart nowhere,
                the first and the last by time neither: an answer that did would map the network behind this API.
        """
        try:
            with stages.stage("fetch"):
                return await self._fetch_evenly(url)
        except FetchError as error:
            if error.reason is Reason.TOO_LARGE:
                raise query.too_large(self._settings.fetch_max_bytes) from error
            raise Problem(
                IMAGE_NOT_FETCHED,
                "No picture could be fetched from image_url: its address is not allowed or does not answer. "
                "Give the public http(s) address of a picture, or upload the picture itself.",
            ) from error

    async def _fetch_evenly(self, url: str) -> bytes:
        """Fetch; where there was nobody to answer, or nobody was asked, fail after one and the same time."""
        deadline = self._clock() + self._settings.fetch_timeout_seconds + FETCH_GRACE_SECONDS
        try:
            return await self._fetch(url)
        except FetchError as error:
            if error.reason in (Reason.BLOCKED_URL, Reason.UNREACHABLE):
                await self._sleep(max(0.0, deadline - self._clock()))
            raise

    async def readiness(self) -> Readiness:
        """Whether searches can be answered; raises `Problem` when Elasticsearch is away."""
        encoders = {encoder_of(found) for found in await self.collections.every()}
        states = [
            EncoderState(model=encoder.model, reachable=await self._encoder.reachable(encoder))
            for encoder in sorted(encoders)
        ]
        return Readiness(encoders=tuple(states))


def encoder_of(collection: Collection) -> Encoder:
    """The encoder that speaks a collection's language."""
    return Encoder(collection.meta.encoder_url, collection.model, collection.meta.dims)
