"""The platform on a real cluster, for the end-to-end tests: brought up by the first that asks, and removed after the last.

A cluster that was up before stays up (`make cluster`, to look at what a test left). With CI=true the tests run or
fail; elsewhere they are skipped, with the reason, where no cluster can be had.
"""

import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from imagesearch_stack.cluster import (
    RESTRICTED,
    Platform,
    cluster_down,
    install,
    own_kubeconfig,
    uses_own_cluster,
    why_no_cluster,
)
from imagesearch_stack.collection import Collection
from imagesearch_stack.processes import Processes
from rich.console import Console

TIMEOUT_SECONDS = 1800
"""A test that comes first waits for images to be built; what each test waits for itself has its own, shorter deadline."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS), append=False)


@pytest.fixture(scope="session")
def cluster_can_run() -> None:
    """Skips where this machine can run no cluster, unless CI asks for it."""
    reason = why_no_cluster()
    if reason is not None and os.environ.get("CI") != "true":
        pytest.skip(f"{reason}; see `make cluster`")


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    """The platform, installed, with the starter model registered; collections are the tests' own to make and remove."""
    request.getfixturevalue("cluster_can_run")
    processes: Processes = request.getfixturevalue("processes")
    capture = request.config.pluginmanager.getplugin("capturemanager")
    stays = not uses_own_cluster() or own_kubeconfig().exists()
    try:
        with capture.global_and_fixture_disabled():
            platform = install(Console(), processes)
        yield platform
    finally:
        if not stays:
            cluster_down(Console())


@pytest.fixture(scope="module")
def namespace(platform: Platform) -> Iterator[str]:
    """A namespace for the collections of one test file, in which pods are held to the restricted standard."""
    name = f"e2e-{secrets.token_hex(3)}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
    kubectl = platform.kubernetes.kubectl
    kubectl("apply", "--server-side", "--filename", "-", stdin=json.dumps(manifest))
    yield name
    kubectl("delete", "imagecollections", "--all", "--namespace", name, "--timeout", "300s")
    kubectl("delete", "namespace", name, "--timeout", "300s")


@pytest.fixture(scope="module")
def new_collection(platform: Platform, namespace: str) -> Callable[[str], Collection]:
    """Names a collection of this file's namespace."""
    return lambda name: Collection(platform, name, namespace)
