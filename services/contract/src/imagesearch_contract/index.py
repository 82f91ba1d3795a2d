"""The Elasticsearch index: its body, the `_meta` by which it says whose vectors it holds, and the document.

The operator (or the local stack) creates the index, the embedder writes documents, the search API reads both.
Only features that Elasticsearch and its slimmed distributions share are used (no language analysers, no scripts).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from imagesearch_contract import names
from imagesearch_contract.record import ImageRecord, describe

META_KEY: Final = "imagesearch"
VECTOR_FIELD: Final = "embedding"
FINGERPRINT_FIELD: Final = "fingerprint"
FINGERPRINT_BYTES: Final = 34
"""32 of what a picture looks like, whose bits are compared one by one, and its mean Cb and Cr; in hexadecimal digits."""
MAX_RESULT_WINDOW = 10_000
"""Elasticsearch's own default for `from + size`."""

Orientation = Literal["landscape", "portrait", "square"]
Size = Literal["small", "medium", "large"]
SQUARE: Final = 0.05
"""So little may the longer side have more than the shorter."""
MEDIUM_PIXELS: Final = 640 * 480
LARGE_PIXELS: Final = 1600 * 1200
"""From so many on; the bounds that Openverse has."""

Quantization = Literal["none", "int8", "int4", "bbq"]
_HNSW: dict[Quantization, str] = {"none": "hnsw", "int8": "int8_hnsw", "int4": "int4_hnsw", "bbq": "bbq_hnsw"}


class IndexMetaError(ValueError):
    """A mapping without a readable `_meta`: the index is not ours, or of another version."""


class IndexMeta(BaseModel):
    """Whose vectors an index holds, and which encoder speaks their language."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1] = 1
    namespace: str
    collection: str
    model_name: str
    model_version: str
    dims: int = Field(gt=0)
    encoder_url: str = Field(description="Base URL of the encoder service that serves this model version.")

    @property
    def model_label(self) -> str:
        """`<name>/<version>`: what the encoder at `encoder_url` has to call itself."""
        return names.model_label(self.model_name, self.model_version)

    @classmethod
    def of_mapping(cls, mapping: dict[str, Any]) -> "IndexMeta":
        """Read the `_meta` of an index's mapping (the value under `mappings`).

        Raises:
            IndexMetaError: there is none, or it is not of this schema.
        """
        try:
            return cls.model_validate(mapping.get("_meta", {})[META_KEY])
        except KeyError as error:
            raise IndexMetaError(f"the mapping has no _meta.{META_KEY}") from error
        except ValidationError as error:
            raise IndexMetaError(f"_meta.{META_KEY}: {describe(error)}") from error


def index_body(
    meta: IndexMeta, *, shards: int = 1, replicas: int = 0, quantization: Quantization = "int8"
) -> dict[str, Any]:
    """The body with which an index is created: `{"settings": ..., "mappings": ...}`.

    Vectors have unit length, so the similarity is `dot_product` and a hit's score is `(1 + cosine) / 2`.
    """
    return {
        "settings": {
            "number_of_shards": shards,
            "number_of_replicas": replicas,
            # Written down, it holds also while nobody searches: by default the counts of such an index stand still.
            "refresh_interval": "5s",
            # How long a deletion's version is remembered: an older write that comes later must not bring the picture back.
            "gc_deletes": "1h",
        },
        "mappings": {
            "dynamic": False,
            "_meta": {META_KEY: meta.model_dump()},
            "properties": {
                VECTOR_FIELD: {
                    "type": "dense_vector",
                    "dims": meta.dims,
                    "index": True,
                    "similarity": "dot_product",
                    "index_options": {"type": _HNSW[quantization]},
                },
                "id": {"type": "keyword"},
                "source": {"type": "keyword"},
                "url": {"type": "keyword", "index": False, "doc_values": False},
                "thumbnail_url": {"type": "keyword", "index": False, "doc_values": False},
                "page_url": {"type": "keyword", "index": False, "doc_values": False},
                "title": {"type": "text"},
                "description": {"type": "text"},
                "tags": {"type": "keyword", "fields": {"text": {"type": "text"}}},
                "author": {"type": "keyword", "fields": {"text": {"type": "text"}}},
                "author_id": {"type": "keyword"},
                "author_url": {"type": "keyword", "index": False, "doc_values": False},
                "license": {"type": "keyword"},
                "license_url": {"type": "keyword", "index": False, "doc_values": False},
                "taken_at": {"type": "date"},
                "uploaded_at": {"type": "date"},
                "indexed_at": {"type": "date"},
                "width": {"type": "integer"},
                "height": {"type": "integer"},
                "original_width": {"type": "integer"},
                "original_height": {"type": "integer"},
                "orientation": {"type": "keyword"},
                "size": {"type": "keyword"},
                "content_type": {"type": "keyword"},
                "location": {"type": "geo_point"},
                "model": {"type": "keyword"},
                FINGERPRINT_FIELD: {"type": "keyword", "index": False},
            },
        },
    }


def addable_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """The properties that an index of an older release can be given: all but the vectors', which are decided with it.

    Args:
        body: as `index_body` makes it.
    """
    return {name: of for name, of in body["mappings"]["properties"].items() if name != VECTOR_FIELD}


def orientation(width: int, height: int) -> Orientation:
    """Of a picture of so many pixels."""
    if max(width, height) <= (1 + SQUARE) * min(width, height):
        return "square"
    return "landscape" if width > height else "portrait"


def size(width: int, height: int) -> Size:
    """Of a picture of so many pixels."""
    pixels = width * height
    return "small" if pixels < MEDIUM_PIXELS else "medium" if pixels < LARGE_PIXELS else "large"


def _shape(record: ImageRecord) -> dict[str, Any]:
    """By the largest size at the source, where it is known: all that is fetched may be of one size."""
    for width, height in ((record.original_width, record.original_height), (record.width, record.height)):
        if width and height:
            return {"orientation": orientation(width, height), "size": size(width, height)}
    return {}


def document(
    record: ImageRecord,
    embedding: Sequence[float],
    *,
    model: str,
    indexed_at: datetime,
    fingerprint: str | None = None,
) -> dict[str, Any]:
    """The document of a picture; its `_id` is the record's id, so writing it again is an upsert.

    Args:
        record: what the source says.
        embedding: (dims,), unit length.
        model: `<name>/<version>` of the registered model that made the embedding.
        indexed_at: when, with a time zone.
        fingerprint: by which near duplicates are told, `FINGERPRINT_BYTES` in hexadecimal digits; None where the
            picture has none.
    """
    return {
        **record.model_dump(mode="json", exclude={"schema_version"}, exclude_none=True),
        **_shape(record),
        "source": record.id.partition(":")[0],
        VECTOR_FIELD: embedding,
        "model": model,
        "indexed_at": indexed_at.isoformat(),
        **({} if fingerprint is None else {FINGERPRINT_FIELD: fingerprint}),
    }
