"""Short ImageCollections for tests: what is left out is filled in as the API server does it, from the CRD itself."""

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml
from imagesearch_operator.spec import API_VERSION, KIND, Collection

CRD_PATH: Final = Path(__file__).parents[2] / "charts/imagesearch/files/crd.yaml"
CRD: Final[dict[str, Any]] = yaml.safe_load(CRD_PATH.read_text())
SCHEMA: Final[dict[str, Any]] = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
CREATED: Final = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

MANIFEST_SOURCE: Final = {"name": "list", "manifest": {"configMapRef": {"name": "pictures"}}}
FLICKR_SOURCE: Final = {"name": "dogs", "flickr": {"tags": ["dog"], "apiKeySecretRef": {"name": "flickr"}}}


def with_defaults(value: Any, schema: dict[str, Any]) -> Any:
    """`value` with the schema's defaults filled in, at every depth."""
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        given = {name: copy.deepcopy(field["default"]) for name, field in properties.items() if "default" in field}
        return {name: with_defaults(item, properties.get(name, {})) for name, item in (given | value).items()}
    if isinstance(value, list):
        return [with_defaults(item, schema.get("items", {})) for item in value]
    return value


def spec(**fields: Any) -> dict[str, Any]:
    """A complete spec: one manifest source and the starter model, but for what is given (in camelCase)."""
    short = {"sources": [MANIFEST_SOURCE], "model": {"name": "starter"}} | fields
    return with_defaults(short, SCHEMA["properties"]["spec"])


def body(
    name: str = "birds",
    namespace: str = "pictures",
    *,
    generation: int = 1,
    created_at: datetime = CREATED,
    deleted_at: datetime | None = None,
    finalizers: tuple[str, ...] = (),
    annotations: dict[str, str] | None = None,
    status: dict[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """An ImageCollection as the API server gives it."""
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{namespace}-{name}",
        "generation": generation,
        "creationTimestamp": created_at.isoformat(),
    }
    if deleted_at:
        metadata["deletionTimestamp"] = deleted_at.isoformat()
    if annotations:
        metadata["annotations"] = annotations
    if finalizers:
        metadata["finalizers"] = list(finalizers)
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": metadata,
        "spec": spec(**fields),
        "status": status or {},
    }


def collection(name: str = "birds", namespace: str = "pictures", **fields: Any) -> Collection:
    """The same as the operator's type; takes what `body` takes."""
    return Collection.of_body(body(name, namespace, **fields))
