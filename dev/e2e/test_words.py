"""`kubectl describe ic` says in words why a collection is not Ready, and a refusal says what to write instead."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from imagesearch_stack import StackError
from imagesearch_stack.cluster import RELEASE, Platform
from imagesearch_stack.collection import Collection

pytestmark = pytest.mark.e2e

SOURCE: dict[str, Any] = {"name": "list", "manifest": {"url": "http://flickr.standins.svc/photos/manifest.jsonl"}}
STARTER = {"name": "starter"}
NOWHERE = {"registry": {"name": "nowhere", "version": "1"}}
"""A model that is not there: nothing heavy is started for the collection."""


@pytest.fixture
def collection(new_collection: Callable[[str], Collection]) -> Iterator[Collection]:
    """One that is gone after the test."""
    made = new_collection("troubled")
    yield made
    made.delete()


def told(collection: Collection, *words: str) -> Callable[[], bool]:
    """Whether `kubectl describe` says all of this."""
    return lambda: all(word in collection.describe() for word in words)


def test_a_wrong_api_key(collection: Collection) -> None:
    collection.kubectl("create", "secret", "generic", "wrong", "--from-literal", "api-key=no-such-key")
    flickr = {"text": "bird", "apiKeySecretRef": {"name": "wrong"}}
    collection.apply({"sources": [{"name": "dogs", "flickr": flickr}], "model": NOWHERE})

    collection.wait_until("the key is named", told(collection, "code 100", "check FLICKR_API_KEY"))
    assert "no-such-key" not in collection.describe()


def test_a_secret_that_is_missing_and_heals_when_it_comes(collection: Collection) -> None:
    flickr = {"text": "bird", "apiKeySecretRef": {"name": "late"}}
    collection.apply({"sources": [{"name": "dogs", "flickr": flickr}], "model": NOWHERE})
    collection.wait_until("the Secret is named", told(collection, "Secret late"))

    collection.kubectl("create", "secret", "generic", "late", "--from-literal", "api-key=demo")

    collection.wait_until("pictures are produced", lambda: collection.is_true("ProducersReady"))


def test_a_model_that_is_not_registered(collection: Collection) -> None:
    collection.apply({"sources": [SOURCE], "model": NOWHERE})

    collection.wait_until("the model is named", told(collection, "ModelNotRegistered", "has no model nowhere/1"))


def test_an_image_that_cannot_be_pulled(collection: Collection) -> None:
    """The model Job's image is not among those that the tests put into the cluster."""
    collection.apply({"sources": [SOURCE], "model": {"name": "openai/clip-vit-base-patch32"}})

    collection.wait_until("the image is named", told(collection, "imagesearch/model:dev", "cannot be pulled"))


def test_a_cluster_without_gpus(collection: Collection) -> None:
    collection.apply({"sources": [SOURCE], "model": STARTER, "serving": {"gpusPerReplica": 1}})

    collection.wait_until("GPUs are named", told(collection, "InsufficientGpu"), 300)


def test_a_kafka_that_is_down_and_comes_back(collection: Collection, platform: Platform) -> None:
    kafka = (f"statefulset/{RELEASE}-kafka", "--namespace", RELEASE)
    kubectl = platform.kubernetes.kubectl
    collection.apply({"sources": [SOURCE], "model": NOWHERE})
    collection.wait_until("its topic is there", lambda: collection.is_true("TopicReady"))
    kubectl("scale", *kafka, "--replicas", "0")
    try:
        collection.wait_until("Kafka is named", told(collection, "KafkaUnreachable"))
    finally:
        kubectl("scale", *kafka, "--replicas", "1")
        kubectl("rollout", "status", *kafka, "--timeout", "240s")
    collection.wait_until("it has healed by itself", lambda: collection.is_true("TopicReady"))


@pytest.mark.parametrize(
    ("spec", "instead"),
    [
        ({"sources": [SOURCE | {"schedule": "every hour"}], "model": STARTER}, "write '0 * * * *' or @hourly"),
        ({"sources": [{"name": "none"}], "model": STARTER}, "exactly one of flickr and manifest"),
        ({"sources": [SOURCE], "model": STARTER, "serving": {"minReplicas": 3}}, "maxReplicas as large as minReplicas"),
    ],
    ids=["schedule", "source", "replicas"],
)
def test_what_is_invalid_is_refused_with_what_to_write(collection: Collection, spec: Any, instead: str) -> None:
    with pytest.raises(StackError, match=re.escape(instead)):
        collection.apply(spec)
