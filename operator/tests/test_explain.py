"""What a pod's status means, in words: each case is a status as Kubernetes writes it."""

from typing import Any, NamedTuple

import pytest
from imagesearch_operator.explain import MESSAGE_LIMIT, explain, explain_job, explain_last_end, newest_trouble

UNSCHEDULABLE = "0/1 nodes are available: {}. no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."


def pod(
    name: str = "birds-dogs-29384-x7k2p", *, created: str = "2026-05-01T12:00:00Z", **status: Any
) -> dict[str, Any]:
    """A pod of the producer with this status."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "creationTimestamp": created,
            "labels": {"app.kubernetes.io/component": "producer", "batch.kubernetes.io/job-name": "birds-dogs-29384"},
        },
        "spec": {"containers": [{"name": "producer", "image": "localhost/imagesearch/producer:dev"}]},
        "status": {"phase": "Pending", **status},
    }


def container(state: dict[str, Any], *, ready: bool = False, restarts: int = 0, **more: Any) -> dict[str, Any]:
    """The status of its one container."""
    return {
        "name": "producer",
        "image": "localhost/imagesearch/producer:dev",
        "imageID": "",
        "ready": ready,
        "restartCount": restarts,
        "started": False,
        "state": state,
        "lastState": {},
        **more,
    }


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    """A pod whose container waits."""
    return pod(containerStatuses=[container({"waiting": {"reason": reason, "message": message}}, **more)])


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    """How a container ended."""
    return {
        "exitCode": code,
        "reason": reason,
        "message": message,
        "startedAt": "2026-05-01T12:00:01Z",
        "finishedAt": "2026-05-01T12:00:05Z",
    }


def terminated(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    """A pod whose container has ended."""
    return pod(phase="Failed", containerStatuses=[container({"terminated": ended(code, message, reason)})])


def unscheduled(message: str, *, gpus: int | None = None) -> dict[str, Any]:
    """A pod that no node takes."""
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": UNSCHEDULABLE.format(message),
        "lastTransitionTime": "2026-05-01T12:00:00Z",
    }
    waits = pod("encoder-0a1b-worker-x", conditions=[condition])
    if gpus:
        waits["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": str(gpus)}}
    return waits


class Case(NamedTuple):
    """A pod, and what has to be said about it."""

    pod: dict[str, Any]
    reason: str
    words: tuple[str, ...]


LOG = """INFO published 0 unchanged 0 skipped 0 failed 0 in 0.3 s
imagesearch-producer: Flickr refuses the API key in FLICKR_API_KEY (Invalid API Key); create one and put it into the Secret.
"""
TRACEBACK = """Traceback (most recent call last):
  File "/opt/venv/bin/imagesearch-embedder", line 8, in <module>
ModuleNotFoundError: No module named 'pyspark'
"""
SHUTDOWN = """imagesearch-embedder: Kafka does not answer at kafka:9092
26/05/01 12:00:05 INFO ShutdownHookManager: Deleting directory /tmp/spark-1
"""

CASES = {
    "a wrong API key": Case(terminated(1, LOG), "Failed", ("Flickr refuses the API key", "put it into the Secret")),
    "a last line that is not ours": Case(terminated(1, TRACEBACK), "Failed", ("ModuleNotFoundError",)),
    "our own last words before those of the JVM": Case(
        terminated(1, SHUTDOWN), "Failed", ("Kafka does not answer at kafka:9092",)
    ),
    "no last words": Case(terminated(2), "Failed", ("exit status 2, and no last words",)),
    "no memory left": Case(terminated(137, reason="OOMKilled"), "OutOfMemory", ("more memory than its limit",)),
    "no such image": Case(
        waiting(
            "ImagePullBackOff",
            'Back-off pulling image "localhost/imagesearch/producer:dev": ErrImagePull: rpc error: code = NotFound',
        ),
        "ImagePullFailed",
        ("localhost/imagesearch/producer:dev", "rpc error: code = NotFound", "the chart's images", "imagePullSecrets"),
    ),
    "the first try to pull": Case(
        waiting("ErrImagePull", "not found"), "ImagePullFailed", ("ErrImagePull: not found",)
    ),
    "an image that is never pulled": Case(
        waiting("ErrImageNeverPull", "Container image is not present with pull policy of Never"),
        "ImagePullFailed",
        ("pull policy of Never",),
    ),
    "a misspelt image": Case(
        waiting("InvalidImageName", "couldn't parse image"), "ImagePullFailed", ("couldn't parse",)
    ),
    "a Secret that is not there": Case(
        waiting("CreateContainerConfigError", 'secret "flickr" not found'),
        "ConfigMissing",
        ('secret "flickr" not found',),
    ),
    "a container that cannot be started": Case(
        waiting("RunContainerError", 'exec: "nope": executable file not found in $PATH'),
        "ContainerNotCreated",
        ("executable file not found",),
    ),
    "a crash loop": Case(
        waiting(
            "CrashLoopBackOff",
            "back-off 5m0s restarting failed container=producer",
            restarts=7,
            lastState={"terminated": ended(1, "imagesearch-producer: Kafka does not answer")},
        ),
        "CrashLoop",
        ("has ended 7 times", "Kafka does not answer"),
    ),
    "a crash loop out of memory": Case(
        waiting("CrashLoopBackOff", restarts=3, lastState={"terminated": ended(137, reason="OOMKilled")}),
        "OutOfMemory",
        ("more memory than its limit",),
    ),
    "a crash loop that says nothing": Case(
        waiting("CrashLoopBackOff", "back-off 10s restarting failed container", restarts=1),
        "CrashLoop",
        ("back-off 10s",),
    ),
    "a container started again and not ready": Case(
        pod(
            phase="Running",
            containerStatuses=[
                container(
                    {"running": {"startedAt": "2026-05-01T12:01:00Z"}},
                    restarts=1,
                    lastState={"terminated": ended(1, "imagesearch-embedder: no checkpoint")},
                )
            ],
        ),
        "CrashLoop",
        ("no checkpoint",),
    ),
    "an init container that fails": Case(
        pod(initContainerStatuses=[container({"terminated": ended(1, "cannot prepare")})]),
        "Failed",
        ("cannot prepare",),
    ),
    "no GPU in the cluster": Case(
        unscheduled("1 Insufficient nvidia.com/gpu", gpus=1),
        "InsufficientGpu",
        ("no node has a GPU (nvidia.com/gpu) free", "set spec.serving.gpusPerReplica to 0"),
    ),
    "more GPUs than a node has": Case(
        unscheduled("1 Insufficient nvidia.com/gpu", gpus=4), "InsufficientGpu", ("no node has 4 GPUs",)
    ),
    "no room": Case(
        unscheduled("1 Insufficient cpu, 1 Insufficient memory"),
        "InsufficientResources",
        ("1 Insufficient cpu, 1 Insufficient memory", "ask for less"),
    ),
    "no volume and no storage class": Case(
        unscheduled("pod has unbound immediate PersistentVolumeClaims"), "VolumeNotBound", ("the chart's storageClass",)
    ),
    "no volume for a class that waits for its pod": Case(
        unscheduled("1 node(s) didn't find available persistent volumes to bind"), "VolumeNotBound", ("storage class",)
    ),
    "a taint": Case(
        unscheduled("1 node(s) had untolerated taint {dedicated: other}"), "Unschedulable", ("untolerated taint",)
    ),
    "an eviction": Case(
        pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."),
        "Evicted",
        ("The node was low on resource: memory",),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_keeps_a_pod_from_its_work_is_told(case: str) -> None:
    given, reason, words = CASES[case]

    trouble = explain(given)

    assert trouble is not None
    assert trouble.reason == reason
    assert given["metadata"]["name"] in trouble.message
    for said in words:
        assert said in trouble.message
    assert "\n" not in trouble.message


RUNNING = container({"running": {"startedAt": "2026-05-01T12:01:00Z"}}, ready=True)
FINE = {
    "new": pod(),
    "scheduled": pod(conditions=[{"type": "PodScheduled", "status": "True"}]),
    "not scheduled yet": pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
    "being created": waiting("ContainerCreating"),
    "initializing": waiting("PodInitializing"),
    "running": pod(phase="Running", containerStatuses=[RUNNING]),
    "running again": pod(
        phase="Running", containerStatuses=[{**RUNNING, "restartCount": 1, "lastState": {"terminated": ended(1)}}]
    ),
    "not ready yet": pod(phase="Running", containerStatuses=[{**RUNNING, "ready": False}]),
    "done": pod(phase="Succeeded", containerStatuses=[container({"terminated": ended(0, reason="Completed")})]),
}


@pytest.mark.parametrize("case", FINE)
def test_nothing_is_said_about_a_pod_that_works_or_is_on_its_way(case: str) -> None:
    assert explain(FINE[case]) is None


def test_nothing_is_said_about_a_pod_that_is_being_removed() -> None:
    leaving = terminated(143)
    leaving["metadata"]["deletionTimestamp"] = "2026-05-01T12:00:00Z"

    assert explain(leaving) is None


def test_a_container_that_runs_again_tells_how_it_ended_before() -> None:
    again = {**RUNNING, "restartCount": 2, "lastState": {"terminated": ended(1, "imagesearch-embedder: no index")}}

    trouble = explain_last_end(pod(phase="Running", containerStatuses=[again]))

    assert trouble is not None
    assert "no index" in trouble.message
    assert explain_last_end(FINE["running"]) is None


def test_the_field_to_raise_is_named_where_memory_ran_out() -> None:
    starved = terminated(137, reason="OOMKilled")
    starved["metadata"]["labels"]["app.kubernetes.io/component"] = "encoder"

    assert "raise spec.serving.resources.limits.memory" in str(explain(starved))


def test_a_flood_of_words_is_cut() -> None:
    trouble = explain(terminated(1, "x" * 4000))

    assert trouble is not None
    assert len(trouble.message) < MESSAGE_LIMIT + 100


def test_of_several_pods_the_newest_with_trouble_speaks() -> None:
    older, newer = (
        pod(name, created=created, phase="Failed", containerStatuses=[container({"terminated": ended(1, name)})])
        for name, created in (("older", "2026-05-01T12:00:00Z"), ("newer", "2026-05-01T12:05:00Z"))
    )
    newest = {
        **FINE["running"],
        "metadata": {**FINE["running"]["metadata"], "creationTimestamp": "2026-05-01T12:09:00Z"},
    }

    assert "newer" in str(newest_trouble([older, newest, newer]))


def job(*conditions: str, message: str = "") -> dict[str, Any]:
    """The Job whose pods are above."""
    return {
        "kind": "Job",
        "metadata": {"name": "birds-dogs-29384"},
        "status": {
            "conditions": [
                {"type": type_, "status": "True", "reason": "BackoffLimitExceeded", "message": message}
                for type_ in conditions
            ]
        },
    }


def test_a_job_tells_what_its_pods_tell_even_while_it_tries_again() -> None:
    assert "Flickr refuses the API key" in str(explain_job(job(), [terminated(1, LOG)]))
    assert "Flickr refuses the API key" in str(explain_job(job("FailureTarget", "Failed"), [terminated(1, LOG)]))


def test_a_job_without_pods_tells_its_own_reason() -> None:
    failed = job("Failed", message="Job has reached the specified backoff limit")

    assert explain_job(failed, []) == (
        "BackoffLimitExceeded",
        "Job birds-dogs-29384 failed: Job has reached the specified backoff limit",
    )


def test_a_job_that_has_succeeded_tells_nothing_of_its_attempts() -> None:
    assert explain_job(job("Complete"), [terminated(1, LOG)]) is None


def test_the_pods_of_another_job_do_not_count() -> None:
    other = {**job(), "metadata": {"name": "birds-cats-29384"}}

    assert explain_job(other, [terminated(1, LOG)]) is None
