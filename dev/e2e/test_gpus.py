"""GPUs, as far as Kubernetes sees them: a device plugin's resource, put onto the node by hand, is asked for, held, and told when short."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from imagesearch_stack.cluster import Platform
from imagesearch_stack.collection import Collection

pytestmark = pytest.mark.e2e

GPU = "nvidia.com/gpu"


@pytest.fixture
def one_gpu(platform: Platform) -> Iterator[None]:
    """The first node has one GPU."""
    node = platform.kubernetes.json("get", "nodes")["items"][0]["metadata"]["name"]
    patch = ("patch", "node", node, "--subresource", "status", "--type", "json", "--patch")
    place = "/status/capacity/nvidia.com~1gpu"
    platform.kubernetes.kubectl(*patch, json.dumps([{"op": "add", "path": place, "value": "1"}]))
    yield
    platform.kubernetes.kubectl(*patch, json.dumps([{"op": "remove", "path": place}]))


def spec(gpus: int) -> dict[str, Any]:
    """A collection whose replicas want so many."""
    return {
        "sources": [{"name": "list", "manifest": {"url": "http://flickr.standins.svc/photos/manifest.jsonl"}}],
        "model": {"name": "starter"},
        "serving": {"gpusPerReplica": gpus, "maxReplicas": 1},
    }


@pytest.mark.usefixtures("one_gpu")
def test_a_replica_gets_a_pod_that_holds_its_gpu_and_one_too_many_is_told(
    new_collection: Callable[[str], Collection],
) -> None:
    """The node has no such device and the image no CUDA, so the replica itself cannot start: what is seen is who holds what."""
    collection = new_collection("gpus")
    collection.apply(spec(gpus=1))

    def worker() -> dict[str, Any] | None:
        pods = collection.found("pods", "ray.io/node-type=worker")
        return next((pod for pod in pods if pod["spec"].get("nodeName")), None)

    collection.wait_until("a worker pod has a node", worker, 300)
    pod = worker()
    assert pod is not None
    assert pod["spec"]["containers"][0]["resources"]["limits"][GPU] == "1"
    (service,) = collection.found("rayservices.ray.io")
    assert '"IMAGESEARCH_GPUS_PER_REPLICA": "1.0"' in service["spec"]["serveConfigV2"]

    collection.apply(spec(gpus=2))
    collection.wait_until("it is told that there are too few", lambda: "InsufficientGpu" in collection.describe(), 300)
    collection.delete()
