"""What the search API takes and answers. FastAPI builds `openapi.json` from it, and the web page its types from that."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, Self

from imagesearch_contract.index import MAX_RESULT_WINDOW, Orientation, Size
from imagesearch_contract.names import COLLECTION_NAME_LIMIT, NAMESPACE_LIMIT
from imagesearch_contract.record import ID_LIMIT, ContentType, GeoPoint, ImageId
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

MAX_SIZE: Final = 100
"""Hits on one page."""
MAX_DUPLICATE_IDS: Final = 100
"""Near duplicates of one hit that are named: as many as one page can bring."""


def _label(limit: int) -> str:
    """The pattern of a DNS label, for the document; `query.collection_of` says in words what is wrong with a name."""
    return rf"[a-z0-9]([-a-z0-9]{{0,{limit - 2}}}[a-z0-9])?"


COLLECTION_PATTERN: Final = f"^({_label(NAMESPACE_LIMIT)}/)?{_label(COLLECTION_NAME_LIMIT)}$"
CollectionName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=110,
        description="`name` for a collection of the default namespace, `namespace/name` for any other.",
        examples=["stamps"],
        json_schema_extra={"pattern": COLLECTION_PATTERN},
    ),
]
ImageUrl = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        description="Public http(s) address of a JPEG, PNG, WebP or GIF.",
        examples=["https://live.staticflickr.com/65535/53466812_n.jpg"],
    ),
]
ImageBase64 = Annotated[
    str,
    Field(min_length=1, description="The picture's bytes in base64; a `data:` URL is taken as well."),
]


def _numeric(value: object) -> object:
    """As JSON has it: `20.0` is an integer, `"20"` and `true` are none."""
    if isinstance(value, str | bool):
        raise ValueError("Input should be a number")
    return value


Integer = Annotated[int, BeforeValidator(_numeric)]
Number = Annotated[float, BeforeValidator(_numeric)]
Pixels = Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(_numeric)]
"""Elasticsearch's `integer` ends there, and it refuses to compare with more."""


class Page(BaseModel):
    """Which part of the answers, best first."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    size: Integer = Field(default=20, ge=1, le=MAX_SIZE, description="Hits on this page.")
    from_: Integer = Field(
        default=0,
        alias="from",
        ge=0,
        le=MAX_RESULT_WINDOW,
        description="Hits to skip. `from + size` is bounded (1000 unless configured otherwise).",
    )


def _written_out(value: object) -> object:
    """Numbers, and text of digits alone, would pass for seconds since 1970."""
    if (isinstance(value, str) and not _DAY_FIRST.match(value)) or isinstance(value, int | float):
        raise ValueError("give a day, such as 2024-01-31, or a moment with its time zone, such as 2024-01-31T09:30:00Z")
    return value


_DAY_FIRST: Final = re.compile(r"\d{4}-\d\d-\d\d")
Moment = Annotated[AwareDatetime | date, Field(union_mode="left_to_right"), BeforeValidator(_written_out)]
"""In this order: a moment at midnight would pass for a day."""


class DateRange(BaseModel):
    """From when to when, both included; one may be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True)

    from_: Moment | None = Field(
        default=None, alias="from", description="A day (UTC), or a moment with its time zone.", examples=["2024-01-01"]
    )
    to: Moment | None = Field(default=None, description="Likewise; a day counts to its end.")


Values = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...], Field(max_length=50)]


class Filters(BaseModel):
    """What a picture has to be; each filter that is given has to hold. Of several values one is enough, of tags all are needed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    license: Values = Field(default=(), description="SPDX identifiers.", examples=[["CC-BY-2.0", "CC0-1.0"]])
    tags: Values = Field(default=(), description="The picture has every one of these tags.")
    author: Values = ()
    source: Values = Field(default=(), description="Kinds of source: `flickr`, `manifest`.")
    content_type: tuple[ContentType, ...] = Field(default=(), max_length=4)
    orientation: tuple[Orientation, ...] = Field(
        default=(), max_length=3, description="`square` is what is at most a twentieth longer than it is short."
    )
    size: tuple[Size, ...] = Field(
        default=(),
        max_length=3,
        description="By pixels, of the largest size that is known at the source: `medium` from 640 x 480, `large` from "
        "1600 x 1200.",
    )
    uploaded: DateRange | None = None
    taken: DateRange | None = None
    min_width: Pixels | None = Field(default=None, description="Pixels, of the picture at `url`.")
    min_height: Pixels | None = Field(default=None, description="Pixels, of the picture at `url`.")
    ids: tuple[Annotated[str, Field(min_length=1, max_length=ID_LIMIT)], ...] = Field(
        default=(), max_length=1000, description="No other pictures than these."
    )


FacetName = Literal["license", "tags", "author", "source", "content_type", "orientation", "size", "uploaded", "taken"]


class Options(Page):
    """Which pictures are looked among, in what order they come, and what is counted."""

    filters: Filters = Filters()
    sort: Literal["relevance", "newest", "oldest"] = Field(
        default="relevance",
        description="`newest` and `oldest` order the pictures that were found by their date of upload.",
    )
    matches: Literal["all", "strong"] = Field(
        default="all",
        description="`strong` leaves out what is hardly like the query, and may find nothing. Where that cannot be told "
        "yet, in a new collection, it leaves out nothing.",
    )
    collapse: bool = Field(
        default=True,
        strict=True,
        description="Near duplicates (copies of a picture, in another size or format) stand behind the best of them, which "
        "names them; false lists every one.",
    )
    facets: tuple[FacetName, ...] = Field(
        default=(),
        max_length=9,
        description="Count what was found by these fields, dates by year. A field's own filter is left out of its counts, "
        "which tell what else could be chosen.",
        examples=[["license", "tags"]],
    )


KeywordWeight = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="How much the words of titles, tags, descriptions and authors count beside what the pictures show: "
        "0 is meaning alone, 1 puts every picture that has the words before all others.",
    ),
    BeforeValidator(_numeric),
]
KEYWORD_WEIGHT: Final = 0.3


SAYS_SOMETHING: Final = r"[^\s\u0000-\u001f\u007f-\u009f]"
"""Words, for the document: more than white space and control characters."""


class TextSearchRequest(Options):
    """The body of `POST /text_search`."""

    collection: CollectionName
    query: str = Field(
        description="What the picture shows, in words; at most 1000 characters unless configured otherwise.",
        examples=["a dog playing in the snow"],
        json_schema_extra={"pattern": SAYS_SOMETHING},
    )
    keyword_weight: KeywordWeight = KEYWORD_WEIGHT


class ImageSearchRequest(Options):
    """The JSON body of `POST /image_search`: exactly one of `image_url` and `image_base64`."""

    collection: CollectionName
    image_url: ImageUrl | None = None
    image_base64: ImageBase64 | None = None

    @model_validator(mode="after")
    def _exactly_one_picture(self) -> Self:
        if (self.image_url is None) == (self.image_base64 is None):
            raise ValueError("give exactly one of image_url and image_base64")
        return self


class Term(BaseModel):
    """One part of a query: exactly one of `text`, `image_url`, `image_base64` and `id`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str | None = Field(default=None, description="What the picture shows, in words.")
    image_url: ImageUrl | None = None
    image_base64: ImageBase64 | None = None
    id: str | None = Field(
        default=None,
        min_length=1,
        max_length=ID_LIMIT,
        description="A picture of the collection: more like it, or less.",
    )
    weight: Number = Field(
        default=1.0,
        ge=-10,
        le=10,
        description="How much it counts beside the other terms; below 0 it counts against.",
    )

    @model_validator(mode="after")
    def _exactly_one_thing(self) -> Self:
        if sum(given is not None for given in (self.text, self.image_url, self.image_base64, self.id)) != 1:
            raise ValueError("give exactly one of text, image_url, image_base64 and id")
        return self


class SearchRequest(Options):
    """The body of `POST /search`: any mixture of words and pictures, or none at all, to look through what there is."""

    collection: CollectionName
    terms: tuple[Term, ...] = Field(default=(), max_length=16)
    keyword_weight: KeywordWeight = KEYWORD_WEIGHT


class UploadFields(Page):
    """The fields beside the file when `POST /image_search` is a multipart form."""

    collection: CollectionName
    # A form has text alone.
    size: int = Field(default=20, ge=1, le=MAX_SIZE)
    from_: int = Field(default=0, alias="from", ge=0, le=MAX_RESULT_WINDOW)


class Hit(BaseModel):
    """One picture that was found, with what its source says about it."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_serialization_defaults_required=True)

    id: str = Field(description="`<source>:<native id>`, unique in the collection.")
    score: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Likeness of query and picture: `(1 + cosine) / 2`. It is no probability, and its usual range differs "
        "from model to model. Null where nothing was asked for, and for a picture that was found by its words alone.",
    )
    match: Literal["strong", "weak"] | None = Field(
        default=None,
        description="Whether it is more like the query than pictures of the collection are by chance; null where nothing was "
        "asked for, or it cannot be told.",
    )
    has_words: bool = Field(
        default=False, description="Whether its title, tags, description or author have the words that were asked for."
    )
    duplicates: int = Field(default=0, description="Near duplicates of this picture that stand behind it.")
    duplicate_ids: tuple[str, ...] = Field(
        default=(),
        max_length=MAX_DUPLICATE_IDS,
        description="Their ids, best first, 100 at most. To see them: `filters.ids`, and `collapse` false.",
    )
    url: str = Field(description="The picture that was indexed.")
    thumbnail_url: str | None = Field(default=None, description="A small picture for a result grid.")
    page_url: str | None = Field(default=None, description="Where a person sees the original.")
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    author: str | None = None
    author_url: str | None = None
    license: str | None = Field(default=None, description="SPDX identifier where one exists.")
    license_url: str | None = None
    taken_at: datetime | None = None
    uploaded_at: datetime | None = None
    width: int | None = Field(default=None, description="Pixels, of the picture at `url`.")
    height: int | None = Field(default=None, description="Pixels, of the picture at `url`.")
    location: GeoPoint | None = None
    source: str | None = Field(default=None, description="Kind of the source: `flickr`, `manifest`.")


HIT_EXAMPLE: Final[dict[str, Any]] = {
    "id": "flickr:53466812",
    "score": 0.634,
    "match": "strong",
    "has_words": True,
    "duplicates": 1,
    "duplicate_ids": ["flickr:53466813"],
    "url": "https://live.staticflickr.com/65535/53466812_z.jpg",
    "thumbnail_url": "https://live.staticflickr.com/65535/53466812_n.jpg",
    "page_url": "https://www.flickr.com/photos/12345678@N00/53466812",
    "title": "First snow",
    "description": "Bonnie has never seen any before.",
    "tags": ["dog", "snow", "winter"],
    "author": "Ada Example",
    "author_url": "https://www.flickr.com/people/12345678@N00",
    "license": "CC-BY-2.0",
    "license_url": "https://creativecommons.org/licenses/by/2.0/",
    "taken_at": "2024-12-01T09:30:00Z",
    "uploaded_at": "2024-12-02T18:00:00Z",
    "width": 640,
    "height": 427,
    "location": {"lat": 47.37, "lon": 8.54},
    "source": "flickr",
}


class FacetCount(BaseModel):
    """How many of the pictures that were found have a value."""

    model_config = ConfigDict(frozen=True)

    value: str
    count: int


class SearchResponse(BaseModel):
    """One page of hits, best first."""

    model_config = ConfigDict(
        frozen=True,
        validate_by_name=True,
        serialize_by_alias=True,
        json_schema_extra={
            "example": {
                "collection": "stamps",
                "model": "starter/1",
                "took_ms": 21.4,
                "from": 0,
                "size": 1,
                "total": 993,
                "collapsed": 7,
                "available": 84213,
                "strong": 37,
                "next_from": 1,
                "hits": [HIT_EXAMPLE],
                "facets": {"license": [{"value": "CC-BY-2.0", "count": 712}, {"value": "CC0-1.0", "count": 288}]},
            }
        },
    )

    collection: str
    model: str = Field(description="`<name>/<version>` of the model whose vectors were compared.")
    took_ms: float = Field(description="Milliseconds spent on this search by the API and what it asked.")
    from_: int = Field(alias="from")
    size: int = Field(description="Hits asked for; fewer come on the last page.")
    total: int = Field(
        description="Hits that can be paged through: the best so many of the collection. Every picture is somewhat "
        "like every query, so this is the smaller of `available` and the depth bound, not a count of matches; near "
        "duplicates that stand behind others are left out."
    )
    collapsed: int = Field(
        default=0, description="Near duplicates that stand behind the `total`; facets count them, too."
    )
    available: int = Field(description="Pictures of the collection that pass the filters.")
    next_from: int | None = Field(description="`from` of the next page of the same size; null when there is none.")
    strong: int | None = Field(
        default=None,
        description="How many of `total` are strong matches: 0 where nothing matches; null where it cannot be told.",
    )
    degraded: bool = Field(
        default=False,
        description="The encoder did not answer: these pictures were found by their words alone. Ask again in a moment.",
    )
    hits: tuple[Hit, ...]
    facets: dict[FacetName, tuple[FacetCount, ...]] = Field(
        default={},
        description="For each facet that was asked for, its most frequent values, of years the latest first.",
    )


CollectionStatus = Literal["up_to_date", "indexing", "silent"]


class CollectionSummary(BaseModel):
    """One collection that can be searched."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_serialization_defaults_required=True,
        json_schema_extra={
            "example": {
                "collection": "stamps",
                "name": "stamps",
                "namespace": "default",
                "images": 829,
                "model": "starter/1",
                "dims": 512,
                "status": "indexing",
                "lag": 171,
                "images_per_second": 24.5,
                "updated_at": "2026-01-31T12:00:00Z",
            }
        },
    )

    collection: str = Field(description="How a search names it: `name` or `namespace/name`.")
    name: str
    namespace: str
    images: int = Field(description="Pictures that are searchable now.")
    model: str = Field(description="`<name>/<version>` of the model whose vectors it holds.")
    dims: int = Field(description="Length of its vectors.")
    status: CollectionStatus | None = Field(
        default=None,
        description="`up_to_date`: all that was published is done. `indexing`: some waits. `silent`: its embedder has not "
        "said anything for three minutes. Null where nothing is known.",
    )
    lag: int | None = Field(
        default=None,
        description="Messages that wait to be indexed, as its embedder said last; null where it is not known.",
    )
    images_per_second: float | None = Field(
        default=None, description="Pictures indexed per second lately; 0 at rest, null where nothing is known."
    )
    updated_at: datetime | None = Field(default=None, description="When its embedder said so.")


class CollectionList(BaseModel):
    """The collections that can be searched, by name."""

    collections: tuple[CollectionSummary, ...]


class ReportRequest(BaseModel):
    """The body of `POST /report`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    collection: CollectionName
    id: ImageId = Field(description="The picture.", examples=["flickr:53466812"])
    reason: Literal["dead"] = Field(
        default="dead", description="`dead`: it cannot be loaded from where it is said to be."
    )


class ReportReceipt(BaseModel):
    """The report was taken."""

    model_config = ConfigDict(frozen=True)

    known: bool = Field(description="It was reported lately already, so this changes nothing.")


class Health(BaseModel):
    """The process is alive."""

    status: str = Field(default="ok", examples=["ok"])


class EncoderState(BaseModel):
    """Whether the encoder of one model answers."""

    model: str
    reachable: bool


class Readiness(BaseModel):
    """The API can answer. An encoder that is away costs the collections of its model only, so it is told, not judged."""

    status: str = Field(default="ready", examples=["ready"])
    encoders: tuple[EncoderState, ...]
    faults: tuple[str, ...] = Field(default=(), description="What is wrong without being in the way of searches.")


class ProblemError(BaseModel):
    """One fault of a request."""

    pointer: str = Field(description="JSON pointer to the faulty field, as a URI fragment.", examples=["#/size"])
    detail: str


class ProblemDetails(BaseModel):
    """A problem document (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_serialization_defaults_required=True,
        json_schema_extra={
            "example": {
                "type": "urn:imagesearch:problem:unknown-collection",
                "title": "Unknown collection",
                "status": 404,
                "detail": "There is no collection 'stamp'. Collections: stamps.",
                "instance": "/text_search",
                "errors": [],
            }
        },
    )

    type: str = Field(description="What kind of problem; stable, for programs.")
    title: str
    status: int
    detail: str = Field(description="What is wrong here and what to do, for people.")
    instance: str = Field(description="The path that was asked.")
    errors: tuple[ProblemError, ...] = ()
