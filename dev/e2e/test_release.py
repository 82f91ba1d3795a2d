"""The installed release, by its own tests."""

import subprocess

import pytest
from imagesearch_stack.cluster import RELEASE, Platform
from imagesearch_stack.control_plane import program

pytestmark = pytest.mark.e2e


def test_helm_test_finds_every_part_in_order(platform: Platform) -> None:
    at = ("--namespace", RELEASE, "--kubeconfig", str(platform.kubernetes.kubeconfig))
    done = subprocess.run(
        [program("helm"), "test", RELEASE, *at, "--logs", "--timeout", "5m"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "Phase:          Succeeded" in done.stdout
