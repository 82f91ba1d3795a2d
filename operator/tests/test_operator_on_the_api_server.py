"""The operator as a process, against a real API server, Kafka, Elasticsearch and MLflow. Only pods never run here."""

import json
from collections.abc import Iterator

import pytest
import specs
from confluent_kafka import Producer
from imagesearch_stack.control_plane import kuberay_crds
from running import CHILDREN, MODEL, Operator, Platform, apply, children, condition, get, register, registered, until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def operator(platform) -> Iterator[Operator]:
    running = platform.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def kuberay(platform, operator) -> None:
    platform.api.apply_crds(*kuberay_crds())
    until(lambda: "RayService" in (platform.home / "operator.log").read_text() or operator.probe("readyz") == 200)


def names(found: dict) -> set[str]:
    return set(found)


def test_kuberay_that_comes_later_is_noticed_without_a_restart_of_the_process(platform, operator):
    namespace = platform.namespace("kuberay-later")
    apply(platform.api, "birds", namespace, model=registered())
    said = until(lambda: condition(platform.api, namespace, "birds", "ServingReady"))
    assert said["reason"] == "KubeRayMissing"
    platform.api.apply_crds(*kuberay_crds())
    until(lambda: children(platform.api, namespace, "rayservices"))
    assert operator.process.running
    assert operator.probe("healthz") == 200


def test_a_collection_gets_its_children_topics_index_and_alias(platform, operator, kuberay):
    namespace = platform.namespace("whole")
    apply(platform.api, "birds", namespace, model=registered())
    until(lambda: children(platform.api, namespace, "rayservices"))
    until(lambda: any(name.startswith("Deployment/") for name in children(platform.api, namespace)))
    kinds = sorted(name.partition("/")[0] for name in children(platform.api, namespace))
    assert kinds == [
        *("ConfigMap", "CronJob", "Deployment", "Job", "PersistentVolumeClaim"),
        *("Role", "RoleBinding", "Service", "ServiceAccount"),
    ]
    until(lambda: platform.topics(namespace) == topics_of(namespace, "birds"))
    [(index, aliases)] = until(lambda: platform.indices(namespace)).items()
    assert aliases == [f"{namespace}.birds"]
    status = until(lambda: get(platform.api, namespace, "ic", "birds").get("status", {}).get("activeIndex"))
    assert status == index
    assert "imagesearch.dev/stores" in get(platform.api, namespace, "ic", "birds")["metadata"]["finalizers"]


def test_a_second_pass_writes_nothing(platform, operator, kuberay):
    namespace = platform.namespace("twice")
    apply(platform.api, "birds", namespace, model=registered())
    until(lambda: any(name.startswith("Deployment/") for name in children(platform.api, namespace)))
    until(lambda: get(platform.api, namespace, "ic", "birds").get("status", {}).get("activeIndex"))
    quiet(operator)
    before, versions = operator.writes, resource_versions(platform, namespace)
    for _ in range(3):
        operator.pass_again(platform.api, namespace, "birds")
    assert operator.writes == before
    assert resource_versions(platform, namespace) == versions


def test_children_that_are_deleted_or_edited_come_back(platform, operator, kuberay):
    namespace = platform.namespace("drift")
    apply(platform.api, "birds", namespace, model=registered())
    until(lambda: any(name.startswith("Deployment/") for name in children(platform.api, namespace)))
    quiet(operator)
    before = children(platform.api, namespace, f"{CHILDREN},rayservices")
    for name in before:
        platform.api.kubectl("-n", namespace, "delete", "--wait=false", name.lower())

    def is_back() -> bool:
        now = children(platform.api, namespace, f"{CHILDREN},rayservices")
        anew = {
            name for name in before if name in now and now[name]["metadata"]["uid"] != before[name]["metadata"]["uid"]
        }
        # A claim that a pod uses stays until the pod is gone.
        return names(before) - anew <= {name for name in before if name.startswith("PersistentVolumeClaim/")}

    until(is_back, within_seconds=30)
    [cron_job] = children(platform.api, namespace, "cronjobs").values()
    at = cron_job["metadata"]["name"]
    platform.api.kubectl(
        "-n", namespace, "patch", "cronjob", at, "--type=merge", "-p", '{"spec":{"schedule":"1 1 1 1 *"}}'
    )
    until(lambda: get(platform.api, namespace, "cronjob", at)["spec"]["schedule"] == cron_job["spec"]["schedule"])
    assert operator.counted("imagesearch_operator_drift_repaired_total", kind="CronJob") >= 2
    told = until(
        lambda: [
            event for event in get(platform.api, namespace, "events")["items"] if event["reason"] == "FieldsTakenBack"
        ]
    )
    assert at in told[0]["message"]


def test_what_is_no_longer_planned_goes(platform, operator, kuberay):
    namespace = platform.namespace("pruned")
    cats = specs.MANIFEST_SOURCE | {"name": "cats"}
    apply(platform.api, "birds", namespace, model=registered(), sources=[specs.MANIFEST_SOURCE, cats])
    until(lambda: {"CronJob/birds-list", "CronJob/birds-cats"} <= names(children(platform.api, namespace)))
    apply(platform.api, "birds", namespace, model=registered(), sources=[cats])
    until(lambda: not [name for name in children(platform.api, namespace) if "birds-list" in name])
    assert "CronJob/birds-cats" in children(platform.api, namespace)


def test_a_foreign_object_with_our_labels_is_left_alone(platform, operator, kuberay):
    namespace = platform.namespace("foreign")
    apply(platform.api, "birds", namespace, model=registered())
    platform.api.kubectl("-n", namespace, "create", "configmap", "mine")
    labels = ("app.kubernetes.io/managed-by=imagesearch-operator", "imagesearch.dev/collection=birds")
    platform.api.kubectl("-n", namespace, "label", "configmap", "mine", *labels)
    until(lambda: any(name.startswith("Deployment/") for name in children(platform.api, namespace)))
    operator.pass_again(platform.api, namespace, "birds")
    assert "ConfigMap/mine" in children(platform.api, namespace)


def test_a_paused_collection_is_not_touched_until_it_goes_on(platform, operator, kuberay):
    namespace = platform.namespace("paused")
    apply(platform.api, "birds", namespace, model=registered())
    until(lambda: "CronJob/birds-list" in children(platform.api, namespace))
    apply(platform.api, "birds", namespace, model=registered(), paused=True)
    until(lambda: condition(platform.api, namespace, "birds", "Paused").get("status") == "True")
    platform.api.kubectl("-n", namespace, "delete", "cronjob", "birds-list")
    operator.pass_again(platform.api, namespace, "birds")
    assert "CronJob/birds-list" not in children(platform.api, namespace)
    apply(platform.api, "birds", namespace, model=registered(), paused=False)
    until(lambda: "CronJob/birds-list" in children(platform.api, namespace))


def test_a_missing_secret_is_said_and_its_coming_is_noticed(platform, operator, kuberay):
    namespace = platform.namespace("keyless")
    apply(platform.api, "birds", namespace, model=registered(), sources=[specs.FLICKR_SOURCE])
    said = until(lambda: condition(platform.api, namespace, "birds", "ProducersReady"))
    assert "flickr" in said["message"]
    platform.api.kubectl("-n", namespace, "create", "secret", "generic", "flickr", "--from-literal=api-key=0123")
    until(lambda: condition(platform.api, namespace, "birds", "ProducersReady")["reason"] != said["reason"])


def test_two_collections_share_an_encoder_and_the_last_takes_it_along(platform, operator, kuberay):
    namespace = platform.namespace("shared")
    for name in ("birds", "dogs"):
        apply(platform.api, name, namespace, model=registered())

    def owners() -> list[str]:
        found = children(platform.api, namespace, "rayservices").values()
        return sorted(owner["name"] for service in found for owner in service["metadata"].get("ownerReferences", []))

    until(lambda: owners() == ["birds", "dogs"])
    platform.api.kubectl("-n", namespace, "delete", "ic", "birds", "--timeout=120s")
    until(lambda: owners() == ["dogs"])
    platform.api.kubectl("-n", namespace, "delete", "ic", "dogs", "--timeout=120s")
    until(lambda: not children(platform.api, namespace, "rayservices"))


def test_deletion_takes_topics_and_index_along_or_leaves_them_as_the_policy_says(platform, operator, kuberay):
    namespace = platform.namespace("deleted")
    apply(platform.api, "goes", namespace, model=registered(), deletionPolicy="Delete")
    apply(platform.api, "stays", namespace, model=registered(), deletionPolicy="Retain")
    until(lambda: platform.topics(namespace) == topics_of(namespace, "goes") | topics_of(namespace, "stays"))
    until(lambda: platform.aliases(namespace) == [f"{namespace}.goes", f"{namespace}.stays"])
    platform.api.kubectl("-n", namespace, "delete", "ic", "--all", "--timeout=120s")
    assert platform.aliases(namespace) == [f"{namespace}.stays"]
    until(lambda: platform.topics(namespace) == topics_of(namespace, "stays"))
    assert children(platform.api, namespace) == {}
    until(lambda: operator.counted("imagesearch_collection_condition", namespace=namespace) == 0)


def test_another_model_is_built_beside_the_one_that_is_searched_and_its_index_is_kept(platform, operator, kuberay):
    namespace = platform.namespace("candidate")
    apply(platform.api, "birds", namespace, model=registered())
    [first] = until(lambda: platform.indices(namespace))
    until(lambda: get(platform.api, namespace, "ic", "birds").get("status", {}).get("activeIndex") == first)
    version = register(platform.mlflow, MODEL)
    apply(platform.api, "birds", namespace, model=registered(version))
    until(lambda: len(platform.indices(namespace)) == 2)
    candidate = until(lambda: get(platform.api, namespace, "ic", "birds")["status"].get("candidate"))
    assert platform.indices(namespace) == {first: [f"{namespace}.birds"], candidate: []}
    drivers = children(platform.api, namespace, "deployments")
    assert len(drivers) == 2


def test_a_replay_runs_once_one_after_the_other_and_is_told(platform, operator, kuberay):
    """No pod runs here, so the end of a Job is written as its controller would."""
    namespace = platform.namespace("replays")
    apply(platform.api, "birds", namespace, model=registered())
    until(lambda: platform.topics(namespace) == topics_of(namespace, "birds"))
    annotate(platform, namespace, "dead_link")
    [first] = until(lambda: replays(platform, namespace))
    until(lambda: annotations(platform, namespace) == {"imagesearch.dev/replayed": first})
    annotate(platform, namespace, "all")
    operator.pass_again(platform.api, namespace, "birds")
    assert set(replays(platform, namespace)) == {first}

    end(platform, namespace, first)
    [second] = until(lambda: set(replays(platform, namespace)) - {first})
    until(lambda: annotations(platform, namespace).get("imagesearch.dev/replayed") == second)
    end(platform, namespace, second)
    until(lambda: get(platform.api, namespace, "ic", "birds")["status"].get("replay", {}).get("state") == "Finished")
    for _ in range(2):
        operator.pass_again(platform.api, namespace, "birds")
    # The controller of Jobs deletes them when their time to live is over.
    platform.api.kubectl("-n", namespace, "delete", "job", first)
    operator.pass_again(platform.api, namespace, "birds")
    assert set(replays(platform, namespace)) == {second}
    told = {event["reason"] for event in get(platform.api, namespace, "events")["items"]}
    assert {"ReplayStarted", "ReplayFinished"} <= told


def test_a_replay_for_no_known_reason_is_refused_with_those_that_there_are(platform, operator, kuberay):
    namespace = platform.namespace("refused")
    apply(platform.api, "birds", namespace, model=registered())
    annotate(platform, namespace, "bad_luck")
    until(lambda: "imagesearch.dev/replay" not in annotations(platform, namespace))
    [event] = [one for one in get(platform.api, namespace, "events")["items"] if one["reason"] == "ReplayRefused"]
    assert event["type"] == "Warning"
    assert "dead_link" in event["message"]
    assert replays(platform, namespace) == []


def test_dead_letters_are_counted_by_reason_in_the_status_and_for_prometheus(platform, operator, kuberay):
    namespace = platform.namespace("letters")
    apply(platform.api, "birds", namespace, model=registered())
    until(lambda: platform.topics(namespace) == topics_of(namespace, "birds"))
    producer = Producer({"bootstrap.servers": platform.kafka})
    for number, reason in enumerate(["dead_link", "dead_link", "truncated"]):
        failed = f"imagesearch.{namespace}.birds.failed"
        producer.produce(failed, key=str(number), value="{}", headers={"reason": reason})
    producer.flush(30)
    by_reason = {"dead_link": 2, "truncated": 1}
    until(lambda: images(platform, namespace).get("failedByReason") == by_reason)
    assert images(platform, namespace)["failed"] == 3
    metric = "imagesearch_collection_failed_records"
    assert {reason: operator.counted(metric, namespace=namespace, reason=reason) for reason in by_reason} == by_reason


def topics_of(namespace: str, name: str) -> set[str]:
    return {f"imagesearch.{namespace}.{name}{end}" for end in ("", ".failed", ".state")}


def images(platform: Platform, namespace: str) -> dict:
    return get(platform.api, namespace, "ic", "birds").get("status", {}).get("images", {})


def annotate(platform: Platform, namespace: str, reason: str) -> None:
    platform.api.kubectl("-n", namespace, "annotate", "ic", "birds", f"imagesearch.dev/replay={reason}")


def annotations(platform: Platform, namespace: str) -> dict[str, str]:
    found = get(platform.api, namespace, "ic", "birds")["metadata"].get("annotations", {})
    return {name: value for name, value in found.items() if name.startswith("imagesearch.dev/")}


def replays(platform: Platform, namespace: str) -> list[str]:
    found = get(platform.api, namespace, "jobs", "-l", "app.kubernetes.io/component=replay")
    return [job["metadata"]["name"] for job in found["items"]]


def end(platform: Platform, namespace: str, job: str) -> None:
    pod = get(platform.api, namespace, "pods", "-l", f"batch.kubernetes.io/job-name={job}")
    [name] = [each["metadata"]["name"] for each in pod["items"]]
    ended = {"terminated": {"exitCode": 0, "message": "replayed 0 cleared 0 outdated 0 not replayable 0 of 0 letters"}}
    status = {
        "phase": "Succeeded",
        "containerStatuses": [
            {"name": "replay", "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": ended}
        ],
    }
    patch = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    platform.api.kubectl("-n", namespace, "patch", "pod", name, *patch)


def quiet(operator: Operator) -> None:
    """Wait until the operator has nothing to do, a poll of the stores included."""

    def rests() -> bool:
        before = operator.counted("imagesearch_operator_last_poll_timestamp_seconds"), operator.passes
        until(lambda: operator.counted("imagesearch_operator_last_poll_timestamp_seconds") > before[0] + 2)
        return operator.passes == before[1]

    until(rests)


def resource_versions(platform: Platform, namespace: str) -> dict[str, str]:
    found = children(platform.api, namespace, f"{CHILDREN},rayservices")
    return {name: child["metadata"]["resourceVersion"] for name, child in found.items()}
