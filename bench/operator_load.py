"""What the operator takes, at rest and when much comes at once: `python bench/operator_load.py [--idle 50] [--burst 200]`.

Starts an API server with its controllers, Kafka, Elasticsearch and MLflow (all real, none of them counted), and
`imagesearch-operator` in an environment that holds only what its image does. First it looks after some collections to
which nothing happens; then many more are applied at once. Everything that it starts it stops.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml
from imagesearch_operator.settings import OperatorSettings
from imagesearch_stack import servers
from imagesearch_stack.control_plane import KubernetesApi, kuberay_crds, start_control_plane
from imagesearch_stack.processes import Process, Processes, free_port
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).parents[1]
CRD = ROOT / "charts/imagesearch/files/crd.yaml"
NAMESPACES = 4
MODEL = "bench"


class Operator:
    """The running operator, as seen from outside."""

    def __init__(self, process: Process, settings: OperatorSettings) -> None:
        self._process = process
        self._settings = settings

    def wait(self) -> None:
        """Wait until it is ready."""
        url = f"http://127.0.0.1:{self._settings.health_port}/readyz"
        self._process.wait_until(lambda: servers.answers_ok(url), within_seconds=120)

    @property
    def program(self) -> psutil.Process:
        """The command itself, without its guard."""
        [program] = psutil.Process(self._process.pid).children()
        return program

    def counted(self, metric: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels."""
        text = httpx.get(f"http://127.0.0.1:{self._settings.metrics_port}/metrics", trust_env=False).text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return sum(
            sample.value for sample in samples if sample.name == metric and labels.items() <= sample.labels.items()
        )

    @property
    def cpu_seconds(self) -> float:
        """CPU time so far."""
        times = self.program.cpu_times()
        return times.user + times.system

    @property
    def passes(self) -> float:
        """Reconciles so far."""
        return self.counted("imagesearch_operator_reconcile_total")

    @property
    def writes(self) -> float:
        """Writes so far, to Kubernetes and to the stores."""
        return self.counted("imagesearch_operator_writes_total")


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--idle", type=int, default=50, help="collections to which nothing happens (default 50)")
    parser.add_argument("--burst", type=int, default=200, help="collections applied at once (default 200)")
    parser.add_argument("--seconds", type=int, default=130, help="how long rest is measured (default 130, one resync)")
    asked = parser.parse_args()
    with stack() as (api, operator):
        rows: list[tuple[str, str, str]] = []
        apply(api, "idle", asked.idle)
        until(lambda: planned(api, "idle") == asked.idle)
        settle(operator)
        cpu, rss, passes, writes = at_rest(operator, asked.seconds)
        rows += [
            (f"at rest, {asked.idle} collections", f"{cpu:.2f} % of a core", "limit 1 %"),
            ("", f"{rss:.0f} MiB resident", "limit 150 MiB"),
            ("", f"{passes:.0f} reconciles, {writes:.0f} writes in {asked.seconds} s", ""),
        ]
        before_passes, before_writes, before_cpu = operator.passes, operator.writes, operator.cpu_seconds
        started = time.monotonic()
        apply(api, "burst", asked.burst)
        applied = time.monotonic() - started
        until(lambda: planned(api, "burst") == asked.burst)
        all_planned, cpu = time.monotonic() - started, operator.cpu_seconds - before_cpu
        others = psutil.getloadavg()[0]
        settle(operator)
        made = operator.passes - before_passes
        written = operator.writes - before_writes
        rows += [
            (f"{asked.burst} applied at once", f"all planned after {all_planned:.0f} s", "limit 120 s"),
            ("", f"({applied:.0f} s of it kubectl apply)", f"load {others:.0f} on {psutil.cpu_count()} cores"),
            ("", f"{cpu:.0f} s of CPU for it", "of the operator"),
            ("", f"{made / asked.burst:.2f} reconciles each", "children's events and resyncs included"),
            ("", f"{written / asked.burst:.1f} writes each", "children, topics, index, alias, status, Events"),
            (
                "",
                f"{operator.program.memory_info().rss / 2**20:.0f} MiB resident",
                f"{asked.idle + asked.burst} collections",
            ),
        ]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, (32, 40, 0), strict=True)).rstrip())


@contextmanager
def stack() -> Iterator[tuple[KubernetesApi, Operator]]:
    """All that an operator works with, and an operator."""
    home = Path(tempfile.mkdtemp(prefix="operator-bench-"))
    try:
        with Processes() as processes:
            ports = {name: free_port() for name in ("kafka", "elasticsearch", "mlflow")}
            kafka = processes.add(servers.start_kafka(home, ports["kafka"]))
            elasticsearch = processes.add(servers.start_elasticsearch(home, ports["elasticsearch"]))
            mlflow = processes.add(servers.start_mlflow(home, ports["mlflow"]))
            say("starting the API server, Kafka, Elasticsearch and MLflow")
            api = start_control_plane(home, processes)
            api.apply_crds(CRD, *kuberay_crds())
            settings = OperatorSettings(
                kafka_bootstrap_servers=servers.wait_for_kafka(kafka, ports["kafka"]),
                elasticsearch_url=servers.wait_for_elasticsearch(elasticsearch, ports["elasticsearch"]),
                mlflow_tracking_uri=servers.wait_for_mlflow(mlflow, ports["mlflow"]),
                producer_image="example.org/producer:1",
                embedder_image="example.org/embedder:1",
                encoder_image="example.org/encoder:1",
                model_image="example.org/model:1",
                topic_partitions=1,
                health_port=free_port(),
                metrics_port=free_port(),
            )
            register(settings.mlflow_tracking_uri)
            command = environment(home) / "imagesearch-operator"
            env = {**settings.to_env(), "KUBECONFIG": str(api.kubeconfig)}
            operator = Operator(
                processes.add(Process("the operator", [str(command)], log=home / "operator.log", env=env)), settings
            )
            operator.wait()
            yield api, operator
    finally:
        shutil.rmtree(servers.elasticsearch_dir(home), ignore_errors=True)
        shutil.rmtree(home)


def environment(home: Path) -> Path:
    """The commands of an environment with the operator alone: other packages, numpy for one, would be loaded if there."""
    say("installing the operator by itself")
    place = home / "venv"
    members = ["-e", str(ROOT / "services/contract"), "-e", str(ROOT / "operator")]
    python = str(place / "bin/python")
    for command in (
        ["uv", "venv", "--quiet", "--python", sys.executable, str(place)],
        ["uv", "pip", "install", "--quiet", "--python", python, "-c", str(ROOT / "requirements.lock"), *members],
    ):
        subprocess.run(command, check=True)
    return place / "bin"


def register(tracking_uri: str) -> None:
    """Register a model of which there is only the name."""
    url = f"{tracking_uri}/api/2.0/mlflow"
    tags = [{"key": "imagesearch.dims", "value": "8"}]
    with httpx.Client(trust_env=False) as client:
        client.post(f"{url}/registered-models/create", json={"name": MODEL}).raise_for_status()
        version = {"name": MODEL, "source": "s3://nowhere/model", "tags": tags}
        client.post(f"{url}/model-versions/create", json=version).raise_for_status()


def apply(api: KubernetesApi, prefix: str, count: int) -> None:
    """Apply so many collections with one command, over several namespaces."""
    say(f"applying {count} collections")
    namespaces = [f"{prefix}-{number}" for number in range(NAMESPACES)]
    bodies: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in namespaces
    ]
    bodies += [
        {
            "apiVersion": "imagesearch.dev/v1alpha1",
            "kind": "ImageCollection",
            "metadata": {"name": f"birds-{number}", "namespace": namespaces[number % NAMESPACES]},
            "spec": {
                "sources": [{"name": "list", "manifest": {"url": "https://example.org/birds.jsonl"}}],
                "model": {"registry": {"name": MODEL, "version": "1"}},
            },
        }
        for number in range(count)
    ]
    api.kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(bodies))


def planned(api: KubernetesApi, prefix: str) -> int:
    """How many collections have what they need: an index that is searched, and the children that come last."""
    found = json.loads(api.kubectl("get", "ic", "-A", "-o", "json"))["items"]
    active: int = sum(
        item["metadata"]["namespace"].startswith(prefix) and bool(item.get("status", {}).get("activeIndex"))
        for item in found
    )
    drivers = api.kubectl(
        "get", "deployments", "-A", "-o", "name", "-l", "app.kubernetes.io/managed-by=imagesearch-operator"
    )
    return active if drivers.count("\n") >= len(found) else min(active, len(found) - 1)


def settle(operator: Operator) -> None:
    """Wait until nothing is written for a while. (Reconciled is always something: each collection every two minutes.)"""
    say("waiting until it rests")
    before = -1.0
    while operator.writes != before:
        before = operator.writes
        time.sleep(10)


def at_rest(operator: Operator, seconds: int) -> tuple[float, float, float, float]:
    """Percent of a core, MiB resident at most, reconciles and writes over so many seconds."""
    say(f"measuring for {seconds} s")
    passes, writes = operator.passes, operator.writes
    began, used = time.monotonic(), operator.cpu_seconds
    most = 0.0
    while time.monotonic() - began < seconds:
        most = max(most, operator.program.memory_info().rss / 2**20)
        time.sleep(1)
    share = (operator.cpu_seconds - used) / (time.monotonic() - began)
    return share * 100, most, operator.passes - passes, operator.writes - writes


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, ten minutes at most."""
    deadline = time.monotonic() + 600
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("it did not come about within ten minutes")
        time.sleep(1)


def say(what: str) -> None:
    """Show what is going on."""
    print(f"... {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
