"""The Kubernetes API, as far as the operator uses it: a protocol, and the real one over the `kubernetes` package."""

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, ApiException, Configuration
from kubernetes.aio.dynamic import DynamicClient

from imagesearch_operator import kinds, metrics, naming
from imagesearch_operator.facts import Manifest
from imagesearch_operator.kinds import COLLECTION, EVENT, Id, Kind

REQUEST_SECONDS: Final = 30.0
STATUS_MANAGER: Final = f"{naming.FIELD_MANAGER}-status"
_SELECTOR: Final = ",".join(f"{name}={value}" for name, value in naming.SELECTOR.items())


class ClusterError(Exception):
    """The API server refused, or does not answer."""

    def __init__(self, reason: str, message: str) -> None:
        """Say why, in CamelCase and in words."""
        super().__init__(message)
        self.reason = reason
        self.message = message


class NotFoundError(ClusterError):
    """There is no such object, or no such kind."""


class ConflictError(ClusterError):
    """Somebody else holds a field that is applied, or changed the object meanwhile."""


class InvalidError(ClusterError):
    """The object breaks a rule of its kind; one is that some fields cannot be changed."""

    @property
    def is_immutable(self) -> bool:
        """Whether a new object would be accepted where the change was not."""
        return "immutable" in self.message or "may not change" in self.message or "cannot change" in self.message


class Cluster(Protocol):
    """What the operator asks of a Kubernetes API server. Each method raises `ClusterError`."""

    async def served(self) -> frozenset[Kind]:
        """Those of the watched kinds that there are."""
        ...

    async def listing(self, kind: Kind, namespace: str | None) -> tuple[list[Manifest], int]:
        """The operator's objects of a kind (or every collection), and the version of the listing."""
        ...

    async def get(self, at: Id) -> Manifest | None:
        """One object."""
        ...

    async def apply(self, manifest: Manifest, *, force: bool) -> Manifest:
        """Server-side apply; the live object. Without `force` a field that another manager holds is a conflict."""
        ...

    async def delete(self, live: Manifest) -> None:
        """Delete this very object, its dependents first. One that is gone is fine."""
        ...

    async def disown(self, live: Manifest, uid: str) -> Manifest:
        """Take an owner off an object; the live object."""
        ...

    async def set_finalizers(self, collection: Manifest, finalizers: list[str]) -> Manifest:
        """Replace the finalizers of a collection that has not changed meanwhile; the live object."""
        ...

    async def annotate(self, collection: Manifest, annotations: Mapping[str, str | None]) -> Manifest:
        """Set annotations of a collection that has not changed meanwhile, and remove those that are None; the live object."""
        ...

    async def write_status(self, key: Id, status: dict[str, Any]) -> Manifest:
        """Replace a collection's status; the live object."""
        ...

    async def emit(self, about: Manifest, event_type: str, reason: str, message: str) -> None:
        """Write an Event about an object."""
        ...


class KubernetesCluster:
    """The real one."""

    def __init__(self, client: DynamicClient) -> None:
        self._client = client

    async def served(self) -> frozenset[Kind]:
        """See `Cluster`."""
        groups = {(kind.group, kind.version) for kind in kinds.WATCHED}
        plurals = {version: await self._plurals(*version) for version in groups}
        return frozenset(kind for kind in kinds.WATCHED if kind.plural in plurals[kind.group, kind.version])

    async def _plurals(self, group: str, version: str) -> frozenset[str]:
        try:
            found = await self._request("get", f"/apis/{group}/{version}" if group else f"/api/{version}")
        except NotFoundError:
            return frozenset()
        return frozenset(resource["name"] for resource in found["resources"])

    async def listing(self, kind: Kind, namespace: str | None) -> tuple[list[Manifest], int]:
        """See `Cluster`."""
        selector = {} if kind == COLLECTION else {"label_selector": _SELECTOR}
        found = await self._request("get", kind.path(namespace), **selector)
        # A listing leaves out of its items what it says once for all.
        items = [{**item, "apiVersion": kind.api_version, "kind": kind.name} for item in found["items"]]
        return items, int(found["metadata"]["resourceVersion"])

    async def get(self, at: Id) -> Manifest | None:
        """See `Cluster`."""
        try:
            return await self._request("get", _path(at))
        except NotFoundError:
            return None

    async def apply(self, manifest: Manifest, *, force: bool) -> Manifest:
        """See `Cluster`."""
        return await self._write("apply", kinds.id_of(manifest), manifest, force=force)

    async def delete(self, live: Manifest) -> None:
        """See `Cluster`."""
        at = kinds.id_of(live)
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Foreground",
            "preconditions": {"uid": live["metadata"]["uid"]},
        }
        try:
            await self._request("delete", _path(at), body=body)
        except (NotFoundError, ConflictError):
            return  # gone, or another one by now: whoever watches hears of it
        metrics.WRITES.labels("delete", at.kind).inc()

    async def disown(self, live: Manifest, uid: str) -> Manifest:
        """See `Cluster`."""
        meta = live["metadata"]
        kept = [reference for reference in meta["ownerReferences"] if reference["uid"] != uid]
        body = {"metadata": {"resourceVersion": meta["resourceVersion"], "ownerReferences": kept}}
        return await self._write("disown", kinds.id_of(live), body)

    async def set_finalizers(self, collection: Manifest, finalizers: list[str]) -> Manifest:
        """See `Cluster`."""
        version = collection["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version, "finalizers": finalizers}}
        return await self._write("finalizers", kinds.id_of(collection), body)

    async def annotate(self, collection: Manifest, annotations: Mapping[str, str | None]) -> Manifest:
        """See `Cluster`."""
        version = collection["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version, "annotations": dict(annotations)}}
        return await self._write("annotate", kinds.id_of(collection), body)

    async def write_status(self, key: Id, status: dict[str, Any]) -> Manifest:
        """See `Cluster`."""
        body = {
            "apiVersion": COLLECTION.api_version,
            "kind": COLLECTION.name,
            "metadata": {"name": key.name},
            "status": status,
        }
        # Applied, so that what is no longer said goes; by a manager of its own, because it is not the children's.
        return await self._write("status", key, body, force=True, manager=STATUS_MANAGER, subresource="/status")

    async def emit(self, about: Manifest, event_type: str, reason: str, message: str) -> None:
        """See `Cluster`."""
        meta = about["metadata"]
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = {
            "apiVersion": "v1",
            "kind": EVENT.name,
            "metadata": {"generateName": f"{meta['name']}-", "namespace": meta["namespace"]},
            "involvedObject": {
                "apiVersion": about["apiVersion"],
                "kind": about["kind"],
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
                "resourceVersion": meta["resourceVersion"],
            },
            "type": event_type,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": naming.FIELD_MANAGER},
            "reportingComponent": naming.FIELD_MANAGER,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        await self._request("post", EVENT.path(meta["namespace"]), body=body)
        metrics.WRITES.labels("create", EVENT.name).inc()

    async def _write(
        self,
        verb: str,
        at: Id,
        body: Manifest,
        *,
        force: bool | None = None,
        manager: str = naming.FIELD_MANAGER,
        subresource: str = "",
    ) -> Manifest:
        is_apply = force is not None
        written = await self._request(
            "patch",
            _path(at) + subresource,
            body=body,
            content_type=f"application/{'apply-patch+yaml' if is_apply else 'merge-patch+json'}",
            field_manager=manager,
            force_conflicts=_text(force),
        )
        metrics.WRITES.labels(verb, at.kind).inc()
        return written

    async def _request(self, method: str, path: str, **options: Any) -> Manifest:
        try:
            answer = await self._client.request(
                method, path, serialize=False, _request_timeout=REQUEST_SECONDS, **options
            )
            found: Manifest = await answer.json()
            return found
        except ApiException as error:
            raise _refusal(error) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ClusterError(
                "KubernetesUnreachable",
                f"The Kubernetes API does not answer ({type(error).__name__}). It is asked again by itself.",
            ) from error


@asynccontextmanager
async def connect() -> AsyncIterator[KubernetesCluster]:
    """Connect with the pod's service account, or else with the kubeconfig that `KUBECONFIG` or the home folder has."""
    configuration = Configuration()
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    async with ApiClient(configuration) as client:
        yield KubernetesCluster(DynamicClient(client))  # type: ignore[no-untyped-call]


def _path(at: Id) -> str:
    return kinds.BY_NAME[at.kind].path(at.namespace, at.name)


def _text(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()


def _refusal(error: ApiException) -> ClusterError:
    """What went wrong, in the API server's own words."""
    try:
        said = json.loads(error.body or "")
        reason, message = str(said.get("reason") or ""), str(said.get("message") or "")
    except (TypeError, ValueError, AttributeError):
        reason, message = "", ""
    words = message or f"The Kubernetes API answered {error.status} {error.reason}."
    match error.status:
        case 404:
            return NotFoundError(reason or "NotFound", words)
        case 409:
            return ConflictError(reason or "Conflict", words)
        case 422:
            return InvalidError(reason or "Invalid", words)
        case 403:
            return ClusterError("Forbidden", f"{words} (a rule of the cluster, or a right that the operator lacks)")
        case _:
            return ClusterError(reason or "KubernetesError", words)
