"""One search, from what was asked to the page of hits. `routes` calls it; `app` builds it.

A search by words goes on without its encoder: what has the words is found all the same, and the answer says so.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from functools import partial
from typing import Final, Self

import numpy as np
from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.platform_indices import MAX_REPORTS, Report
from imagesearch_contract.settings import SearchSettings
from imagesearch_fetcher.fetch import FetchError

from imagesearch_search import bodies, query, ranking
from imagesearch_search.access import Caller
from imagesearch_search.background import Background
from imagesearch_search.calibration import Scale
from imagesearch_search.collections import Collection, Collections
from imagesearch_search.encoder_client import EncoderClient
from imagesearch_search.index_client import Index, IndexMissingError
from imagesearch_search.limits import Gate, waiting_outside
from imagesearch_search.problems import (
    ENCODER_OVERLOADED,
    ENCODER_UNAVAILABLE,
    IMAGE_NOT_FETCHED,
    INDEX_UNAVAILABLE,
    TOO_MANY_REPORTS,
    UNKNOWN_PICTURE,
    Problem,
)
from imagesearch_search.query import Wanted
from imagesearch_search.query_vectors import QueryVectors
from imagesearch_search.rankings import Ranking, Rankings, Sought
from imagesearch_search.schema import EncoderState, FacetCount, FacetName, Hit, Options, Readiness, SearchResponse
from imagesearch_search.timing import Stages

Fetch = Callable[[str], Awaitable[bytes]]
"""`Fetcher.fetch`: the bytes at a URL, or `FetchError`."""
Sleep = Callable[[float], Awaitable[object]]
FETCH_GRACE_SECONDS: Final = 0.25
"""After the time that a fetch may take, its failure is known for certain: what was refused is told then, too."""
_AWAY: Final = (ENCODER_UNAVAILABLE, ENCODER_OVERLOADED)


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
        self._vectors = QueryVectors(index, encoder)
        self._rankings = Rankings(index, settings.max_depth, clock)
        self._background = Background(index, clock=clock)
        self._fetches = Gate(2 * settings.fetch_concurrency, patience_seconds=0)

    def seen_by(self, caller: Caller) -> Self:
        """The same engine, for what `caller` may read."""
        seen = copy(self)
        seen.collections = self.collections.seen_by(caller)
        return seen

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
                with stages.stage("encode"):
                    sought, degraded = await self._sought(target, wanted, options, keyword_weight, fresh=fresh)
                with stages.stage("knn"):
                    scale = self._scale(target, sought, wanted)
                    found = await self._rankings.of(target.index, sought, options, scale, fresh=fresh)
                with stages.stage("documents"):
                    hits, facets = await self._page(target.index, sought, found, options)
            except IndexMissingError:
                # The collection moved to another index since it was looked up; that may speak another language.
                self.collections.forget(namespace, name)
                continue
            ranked = found[None]
            total = len(ranked.pictures)
            return SearchResponse(
                collection=query.collection_label(namespace, name, self._settings.default_namespace),
                model=target.model,
                took_ms=round(stages.elapsed_ms(), 2),
                from_=options.from_,
                size=options.size,
                total=total,
                collapsed=ranked.collapsed,
                available=ranked.available,
                strong=ranked.strong,
                next_from=query.next_from(options, total, self._settings.max_depth),
                degraded=degraded,
                hits=hits,
                facets=facets,
            )
        raise Problem(INDEX_UNAVAILABLE, f"The index of {collection} is being replaced. Try again.", retry_after=2)

    async def _sought(
        self, target: Collection, wanted: Sequence[Wanted], options: Options, keyword_weight: float, *, fresh: bool
    ) -> tuple[Sought, bool]:
        """What is looked for, and whether it has to do without the encoder."""
        if not wanted:
            return Sought(oldest_first=options.sort == "oldest"), False
        words = query.words_of(wanted) if keyword_weight else ""
        sought = Sought(None, words, keyword_weight, judged=tuple(term.id for term in wanted if term.id is not None))
        try:
            return sought._replace(vector=await self._vectors.mixture(target, wanted, fresh=fresh)), False
        except Problem as problem:
            if words and problem.kind in _AWAY:
                return sought, True
            raise

    def _scale(self, target: Collection, sought: Sought, wanted: Sequence[Wanted]) -> Scale | None:
        """What tells strong matches from weak ones; None while too little is known of the collection."""
        if sought.vector is None:
            return None
        calibration = self._background.calibration(target.index, partial(self._vectors.text, target.encoder))
        if calibration is None:
            return None
        vector = np.frombuffer(sought.vector, "<f4")
        return calibration.scale(vector, "picture" if query.asks_with_a_picture(wanted) else "text")

    async def _page(
        self, index: str, sought: Sought, found: dict[FacetName | None, Ranking], options: Options
    ) -> tuple[tuple[Hit, ...], dict[FacetName, tuple[FacetCount, ...]]]:
        """The pictures of the page, and what was counted."""
        ranked = found[None]
        start, size = options.from_, options.size
        by_date = sought.asks and options.sort != "relevance"
        page = ranked.pictures if by_date else ranked.pictures[start : start + size]
        asked = [
            bodies.by_date(ranked.ids, start=start, size=size, oldest_first=options.sort == "oldest")
            if by_date
            else bodies.pictures([picture.id for picture in page])
        ]
        if plain := [facet for facet in options.facets if facet not in found]:
            asked.append(bodies.counts(ranked.every_id, plain))
        asked += [bodies.counts(each.every_id, [facet]) for facet, each in found.items() if facet is not None]
        documents, *counted = await self._index.search(index, asked, preference=sought.preference)
        facets: dict[FacetName, tuple[FacetCount, ...]] = {}
        for answer in counted:
            facets |= ranking.facet_counts(answer)
        hits = ranking.in_answers_order(documents, page) if by_date else ranking.hits(documents, page)
        return hits, {facet: facets[facet] for facet in options.facets}

    async def fetch(self, url: str, stages: Stages) -> bytes:
        """The picture at a URL.

        Raises:
            Problem: too large, or not to be had. Blocked, dead and silent addresses are told apart nowhere,
                the first and the last by time neither: an answer that did would map the network behind this API.
        """
        try:
            # Not in a search's place: a handful of silent servers would hold them all, and nobody could search.
            with stages.stage("fetch"):
                async with self._fetches.place(), waiting_outside():
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

    async def report(self, collection: str, image: str) -> bool:
        """Note that a picture is said to be dead; whether that is news. The collection's embedder looks into it.

        Raises:
            Problem: there is no such picture, too many are reported already, or Elasticsearch does not answer.
        """
        namespace, name = query.collection_of(collection, self._settings.default_namespace)
        target = await self.collections.find(namespace, name)
        try:
            [found] = await self._index.search(target.index, [bodies.existence(image)], preference="_local")
        except IndexMissingError:
            self.collections.forget(namespace, name)
            raise Problem(
                INDEX_UNAVAILABLE, f"The index of {collection} is being replaced. Try again.", retry_after=2
            ) from None
        if not found["hits"]["hits"]:
            raise Problem(UNKNOWN_PICTURE, f"The collection has no picture {image!r}.")
        if await self._index.reports(target.index) >= MAX_REPORTS:
            raise Problem(
                TOO_MANY_REPORTS,
                "Many pictures of the collection wait to be looked at. Try again later.",
                retry_after=3600,
            )
        return await self._index.report(Report.of(target.index, image))

    async def close(self) -> None:
        """End what goes on in the background."""
        await self._background.close()

    async def readiness(self) -> Readiness:
        """Whether searches can be answered; raises `Problem` when Elasticsearch is away."""
        encoders = {found.encoder for found in await self.collections.every()}
        states = [
            EncoderState(model=encoder.model, reachable=await self._encoder.reachable(encoder))
            for encoder in sorted(encoders)
        ]
        return Readiness(encoders=tuple(states))
