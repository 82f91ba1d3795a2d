"""A release's life on a real API server: installed, upgraded, uninstalled."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml
from imagesearch_stack.control_plane import KubernetesApi

pytestmark = pytest.mark.integration

RELEASE = ("imagesearch", "--namespace", "released")


@pytest.fixture(scope="module")
def release(helm, chart, kubernetes_api: KubernetesApi):
    """Helm, towards the API server, without waiting for pods: no node would run them."""
    server = ("--kubeconfig", kubernetes_api.kubeconfig)
    values = ("--values", chart / "ci" / "trial-values.yaml")

    def run(verb, *arguments):
        given = (chart, *values, "--no-hooks", *arguments) if verb != "uninstall" else arguments
        done = helm(verb, *RELEASE, *given, *server)
        assert done.ok, done.text
        return done.text

    return run


@pytest.fixture(scope="module")
def notes(release) -> str:
    """What the installation said."""
    # Other tests of the session may have applied the kind already.
    return release("install", "--create-namespace", "--take-ownership")


def test_the_notes_lead_to_the_page_a_collection_and_its_state(notes):
    assert "kubectl -n released port-forward svc/imagesearch-search 8080:80" in notes
    assert "kubectl get ic -A" in notes
    assert "helm -n released test imagesearch" in notes
    assert "single nodes, for a trial" in notes


def test_the_collection_in_the_notes_is_one(notes, kubernetes_api):
    example = re.search(r"<<YAML\n(.*?)\n +YAML$", notes, re.DOTALL | re.MULTILINE)
    assert example

    assert "created" in kubernetes_api.kubectl("apply", "--dry-run=server", "-f", "-", stdin=example[1])


def test_the_example_on_artifact_hub_is_one(notes, chart, kubernetes_api):
    annotations = yaml.safe_load((chart / "Chart.yaml").read_text())["annotations"]

    for example in yaml.safe_load(annotations["artifacthub.io/crdsExamples"]):
        kubernetes_api.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(example))


def test_the_password_is_the_same_after_an_upgrade(notes, release, kubernetes_api):
    before = _password(kubernetes_api)

    release("upgrade", "--set", "search.replicas=2")

    assert _password(kubernetes_api) == before
    assert len(before) == 32  # 24 characters in base64


def test_uninstalled_it_leaves_the_kind_and_the_collections(release, kubernetes_api, notes):
    collection = {
        "apiVersion": "imagesearch.dev/v1alpha1",
        "kind": "ImageCollection",
        "metadata": {"name": "left", "namespace": "released"},
        "spec": {
            "sources": [{"name": "list", "manifest": {"url": "https://example.org/pictures.jsonl"}}],
            "model": {"name": "starter"},
        },
    }
    kubernetes_api.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(collection))

    release("uninstall")

    assert "left" in kubernetes_api.kubectl("get", "imagecollections", "-n", "released", "--output", "name")
    assert not kubernetes_api.kubectl("get", "deployments", "-n", "released", "--output", "name")


def _password(api: KubernetesApi) -> str:
    secret = json.loads(api.kubectl("get", "secret", "-n", "released", "imagesearch-elasticsearch", "--output", "json"))
    return str(secret["data"]["password"])


@pytest.fixture
def answers() -> Iterator[tuple[str, dict[str, tuple[int, str]]]]:
    """A server that gives these answers by path, and its URL."""
    given: dict[str, tuple[int, str]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = given.get(self.path.split("?")[0], (404, ""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", given
        server.shutdown()
        thread.join()


def test_the_helm_test_says_what_answers_and_what_does_not(render, answers):
    """The script as the rendered pod has it; no pod's token is here, so the kind cannot be asked for."""
    url, given = answers
    given["/readyz"] = (503, "{}")
    given["/metrics"] = (200, "imagesearch_operator_queue_depth 0\n")
    given["/api/2.0/mlflow/registered-models/search"] = (200, "{}")
    (pod,) = [item for item in render("trial") if item["kind"] == "Pod"]
    (script,) = pod["spec"]["containers"][0]["args"]
    variables = {variable["name"]: url for variable in pod["spec"]["containers"][0]["env"]}

    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | variables, capture_output=True, text=True, check=False
    )

    assert done.returncode == 2, done.stderr
    assert "FAILED  the search API is ready: HTTP Error 503" in done.stdout
    assert "FAILED  the kind ImageCollection is served" in done.stdout
    assert "ok      the operator works\n" in done.stdout
    assert "ok      MLflow's registry answers\n" in done.stdout
