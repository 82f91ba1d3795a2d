"""Which collections there are, and for each the index to read and the encoder that speaks its language."""

import asyncio
import logging
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from imagesearch_contract import names
from imagesearch_contract.index import IndexMeta, IndexMetaError
from imagesearch_contract.platform_indices import SIGN_OF_LIFE_SECONDS, Progress

from imagesearch_search.access import EVERYBODY, Caller, key_required
from imagesearch_search.encoder_client import Encoder
from imagesearch_search.index_client import Index
from imagesearch_search.problems import INDEX_UNREADABLE, UNKNOWN_COLLECTION, Problem
from imagesearch_search.query import collection_label
from imagesearch_search.schema import CollectionStatus, CollectionSummary

CACHE_SECONDS = 3.0
SILENT_SECONDS = 3 * SIGN_OF_LIFE_SECONDS
_LISTED = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Collection:
    """One collection as it stands now: the concrete index, not its alias, so that index and model cannot part."""

    index: str
    meta: IndexMeta

    @property
    def model(self) -> str:
        """`<name>/<version>`, as the encoder names it."""
        return self.meta.model_label

    @property
    def encoder(self) -> Encoder:
        """The encoder that speaks its language."""
        return Encoder(self.meta.encoder_url, self.model, self.meta.dims)


class Collections:
    """Finds collections by name, and remembers each for a few seconds."""

    def __init__(
        self,
        index: Index,
        default_namespace: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._index = index
        self._default_namespace = default_namespace
        self._clock = clock
        self._now = now
        self._known: dict[tuple[str, str], tuple[float, Collection]] = {}
        self._caller = EVERYBODY

    def seen_by(self, caller: Caller) -> Self:
        """The same collections, as far as `caller` may read them: any other is as if it were not there."""
        seen = copy(self)
        seen._caller = caller
        return seen

    async def find(self, namespace: str, name: str) -> Collection:
        """The collection of that name.

        Raises:
            Problem: there is none, its index is none of ours, or Elasticsearch cannot be asked. Of one that the
                caller may not read nothing is looked up, so that neither words nor time tell whether it is there.
        """
        if not self._caller.may_read(namespace, name):
            raise await self._unknown(namespace, name) if self._caller.name else key_required()
        key = (namespace, name)
        if (known := self._known.get(key)) and self._clock() - known[0] < CACHE_SECONDS:
            return known[1]
        found = await self._index.mappings(names.alias(namespace, name))
        if not found:
            self._known.pop(key, None)
            raise await self._unknown(namespace, name)
        collection = _read(namespace, name, found)
        self._known[key] = (self._clock(), collection)
        return collection

    def forget(self, namespace: str, name: str) -> None:
        """Look anew next time: the index that was remembered is gone."""
        self._known.pop((namespace, name), None)

    async def every(self) -> list[Collection]:
        """All collections, by namespace and name; indices that are none of ours are left out."""
        aliased = await self._index.aliases()
        mappings = await self._index.mappings(",".join(sorted(aliased))) if aliased else {}
        found = []
        for index, mapping in mappings.items():
            try:
                meta = IndexMeta.of_mapping(mapping)
            except IndexMetaError:
                continue
            is_read = f"{meta.namespace}.{meta.collection}" in aliased.get(index, ())
            if is_read and self._caller.may_read(meta.namespace, meta.collection):
                found.append(Collection(index, meta))
        return sorted(found, key=lambda c: (c.meta.namespace, c.meta.collection))

    async def summaries(self) -> tuple[CollectionSummary, ...]:
        """All collections as the API lists them."""
        found = await self.every()
        indices = [c.index for c in found]
        counts, progress = await asyncio.gather(self._index.counts(indices), self._progress(indices))
        now = self._now()
        return tuple(
            CollectionSummary(
                collection=collection_label(c.meta.namespace, c.meta.collection, self._default_namespace),
                name=c.meta.collection,
                namespace=c.meta.namespace,
                images=counts.get(c.index, 0),
                model=c.model,
                dims=c.meta.dims,
                **_standing(progress.get(c.index), now),
            )
            for c in found
        )

    async def _progress(self, indices: list[str]) -> dict[str, Progress]:
        """What is known; what can be searched is listed without it, too."""
        try:
            return await self._index.progress(indices)
        except Problem as problem:
            log.warning("How far the collections are is not known: %s (%r)", problem.detail, problem.__cause__)
            return {}

    async def _unknown(self, namespace: str, name: str) -> Problem:
        default = self._default_namespace
        labels = [collection_label(c.meta.namespace, c.meta.collection, default) for c in await self.every()]
        listed = ", ".join(labels[:_LISTED]) + (", ..." if len(labels) > _LISTED else "")
        there_are = f"Collections: {listed}." if labels else "There are no collections yet."
        return Problem(
            UNKNOWN_COLLECTION, f"There is no collection {collection_label(namespace, name, default)!r}. {there_are}"
        )


def _standing(progress: Progress | None, now: datetime) -> dict[str, Any]:
    """The fields of a summary that tell how far its embedder is."""
    if progress is None:
        return {}
    return {
        "status": status_of(progress, now),
        "lag": progress.lag,
        "images_per_second": progress.images_per_second,
        "updated_at": progress.updated_at,
    }


def status_of(progress: Progress, now: datetime) -> CollectionStatus | None:
    """What an embedder does, by what it said last; None of one that has started and does not know yet."""
    if (now - progress.updated_at).total_seconds() > SILENT_SECONDS:
        return "silent"
    if progress.lag is None:
        return None
    return "indexing" if progress.lag else "up_to_date"


def _read(namespace: str, name: str, mappings: dict[str, dict[str, object]]) -> Collection:
    label = f"{namespace}/{name}"
    if len(mappings) > 1:
        raise Problem(
            INDEX_UNREADABLE,
            f"The alias of {label} leads to {len(mappings)} indices; it must lead to one.",
            retry_after=2,
        )
    index, mapping = next(iter(mappings.items()))
    try:
        return Collection(index, IndexMeta.of_mapping(mapping))
    except IndexMetaError as error:
        raise Problem(INDEX_UNREADABLE, f"The index of {label} is not one of this platform: {error}.") from error
