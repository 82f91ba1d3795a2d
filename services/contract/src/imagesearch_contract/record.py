"""The Kafka record: one picture as its source describes it. The producer writes it, the embedder reads it.

The value is one JSON object with a schema version, the key is the image id, and a null value is a takedown.
Fields may be added within a version (a reader ignores what it does not know); anything else is a new version.
"""

import json
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_serializer

SCHEMA_VERSION: Final = 1

URL_LIMIT = 2048
TITLE_LIMIT = 1_000
DESCRIPTION_LIMIT = 10_000
TAG_LIMIT = 200
TAGS_LIMIT = 500
ID_LIMIT = 500
"""Characters; Elasticsearch allows an `_id` of 512 bytes, and ids are ASCII."""

ImageId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*:[\x21-\x7e]+$", max_length=ID_LIMIT)]
"""`<source kind>:<native id>`, the Kafka key and the Elasticsearch `_id`."""

ContentType = Literal["photo", "screenshot", "illustration", "virtual"]
"""What a picture is; `virtual` is photography inside a game or a virtual world."""

Url = Annotated[str, Field(min_length=1, max_length=URL_LIMIT, pattern=r"^https?://")]


class RecordError(ValueError):
    """A Kafka value that is not an `ImageRecord`; the message says where and why, in words fit for a dead letter."""


class GeoPoint(BaseModel):
    """Where a picture was taken, in degrees (WGS 84)."""

    model_config = ConfigDict(frozen=True)

    lat: float = Field(ge=-90, le=90)
    lon: float = Field(ge=-180, le=180)


class ImageRecord(BaseModel):
    """One picture: where to fetch it, and what its source says about it.

    Nothing here may change by itself (view counts, the time of the run): two runs over an unchanged photo
    give the same bytes, which is how the producer knows that it has nothing to publish.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: Literal[1] = SCHEMA_VERSION
    id: ImageId = Field(examples=["flickr:53466812"])
    url: Url = Field(description="The picture to fetch and embed; the source's medium size where there is a choice.")
    thumbnail_url: Url | None = Field(default=None, description="A small picture for the result grid.")
    page_url: Url | None = Field(default=None, description="Where a person sees the original.")
    title: str = Field(default="", max_length=TITLE_LIMIT)
    description: str = Field(default="", max_length=DESCRIPTION_LIMIT)
    tags: tuple[Annotated[str, Field(max_length=TAG_LIMIT)], ...] = Field(default=(), max_length=TAGS_LIMIT)
    author: str | None = Field(default=None, max_length=TITLE_LIMIT)
    author_id: str | None = Field(
        default=None, max_length=ID_LIMIT, description="The author's id at the source; names change and are shared."
    )
    author_url: Url | None = None
    license: str | None = Field(
        default=None, max_length=100, description="SPDX identifier where one exists.", examples=["CC-BY-2.0"]
    )
    license_url: Url | None = None
    taken_at: AwareDatetime | None = None
    uploaded_at: AwareDatetime | None = None
    width: int | None = Field(default=None, ge=1, description="Pixels, of the picture at `url`.")
    height: int | None = Field(default=None, ge=1, description="Pixels, of the picture at `url`.")
    original_width: int | None = Field(default=None, ge=1, description="Pixels, of the largest size at the source.")
    original_height: int | None = Field(default=None, ge=1, description="Pixels, of the largest size at the source.")
    content_type: ContentType | None = None
    location: GeoPoint | None = None

    @field_serializer("taken_at", "uploaded_at")
    def _iso(self, moment: datetime | None) -> str | None:
        return None if moment is None else moment.isoformat()

    def to_bytes(self) -> bytes:
        """Return the record as UTF-8 JSON: fields in the order above, absent ones left out, always the same bytes."""
        return self.model_dump_json(exclude_none=True).encode()

    @classmethod
    def from_bytes(cls, value: bytes) -> "ImageRecord":
        """Read a Kafka value.

        Raises:
            RecordError: not JSON, of an unknown schema version, or not of the schema.
        """
        try:
            fields = json.loads(value)
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            raise RecordError(f"not JSON: {error}") from error
        if not isinstance(fields, dict):
            raise RecordError(f"expected a JSON object, got {type(fields).__name__}")
        if (version := fields.get("schema_version")) != SCHEMA_VERSION:
            raise RecordError(f"schema_version is {version!r}, this reader knows {SCHEMA_VERSION}")
        try:
            return cls.model_validate_json(value)
        except ValidationError as error:
            raise RecordError(describe(error)) from error


def describe(error: ValidationError) -> str:
    """One line for people: each fault as `field: what is wrong`. The offending input itself is not repeated."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'value'}: {fault['msg']}" for fault in error.errors(include_url=False)
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the record's value, as committed in `record.schema.json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ImageRecord.model_json_schema(mode="validation"),
        "required": ["schema_version", "id", "url"],
    }
