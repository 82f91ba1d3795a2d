"""Who may open a connection to a collection's pods. A cluster whose network does not enforce policies ignores them."""

from collections.abc import Sequence
from typing import Final

from imagesearch_operator import naming
from imagesearch_operator.facts import Manifest
from imagesearch_operator.plan import embedder, serving
from imagesearch_operator.plan.objects import owned, shared
from imagesearch_operator.plan.pods import Json
from imagesearch_operator.plan.versions import Version
from imagesearch_operator.spec import Collection

_API_VERSION: Final = "networking.k8s.io/v1"
DASHBOARD_PORT: Final = 8265
METRICS_PORT: Final = 8080


def of_collection(collection: Collection) -> Manifest:
    """Spark's driver and executors talk among themselves, and Prometheus may ask for figures; nobody talks to a producer."""
    whose = {naming.COLLECTION: collection.name}
    among = {"from": [{"podSelector": {"matchLabels": whose | _component(embedder.COMPONENT)}}]}
    return owned(
        collection,
        _API_VERSION,
        "NetworkPolicy",
        naming.network_policy(collection.name),
        embedder.COMPONENT,
        spec=_ingress(whose, among, {"ports": [{"port": embedder.METRICS_PORT}]}),
    )


def of_encoder(users: Sequence[Collection], version: Version) -> Manifest:
    """Everybody may ask for vectors, KubeRay for the state (with the cluster's token), and Prometheus for figures."""
    name = naming.encoder(version.name, version.number)
    ports = [{"port": port} for port in (serving.SERVE_PORT, METRICS_PORT, DASHBOARD_PORT)]
    among = {"from": [{"podSelector": {"matchLabels": {naming.SHARED: name}}}]}
    spec = _ingress({naming.SHARED: name}, among, {"ports": ports})
    return shared(users, _API_VERSION, "NetworkPolicy", name, serving.COMPONENT, spec=spec)


def _ingress(selected: dict[str, str], *rules: Json) -> Json:
    return {"podSelector": {"matchLabels": selected}, "policyTypes": ["Ingress"], "ingress": list(rules)}


def _component(name: str) -> dict[str, str]:
    return {naming.COMPONENT: name}
