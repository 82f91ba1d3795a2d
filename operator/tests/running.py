"""A running operator, for the tests that need one: the real command, as a process."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import specs
import yaml
from confluent_kafka.admin import AdminClient
from imagesearch_operator.settings import OperatorSettings
from imagesearch_stack.control_plane import KubernetesApi
from imagesearch_stack.processes import Process, free_port
from imagesearch_stack.servers import script
from prometheus_client.parser import text_string_to_metric_families

PATIENCE_SECONDS = 120
MODEL = "operator-test"
"""A registered model of which there is only the name."""


def settings(**fields: Any) -> OperatorSettings:
    """Settings whose images nobody pulls; resyncs are left out, so that what is repaired was noticed by its event."""
    images = {f"{name}_image": f"example.org/{name}:1" for name in ("producer", "embedder", "encoder", "model")}
    ports = {"health_port": free_port(), "metrics_port": free_port()}
    return OperatorSettings(**{**images, **ports, "poll_seconds": 1, "resync_seconds": 3600, **fields})


class Operator:
    """`imagesearch-operator`, from its start until `stop`."""

    def __init__(self, api: KubernetesApi, settings: OperatorSettings, log: Path) -> None:
        """Start it."""
        self.settings = settings
        environment = {**settings.to_env(), "KUBECONFIG": str(api.kubeconfig)}
        self.process = Process("the operator", [script("imagesearch-operator")], log=log, env=environment)
        self.process.wait_until(lambda: self.probe("readyz") == 200, within_seconds=PATIENCE_SECONDS)

    def probe(self, path: str) -> int:
        """The status with which a probe is answered; 0 if it is not."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.settings.health_port}/{path}", trust_env=False).status_code
        except httpx.TransportError:
            return 0

    def counted(self, metric: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        text = httpx.get(f"http://127.0.0.1:{self.settings.metrics_port}/metrics", trust_env=False).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )

    @property
    def writes(self) -> float:
        """How often it wrote anything, anywhere."""
        return self.counted("imagesearch_operator_writes_total")

    @property
    def passes(self) -> float:
        """How many reconciles it made."""
        return self.counted("imagesearch_operator_reconcile_total")

    def pass_again(self, api: KubernetesApi, namespace: str, name: str) -> None:
        """Have a collection reconciled that nothing happened to."""
        before = self.passes
        api.kubectl("-n", namespace, "annotate", "--overwrite", "ic", name, f"example.org/at={time.time_ns()}")
        until(lambda: self.passes > before)

    def stop(self) -> None:
        """Stop it as Kubernetes would."""
        self.process.stop()


class Platform(NamedTuple):
    """All that an operator works with."""

    api: KubernetesApi
    kafka: str
    elasticsearch: str
    mlflow: str
    home: Path

    @property
    def stores(self) -> dict[str, str]:
        """The operator's settings for them."""
        return {
            "kafka_bootstrap_servers": self.kafka,
            "elasticsearch_url": self.elasticsearch,
            "mlflow_tracking_uri": self.mlflow,
        }

    def aliases(self, namespace: str) -> list[str]:
        """The aliases of a namespace's collections."""
        return sorted(alias for aliases in self.indices(namespace).values() for alias in aliases)

    def start(self, log: str = "operator.log", **fields: Any) -> Operator:
        """Start an operator."""
        return Operator(self.api, settings(**{**self.stores, **fields}), self.home / log)

    def namespace(self, name: str) -> str:
        """Create a namespace."""
        self.api.kubectl("create", "namespace", name)
        return name

    def topics(self, namespace: str) -> set[str]:
        """The topics of a namespace's collections."""
        listed = AdminClient({"bootstrap.servers": self.kafka}).list_topics(timeout=30).topics
        return {topic for topic in listed if topic.startswith(f"imagesearch.{namespace}.")}

    def indices(self, namespace: str) -> dict[str, list[str]]:
        """The indices of a namespace's collections, and the aliases of each."""
        found = httpx.get(f"{self.elasticsearch}/{namespace}.*/_alias", trust_env=False, timeout=30).json()
        return {index: sorted(entry["aliases"]) for index, entry in found.items()}


def until(condition: Callable[[], Any], within_seconds: float = PATIENCE_SECONDS) -> Any:
    """Wait for a condition; what it gave."""
    deadline = time.monotonic() + within_seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
    return found


def apply(api: KubernetesApi, name: str, namespace: str, **fields: Any) -> None:
    """Apply a collection: the fields of its spec, in camelCase."""
    body = {
        "apiVersion": "imagesearch.dev/v1alpha1",
        "kind": "ImageCollection",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"sources": [specs.MANIFEST_SOURCE], "model": {"name": "starter"}} | fields,
    }
    api.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(body))


def get(api: KubernetesApi, namespace: str, what: str, *more: str) -> dict[str, Any]:
    """Read objects as JSON."""
    found: dict[str, Any] = json.loads(api.kubectl("-n", namespace, "get", what, *more, "-o", "json") or "{}")
    return found


CHILDREN = "cronjobs,jobs,deployments,services,configmaps,persistentvolumeclaims,serviceaccounts,roles,rolebindings"


def children(api: KubernetesApi, namespace: str, kinds: str = CHILDREN) -> dict[str, dict[str, Any]]:
    """The operator's objects in a namespace, by `Kind/name`."""
    found = get(api, namespace, kinds, "-l", "app.kubernetes.io/managed-by=imagesearch-operator")
    return {f"{item['kind']}/{item['metadata']['name']}": item for item in found["items"]}


def condition(api: KubernetesApi, namespace: str, name: str, kind: str) -> dict[str, Any]:
    """A condition of a collection; empty while there is none."""
    status = get(api, namespace, "ic", name).get("status", {})
    return next((one for one in status.get("conditions", []) if one["type"] == kind), {})


def registered(version: str = "1") -> dict[str, Any]:
    """The `model` of a spec that pins a version of `MODEL`."""
    return {"registry": {"name": MODEL, "version": version}}


def register(tracking_uri: str, name: str, dims: int = 8) -> str:
    """Register a new version of a model of which there is only the name; the version."""
    url = f"{tracking_uri}/api/2.0/mlflow"
    with httpx.Client(trust_env=False) as client:
        client.post(f"{url}/registered-models/create", json={"name": name})
        tags = [{"key": "imagesearch.dims", "value": str(dims)}]
        body = {"name": name, "source": "s3://nowhere/model", "tags": tags}
        answer = client.post(f"{url}/model-versions/create", json=body).raise_for_status()
        return str(answer.json()["model_version"]["version"])
