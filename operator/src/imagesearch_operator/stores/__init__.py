"""What lies outside of Kubernetes: Kafka, Elasticsearch and MLflow. Looked at all together now and then, and written to.

One look serves every collection, with a number of requests that does not grow with theirs (but for the lag of those
that have any). What cannot be answered is `Unknown`, with words, for as long as it cannot.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from imagesearch_operator.facts import IndexFacts, ModelVersion, TopicFacts, Unknown
from imagesearch_operator.live import Key
from imagesearch_operator.plan import IndexPlan, TopicPlan
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection, Model
from imagesearch_operator.stores.elasticsearch import Indices
from imagesearch_operator.stores.errors import StoreError
from imagesearch_operator.stores.kafka import Topics
from imagesearch_operator.stores.mlflow import Registry

__all__ = ["Observed", "RealStores", "StoreError", "Stores", "connect"]


@dataclass(frozen=True)
class Observed:
    """The stores, as far as one collection is concerned."""

    model: ModelVersion | Unknown | None
    topic: TopicFacts | Unknown
    index: IndexFacts | Unknown


class Stores(Protocol):
    """What the operator asks of the stores. Writing raises `StoreError`; looking never raises."""

    async def poll(self, collections: Iterable[Collection]) -> set[Key]:
        """Look at everything anew; the collections for which something changed."""
        ...

    async def model(self, model: Model) -> ModelVersion | Unknown | None:
        """The version that a spec's model stands for, as of the last look; looked up if it was not asked for before."""
        ...

    def observe(self, collection: Collection, model: ModelVersion | Unknown | None) -> Observed:
        """A collection, as of the last look and of what was written since."""
        ...

    async def create_topics(self, topics: Iterable[TopicPlan]) -> None:
        """Create those that are missing."""
        ...

    async def create_index(self, index: IndexPlan) -> None:
        """Create it unless it is there."""
        ...

    async def point_alias(self, collection: Collection, index: str) -> None:
        """Let the collection's alias point to this index alone, at once."""
        ...

    async def drop_indices(self, indices: Iterable[str]) -> None:
        """Delete indices, and what is known of how far their embedders were."""
        ...

    async def drop_topics(self, collection: Collection) -> None:
        """Delete a collection's topics."""
        ...


class RealStores:
    """The real ones."""

    def __init__(self, topics: Topics, indices: Indices, registry: Registry) -> None:
        self._topics = topics
        self._indices = indices
        self._registry = registry
        self._last: dict[Key, Observed] = {}

    async def poll(self, collections: Iterable[Collection]) -> set[Key]:
        """See `Stores`."""
        collections = list(collections)
        await asyncio.gather(
            self._topics.look(),
            self._indices.look(),
            self._registry.look({collection.spec.model for collection in collections}),
        )
        seen = {
            Key(collection.namespace, collection.name): self.observe(
                collection, await self._registry.model(collection.spec.model)
            )
            for collection in collections
        }
        changed = {key for key, observed in seen.items() if self._last.get(key) != observed}
        self._last = seen
        return changed

    async def model(self, model: Model) -> ModelVersion | Unknown | None:
        """See `Stores`."""
        return await self._registry.model(model)

    def observe(self, collection: Collection, model: ModelVersion | Unknown | None) -> Observed:
        """See `Stores`."""
        return Observed(
            model,
            self._topics.of(collection.namespace, collection.name),
            self._indices.of(collection.namespace, collection.name),
        )

    async def create_topics(self, topics: Iterable[TopicPlan]) -> None:
        """See `Stores`."""
        await self._topics.create(topics)

    async def create_index(self, index: IndexPlan) -> None:
        """See `Stores`."""
        await self._indices.create(index.name, index.body)

    async def point_alias(self, collection: Collection, index: str) -> None:
        """See `Stores`."""
        await self._indices.point(collection.namespace, collection.name, index)

    async def drop_indices(self, indices: Iterable[str]) -> None:
        """See `Stores`."""
        indices = list(indices)
        await self._indices.drop(indices)
        await self._topics.drop_groups(indices)

    async def drop_topics(self, collection: Collection) -> None:
        """See `Stores`."""
        await self._topics.drop(collection.namespace, collection.name)


@asynccontextmanager
async def connect(settings: OperatorSettings) -> AsyncIterator[RealStores]:
    """The stores of the settings; nothing is asked yet."""
    async with Indices.connect(settings) as indices, Registry.connect(settings) as registry:
        yield RealStores(Topics(settings), indices, registry)
