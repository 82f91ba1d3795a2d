"""What the operator tells Prometheus about itself and about the collections."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from prometheus_client import Counter, Gauge, Histogram

from imagesearch_operator.live import Key

_PREFIX: Final = "imagesearch_operator"

RECONCILES: Final = Counter(f"{_PREFIX}_reconcile", "Reconciles of a collection.", ["result"])
RECONCILE_SECONDS: Final = Histogram(
    f"{_PREFIX}_reconcile_duration_seconds",
    "How long a reconcile took.",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
RECONCILE_ERRORS: Final = Counter(f"{_PREFIX}_reconcile_errors", "What went wrong in reconciles.", ["reason"])
DRIFT_REPAIRED: Final = Counter(
    f"{_PREFIX}_drift_repaired", "Children that somebody edited or deleted, and that were put right.", ["kind"]
)
WRITES: Final = Counter(f"{_PREFIX}_writes", "Writes to Kubernetes and to the stores.", ["verb", "kind"])
QUEUE_DEPTH: Final = Gauge(f"{_PREFIX}_queue_depth", "Collections that are due and not worked on yet.")
COLLECTIONS: Final = Gauge(f"{_PREFIX}_collections", "Collections that the operator looks after.")
LAST_POLL: Final = Gauge(
    f"{_PREFIX}_last_poll_timestamp_seconds", "When Kafka, Elasticsearch and MLflow were last looked at."
)
CONDITION: Final = Gauge(
    "imagesearch_collection_condition",
    "1 for the status that a condition of a collection has.",
    ["namespace", "name", "type", "status"],
)
FAILED: Final = Gauge(
    "imagesearch_collection_failed_records",
    "Records of a collection that could not be used, by the reason in their dead letters.",
    ["namespace", "name", "reason"],
)
_STATUSES: Final = ("True", "False", "Unknown")
_shown: dict[Key, set[str]] = {}
_reasons: dict[Key, set[str]] = {}


def show_conditions(key: Key, conditions: Iterable[Mapping[str, Any]]) -> None:
    """Show the conditions that a collection has."""
    for condition in conditions:
        _shown.setdefault(key, set()).add(condition["type"])
        for status in _STATUSES:
            CONDITION.labels(*key, condition["type"], status).set(condition["status"] == status)


def show_failed(key: Key, by_reason: Mapping[str, int]) -> None:
    """Show how many records of a collection failed; a reason that was shown before and has none left is 0."""
    shown = _reasons.setdefault(key, set())
    shown.update(by_reason)
    for reason in shown:
        FAILED.labels(*key, reason).set(by_reason.get(reason, 0))


def forget(key: Key) -> None:
    """Show a collection no longer: it is gone."""
    for reason in _reasons.pop(key, ()):
        FAILED.remove(*key, reason)
    for name in _shown.pop(key, ()):
        for status in _STATUSES:
            CONDITION.remove(*key, name, status)
