"""What the chart renders is what Kubernetes takes, whichever values."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from imagesearch_stack.control_plane import KubernetesApi, binary

pytestmark = pytest.mark.integration

VALUES = ["trial", "yours", "namespaced", "full"]
PROMETHEUS = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}


@pytest.mark.parametrize("values", VALUES)
def test_helm_lint_finds_no_fault(helm, chart, values):
    done = helm("lint", "--strict", "--kube-version", "1.36", chart, "--values", chart / "ci" / f"{values}-values.yaml")

    assert done.ok, done.text


@pytest.mark.parametrize("values", VALUES)
def test_the_api_server_takes_every_object_without_a_warning(render, kubernetes_api, namespace, values):
    objects = [item for item in render(values) if item["kind"] not in PROMETHEUS]

    kubernetes_api.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--dry-run=server"),
        *("--validate=strict", "--warnings-as-errors", "-f", "-"),
        stdin=yaml.safe_dump_all(objects),
    )


@pytest.mark.parametrize("values", VALUES)
def test_kubeconform_finds_no_fault(render, schemas, tmp_path, values):
    (tmp_path / "objects.yaml").write_text(
        yaml.safe_dump_all(item for item in render(values) if item["kind"] not in PROMETHEUS)
    )

    done = _kubeconform(schemas, tmp_path / "objects.yaml")

    assert done.returncode == 0, done.stdout


def test_kubeconform_sees_a_misspelt_field(render, schemas, tmp_path):
    service = next(item for item in render("trial") if item["kind"] == "Service")
    service["spec"]["portz"] = []
    (tmp_path / "objects.yaml").write_text(yaml.safe_dump(service))

    done = _kubeconform(schemas, tmp_path / "objects.yaml")

    assert done.returncode == 1
    assert "portz" in done.stdout


@pytest.mark.parametrize("values", VALUES)
def test_what_is_named_is_there(render, values):
    """Accounts, ConfigMaps and Secrets that pods name are either the chart's or the user's own."""
    objects = render(values)
    made = {(item["kind"], item["metadata"]["name"]) for item in objects}
    users_own = {"kafka", "kafka-ca", "elasticsearch", "elasticsearch-ca", "elastic", "other", "search-keys"}

    named = {name for item in objects for name in _references(item) if name[1] not in users_own}

    assert named <= made
    assert ("ServiceAccount", "imagesearch-operator") in named


def test_the_kind_is_the_file_and_outlives_the_release(render, chart):
    (kind,) = [item for item in render("trial") if item["kind"] == "CustomResourceDefinition"]
    file = yaml.safe_load((chart / "files" / "crd.yaml").read_text())

    assert kind["spec"] == file["spec"]
    assert kind["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert file["metadata"]["labels"].items() <= kind["metadata"]["labels"].items()


def test_the_kind_can_go_with_the_release(render):
    (kind,) = [item for item in render("trial", "crds.keep=false") if item["kind"] == "CustomResourceDefinition"]

    assert "annotations" not in kind["metadata"]


def test_pods_are_restarted_only_by_what_they_read(render):
    before, after = (
        {
            item["metadata"]["name"]: item["spec"]["template"]["metadata"]
            for item in render("trial", *sets)
            if item["kind"] == "StatefulSet"
        }
        for sets in ((), ("fullnameOverride=imagesearch", "kafka.embedded.storage.size=7Gi"))
    )

    assert before == after
    assert "checksum/config" in before["imagesearch-kafka"]["annotations"]
    assert "helm.sh/chart" not in before["imagesearch-kafka"]["labels"]


def test_a_digest_goes_before_a_tag(render):
    images = {
        container["name"]: container["image"]
        for item in render("full")
        if item["kind"] == "Deployment"
        for container in item["spec"]["template"]["spec"]["containers"]
    }

    assert images["operator"].startswith("registry.example.org:5000/imagesearch/operator@sha256:0123")
    assert images["search"] == "registry.example.org:5000/other/search:nightly"


def test_a_parts_pod_settings_go_before_those_of_all(render):
    pods = {
        item["metadata"]["name"]: item["spec"]["template"]
        for item in render("full")
        if item["kind"] in ("Deployment", "StatefulSet")
    }

    assert pods["imagesearch-operator"]["spec"]["priorityClassName"] == "system-node-critical"
    assert pods["imagesearch-search"]["spec"]["priorityClassName"] == "system-cluster-critical"
    assert pods["imagesearch-kafka"]["metadata"]["labels"].items() >= {"rack": "a", "tier": "platform"}.items()
    assert pods["imagesearch-kafka"]["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}


def test_alerts_keep_prometheus_placeholders(render):
    (rule,) = [item for item in render("full") if item["kind"] == "PrometheusRule"]

    summaries = [alert["annotations"]["summary"] for alert in rule["spec"]["groups"][0]["rules"]]

    assert any("describe ic {{ $labels.name }}" in summary for summary in summaries)


def _references(item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    pod = (
        item.get("spec", {}).get("template", {}).get("spec") if item["kind"] in ("Deployment", "StatefulSet") else None
    )
    if not pod:
        return
    if "serviceAccountName" in pod:
        yield "ServiceAccount", pod["serviceAccountName"]
    for volume in pod["volumes"]:
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
        for source in volume.get("projected", {}).get("sources", []):
            yield "Secret", source["secret"]["name"]
    for container in pod["containers"] + pod.get("initContainers", []):
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                yield "Secret", variable["valueFrom"]["secretKeyRef"]["name"]


def _kubeconform(schemas: Path, file: Path) -> "subprocess.CompletedProcess[str]":
    location = f"{schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
    command = [str(binary("kubeconform")), "-strict", "-summary", "-schema-location", location, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def schemas(kubernetes_api: KubernetesApi, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JSON Schema for each kind that the API server serves, from its own OpenAPI document, closed to unknown fields."""
    folder = tmp_path_factory.mktemp("schemas")
    definitions = json.loads(kubernetes_api.kubectl("get", "--raw", "/openapi/v2"))["definitions"]
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", []):
            suffix = "-".join(filter(None, [kind["group"].split(".")[0], kind["version"]]))
            schema = _closed(definitions, {"$ref": f"#/definitions/{name}"}, ())
            (folder / f"{kind['kind'].lower()}-{suffix}.json").write_text(json.dumps(schema))
    return folder


def _closed(definitions: dict[str, Any], schema: Any, inside: tuple[str, ...]) -> Any:
    """`schema` with what it refers to written in its place; what refers to itself is let through."""
    if isinstance(schema, list):
        return [_closed(definitions, item, inside) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(schema.get("$ref"), str):
        name = schema["$ref"].removeprefix("#/definitions/")
        return {} if name in inside else _closed(definitions, definitions[name], (*inside, name))
    if schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    closed = {key: _closed(definitions, value, inside) for key, value in schema.items()}
    if isinstance(closed.get("properties"), dict) and schema.get("type") == "object":
        closed.setdefault("additionalProperties", False)
    return closed
