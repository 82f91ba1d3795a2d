"""One search, from what was asked to the page of hits. `routes` calls it; `app` builds it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from copy import copy
from typing import Final, Self

from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.settings import SearchSettings
from imagesearch_fetcher.fetch import FetchError

from imagesearch_search import query
from imagesearch_search.access import Caller
from imagesearch_search.collections import Collection, Collections
from imagesearch_search.encoder_client import Encoder, EncoderClient, floats
from imagesearch_search.index_client import Index, IndexMissingError
from imagesearch_search.limits import Gate, waiting_outside
from imagesearch_search.problems import IMAGE_NOT_FETCHED, INDEX_UNAVAILABLE, Problem
from imagesearch_search.schema import EncoderState, Page, Readiness, SearchResponse
from imagesearch_search.timing import Stages
from imagesearch_search.vector_cache import VectorCache

Fetch = Callable[[str], Awaitable[bytes]]
"""`Fetcher.fetch`: the bytes at a URL, or `FetchError`."""
Sleep = Callable[[float], Awaitable[object]]
FETCH_GRACE_SECONDS: Final = 0.25
"""After the time that a fetch may take, its failure is known for certain: what was refused is told then, too."""
Encode = Callable[[Collection], Awaitable[bytes]]


class SearchEngine:
    """Searches by text and by picture. `sleep` and `clock` are those by which failed fetches are answered."""

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
        self._text_vectors = VectorCache()
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

    async def by_text(
        self, collection: str, text: str, page: Page, stages: Stages, *, fresh: bool = False
    ) -> SearchResponse:
        """The pictures nearest to a text; `fresh` encodes it even if its vector is known."""
        clean = query.clean_text(text, self._settings.max_query_characters)

        async def encode(target: Collection) -> bytes:
            with stages.stage("encode"):
                return await self._text_vectors.get(
                    (target.meta.encoder_url, target.model, clean),
                    lambda: self._encoder.text(encoder_of(target), clean),
                    fresh=fresh,
                )

        return await self._search(collection, encode, page, stages)

    async def by_image(self, collection: str, picture: bytes, page: Page, stages: Stages) -> SearchResponse:
        """The pictures nearest to a picture, given as the bytes of its file."""

        async def encode(target: Collection) -> bytes:
            with stages.stage("encode"):
                return await self._encoder.image(encoder_of(target), picture)

        return await self._search(collection, encode, page, stages)

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

    async def readiness(self) -> Readiness:
        """Whether searches can be answered; raises `Problem` when Elasticsearch is away."""
        encoders = {encoder_of(found) for found in await self.collections.every()}
        states = [
            EncoderState(model=encoder.model, reachable=await self._encoder.reachable(encoder))
            for encoder in sorted(encoders)
        ]
        return Readiness(encoders=tuple(states))

    async def _search(self, collection: str, encode: Encode, page: Page, stages: Stages) -> SearchResponse:
        query.check_depth(page, self._settings.max_depth)
        namespace, name = query.collection_of(collection, self._settings.default_namespace)
        for _ in range(2):
            target = await self.collections.find(namespace, name)
            vector = await encode(target)
            try:
                with stages.stage("knn"):
                    answer = await self._index.search(
                        target.index,
                        query.nearest_body(floats(vector), page, self._settings.max_depth),
                        preference=query.preference(vector),
                    )
            except IndexMissingError:
                # The collection moved to another index since it was looked up; that may speak another language.
                self.collections.forget(namespace, name)
                continue
            return query.response_of(
                answer,
                collection=query.collection_label(namespace, name, self._settings.default_namespace),
                model=target.model,
                page=page,
                max_depth=self._settings.max_depth,
                took_ms=stages.elapsed_ms(),
            )
        raise Problem(INDEX_UNAVAILABLE, f"The index of {collection} is being replaced. Try again.", retry_after=2)


def encoder_of(collection: Collection) -> Encoder:
    """The encoder that speaks a collection's language."""
    return Encoder(collection.meta.encoder_url, collection.model, collection.meta.dims)
