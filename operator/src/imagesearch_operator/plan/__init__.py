"""What the cluster and the stores shall hold for a collection: a pure function of its spec and of what was observed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imagesearch_operator.facts import Facts, Manifest, ModelVersion
from imagesearch_operator.plan import access, embedder, isolation, producers, registration, replays, serving, stores
from imagesearch_operator.plan.stores import IndexPlan, TopicPlan
from imagesearch_operator.plan.versions import Version, active_model, searched, sharers, versions
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection

__all__ = ["IndexPlan", "Plan", "TopicPlan", "active_model", "plan"]


@dataclass(frozen=True)
class Plan:
    """All that shall exist for a collection; a live child that is not in it goes."""

    manifests: tuple[Manifest, ...] = ()
    """Kubernetes objects in the order in which they are applied."""
    topics: tuple[TopicPlan, ...] = ()
    index: IndexPlan | None = None
    """Created where it is missing; None: not known yet."""
    alias: str | None = None
    """The index that the alias shall point to; None leaves the alias as it is."""


def plan(collection: Collection, facts: Facts, settings: OperatorSettings) -> Plan:
    """Plan for a collection that is neither paused nor being deleted."""
    model = facts.model if isinstance(facts.model, ModelVersion) else None
    return Plan(
        manifests=tuple(_manifests(collection, facts, settings)),
        topics=stores.topics(collection, settings),
        index=stores.index(collection, model) if model else None,
        alias=searched(collection, facts),
    )


def _manifests(collection: Collection, facts: Facts, settings: OperatorSettings) -> Iterator[Manifest]:
    sources = collection.spec.sources
    used = versions(collection, facts)
    yield from access.secret(collection, facts, access.kafka(settings), access.elasticsearch(settings))
    if settings.network_policies:
        yield isolation.of_collection(collection)
    for source in sources:
        yield producers.cron_job(collection, source, settings)
        yield from producers.first_run(collection, source, facts, settings)
    yield from replays.job(collection, facts, settings)
    yield from registration.job(collection, facts, settings)
    if used:
        yield from embedder.account(collection)
    for version in used:
        yield from embedder.application(collection, version, settings)
        if facts.kuberay:
            yield from _encoder(sharers(collection, version, facts), version, settings)


def _encoder(users: Sequence[Collection], version: Version, settings: OperatorSettings) -> Iterator[Manifest]:
    if settings.network_policies:
        yield isolation.of_encoder(users, version)
    yield serving.encoder(users, version, settings)
