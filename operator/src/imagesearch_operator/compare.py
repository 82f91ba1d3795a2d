"""Whether a live object already says what is planned. Pure.

Only planned fields count: what the API server defaults, and what others add beside, is theirs. Lists are compared item
by item, except those that Kubernetes merges by a key.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from imagesearch_operator import naming
from imagesearch_operator.facts import Manifest
from imagesearch_operator.quantity import quantity

_MERGE_KEYS: Final = {
    "containers": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
_QUANTITIES: Final = frozenset({"limits", "requests"})
_QUANTITY: Final = frozenset({"sizeLimit"})


def needs_apply(planned: Manifest, live: Manifest | None) -> bool:
    """Whether applying `planned` would change anything: the object is missing, was edited, or was planned otherwise."""
    return live is None or plan_hash(live) != digest(planned) or not covers(live, planned)


def plan_hash(live: Manifest) -> str | None:
    """The digest of the plan that the object was applied from; None for one that was not."""
    annotations = live["metadata"].get("annotations") or {}
    value = annotations.get(naming.PLAN_HASH)
    return None if value is None else str(value)


def with_hash(planned: Manifest) -> Manifest:
    """The manifest as it is applied: with its digest as an annotation, so that a field that goes is noticed later."""
    meta = planned["metadata"]
    annotations = {**(meta.get("annotations") or {}), naming.PLAN_HASH: digest(planned)}
    return {**planned, "metadata": {**meta, "annotations": annotations}}


def digest(planned: Manifest) -> str:
    """A short name for exactly this manifest."""
    return naming.digest(json.dumps(planned, sort_keys=True, separators=(",", ":")))


def covers(live: Manifest, planned: Manifest) -> bool:
    """Whether every planned field has its planned value in the live object."""
    if "stringData" in planned:  # written as text, read back as base64
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in planned["stringData"].items()}
        planned = {**planned, "data": {**planned.get("data", {}), **encoded}}
        del planned["stringData"]
    return _covers(live, planned, "", "")


def _covers(live: Any, planned: Any, field: str, parent: str) -> bool:
    if live is None:
        # The API server leaves out what is empty.
        return planned in (None, "", 0) or (isinstance(planned, Mapping | Sequence) and not planned)
    match planned:
        case None:
            return True
        case Mapping():
            return isinstance(live, Mapping) and all(
                _covers(live.get(name), value, name, field) for name, value in planned.items()
            )
        case str() | bool() | int() | float():
            return _same(live, planned, is_quantity=parent in _QUANTITIES or field in _QUANTITY)
        case Sequence() if field in _MERGE_KEYS:
            key = _MERGE_KEYS[field]
            by_key = {item.get(key): item for item in live}
            return all(_covers(by_key.get(item[key]), item, "", field) for item in planned)
        case Sequence():
            return len(live) == len(planned) and all(
                _covers(one, other, "", field) for one, other in zip(live, planned, strict=True)
            )
        case _:
            raise TypeError(f"no JSON: {planned!r}")


def _same(live: Any, planned: str | float, *, is_quantity: bool) -> bool:
    if isinstance(live, bool) != isinstance(planned, bool):
        return False
    if live == planned or not is_quantity:
        return bool(live == planned)
    try:
        return quantity(live) == quantity(planned)
    except ValueError:
        return False
