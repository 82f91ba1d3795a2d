"""The operator as a process, against a real API server, Kafka, Elasticsearch and MLflow. Only pods never run here."""

from collections.abc import Iterator

import pytest
import specs
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
    until(
        lambda: (
            platform.topics(namespace) == {f"imagesearch.{namespace}.birds", f"imagesearch.{namespace}.birds.failed"}
        )
    )
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
    until(lambda: len(platform.topics(namespace)) == 4)
    until(lambda: platform.aliases(namespace) == [f"{namespace}.goes", f"{namespace}.stays"])
    platform.api.kubectl("-n", namespace, "delete", "ic", "--all", "--timeout=120s")
    assert platform.aliases(namespace) == [f"{namespace}.stays"]
    until(
        lambda: (
            platform.topics(namespace) == {f"imagesearch.{namespace}.stays", f"imagesearch.{namespace}.stays.failed"}
        )
    )
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
