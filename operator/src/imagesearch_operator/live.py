"""The cluster as it was last seen: collections, their children and their pods, kept current by watches and listings.

Not a source of truth but a memory of it: events and answers may come in any order, and the newer version of an object
wins. A listing settles what no event told.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import ValidationError

from imagesearch_operator import naming
from imagesearch_operator.facts import Manifest
from imagesearch_operator.kinds import COLLECTION, POD, Id, Kind, id_of
from imagesearch_operator.spec import Collection


class Key(NamedTuple):
    """Which collection."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """As in a message."""
        return f"{self.namespace}/{self.name}"


class Live:
    """What is known of the cluster."""

    def __init__(self) -> None:
        self._objects: dict[Id, Manifest] = {}
        self._gone: dict[Id, int] = {}
        """Versions at which objects were deleted: an answer that was on its way must not bring them back."""
        self._of_collection: defaultdict[Key, set[Id]] = defaultdict(set)
        self._of_shared: defaultdict[tuple[str, str], set[Id]] = defaultdict(set)
        self._collections: dict[Key, None] = {}
        """In the order in which they came: every reconcile asks for its siblings, and there are far more objects than these."""
        self._parsed: dict[Key, tuple[int, Collection]] = {}

    def put(self, live: Manifest) -> bool:
        """Remember an object as the API server gave it; False if nothing newer was learned."""
        at = id_of(live)
        version = _version(live)
        known = self._objects.get(at)
        if version <= (self._gone.get(at, 0) if known is None else _version(known)):
            return False
        if known is not None:
            self._unlink(at, known)
        meta = {name: value for name, value in live["metadata"].items() if name != "managedFields"}
        self._objects[at] = {**live, "metadata": meta}
        self._link(at, live)
        return True

    def remove(self, live: Manifest) -> bool:
        """Forget an object that was deleted; False if a newer one of its name is known, or none."""
        at = id_of(live)
        version = _version(live)
        known = self._objects.get(at)
        if known is None or _version(known) > version:
            return False
        self._gone[at] = version
        self._unlink(at, known)
        del self._objects[at]
        return True

    def settle(self, kind: Kind, namespace: str | None, objects: Iterable[Manifest], version: int) -> set[Key]:
        """Take a complete listing of a kind as of `version`; the collections that something changed for."""
        changed: set[Key] = set()
        listed: set[Id] = set()
        for live in objects:
            listed.add(id_of(live))
            if self.put(live):
                changed |= self.concerned(live)
        for at, known in list(self._objects.items()):
            is_of_listing = at.kind == kind.name and namespace in (None, at.namespace)
            if is_of_listing and at not in listed and _version(known) <= version:
                changed |= self.concerned(known)
                self._unlink(at, known)
                del self._objects[at]
        for at in [at for at, gone in self._gone.items() if at.kind == kind.name and gone <= version]:
            del self._gone[at]
        return changed

    def get(self, at: Id) -> Manifest | None:
        """The object, if there is one."""
        return self._objects.get(at)

    def body(self, key: Key) -> Manifest | None:
        """The collection as the API server has it."""
        return self._objects.get(Id(COLLECTION.name, *key))

    def collection(self, key: Key) -> Collection | None:
        """The collection as a type.

        Raises:
            pydantic.ValidationError: it is of a shape that this operator does not know.
        """
        body = self.body(key)
        if body is None:
            return None
        version = _version(body)
        known = self._parsed.get(key)
        if known is None or known[0] != version:
            known = self._parsed[key] = (version, Collection.of_body(body))
        return known[1]

    def collections(self) -> list[Key]:
        """Every collection."""
        return list(self._collections)

    def siblings(self, namespace: str) -> tuple[Collection, ...]:
        """The readable collections of a namespace that are not being deleted, oldest first."""
        found = (self._readable(key) for key in self.collections() if key.namespace == namespace)
        alive = [collection for collection in found if collection is not None and collection.deleted_at is None]
        return tuple(sorted(alive, key=lambda collection: (collection.created_at, collection.name)))

    def readable(self) -> list[Collection]:
        """Every collection that can be read."""
        return [collection for key in self.collections() if (collection := self._readable(key)) is not None]

    def children(self, key: Key) -> tuple[Manifest, ...]:
        """What carries the collection's label, and the shared objects that it is an owner of; no pods."""
        return tuple(self._objects[at] for at in sorted(self._of_collection[key]) if at.kind != POD.name)

    def pods(self, key: Key) -> tuple[Manifest, ...]:
        """The collection's pods, and those of the shared objects that it is an owner of."""
        ids = {at for at in self._of_collection[key] if at.kind == POD.name}
        for child in self.children(key):
            if is_shared(child):
                ids |= {at for at in self._of_shared[key.namespace, child["metadata"]["name"]] if at.kind == POD.name}
        return tuple(self._objects[at] for at in sorted(ids))

    def concerned(self, live: Manifest) -> set[Key]:
        """The collections that an object belongs to."""
        at = id_of(live)
        if at.kind == COLLECTION.name:
            return {Key(at.namespace, at.name)}
        keys = _owners(live)
        shared = label(live, naming.SHARED)
        if at.kind == POD.name and shared is not None:
            for of in self._of_shared[at.namespace, shared]:
                if of.kind != POD.name:
                    keys |= _owners(self._objects[of])
        return keys

    def _readable(self, key: Key) -> Collection | None:
        try:
            return self.collection(key)
        except ValidationError:
            return None

    def _link(self, at: Id, live: Manifest) -> None:
        if at.kind == COLLECTION.name:
            self._collections[Key(at.namespace, at.name)] = None
            return
        for key in _owners(live):
            self._of_collection[key].add(at)
        shared = label(live, naming.SHARED)
        if shared is not None:
            self._of_shared[at.namespace, shared].add(at)

    def _unlink(self, at: Id, known: Manifest) -> None:
        if at.kind == COLLECTION.name:
            key = Key(at.namespace, at.name)
            self._collections.pop(key, None)
            self._parsed.pop(key, None)
            return
        for key in _owners(known):
            self._of_collection[key].discard(at)
        shared = label(known, naming.SHARED)
        if shared is not None:
            self._of_shared[at.namespace, shared].discard(at)


def is_shared(live: Manifest) -> bool:
    """Whether the collections of a namespace share the object."""
    return label(live, naming.SHARED) is not None


def owner_references(live: Manifest) -> list[Manifest]:
    """The references to collections among the object's owners."""
    references = live["metadata"].get("ownerReferences") or ()
    return [reference for reference in references if reference["kind"] == COLLECTION.name]


def is_leaving(live: Manifest) -> bool:
    """Whether the object is being deleted."""
    return "deletionTimestamp" in live["metadata"]


def _owners(live: Manifest) -> set[Key]:
    namespace = live["metadata"]["namespace"]
    keys = {Key(namespace, reference["name"]) for reference in owner_references(live)}
    collection = label(live, naming.COLLECTION)
    return keys if collection is None else keys | {Key(namespace, collection)}


def label(live: Manifest, name: str) -> str | None:
    """The value of an object's label; None where it has none of that name."""
    value = (live["metadata"].get("labels") or {}).get(name)
    return None if value is None else str(value)


def _version(live: Manifest) -> int:
    # Kubernetes promises since 1.35 that versions of one kind are decimal numbers that can be compared.
    return int(live["metadata"]["resourceVersion"])
