"""A cluster and stores in memory, to be passed in: what they hold is plain to see, and they fail when told to."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from imagesearch_contract import names
from imagesearch_operator import kinds
from imagesearch_operator.cluster import ClusterError, ConflictError
from imagesearch_operator.facts import IndexFacts, Manifest, ModelVersion, TopicFacts, Unknown
from imagesearch_operator.kinds import Id, Kind, id_of
from imagesearch_operator.live import Key
from imagesearch_operator.plan import IndexPlan, TopicPlan
from imagesearch_operator.spec import Collection, Model
from imagesearch_operator.stores import Observed, StoreError


class FakeCluster:
    """Objects, and a log of what was written; conflicts and refusals come from `refusals`."""

    def __init__(self) -> None:
        self.objects: dict[Id, Manifest] = {}
        self.written: list[str] = []
        self.events: list[tuple[str, str, str]] = []
        self.refusals: dict[str, list[ClusterError]] = {}
        """Kind -> the errors of the next writes."""
        self._version = 100

    def put(self, body: Manifest) -> Manifest:
        """Hold an object, as a user or a controller has written it."""
        at = id_of(body)
        self._version += 1
        known = self.objects.get(at, {"metadata": {"uid": f"uid-{at.kind}-{at.name}"}})
        meta = {**known["metadata"], **body["metadata"], "resourceVersion": str(self._version)}
        self.objects[at] = {**copy.deepcopy(body), "metadata": meta}
        return copy.deepcopy(self.objects[at])

    def of_kind(self, kind: str) -> list[str]:
        """The names of the objects of a kind."""
        return sorted(at.name for at in self.objects if at.kind == kind)

    async def served(self) -> frozenset[Kind]:
        """See `Cluster`."""
        return frozenset(kinds.WATCHED)

    async def listing(self, kind: Kind, namespace: str | None) -> tuple[list[Manifest], int]:
        """See `Cluster`."""
        found = [
            live for at, live in self.objects.items() if at.kind == kind.name and namespace in (None, at.namespace)
        ]
        return copy.deepcopy(found), self._version

    async def get(self, at: Id) -> Manifest | None:
        """See `Cluster`."""
        return copy.deepcopy(self.objects.get(at))

    async def apply(self, manifest: Manifest, *, force: bool) -> Manifest:
        """See `Cluster`."""
        at = id_of(manifest)
        refusals = self.refusals.get(at.kind, [])
        if refusals and not (force and isinstance(refusals[0], ConflictError)):
            raise refusals.pop(0)
        self.written.append(f"{'force' if force else 'apply'} {at}")
        return self.put(manifest)

    async def delete(self, live: Manifest) -> None:
        """See `Cluster`. What has finalizers stays until they are gone."""
        self.written.append(f"delete {id_of(live)}")
        del self.objects[id_of(live)]

    async def disown(self, live: Manifest, uid: str) -> Manifest:
        """See `Cluster`."""
        self.written.append(f"disown {id_of(live)}")
        body = copy.deepcopy(self.objects[id_of(live)])
        body["metadata"]["ownerReferences"] = [
            reference for reference in body["metadata"]["ownerReferences"] if reference["uid"] != uid
        ]
        return self.put(body)

    async def set_finalizers(self, collection: Manifest, finalizers: list[str]) -> Manifest:
        """See `Cluster`."""
        self.written.append(f"finalizers {finalizers}")
        body = copy.deepcopy(self.objects[id_of(collection)])
        body["metadata"]["finalizers"] = finalizers
        written = self.put(body)
        if not finalizers and "deletionTimestamp" in body["metadata"]:
            del self.objects[id_of(body)]
        return written

    async def annotate(self, collection: Manifest, annotations: Mapping[str, str | None]) -> Manifest:
        """See `Cluster`."""
        at = id_of(collection)
        if self.refusals.get(at.kind):
            raise self.refusals[at.kind].pop(0)
        self.written.append("annotate")
        body = copy.deepcopy(self.objects[at])
        merged = {**body["metadata"].get("annotations", {}), **annotations}
        body["metadata"]["annotations"] = {name: value for name, value in merged.items() if value is not None}
        return self.put(body)

    async def write_status(self, key: Id, status: dict[str, Any]) -> Manifest:
        """See `Cluster`."""
        self.written.append("status")
        return self.put({**self.objects[key], "status": status})

    async def emit(self, about: Manifest, event_type: str, reason: str, message: str) -> None:
        """See `Cluster`."""
        self.events.append((event_type, reason, message))


class FakeStores:
    """Topics, indices, aliases and models; a store that is named in `away` does not answer."""

    def __init__(self) -> None:
        self.topics: set[str] = set()
        self.documents: dict[str, int] = {}
        self.aliases: dict[str, str] = {}
        self.lag: dict[str, int] = {}
        self.models: dict[Model, ModelVersion | Unknown | None] = {}
        self.away: dict[str, Unknown] = {}

    async def poll(self, collections: Iterable[Collection]) -> set[Key]:
        """See `Stores`."""
        return {Key(collection.namespace, collection.name) for collection in collections}

    async def model(self, model: Model) -> ModelVersion | Unknown | None:
        """See `Stores`."""
        return self.away.get("mlflow") or self.models.get(model)

    def observe(self, collection: Collection, model: ModelVersion | Unknown | None) -> Observed:
        """See `Stores`."""
        topic = names.topic(collection.namespace, collection.name)
        alias = names.alias(collection.namespace, collection.name)
        documents = {index: count for index, count in self.documents.items() if index.startswith(f"{alias}.")}
        return Observed(
            model,
            self.away.get("kafka")
            or TopicFacts(exists={topic, names.state_topic(topic)} <= self.topics, lag=dict(self.lag)),
            self.away.get("elasticsearch") or IndexFacts(documents, self.aliases.get(alias)),
        )

    async def create_topics(self, topics: Iterable[TopicPlan]) -> None:
        """See `Stores`."""
        self.topics |= {topic.name for topic in topics}

    async def create_index(self, index: IndexPlan) -> None:
        """See `Stores`."""
        self.documents.setdefault(index.name, 0)

    async def point_alias(self, collection: Collection, index: str) -> None:
        """See `Stores`."""
        self.aliases[names.alias(collection.namespace, collection.name)] = index

    async def drop_indices(self, indices: Iterable[str]) -> None:
        """See `Stores`."""
        for index in indices:
            self.documents.pop(index, None)
            self.aliases = {alias: held for alias, held in self.aliases.items() if held != index}

    async def drop_topics(self, collection: Collection) -> None:
        """See `Stores`."""
        if "kafka" in self.away:
            raise StoreError(*self.away["kafka"])
        topic = names.topic(collection.namespace, collection.name)
        self.topics -= {topic, names.dead_letter_topic(topic), names.state_topic(topic)}
