"""The life of a collection on a real cluster, from `kubectl apply` to `kubectl delete`. The tests build on each other, in this order."""

import itertools
import json
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from imagesearch_contract import names
from imagesearch_stack import StackError
from imagesearch_stack.cluster import RELEASE, Platform
from imagesearch_stack.collection import Collection, owners
from imagesearch_stack.servers import script

pytestmark = pytest.mark.e2e

MANIFEST = "http://flickr.standins.svc/photos/manifest.jsonl"
SMALL = {"requests": {"cpu": "100m"}}
"""Two collections and a second replica have to fit onto a node of two cores."""
SPEC: dict[str, Any] = {
    "sources": [
        {"name": "list", "manifest": {"url": MANIFEST}},
        {
            "name": "flickr",
            "schedule": "* * * * *",
            "flickr": {"text": "bird", "apiKeySecretRef": {"name": "flickr"}},
        },
    ],
    "model": {"name": "starter"},
    "embedding": {"resources": SMALL},
    "serving": {"maxReplicas": 2, "targetOngoingRequests": 1, "resources": SMALL},
}
FIRST = {**SPEC, "embedding": {"executors": {"min": 1, "max": 2}, "resources": SMALL}}
SECOND = {**SPEC, "sources": SPEC["sources"][:1]}
TWIN = "starter-twin"
"""The same model under another name, and so to everybody another model."""
COME_BACK_SECONDS = 30
"""Repairs take seconds; a busy node may take its time."""


@pytest.fixture(scope="module")
def first(new_collection: Callable[[str], Collection]) -> Collection:
    """The collection of all tests here."""
    made = new_collection("first")
    made.kubectl("create", "secret", "generic", "flickr", "--from-literal", "api-key=demo")
    made.apply(FIRST)
    return made


@pytest.fixture(scope="module")
def second(new_collection: Callable[[str], Collection]) -> Collection:
    """Another one with the same model."""
    return new_collection("second")


def test_a_collection_that_is_applied_gets_ready_and_answers_words_and_pictures(first: Collection) -> None:
    first.wait_until("it is Ready and all is indexed", first.ready_with_nothing_left, 600)
    first.wait_until("what is indexed can be found", lambda: first.status["images"]["indexed"] > 50, 60)
    images = first.status["images"]
    assert images["published"] >= images["indexed"] + images["failed"]

    hits = first.text_search("Vogel")
    assert hits
    assert len({hit["id"] for hit in hits}) == len(hits)


def test_a_picture_finds_itself(first: Collection, platform: Platform) -> None:
    base = platform.address("flickr", 80, "standins")
    wanted = next(hit for hit in first.text_search("animal") if hit["url"].endswith(".png"))
    path = wanted["url"].split("/", 3)[3]
    picture = httpx.get(f"{base}/{path}", timeout=30, trust_env=False).raise_for_status().content

    assert first.image_search(picture)[0]["id"] == wanted["id"]


def test_spark_s_executors_are_pods_of_the_driver_and_a_backlog_has_brought_a_second_one(first: Collection) -> None:
    (driver,) = {owner for pod in executors(first) for owner in owners(pod)}
    assert driver.startswith("first-embedder-")

    started = {
        event["involvedObject"]["name"].rpartition("-")[2]
        for event in first.found("events")
        if event["reason"] == "Started" and "-exec-" in event["involvedObject"]["name"]
    }
    assert {"1", "2"} <= started, "all pictures at once were work for two"


def executors(collection: Collection) -> list[Any]:
    """The pods of Spark's executors that run."""
    pods = collection.found("pods", f"imagesearch.dev/collection={collection.name},spark-role=executor")
    return [pod for pod in pods if pod["status"]["phase"] == "Running"]


def test_a_source_is_asked_again_by_its_schedule(first: Collection) -> None:
    (cron_job,) = [job for job in first.own("cronjobs") if job["spec"]["schedule"] == "* * * * *"]

    def runs() -> list[str]:
        mine = [job for job in first.found("jobs") if cron_job["metadata"]["name"] in owners(job)]
        return [job["metadata"]["name"] for job in mine if job["status"].get("succeeded")]

    first.wait_until("a scheduled run has succeeded", runs, 180)
    said = first.kubectl("logs", f"job/{runs()[0]}")
    assert "published 0 unchanged" in said, "the first run, at once, has brought everything already"


def test_a_dead_letter_is_counted_by_its_reason_and_goes_back_on_request(first: Collection) -> None:
    gone = {"id": "list:gone", "url": "http://flickr.standins.svc/photos/gone.png"}
    first.kubectl("create", "configmap", "gone", "--from-literal", f"manifest.jsonl={json.dumps(gone)}")
    listed = {"name": "gone", "manifest": {"configMapRef": {"name": "gone"}}}
    first.apply(FIRST | {"sources": [*SPEC["sources"], listed]})

    def failed() -> int:
        by_reason: dict[str, int] = first.status["images"].get("failedByReason", {})
        return by_reason.get("dead_link", 0)

    first.wait_until("its letter is counted", lambda: failed() == 1, 180)
    first.kubectl("annotate", "imagecollection", first.name, "imagesearch.dev/replay=dead_link")
    first.wait_until("the replay has ended", lambda: first.status.get("replay", {}).get("state") == "Finished", 180)
    assert first.status["replay"]["message"] == "replayed 1 cleared 1 outdated 0 not replayable 0 of 1 letters"
    annotations = first.kubectl("get", "imagecollection", first.name, "--output", "jsonpath={.metadata.annotations}")
    assert '"imagesearch.dev/replay"' not in annotations
    first.wait_until("it has failed again, and counts once", lambda: failed() == 1, 120)
    first.apply(FIRST)


@pytest.mark.parametrize("kind", ["cronjobs", "services", "configmaps", "roles"])
def test_what_is_deleted_comes_back(first: Collection, kind: str) -> None:
    gone = first.own(kind)[0]["metadata"]
    first.kubectl("delete", kind, gone["name"])

    def back() -> bool:
        return any(
            each["metadata"]["name"] == gone["name"] and each["metadata"]["uid"] != gone["uid"]
            for each in first.own(kind)
        )

    first.wait_until(f"{kind} {gone['name']} is back", back, COME_BACK_SECONDS)


def test_what_is_edited_is_put_right(first: Collection) -> None:
    name = first.own("cronjobs")[0]["metadata"]["name"]
    before = first.own("cronjobs")[0]["spec"]["schedule"]
    patch = '{"spec": {"schedule": "0 0 1 1 *", "suspend": true}}'
    first.kubectl("patch", "cronjob", name, "--type", "merge", "--patch", patch)

    def right() -> bool:
        spec = next(job["spec"] for job in first.own("cronjobs") if job["metadata"]["name"] == name)
        return spec["schedule"] == before and spec["suspend"] is False

    first.wait_until("the schedule is as planned", right, COME_BACK_SECONDS)


def test_an_operator_that_is_killed_in_the_middle_goes_on_where_it_was(
    first: Collection, second: Collection, platform: Platform
) -> None:
    """And two collections of one model have one RayService between them."""
    second.apply(SECOND)
    second.wait_until("the operator has begun", lambda: second.own("cronjobs"), 60)
    platform.kubernetes.kubectl(
        *("delete", "pods", "--namespace", RELEASE, "--selector", "app.kubernetes.io/component=operator"),
        *("--grace-period", "0", "--force"),
    )

    second.wait_until("it is Ready and all is indexed", second.ready_with_nothing_left, 600)
    assert second.text_search("Vogel")
    (shared,) = first.found("rayservices.ray.io")
    assert owners(shared) == {"first", "second"}
    assert len(second.own("cronjobs")) == 1
    assert len(second.own("deployments")) == 1


def test_queries_by_the_dozen_get_a_second_replica(first: Collection) -> None:
    words = (f"a picture of number {number}" for number in itertools.count())
    lock, stop, failures = threading.Lock(), threading.Event(), list[str]()

    def ask() -> None:
        while not stop.is_set():
            with lock:
                query = next(words)
            try:
                first.text_search(query)
            except (StackError, httpx.HTTPError) as error:
                failures.append(str(error))

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for asker in askers:
        asker.start()
    try:
        first.wait_until("a second worker serves", lambda: len(serving_workers(first)) == 2, 400)
    finally:
        stop.set()
        for asker in askers:
            asker.join()
    assert failures == []


def test_a_model_is_changed_while_searches_go_on(second: Collection, platform: Platform) -> None:
    """A second index is filled beside the one that is searched, by an embedder and an encoder of its own."""
    mlflow = platform.address(f"{RELEASE}-mlflow", 5000, RELEASE)
    register = [script("imagesearch-model"), "register", TWIN, "--model", "starter", "--tracking-uri", mlflow]
    subprocess.run(register, check=True, capture_output=True, timeout=300)
    before = second.status

    second.apply({**SECOND, "model": {"registry": {"name": TWIN, "version": "1"}}})

    def changed() -> bool:
        assert second.text_search("Vogel"), "a search between two models finds nothing"
        return second.status["activeModel"] == f"{TWIN}/1"

    second.wait_until("searches go to the new model's index", changed, 600)
    after = second.status
    assert after["activeIndex"] != before["activeIndex"]
    assert after["images"]["indexed"] == before["images"]["indexed"]

    def former_is_gone() -> bool:
        return len(second.own("deployments")) == 1 and len(second.owned("rayservices.ray.io")) == 1

    second.wait_until("the former model's embedder is gone", former_is_gone, 60)
    second.wait_until("it is Ready", lambda: second.is_true("Ready"), 120)


def test_quiet_takes_the_second_executor_and_the_second_replica_away(first: Collection) -> None:
    first.wait_until("one executor is left", lambda: len(executors(first)) == 1, 240)
    first.wait_until("the second worker has gone", lambda: len(serving_workers(first)) == 1, 400)


def serving_workers(collection: Collection) -> list[str]:
    """The encoder's worker pods that are ready, which they are while a replica runs there."""
    (service,) = collection.owned("rayservices.ray.io")
    pods = collection.found("pods", f"ray.io/node-type=worker,imagesearch.dev/shared={service['metadata']['name']}")
    return [
        pod["metadata"]["name"]
        for pod in pods
        if any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
    ]


def test_deleting_takes_everything_that_is_the_collection_s_own_and_leaves_what_is_shared(
    first: Collection, second: Collection, platform: Platform
) -> None:
    assert topics(platform) >= wanted_topics(second)
    second.delete()

    assert topics(platform).isdisjoint(wanted_topics(second))
    second.wait_until("its pods are gone", lambda: not second.own("pods"), 120)
    for kind in ("cronjobs", "jobs", "deployments", "persistentvolumeclaims", "configmaps"):
        assert second.own(kind) == []
    (shared,) = first.found("rayservices.ray.io")
    assert owners(shared) == {"first"}
    assert first.text_search("Vogel")


def test_deleting_with_retain_keeps_topics_and_index_for_the_next_of_that_name(
    first: Collection, platform: Platform
) -> None:
    indexed = first.status["images"]["indexed"]
    first.apply(FIRST | {"deletionPolicy": "Retain"})
    first.delete()

    first.wait_until("its pods are gone", lambda: not first.own("pods"), 120)
    first.wait_until("the encoder is gone with its last owner", lambda: not first.found("rayservices.ray.io"), 120)
    assert topics(platform) >= wanted_topics(first)

    first.apply(FIRST)
    first.wait_until("it answers again", lambda: first.is_true("Ready"), 600)
    assert first.status["images"]["indexed"] >= indexed


def wanted_topics(collection: Collection) -> set[str]:
    """The names of a collection's topics."""
    topic = names.topic(collection.namespace, collection.name)
    return {topic, names.dead_letter_topic(topic), names.state_topic(topic)}


LIST_TOPICS = """
import os
from confluent_kafka.admin import AdminClient
kafka = AdminClient({"bootstrap.servers": os.environ["IMAGESEARCH_KAFKA_BOOTSTRAP_SERVERS"]})
print(*kafka.list_topics(timeout=30).topics)
"""


def topics(platform: Platform) -> set[str]:
    """The topics of the cluster's Kafka, as a pod beside it sees them."""
    pod = ("exec", "--namespace", RELEASE, f"deployment/{RELEASE}-operator", "--", "python", "-c", LIST_TOPICS)
    return set(platform.kubernetes.kubectl(*pod).split())
