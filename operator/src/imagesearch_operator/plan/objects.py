"""The outside of every planned object: whose it is, and the labels by which it is found again."""

from collections.abc import Mapping, Sequence
from typing import Any

from imagesearch_operator import naming
from imagesearch_operator.facts import Manifest
from imagesearch_operator.spec import API_VERSION, KIND, Collection


def labels(component: str, *, collection: str | None = None, shared: str | None = None) -> dict[str, str]:
    """The labels of an object and of its pods: either of one collection, or of a shared object."""
    whose = {naming.COLLECTION: collection} if collection else {naming.SHARED: shared or ""}
    return {**naming.SELECTOR, naming.PART_OF: "imagesearch", naming.COMPONENT: component, **whose}


def owned(
    collection: Collection,
    api_version: str,
    kind: str,
    name: str,
    component: str,
    *,
    more_labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **body: Any,
) -> Manifest:
    """An object of one collection, which goes with it."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": _metadata(
            collection.namespace,
            name,
            labels(component, collection=collection.name) | dict(more_labels or {}),
            [_owner(collection) | {"controller": True}],
            annotations,
        ),
        **body,
    }


def shared(
    owners: Sequence[Collection],
    api_version: str,
    kind: str,
    name: str,
    component: str,
    *,
    annotations: Mapping[str, str] | None = None,
    **body: Any,
) -> Manifest:
    """An object of all collections that use it, which goes with the last of them."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": _metadata(
            owners[0].namespace,
            name,
            labels(component, shared=name),
            [_owner(owner) for owner in owners],
            annotations,
        ),
        **body,
    }


def owner_uids(manifest: Manifest) -> frozenset[str]:
    """The uids of an object's owners."""
    return frozenset(owner["uid"] for owner in manifest["metadata"].get("ownerReferences", ()))


def _metadata(
    namespace: str,
    name: str,
    all_labels: dict[str, str],
    owners: list[dict[str, Any]],
    annotations: Mapping[str, str] | None,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "namespace": namespace,
        "name": name,
        "labels": all_labels,
        "ownerReferences": owners,
    }
    return metadata | ({"annotations": dict(annotations)} if annotations else {})


def _owner(collection: Collection) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": collection.name,
        "uid": collection.uid,
        "blockOwnerDeletion": True,
    }
