"""The Kubernetes API that tests are given is a real one."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from imagesearch_stack import StackError
from imagesearch_stack.control_plane import KubernetesApi, check_built, established, kuberay_crds

pytestmark = pytest.mark.integration

OWNED = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: owned
  ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: UID}]
"""


def test_objects_without_an_owner_are_collected(kubernetes_api: KubernetesApi) -> None:
    kubernetes_api.kubectl("create", "configmap", "owner")
    uid = kubernetes_api.kubectl("get", "configmap", "owner", "--output", "jsonpath={.metadata.uid}")
    kubernetes_api.kubectl("apply", "-f", "-", stdin=OWNED.replace("UID", uid))

    kubernetes_api.kubectl("delete", "configmap", "owner")

    kubernetes_api.kubectl("wait", "configmap/owned", "--for", "delete", "--timeout", "60s")


def test_ray_services_are_validated_as_kuberay_does(kubernetes_api: KubernetesApi) -> None:
    kubernetes_api.apply_crds(*kuberay_crds())
    service: dict[str, Any] = {"apiVersion": "ray.io/v1", "kind": "RayService", "metadata": {"name": "no-cluster"}}

    with pytest.raises(StackError, match="rayClusterConfig"):
        kubernetes_api.kubectl("apply", "-f", "-", stdin=yaml.safe_dump({**service, "spec": {"serveConfigV2": ""}}))


@pytest.mark.parametrize(
    "status", [{}, {"conditions": None}, {"conditions": [{"type": "Established", "status": "False"}]}]
)
def test_a_crd_that_was_just_created_is_not_established(status: dict[str, Any]) -> None:
    assert not established({"kind": "CustomResourceDefinition", "status": status})
    assert established({"status": {"conditions": [{"type": "Established", "status": "True"}]}})


def test_what_is_not_built_is_named_with_the_command_that_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUSTER_HOME", str(tmp_path))

    with pytest.raises(StackError, match=r"etcd, kube-apiserver.*make cluster-build"):
        check_built()
