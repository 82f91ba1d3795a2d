"""The kinds of objects that the operator reads and writes. One table: watches, requests and permissions follow it."""

from typing import Final, NamedTuple

from imagesearch_operator import spec
from imagesearch_operator.facts import Manifest


class Kind(NamedTuple):
    """A namespaced kind of the Kubernetes API."""

    name: str
    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        """As in a manifest."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Of the URL: of one object, of those of a namespace, or of all."""
        place = f"/namespaces/{namespace}" if namespace else ""
        return f"/{'apis' if self.group else 'api'}/{self.api_version}{place}/{self.plural}" + (
            f"/{name}" if name else ""
        )


COLLECTION: Final = Kind(spec.KIND, spec.GROUP, spec.VERSION, spec.PLURAL)
RAY_SERVICE: Final = Kind("RayService", "ray.io", "v1", "rayservices")
POD: Final = Kind("Pod", "", "v1", "pods")
SECRET: Final = Kind("Secret", "", "v1", "secrets")
"""Read and written by name, never listed nor watched."""
CONFIG_MAP: Final = Kind("ConfigMap", "", "v1", "configmaps")
EVENT: Final = Kind("Event", "", "v1", "events")

OWNED: Final = (
    Kind("CronJob", "batch", "v1", "cronjobs"),
    Kind("Job", "batch", "v1", "jobs"),
    Kind("Deployment", "apps", "v1", "deployments"),
    Kind("Service", "", "v1", "services"),
    CONFIG_MAP,
    Kind("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims"),
    Kind("ServiceAccount", "", "v1", "serviceaccounts"),
    Kind("Role", "rbac.authorization.k8s.io", "v1", "roles"),
    Kind("RoleBinding", "rbac.authorization.k8s.io", "v1", "rolebindings"),
    Kind("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies"),
    RAY_SERVICE,
)
"""Children that are planned, applied, watched and pruned."""

WATCHED: Final = (COLLECTION, *OWNED, POD)
BY_NAME: Final = {kind.name: kind for kind in (*WATCHED, SECRET, EVENT)}


class Id(NamedTuple):
    """Which object."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        """As in a message."""
        return f"{self.kind} {self.name}"


def id_of(manifest: Manifest) -> Id:
    """Which object this is."""
    meta = manifest["metadata"]
    return Id(manifest["kind"], meta["namespace"], meta["name"])
