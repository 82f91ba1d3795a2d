"""The ImageCollection as Python types. Defaults and rules live in the CRD alone: what gets here has been through the API server."""

from datetime import datetime
from typing import Any, Final, Literal, Self

from imagesearch_contract.index import Quantization
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from imagesearch_operator import naming

GROUP: Final = "imagesearch.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "ImageCollection"
PLURAL: Final = "imagecollections"
FINALIZER: Final = f"{GROUP}/stores"
"""Held while a collection has something outside the cluster's API: topics and indices."""


class _Type(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        populate_by_name=True,
        coerce_numbers_to_str=True,  # `cpu: 2` is a quantity, too
    )


class KeyRef(_Type):
    """One key of a Secret or ConfigMap of the collection's namespace."""

    name: str
    key: str


class Flickr(_Type):
    """`flickr.photos.search`: at least one of text, tags, userId and groupId."""

    text: str | None = None
    tags: tuple[str, ...] = ()
    tag_mode: Literal["any", "all"]
    user_id: str | None = None
    group_id: str | None = None
    licenses: tuple[str, ...]
    safe_search: Literal["safe", "moderate", "restricted"]
    min_upload_date: str | None = None
    sweep_days: int
    api_key_secret_ref: KeyRef


class Manifest(_Type):
    """A list of pictures: exactly one of `url` and `config_map_ref`."""

    url: str | None = None
    config_map_ref: KeyRef | None = None
    format: Literal["auto", "jsonl", "csv", "parquet"]
    max_takedown_percent: int


class Source(_Type):
    """Where pictures come from: exactly one of `flickr` and `manifest`."""

    name: str
    schedule: str
    time_zone: str | None = None
    suspend: bool
    quota: int | None = None
    flickr: Flickr | None = None
    manifest: Manifest | None = None


class Registry(_Type):
    """A model that is registered in MLflow already: exactly one of version and alias."""

    name: str
    version: str | None = None
    alias: str | None = None


class Model(_Type):
    """Exactly one of the two. `name` is a Hugging Face id, or `starter`."""

    name: str | None = None
    registry: Registry | None = None


class Resources(_Type):
    """As in a container; quantities as Kubernetes writes them."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class Executors(_Type):
    """How many Spark executors: fixed where the two are equal, else by dynamic allocation."""

    min: int
    max: int


class Embedding(_Type):
    """Kafka to Elasticsearch."""

    executors: Executors
    resources: Resources
    trigger_seconds: int
    batch_size: int


class Serving(_Type):
    """Query-time encoding."""

    min_replicas: int
    max_replicas: int
    target_ongoing_requests: int
    gpus_per_replica: int
    resources: Resources


class Index(_Type):
    """The Elasticsearch index."""

    shards: int
    replicas: int
    quantization: Quantization


class Spec(_Type):
    """What the user asks for."""

    sources: tuple[Source, ...]
    model: Model
    embedding: Embedding
    serving: Serving
    index: Index
    deletion_policy: Literal["Delete", "Retain"]
    paused: bool


class Collection(BaseModel):
    """One ImageCollection of the cluster."""

    model_config = ConfigDict(frozen=True)

    namespace: str
    name: str
    uid: str
    generation: int
    created_at: datetime
    deleted_at: datetime | None = None
    finalizers: tuple[str, ...] = ()
    spec: Spec
    replay: str | None = None
    """The reason whose dead letters somebody asks to be replayed; not checked."""
    replayed: str | None = None
    """The Job of the latest replay."""
    status: dict[str, Any] = {}
    """As it was last written; empty before."""

    @classmethod
    def of_body(cls, body: dict[str, Any]) -> Self:
        """Read what the API server gives.

        Raises:
            pydantic.ValidationError: it is not an ImageCollection that this operator knows.
        """
        meta = body["metadata"]
        annotations = meta.get("annotations") or {}
        return cls(
            namespace=meta["namespace"],
            name=meta["name"],
            uid=meta["uid"],
            generation=meta.get("generation", 1),
            created_at=meta["creationTimestamp"],
            deleted_at=meta.get("deletionTimestamp"),
            finalizers=tuple(meta.get("finalizers", ())),
            spec=body["spec"],
            replay=annotations.get(naming.REPLAY),
            replayed=annotations.get(naming.REPLAYED),
            status=body.get("status") or {},
        )
