"""What a collection's status says: conditions in words that help, and counts. Pure; the same facts give the same status."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

from imagesearch_operator import naming, verdicts
from imagesearch_operator.explain import quote
from imagesearch_operator.facts import Facts
from imagesearch_operator.plan import Plan, replays
from imagesearch_operator.spec import Collection
from imagesearch_operator.verdicts import Part, View

Json = dict[str, Any]


class ApplyError(NamedTuple):
    """One planned thing that could not be made or changed."""

    kind: str
    """Of the Kubernetes object; `Topic` or `Index` for what is in the stores, `Store` for both."""
    name: str
    reason: str
    """CamelCase, for a condition: `Forbidden`."""
    message: str
    """For people: what was refused and why. Never a secret."""


class Event(NamedTuple):
    """Something that a person would want to know."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


PARTS: Final = ("ModelReady", "TopicReady", "ProducersReady", "IndexReady", "EmbedderReady", "ServingReady")
"""Ready is all of these; where several are not, it repeats the one that most needs to be read."""

_PART_OF_KIND: Final = {
    "Topic": "TopicReady",
    "CronJob": "ProducersReady",
    "Index": "IndexReady",
    "RayService": "ServingReady",
}
_STORE: Final = "Store"
_REST: Final = "EmbedderReady"
"""The other kinds are the Spark driver's."""


def status(collection: Collection, facts: Facts, plan: Plan, errors: Sequence[ApplyError]) -> Json:
    """The whole status object.

    Args:
        collection: its last status gives transition times, and the counts that cannot be had now.
        facts: what was observed.
        plan: what is wanted.
        errors: what of it could not be made, or when the collection is being deleted, unmade.
    """
    view = View(collection, facts, plan)
    parts = _parts(view, () if collection.deleted_at else errors)
    conditions = {
        "Ready": _ready(view, parts, errors),
        **parts,
        "Progressing": _progressing(view, parts),
        "Paused": _paused(collection),
    }
    result: Json = {
        "observedGeneration": collection.generation,
        "conditions": [
            _condition(collection.status, collection.generation, facts.now, name, part)
            for name, part in conditions.items()
        ],
        "images": _images(view),
        "replay": verdicts.replay(view) or collection.status.get("replay"),
        "activeIndex": view.active,
        "activeModel": view.active_model,
        "candidate": view.candidate,
        "endpoint": f"{collection.namespace}/{collection.name}" if view.active else None,
    }
    return {key: value for key, value in result.items() if value not in (None, {})}


def not_understood(old: Mapping[str, Any], generation: int, now: datetime, faults: str) -> Json:
    """The status of a collection that this operator cannot read: its CRD and the operator are of different versions."""
    part = Part(
        "False",
        "SpecNotUnderstood",
        f"this operator cannot read the collection ({faults}): install the CRD of the operator's own "
        "version, and apply the collection again",
    )
    return {"conditions": [_condition(old, generation, now, "Ready", part)]}


def events(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Event]:
    """What has happened between two statuses, as far as people care; `old` is empty at first."""
    return [*_ready_events(old, new), *_pause_events(old, new), *_milestones(old, new), *_replay_events(old, new)]


def unknown_replay(reason: str) -> Event:
    """That somebody asked for a replay of letters for a reason that there is not."""
    return Event(
        "Warning",
        "ReplayRefused",
        f"{naming.REPLAY}={quote(reason)[:100]} names no reason of dead letters: write one of {', '.join(replays.REASONS)}",
    )


def _parts(view: View, errors: Sequence[ApplyError]) -> dict[str, Part]:
    parts = {
        "ModelReady": verdicts.model(view),
        "TopicReady": verdicts.topic(view),
        "ProducersReady": verdicts.producers(view),
        "IndexReady": verdicts.index(view),
        "EmbedderReady": verdicts.embedder(view, view.judged),
        "ServingReady": verdicts.serving(view, view.judged),
    }
    for error in reversed(errors):  # of two in one part the first is told
        parts[_part_of(error, view.collection)] = Part(
            "False", error.reason, f"{error.kind} {error.name} could not be applied: {quote(error.message)}"
        )
    return parts


def _part_of(error: ApplyError, collection: Collection) -> str:
    if error.kind == "Job":
        runs = [f"{naming.cron_job(collection.name, source.name)}-" for source in collection.spec.sources]
        runs.append(naming.replays(collection.name))
        return "ProducersReady" if error.name.startswith(tuple(runs)) else "ModelReady"
    return _PART_OF_KIND.get(error.kind, _REST)


def _ready(view: View, parts: dict[str, Part], errors: Sequence[ApplyError]) -> Part:
    if view.collection.deleted_at:
        return _being_deleted(view, errors)
    if told := _most_pressing(view, parts):
        return told
    indexed = view.index.documents.get(view.active or "", 0) if view.index else 0
    where = f"{view.collection.namespace}/{view.collection.name}"
    return Part("True", "Ready", f"{verdicts.pictures(indexed)} can be searched in collection {where}")


def _most_pressing(view: View, parts: dict[str, Part]) -> Part | None:
    """Of the parts that are not ready: one that somebody has to mend, else one that is on its way."""
    unready = [part for name in PARTS if (part := parts[name]).status != "True" and not _can_wait(view, name, part)]
    return next((part for part in unready if not part.moving), next(iter(unready), None))


def _can_wait(view: View, name: str, part: Part) -> bool:
    """Another model is on its way, while the one before goes on answering."""
    return name == "ModelReady" and part.moving and view.active is not None


def _being_deleted(view: View, errors: Sequence[ApplyError]) -> Part:
    if in_a_store := next((error for error in errors if error.kind == _STORE), None):
        name, namespace = view.collection.name, view.collection.namespace
        return Part(
            "False",
            in_a_store.reason,
            f"its deletion waits: {quote(in_a_store.message)}. To let it go, and leave topics and index where they are: "
            f"kubectl --namespace {namespace} patch ic {name} --type merge "
            """--patch '{"spec": {"deletionPolicy": "Retain"}}'""",
        )
    if errors:
        return Part("False", errors[0].reason, f"its deletion waits: {quote(errors[0].message)}")
    return Part("False", "Deleting", "it is being deleted; its pods end first", moving=True)


def _progressing(view: View, parts: dict[str, Part]) -> Part:
    if view.collection.deleted_at:
        return Part("True", "Deleting", "it is being deleted")
    if view.candidate:
        return verdicts.candidate(view, view.candidate)
    moving = next((parts[name] for name in PARTS if parts[name].moving), None)
    if moving:
        return Part("True", moving.reason, moving.message)
    if _most_pressing(view, parts):
        return Part("False", "Waiting", "it goes on by itself as soon as what Ready tells is mended")
    return Part("False", "Settled", "everything is as the spec wants it")


def _paused(collection: Collection) -> Part:
    if collection.spec.paused:
        return Part(
            "True",
            "Paused",
            "spec.paused is true: everything goes on as it is, and nothing is made, changed or repaired until it is false",
        )
    return Part("False", "NotPaused", "the operator looks after it")


def _condition(old: Mapping[str, Any], generation: int, now: datetime, name: str, part: Part) -> Json:
    before = find(old, name)
    return {
        "type": name,
        "status": part.status,
        "reason": part.reason,
        "message": part.message,
        "observedGeneration": generation,
        "lastTransitionTime": before["lastTransitionTime"]
        if before.get("status") == part.status
        else now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _images(view: View) -> Json:
    """The counts; those that cannot be had now stay as they were."""
    counts: Json = dict(view.collection.status.get("images", {}))
    if view.topic:
        lag = view.topic.lag.get(view.judged or "")
        counts |= {"published": view.topic.messages, "lag": lag}
        if view.topic.failed is not None:
            counts |= {"failed": sum(view.topic.failed.values()), "failedByReason": dict(view.topic.failed)}
    if view.index:
        counts["indexed"] = view.index.documents.get(view.judged or "", 0)
    return {name: count for name, count in counts.items() if count not in (None, {})}


def _ready_events(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Event]:
    before, now = find(old, "Ready"), find(new, "Ready")
    if (before.get("status"), before.get("reason")) == (now["status"], now["reason"]):
        return
    progressing = find(new, "Progressing")
    by_itself = progressing["status"] == "True" and progressing["reason"] == now["reason"]
    yield Event("Normal" if now["status"] == "True" or by_itself else "Warning", now["reason"], now["message"])


def _pause_events(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Event]:
    before, now = find(old, "Paused"), find(new, "Paused")
    if before.get("status", "False") != now["status"]:
        yield Event("Normal", "Paused" if now["status"] == "True" else "Resumed", now["message"])


def _milestones(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Event]:
    candidate, active = new.get("candidate"), new.get("activeIndex")
    if candidate and candidate != old.get("candidate"):
        yield Event(
            "Normal", "CandidateStarted", f"index {candidate} is being built and takes over when it has caught up"
        )
    if active and active == old.get("candidate"):
        yield Event("Normal", "CutOver", f"searches go to index {active} now, with model {new.get('activeModel')}")
    if active and not _indexed(old) and _indexed(new):
        yield Event("Normal", "FirstImageSearchable", f"searches in collection {new['endpoint']} find pictures now")


def _replay_events(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Event]:
    before, now = old.get("replay", {}), new.get("replay", {})
    job, state = now.get("job"), now.get("state")
    if job != before.get("job"):
        yield Event("Normal", "ReplayStarted", f"Job {job} puts dead letters back into the topic: {now['reason']}")
    if state != "Running" and (job, state) != (before.get("job"), before.get("state")):
        yield Event("Normal" if state == "Finished" else "Warning", f"Replay{state}", f"Job {job}: {now['message']}")


def _indexed(status: Mapping[str, Any]) -> int:
    return int(status.get("images", {}).get("indexed", 0))


def find(status: Mapping[str, Any], name: str) -> Json:
    """A condition; empty where there is none."""
    return next((condition for condition in status.get("conditions", ()) if condition["type"] == name), {})
