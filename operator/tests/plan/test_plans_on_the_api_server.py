"""The plans, tried on a real API server with KubeRay's own definitions: taken without a warning, and read back as planned."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from cases import CASES, Case
from imagesearch_operator import naming
from imagesearch_operator.compare import needs_apply, with_hash
from imagesearch_operator.facts import Manifest
from imagesearch_operator.plan import plan

if TYPE_CHECKING:
    from imagesearch_stack.control_plane import KubernetesApi

pytestmark = pytest.mark.integration

OPTIONS = ("--server-side", "--field-manager", naming.FIELD_MANAGER, "--validate=strict", "--warnings-as-errors")
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


@pytest.fixture(scope="module")
def api(kubernetes_api: "KubernetesApi") -> "KubernetesApi":
    """The API server, with KubeRay's kinds."""
    from imagesearch_stack.control_plane import kuberay_crds

    kubernetes_api.apply_crds(*kuberay_crds())
    return kubernetes_api


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def planned(request: pytest.FixtureRequest, api: "KubernetesApi") -> Iterator[list[Manifest]]:
    """A case's objects, without owners (there are none here, and the garbage collector would take them for lost)."""
    case: Callable[[], Case] = request.param
    namespace = f"plan-{naming.digest(request.node.name)}"
    api.kubectl("apply", "-f", "-", stdin=json.dumps(_namespace(namespace)))
    yield [_moved(manifest, namespace) for manifest in plan(*case()).manifests]
    api.kubectl("delete", "namespace", namespace, "--wait=false")


def test_a_plan_is_taken_as_it_is_and_a_second_pass_would_write_nothing(
    api: "KubernetesApi", planned: list[Manifest]
) -> None:
    everything = _list([with_hash(manifest) for manifest in planned])
    api.kubectl("apply", *OPTIONS, "-f", "-", stdin=everything)
    live = json.loads(api.kubectl("get", "-f", "-", "--output", "json", stdin=everything))["items"]
    assert [_id(each) for each in live] == [_id(each) for each in planned]
    assert not [_id(each) for each, found in zip(planned, live, strict=True) if needs_apply(each, found)]


def test_pods_that_spark_and_ray_make_are_let_into_a_restricted_namespace(
    api: "KubernetesApi", planned: list[Manifest]
) -> None:
    if pods := [pod for manifest in planned for pod in _pods(manifest)]:
        taken = api.kubectl("apply", *OPTIONS, "--dry-run=server", "--output", "name", "-f", "-", stdin=_list(pods))
        assert taken.split() == [f"pod/{pod['metadata']['name']}" for pod in pods]


def _namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}


def _moved(manifest: Manifest, namespace: str) -> Manifest:
    metadata = {key: value for key, value in manifest["metadata"].items() if key != "ownerReferences"}
    return manifest | {"metadata": metadata | {"namespace": namespace}}


def _list(manifests: list[Manifest]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})


def _id(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def _pods(manifest: Manifest) -> Iterator[Manifest]:
    """Pods of the templates that the API server does not look into."""
    name, namespace = manifest["metadata"]["name"], manifest["metadata"]["namespace"]
    templates: list[dict[str, Any]] = []
    if manifest["kind"] == "RayService":
        cluster = manifest["spec"]["rayClusterConfig"]
        groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
        templates = [group["template"] for group in groups]
    elif manifest["kind"] == "ConfigMap":
        templates = [json.loads(manifest["data"]["executor.json"])]
    for number, template in enumerate(templates):
        metadata = template["metadata"] | {"name": f"{name}-{number}", "namespace": namespace}
        yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
