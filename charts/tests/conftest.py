"""The chart, rendered by the real Helm with the values files that `charts/imagesearch/ci` keeps."""

import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
import yaml
from imagesearch_stack.control_plane import KubernetesApi, binary, check_built

CHART: Final = Path(__file__).parents[1] / "imagesearch"
NAMESPACE: Final = "imagesearch"

Manifest = dict[str, Any]
Render = Callable[..., list[Manifest]]


class Done(NamedTuple):
    """What a command said, and whether it succeeded."""

    ok: bool
    text: str


@pytest.fixture(scope="session")
def chart() -> Path:
    """The chart's folder."""
    return CHART


@pytest.fixture(scope="session")
def helm() -> Callable[..., Done]:
    """Helm, as the one-node cluster has it."""
    check_built()

    def run(*arguments: str | Path) -> Done:
        done = subprocess.run([str(binary("helm")), *map(str, arguments)], capture_output=True, text=True, check=False)
        return Done(done.returncode == 0, done.stdout + done.stderr)

    return run


@pytest.fixture(scope="session")
def render(helm: Callable[..., Done]) -> Render:
    """The objects that the chart makes of a values file (its stem without `-values`), and of further `--set`s."""

    @cache
    def rendered(values: str, sets: Sequence[str]) -> str:
        given = [argument for one in sets for argument in ("--set", one)]
        done = helm(
            *("template", "imagesearch", CHART, "--namespace", NAMESPACE, "--kube-version", "1.36"),
            *("--values", CHART / "ci" / f"{values}-values.yaml", *given),
        )
        assert done.ok, done.text
        return done.text

    return lambda values, *sets: [document for document in yaml.safe_load_all(rendered(values, sets)) if document]


@pytest.fixture(scope="session")
def namespace(kubernetes_api: KubernetesApi) -> str:
    """The release's namespace, which takes restricted pods only, and the two that the namespaced release watches."""
    level = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    for name in (NAMESPACE, "team-a", "team-b"):
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": level}}
        kubernetes_api.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(body))
    return NAMESPACE
