"""What the cluster and the stores shall hold for a collection: a pure function of its spec and of what was observed."""

from dataclasses import dataclass

from imagesearch_operator.facts import Facts, Manifest, ModelVersion
from imagesearch_operator.plan import access, embedder, producers, registration, serving, stores
from imagesearch_operator.plan.stores import IndexPlan, TopicPlan
from imagesearch_operator.plan.versions import active_model, searched, sharers, versions
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


def _manifests(collection: Collection, facts: Facts, settings: OperatorSettings) -> list[Manifest]:
    sources = collection.spec.sources
    used = versions(collection, facts)
    return [
        *access.secret(collection, facts, access.kafka(settings), access.elasticsearch(settings)),
        *(producers.cron_job(collection, source, settings) for source in sources),
        *(job for source in sources for job in producers.first_run(collection, source, facts, settings)),
        *registration.job(collection, facts, settings),
        *(embedder.account(collection) if used else ()),
        *(manifest for version in used for manifest in embedder.application(collection, version, settings)),
        *(serving.encoder(sharers(collection, version, facts), version, settings) for version in used if facts.kuberay),
    ]
