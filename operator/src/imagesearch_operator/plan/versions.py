"""Which model versions a collection runs: the one it asks for, and until that has caught up the one that is searched."""

from collections.abc import Iterator
from typing import NamedTuple

from imagesearch_contract import names

from imagesearch_operator import naming
from imagesearch_operator.facts import Facts, IndexFacts, Manifest, ModelVersion, TopicFacts, Unknown
from imagesearch_operator.plan.objects import owner_uids
from imagesearch_operator.spec import Collection


class Version(NamedTuple):
    """A registered model version by name; its dimensions do not matter here."""

    name: str
    number: str

    @property
    def label(self) -> str:
        """`<name>/<version>`."""
        return names.model_label(self.name, self.number)

    @classmethod
    def of_label(cls, label: str) -> "Version":
        """The version that `label` names."""
        name, _, number = label.rpartition("/")
        return cls(name, number)


def active_model(collection: Collection, facts: Facts) -> str | None:
    """`<name>/<version>` of the model whose index is searched; None where no index is, or one that nobody knows.

    While Elasticsearch does not answer it is what the status said last.
    """
    said: str | None = collection.status.get("activeModel")
    if isinstance(facts.index, Unknown):
        return said
    known = {said, *_live(facts)} - {None}
    if isinstance(facts.model, ModelVersion):
        known.add(names.model_label(facts.model.name, facts.model.version))
    return next(
        (label for label in sorted(filter(None, known)) if _index(collection, label) == facts.index.alias), None
    )


def versions(collection: Collection, facts: Facts) -> tuple[Version, ...]:
    """The versions for which the collection has an embedder and an encoder, the searched one first."""
    labels = [active_model(collection, facts)]
    if isinstance(facts.model, ModelVersion):
        labels.append(names.model_label(facts.model.name, facts.model.version))
    if isinstance(facts.model, Unknown) or isinstance(facts.index, Unknown):
        labels.extend(sorted(_live(facts)))  # nothing goes because a store does not answer
    return tuple(Version.of_label(label) for label in dict.fromkeys(labels) if label)


def sharers(collection: Collection, version: Version, facts: Facts) -> list[Collection]:
    """The collections that use the encoder of a version, oldest first: `collection`, and whoever else does."""
    return [sibling for sibling in facts.siblings if sibling.name == collection.name or _uses(sibling, version, facts)]


def searched(collection: Collection, facts: Facts) -> str | None:
    """The index that the alias is to point to: the new one once it has all the pictures; None leaves it."""
    if not isinstance(facts.model, ModelVersion) or isinstance(facts.index, Unknown):
        return None
    new = names.index(collection.namespace, collection.name, facts.model.name, facts.model.version)
    return new if facts.index.alias in (None, new) or _caught_up(new, facts.index, facts.topic) else None


def _caught_up(new: str, index: IndexFacts, topic: TopicFacts | Unknown) -> bool:
    if isinstance(topic, Unknown) or topic.lag.get(new) != 0 or new not in index.documents:
        return False
    nothing_to_lose = topic.messages == 0 or not index.documents.get(index.alias or "")
    return index.documents[new] > 0 or nothing_to_lose


def _uses(sibling: Collection, version: Version, facts: Facts) -> bool:
    wanted = facts.models.get(sibling.name)
    if isinstance(wanted, Unknown) and sibling.uid in _encoder_owners(version, facts):
        return True
    asked = isinstance(wanted, ModelVersion) and (wanted.name, wanted.version) == version
    return asked or sibling.status.get("activeModel") == version.label


def _encoder_owners(version: Version, facts: Facts) -> frozenset[str]:
    name = naming.encoder(version.name, version.number)
    return frozenset().union(
        *(owner_uids(child) for child in _of_kind(facts, "RayService") if child["metadata"]["name"] == name)
    )


def _live(facts: Facts) -> set[str]:
    """The versions whose embedders are there."""
    found = (child["metadata"].get("annotations", {}).get(naming.MODEL) for child in _of_kind(facts, "Deployment"))
    return {label for label in found if label}


def _of_kind(facts: Facts, kind: str) -> Iterator[Manifest]:
    return (child for child in facts.children if child["kind"] == kind)


def _index(collection: Collection, label: str) -> str:
    return names.index(collection.namespace, collection.name, *Version.of_label(label))
