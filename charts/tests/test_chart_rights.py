"""What the chart's pods may do: in the cluster's API, on their machine, over the network."""

import ipaddress
import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from imagesearch_operator.kinds import OWNED, WATCHED
from imagesearch_stack.control_plane import KubernetesApi, kuberay_crds

pytestmark = pytest.mark.integration

GOLDEN = Path(__file__).parents[2] / "operator" / "tests" / "plan" / "golden"
OPERATOR = "system:serviceaccount:imagesearch:imagesearch-operator"
RBAC = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
VALUES = ["trial", "yours", "namespaced", "full"]
VERBS = {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}

Json = dict[str, Any]


# -- in the cluster's API


@pytest.mark.parametrize("values", VALUES)
def test_rights_are_enumerated(render, values):
    rules = [rule for item in render(values) if item["kind"] in ("ClusterRole", "Role") for rule in item["rules"]]

    assert rules
    for rule in rules:
        assert set(rule["verbs"]) <= VERBS
        assert "*" not in rule["resources"] + rule["apiGroups"]


def test_a_namespaced_release_has_nothing_cluster_wide(render):
    objects = render("namespaced")

    assert not {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"} & {item["kind"] for item in objects}
    assert [item["metadata"]["namespace"] for item in objects if item["kind"] == "Role"] == ["team-a", "team-b"]
    assert [item["metadata"]["namespace"] for item in objects if item["kind"] == "RoleBinding"] == ["team-a", "team-b"]


class Rights(NamedTuple):
    """An API server in which the operator has its account and rights, and the namespaces of its work."""

    api: KubernetesApi
    namespaces: dict[Path, str]
    """One for each golden plan: they plan the same names."""

    def may(self, verb: str, group: str, resource: str) -> bool:
        """Whether the operator may, in a namespace of its work."""
        name, _, subresource = resource.partition("/")
        asked = {"verb": verb, "group": group, "resource": name, "subresource": subresource}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": OPERATOR,
                "resourceAttributes": asked | {"namespace": next(iter(self.namespaces.values()))},
            },
        }
        answer = self.api.kubectl("create", "--output", "json", "-f", "-", stdin=yaml.safe_dump(review))
        return bool(json.loads(answer)["status"]["allowed"])


@pytest.fixture(scope="module", params=["trial", "namespaced"])
def operator(request, render, kubernetes_api: KubernetesApi, namespace, chart) -> Iterator[Rights]:
    """The operator's rights over every namespace, or over those alone that it watches."""
    namespaces = {plan: f"{request.param}-{plan.stem}".replace("_", "-") for plan in sorted(GOLDEN.glob("*.yaml"))}
    watched = f"operator.watchNamespaces={{{','.join(namespaces.values())}}}"
    rights = [
        item for item in render(request.param, *[watched] * (request.param == "namespaced")) if item["kind"] in RBAC
    ]
    places = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in namespaces.values()]
    ray = [file for file in kuberay_crds() if "rayservices" in file.name]
    kubernetes_api.apply_crds(chart / "files" / "crd.yaml", *ray)
    kubernetes_api.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(places + rights))
    yield Rights(kubernetes_api, namespaces)
    kubernetes_api.kubectl("delete", "--wait=false", "-f", "-", stdin=yaml.safe_dump_all(rights + places))


def test_the_operator_may_make_whatever_it_plans(operator):
    assert operator.namespaces
    for plan, namespace in operator.namespaces.items():
        planned = [_orphan(item, namespace) for item in yaml.safe_load_all(plan.read_text()) if "apiVersion" in item]

        operator.api.kubectl(
            *("apply", "--as", OPERATOR, "--server-side", "--field-manager=imagesearch-operator"),
            *("--validate=strict", "--warnings-as-errors", "-f", "-"),
            stdin=yaml.safe_dump_all(planned),
        )


def _orphan(item: Json, namespace: str) -> Json:
    """Without its owner, who does not exist here and would take it along."""
    metadata = {key: value for key, value in item["metadata"].items() if key != "ownerReferences"}
    return item | {"metadata": metadata | {"namespace": namespace}}


def test_the_operator_may_watch_what_it_watches_and_write_what_it_owns(render):
    (role,) = [item for item in render("trial") if item["metadata"]["name"] == "imagesearch:imagesearch-operator"][:1]
    held = {
        (group, resource, verb)
        for rule in role["rules"]
        for group, resource, verb in product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }

    watched = set(product([(kind.group, kind.plural) for kind in WATCHED], ["list", "watch"]))
    written = set(product([(kind.group, kind.plural) for kind in OWNED], ["create", "patch", "delete"]))

    assert {(*kind, verb) for kind, verb in watched | written} <= held


@pytest.mark.parametrize(
    ("verb", "group", "resource"),
    [
        ("patch", "imagesearch.dev", "imagecollections/status"),
        ("list", "", "pods"),
        ("get", "", "secrets"),
        ("create", "", "events"),
    ],
)
def test_the_operator_may_do_its_work(operator, verb, group, resource):
    assert operator.may(verb, group, resource)


@pytest.mark.parametrize(
    ("verb", "group", "resource"),
    [
        ("list", "", "secrets"),
        ("watch", "", "secrets"),
        ("create", "", "pods/exec"),
        ("delete", "imagesearch.dev", "imagecollections"),
        ("escalate", "rbac.authorization.k8s.io", "roles"),
        ("bind", "rbac.authorization.k8s.io", "roles"),
        ("impersonate", "", "users"),
        ("create", "rbac.authorization.k8s.io", "clusterroles"),
        ("list", "", "nodes"),
    ],
)
def test_the_operator_may_do_nothing_else(operator, verb, group, resource):
    assert not operator.may(verb, group, resource)


def test_whoever_edits_a_namespace_edits_its_collections(render):
    roles = [item for item in render("trial") if "-collections-" in item["metadata"]["name"]]
    labels = {item["metadata"]["name"].rpartition("-")[2]: item["metadata"]["labels"] for item in roles}

    assert set(labels) == {"view", "edit"}
    assert {key for key in labels["edit"] if key.startswith("rbac.")} == {
        "rbac.authorization.k8s.io/aggregate-to-edit",
        "rbac.authorization.k8s.io/aggregate-to-admin",
    }


# -- on their machine


@pytest.mark.parametrize("values", VALUES)
def test_every_container_is_locked_in(render, values):
    for name, pod in _pods(render(values)):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["enableServiceLinks"] is False, name
        for container in pod["containers"] + pod.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
            assert "memory" in container["resources"]["limits"], name


@pytest.mark.parametrize("values", VALUES)
def test_only_who_asks_the_api_server_has_a_token(render, values):
    with_token = {name for name, pod in _pods(render(values)) if pod.get("automountServiceAccountToken", True)}

    assert with_token == {"imagesearch-operator", "imagesearch-test"}


@pytest.mark.parametrize("values", VALUES)
def test_every_server_is_probed(render, values):
    for name, pod in _pods(render(values)):
        if name != "imagesearch-test":
            assert pod["containers"][0].keys() >= {"startupProbe", "livenessProbe", "readinessProbe"}, name


def _pods(objects: list[Json]) -> Iterator[tuple[str, Json]]:
    for item in objects:
        if item["kind"] == "Pod":
            yield item["metadata"]["name"], item["spec"]
        elif item["kind"] in ("Deployment", "StatefulSet"):
            yield item["metadata"]["name"], item["spec"]["template"]["spec"]


# -- over the network: who may open a connection to whom. The policies are read as Kubernetes defines them.


class Peer(NamedTuple):
    """A pod, or an address outside."""

    namespace: str = ""
    labels: Any = None
    ports: Any = None
    address: str = ""


@pytest.fixture(scope="module")
def peers(render) -> dict[str, Peer]:
    """The chart's pods by part, those of collections (as they are planned) by component, and some addresses."""
    found = {
        "stranger": Peer("team", {"app": "stranger"}),
        "internet": Peer(address="93.184.215.14"),
        "metadata": Peer(address="169.254.169.254"),
        "intranet": Peer(address="10.1.2.3"),
        "node": Peer(address="172.18.0.2"),
    }
    for item in render("trial"):
        if item["kind"] in ("Deployment", "StatefulSet"):
            template = item["spec"]["template"]
            found[template["metadata"]["labels"]["app.kubernetes.io/component"]] = _peer("imagesearch", template)
        elif item["kind"] == "Pod":
            found["test"] = _peer("imagesearch", item)
    for plan in sorted(GOLDEN.glob("*.yaml")):
        for template in _templates(list(yaml.safe_load_all(plan.read_text()))):
            found.setdefault(template["metadata"]["labels"]["app.kubernetes.io/component"], _peer("team", template))
    return found


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        *product(["operator", "producer", "replay", "embedder"], ["kafka"], [9092]),
        *product(["operator", "search", "embedder"], ["elasticsearch"], [9200]),
        *product(["operator", "model", "embedder", "encoder", "test"], ["mlflow"], [5000]),
        ("test", "operator", 9090),
        ("test", "search", 8080),
        ("stranger", "search", 8080),
        ("search", "encoder", 8000),
        ("search", "internet", 443),
        ("operator", "node", 6443),
    ],
)
def test_who_works_together_may_talk(render, peers, source, target, port):
    assert _may_connect(render("trial"), peers[source], peers[target], port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        *product(["stranger", "search", "mlflow", "encoder"], ["kafka"], [9092]),
        *product(["stranger", "producer", "model", "encoder"], ["elasticsearch"], [9200]),
        *product(["stranger", "search", "producer", "kafka"], ["mlflow"], [5000]),
        ("stranger", "operator", 8081),
        ("search", "encoder", 8265),
        ("search", "stranger", 80),
        ("search", "metadata", 80),
        ("search", "intranet", 443),
        ("search", "node", 6443),
        ("mlflow", "internet", 443),
        ("kafka", "internet", 443),
        ("elasticsearch", "internet", 443),
        ("operator", "internet", 80),
    ],
)
def test_who_has_no_business_may_not(render, peers, source, target, port):
    assert not _may_connect(render("trial"), peers[source], peers[target], port)


def test_networks_that_are_allowed_can_be_fetched_from(render, peers):
    assert _may_connect(render("full"), peers["search"], peers["intranet"], 8090)


def test_stores_elsewhere_are_reached_at_their_ports(render, peers):
    for port in (9093, 9094, 9243, 443):
        assert _may_connect(render("yours"), peers["operator"], peers["intranet"], port)
    assert _may_connect(render("yours"), peers["search"], peers["intranet"], 9243)
    assert not _may_connect(render("yours"), peers["search"], peers["intranet"], 9093)


def _peer(namespace: str, template: Json) -> Peer:
    ports = [port for container in template["spec"]["containers"] for port in container.get("ports", [])]
    named = {port["name"]: port["containerPort"] for port in ports if "name" in port}
    return Peer(namespace, template["metadata"]["labels"], named)


def _templates(value: Any) -> Iterator[Json]:
    """Every labelled pod template inside, also those that a ConfigMap holds as text."""
    if isinstance(value, str) and "containers:" in value:
        yield from _templates(yaml.safe_load(value))
    elif isinstance(value, list):
        for item in value:
            yield from _templates(item)
    elif isinstance(value, dict):
        if "containers" in (value.get("spec") or {}) and "labels" in value.get("metadata", {}):
            yield value
        else:
            yield from _templates(list(value.values()))


def _may_connect(objects: list[Json], source: Peer, target: Peer, port: int) -> bool:
    policies = [item for item in objects if item["kind"] == "NetworkPolicy"]
    return _passes(policies, "Egress", source, target, target, port) and _passes(
        policies, "Ingress", target, source, target, port
    )


def _passes(policies: list[Json], way: str, subject: Peer, other: Peer, target: Peer, port: int) -> bool:
    """Whether the policies on `subject` let it reach, or be reached by, `other`; without one there is no bar."""
    chosen = [
        policy["spec"]
        for policy in policies
        if way in policy["spec"]["policyTypes"]
        and subject.namespace == policy["metadata"]["namespace"]
        and _matches(policy["spec"]["podSelector"], subject.labels)
    ]
    peers = "to" if way == "Egress" else "from"
    return not chosen or any(
        ("ports" not in rule or any(_target_port(item, target) == port for item in rule["ports"]))
        and (peers not in rule or any(_is_peer(item, other, subject.namespace) for item in rule[peers]))
        for spec in chosen
        for rule in spec[way.lower()]
    )


def _target_port(item: Json, target: Peer) -> int:
    """The port of a rule; a name is one of the target's containers."""
    number = item["port"] if isinstance(item["port"], int) else (target.ports or {}).get(item["port"], 0)
    return int(number) if item["protocol"] == "TCP" else 0


def _is_peer(item: Json, other: Peer, namespace: str) -> bool:
    if "ipBlock" in item:
        block = item["ipBlock"]
        return (
            bool(other.address)
            and _within(other.address, block["cidr"])
            and not any(_within(other.address, cidr) for cidr in block.get("except", []))
        )
    if other.address:
        return False
    same_place = "namespaceSelector" in item or other.namespace == namespace
    return same_place and _matches(item["podSelector"], other.labels)


def _within(address: str, network: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(network)


def _matches(selector: Json, labels: Json) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"] for expression in selector.get("matchExpressions", [])
    )
