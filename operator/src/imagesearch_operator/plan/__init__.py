"""What the cluster and the stores shall hold for a collection: a pure function of its spec and of what was observed."""

from dataclasses import dataclass

from imagesearch_operator.facts import Facts, Manifest
from imagesearch_operator.plan.stores import IndexPlan, TopicPlan, topics
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection

__all__ = ["IndexPlan", "Plan", "TopicPlan", "plan"]


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
    del facts
    return Plan(topics=topics(collection, settings))
