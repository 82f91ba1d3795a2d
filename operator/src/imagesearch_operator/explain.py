"""Why a pod does not do its work, and what to do about it, from what the cluster says about it. Pure."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from imagesearch_operator import naming
from imagesearch_operator.facts import Manifest

MESSAGE_LIMIT: Final = 600
"""Characters of a quotation; a condition is read in a terminal."""

_PULL_REASONS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
_NOT_CREATED_REASONS: Final = frozenset({"CreateContainerError", "RunContainerError", "CreatePodSandboxError"})
_LAST_WORDS: Final = re.compile(r"^imagesearch-\w+: ")
"""How the last line of our own commands begins when they give up."""
_MEMORY_FIELD: Final = {
    "embedder": "spec.embedding.resources",
    "encoder": "spec.serving.resources.limits.memory",
}


class Trouble(NamedTuple):
    """What keeps something from working."""

    reason: str
    """CamelCase, for a condition."""
    message: str
    """For people: what is wrong and what to do."""


def explain(pod: Manifest) -> Trouble | None:
    """What keeps a pod from its work; None where nothing does, it is only on its way, or it is being removed."""
    if "deletionTimestamp" in pod["metadata"]:
        return None
    if whole := _unschedulable(pod) or _ended_as_a_whole(pod):
        return whole
    troubles = (_container(pod, container) for container in _containers(pod.get("status", {})))
    return next(filter(None, troubles), None)


def explain_last_end(pod: Manifest) -> Trouble | None:
    """How a container of the pod ended before it was started again, whether or not it runs now."""
    for container in _containers(pod.get("status", {})):
        ended = container.get("lastState", {}).get("terminated", {})
        if ended.get("exitCode"):
            return _terminated(pod, container, ended)
    return None


def newest_trouble(pods: Iterable[Manifest]) -> Trouble | None:
    """The trouble of the newest pod that has one."""
    newest_first = sorted(pods, key=created_at, reverse=True)
    return next((trouble for pod in newest_first if (trouble := explain(pod))), None)


def explain_job(job: Manifest, pods: Iterable[Manifest]) -> Trouble | None:
    """What keeps a Job from its end, or ended it too early; None where it is done, or on its way.

    Args:
        job: as it is live.
        pods: its own are picked out of these.
    """
    if has_ended(job, "Complete"):
        return None
    name = job["metadata"]["name"]
    # Of all attempts: while another one runs, how the one before it ended is what a person wants to know.
    if trouble := newest_trouble(pod for pod in pods if labels_of(pod).get("batch.kubernetes.io/job-name") == name):
        return trouble
    if failed := has_ended(job, "Failed"):
        return Trouble(failed.get("reason", "Failed"), f"Job {name} failed: {quote(failed.get('message', ''))}")
    return None


def parting_words(job: Manifest, pods: Iterable[Manifest]) -> str | None:
    """What a Job that is done has said at its end; None while that is not known, empty where its pods are gone."""
    if not has_ended(job, "Complete"):
        return None
    name = job["metadata"]["name"]
    mine = [pod for pod in pods if labels_of(pod).get("batch.kubernetes.io/job-name") == name]
    ends = [
        container.get("state", {}).get("terminated", {}) for pod in mine for container in _containers(pod["status"])
    ]
    said = [quote(ended.get("message", "")) for ended in ends if ended.get("exitCode") == 0]
    return said[0] if said else (None if mine else "")


def has_ended(job: Manifest, how: str) -> dict[str, Any] | None:
    """The condition `Complete` or `Failed` of a Job, where it holds."""
    conditions = job.get("status", {}).get("conditions", ())
    return next((c for c in conditions if c["type"] == how and c["status"] == "True"), None)


def is_ready(pod: Manifest) -> bool:
    """Whether the pod says so."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", ()))


def labels_of(manifest: Manifest) -> dict[str, str]:
    """An object's labels."""
    return manifest["metadata"].get("labels") or {}


def created_at(manifest: Manifest) -> str:
    """When an object was made, in a form that can be compared."""
    return str(manifest["metadata"].get("creationTimestamp", ""))


def last_words(text: str) -> str:
    """The line of a log's end that says most: our own command's last one, else the last one of all."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    ours = [line for line in lines if _LAST_WORDS.match(line)]
    return quote((ours or lines or [""])[-1])


def quote(text: str) -> str:
    """What somebody else said, on one line and not too long, without the stop at its end."""
    line = " ".join(text.split()).rstrip(".")
    return line if len(line) <= MESSAGE_LIMIT else f"{line[: MESSAGE_LIMIT - 3]}..."


def _unschedulable(pod: Manifest) -> Trouble | None:
    scheduled = next((c for c in pod.get("status", {}).get("conditions", ()) if c["type"] == "PodScheduled"), None)
    if not scheduled or scheduled["status"] != "False" or scheduled.get("reason") != "Unschedulable":
        return None
    name, said = _name(pod), quote(scheduled.get("message", ""))
    gpus = _requested(pod, "nvidia.com/gpu")
    match said:
        case _ if "Insufficient nvidia.com/gpu" in said:
            wanted = "a GPU" if gpus == 1 else f"{gpus} GPUs"
            return Trouble(
                "InsufficientGpu",
                f"no node has {wanted} (nvidia.com/gpu) free for pod {name} ({said}): add such a node, free the GPU, "
                "or set spec.serving.gpusPerReplica to 0 to encode on the CPU",
            )
        case _ if "PersistentVolumeClaim" in said or "persistent volume" in said:
            return Trouble(
                "VolumeNotBound",
                f"the volume claim of pod {name} is not bound ({said}): make a volume, or name a storage class that makes "
                "one in the operator's settings (the chart's storageClass)",
            )
        case _ if "Insufficient" in said:
            return Trouble(
                "InsufficientResources",
                f"no node has room for pod {name} ({said}): add a node, or ask for less in the spec's resources",
            )
        case _:
            return Trouble("Unschedulable", f"no node takes pod {name}: {said}")


def _ended_as_a_whole(pod: Manifest) -> Trouble | None:
    """A pod that was ended as a whole: evicted, or out of time."""
    status = pod.get("status", {})
    if status.get("phase") != "Failed" or not status.get("reason"):
        return None
    return Trouble(status["reason"], f"pod {_name(pod)} was ended: {quote(status.get('message') or status['reason'])}")


def _container(pod: Manifest, container: dict[str, Any]) -> Trouble | None:
    state = container.get("state", {})
    ended = state.get("terminated") or container.get("lastState", {}).get("terminated")
    if waiting := state.get("waiting"):
        return _waiting(pod, container, waiting, ended)
    if "terminated" in state:
        return _terminated(pod, container, ended) if ended.get("exitCode") else None
    if ended and ended.get("exitCode") and not container.get("ready"):
        return _terminated(pod, container, ended)
    return None


def _waiting(
    pod: Manifest, container: dict[str, Any], waiting: dict[str, Any], ended: dict[str, Any] | None
) -> Trouble | None:
    name, reason, said = _name(pod), waiting.get("reason", ""), quote(waiting.get("message", ""))
    if reason in _PULL_REASONS:
        return Trouble(
            "ImagePullFailed",
            f"the image {container.get('image', '')} of pod {name} cannot be pulled ({reason}: {said}): correct the image's name "
            "in the operator's settings (the chart's images), or give the node access to it (imagePullSecrets)",
        )
    if reason == "CreateContainerConfigError":
        return Trouble("ConfigMissing", f"pod {name} lacks something that it is configured with: {said}")
    if reason in _NOT_CREATED_REASONS:
        return Trouble("ContainerNotCreated", f"container {container['name']} of pod {name} cannot be started: {said}")
    if ended and ended.get("exitCode"):  # CrashLoopBackOff, or the moment before
        return _terminated(pod, container, ended)
    if reason == "CrashLoopBackOff":
        return Trouble("CrashLoop", f"container {container['name']} of pod {name} ends again and again: {said}")
    return None


def _terminated(pod: Manifest, container: dict[str, Any], ended: dict[str, Any]) -> Trouble:
    name, restarts = _name(pod), container.get("restartCount", 0)
    if ended.get("reason") == "OOMKilled":
        field = _MEMORY_FIELD.get(pod["metadata"].get("labels", {}).get(naming.COMPONENT, ""))
        return Trouble(
            "OutOfMemory",
            f"container {container['name']} of pod {name} needed more memory than its limit"
            + (f": raise {field}" if field else ""),
        )
    said = last_words(ended.get("message", "")) or f"exit status {ended['exitCode']}, and no last words"
    if restarts:
        return Trouble("CrashLoop", f"pod {name} has ended {restarts} times, last with: {said}")
    return Trouble("Failed", f"pod {name} failed: {said}")


def _containers(status: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from status.get("initContainerStatuses", ())
    yield from status.get("containerStatuses", ())


def _requested(pod: Manifest, resource: str) -> int:
    return sum(
        int(container.get("resources", {}).get("limits", {}).get(resource, 0))
        for container in pod["spec"]["containers"]
    )


def _name(pod: Manifest) -> str:
    return str(pod["metadata"]["name"])
