"""What was observed before a reconcile, as plain values: all that `plan` and `status` may know of the world."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from imagesearch_operator.spec import Collection

Manifest = dict[str, Any]
"""A Kubernetes object, wanted or live, as JSON has it."""


class Unknown(NamedTuple):
    """A question that could not be answered: the store does not answer, or refuses us."""

    reason: str
    """CamelCase, for a condition: `KafkaUnreachable`."""
    message: str
    """For people: what was tried and what to do. Never a secret."""


class ModelVersion(NamedTuple):
    """A registered model version that can be used."""

    name: str
    version: str
    dims: int


@dataclass(frozen=True)
class TopicFacts:
    """A collection's topics."""

    exists: bool = False
    """All of them do."""
    messages: int = 0
    """In the records topic; what compaction has not removed yet is counted."""
    failed: Mapping[str, int] | None = field(default_factory=dict)
    """Reason -> dead letters; None until they have been counted."""
    lag: Mapping[str, int] = field(default_factory=dict)
    """Index -> messages which its embedder has not finished; missing until it has committed."""


@dataclass(frozen=True)
class IndexFacts:
    """A collection's indices and alias."""

    documents: Mapping[str, int] = field(default_factory=dict)
    """Every index of the collection -> how many documents can be found in it."""
    alias: str | None = None
    """The index that is searched."""


@dataclass(frozen=True)
class Facts:
    """The world, as far as one collection is concerned."""

    now: datetime
    siblings: tuple[Collection, ...]
    """The collections of the namespace that are not being deleted, this one included, oldest first (then by name)."""
    model: ModelVersion | Unknown | None
    """None: not registered (yet)."""
    models: Mapping[str, ModelVersion | Unknown | None]
    """For each sibling by name, the same: shared objects depend on who shares them."""
    topic: TopicFacts | Unknown
    index: IndexFacts | Unknown
    children: tuple[Manifest, ...] = ()
    """Live objects that carry this collection's label, and the shared ones that it owns together with others."""
    pods: tuple[Manifest, ...] = ()
    """Live pods of this collection, and of the shared objects that it owns."""
    missing: frozenset[tuple[str, str, str]] = frozenset()
    """(kind, name, key) of Secrets and ConfigMaps that the spec names and that are not there."""
    kuberay: bool = True
    """The RayService kind is served."""
    authorities: Mapping[str, str] = field(default_factory=dict)
    """`kafka-ca.crt` and `elasticsearch-ca.crt`, those that the operator's settings name -> what is in them (PEM)."""
