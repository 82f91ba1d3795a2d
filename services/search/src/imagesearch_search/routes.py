"""The routes of the search API: read the request, ask the engine."""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException

from imagesearch_search import query
from imagesearch_search.access import faults_of
from imagesearch_search.admission import counted_as, too_often
from imagesearch_search.engine import SearchEngine
from imagesearch_search.problems import INVALID_REQUEST, MALFORMED_BODY, UNSUPPORTED_BODY, Problem
from imagesearch_search.query import Wanted
from imagesearch_search.schema import (
    COLLECTION_PATTERN,
    CollectionList,
    Health,
    ImageSearchRequest,
    Options,
    ProblemDetails,
    ProblemError,
    Readiness,
    ReportReceipt,
    ReportRequest,
    SearchRequest,
    SearchResponse,
    Term,
    TextSearchRequest,
    UploadFields,
)
from imagesearch_search.timing import Stages

router = APIRouter()

REPORTS_PER_MINUTE: Final = 20
"""Of one client to one process. Each may have a stranger's server be asked for a picture."""

Model = TypeVar("Model", bound=BaseModel)


def _engine(request: Request) -> SearchEngine:
    engine: SearchEngine = request.app.state.engine
    return engine.seen_by(request.state.caller)


def _stages(request: Request) -> Stages:
    stages: Stages = request.state.stages
    return stages


def _fresh(request: Request) -> bool:
    """Whether nothing that is remembered may answer."""
    return "no-cache" in request.headers.get("cache-control", "")


EngineDep = Annotated[SearchEngine, Depends(_engine)]
StagesDep = Annotated[Stages, Depends(_stages)]
FreshDep = Annotated[bool, Depends(_fresh)]


def _problems(**described: str) -> dict[int | str, dict[str, Any]]:
    return {int(status[1:]): {"model": ProblemDetails, "description": text} for status, text in described.items()}


_TEXT_EXAMPLES: Final[dict[str, Any]] = {
    "english": {"summary": "In words", "value": {"collection": "stamps", "query": "musical instrument", "size": 10}},
    "german": {"summary": "In another language", "value": {"collection": "stamps", "query": "Vögel"}},
    "second page": {"summary": "The second page", "value": {"collection": "stamps", "query": "a boat", "from": 20}},
}
_SEARCH_EXAMPLES: Final[dict[str, Any]] = {
    "mixture": {
        "summary": "Words, more like one picture and less like another",
        "value": {
            "collection": "stamps",
            "terms": [{"text": "a boat"}, {"id": "flickr:53466812", "weight": 0.5}, {"id": "flickr:7", "weight": -0.5}],
        },
    },
    "filters": {
        "summary": "Among pictures of some licences and years, with counts",
        "value": {
            "collection": "stamps",
            "terms": [{"text": "spielende Hunde"}],
            "filters": {"license": ["CC-BY-2.0", "CC0-1.0"], "uploaded": {"from": "2024-01-01"}},
            "facets": ["license", "tags"],
        },
    },
    "browse": {"summary": "What came last", "value": {"collection": "stamps", "sort": "newest"}},
}
_IMAGE_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {"$ref": "#/components/schemas/ImageSearchRequest"},
            "examples": {
                "url": {
                    "summary": "By address",
                    "value": {
                        "collection": "stamps",
                        "image_url": "https://live.staticflickr.com/65535/53466812_n.jpg",
                    },
                },
                "base64": {
                    "summary": "By content",
                    "value": {
                        "collection": "stamps",
                        "image_base64": "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
                    },
                },
            },
        },
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "title": "ImageUpload",
                "required": ["collection", "image"],
                "properties": {
                    "collection": {"type": "string", "pattern": COLLECTION_PATTERN},
                    "image": {"type": "string", "format": "binary", "description": "JPEG, PNG, WebP or GIF."},
                    "size": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
                    "from": {"type": "integer", "minimum": 0, "default": 0},
                },
            }
        },
    },
}


@router.post(
    "/text_search",
    tags=["search"],
    summary="Find pictures by words",
    openapi_extra={"requestBody": {"content": {"application/json": {"examples": _TEXT_EXAMPLES}}}},
    responses=_problems(
        _400="Not JSON, or past the last page that is answered",
        _404="Unknown collection",
        _413="The body is too large",
        _422="The request has faults, such as an empty query",
        _503="The encoder or Elasticsearch does not answer",
    ),
)
async def text_search(
    asked: TextSearchRequest, engine: EngineDep, stages: StagesDep, fresh: FreshDep
) -> SearchResponse:
    """The pictures that are most like the words, best first. `Cache-Control: no-cache` encodes the words anew."""
    wanted = [engine.text(asked.query)]
    return await engine.search(
        asked.collection, wanted, asked, stages, keyword_weight=asked.keyword_weight, fresh=fresh
    )


@router.post(
    "/search",
    tags=["search"],
    summary="Find pictures by a mixture of words and pictures",
    openapi_extra={"requestBody": {"content": {"application/json": {"examples": _SEARCH_EXAMPLES}}}},
    responses=_problems(
        _400="Not JSON, or past the last page that is answered",
        _404="Unknown collection",
        _413="The body or a picture is too large",
        _415="Not a picture of a known format",
        _422="The request has faults, or a picture cannot be fetched or decoded",
        _503="The encoder or Elasticsearch does not answer",
    ),
)
async def search(asked: SearchRequest, engine: EngineDep, stages: StagesDep, fresh: FreshDep) -> SearchResponse:
    """The pictures that are most like all terms together, best first. Terms with a weight below 0 count against:
    "less like this". Pictures of the collection that are terms are not among the answers. Without terms, everything
    that passes the filters comes, the newest first."""
    wanted = await asyncio.gather(
        *(_wanted(term, f"terms/{number}", engine, stages) for number, term in enumerate(asked.terms))
    )
    return await engine.search(
        asked.collection, wanted, asked, stages, keyword_weight=asked.keyword_weight, fresh=fresh
    )


async def _wanted(term: Term, pointer: str, engine: SearchEngine, stages: Stages) -> Wanted:
    if term.text is not None:
        return engine.text(term.text, term.weight, f"{pointer}/text")
    if term.id is not None:
        return Wanted(id=term.id, weight=term.weight)
    picture = await _given(term.image_url, term.image_base64, f"{pointer}/image_base64", engine, stages)
    return Wanted(picture=picture, weight=term.weight)


@router.post(
    "/image_search",
    tags=["search"],
    summary="Find pictures by a picture",
    openapi_extra={"requestBody": _IMAGE_BODY},
    responses=_problems(
        _400="The body cannot be read, or past the last page that is answered",
        _404="Unknown collection",
        _413="The body or the picture is too large",
        _415="Neither JSON nor a form, or not a picture of a known format",
        _422="The request has faults, or the picture cannot be fetched or decoded",
        _503="The encoder or Elasticsearch does not answer",
    ),
)
async def image_search(request: Request, engine: EngineDep, stages: StagesDep) -> SearchResponse:
    """The pictures that are most like a picture, best first: given by address, in base64, or as an upload."""
    match request.headers.get("content-type", "").partition(";")[0].strip().lower():
        case "application/json":
            asked = _validated(ImageSearchRequest, await request.body())
            picture = await _given(asked.image_url, asked.image_base64, "image_base64", engine, stages)
            return await engine.search(asked.collection, [Wanted(picture=picture)], asked, stages)
        case "multipart/form-data":
            fields, picture = await _upload(request, engine.max_picture_bytes)
            options = Options(size=fields.size, from_=fields.from_)
            return await engine.search(fields.collection, [Wanted(picture=picture)], options, stages)
        case other:
            raise Problem(
                UNSUPPORTED_BODY,
                f"Send application/json or multipart/form-data, not {other or 'a body without a content type'}.",
            )


async def _given(url: str | None, base64: str | None, field: str, engine: SearchEngine, stages: Stages) -> bytes:
    """A picture that is given by address or in base64."""
    if url is not None:
        return await engine.fetch(url, stages)
    return query.picture_of_base64(base64 or "", engine.max_picture_bytes, field)


async def _upload(request: Request, max_bytes: int) -> tuple[UploadFields, bytes]:
    try:
        async with request.form(max_files=1, max_fields=8, max_part_size=4096) as form:
            picture = await _picture(form, max_bytes)
            fields = {name: value for name, value in form.items() if name != "image"}
            return _validated(UploadFields, fields), picture
    except MultiPartException as error:
        raise Problem(MALFORMED_BODY, f"The form cannot be read: {error.message}") from error


async def _picture(form: FormData, max_bytes: int) -> bytes:
    image = form.get("image")
    if not isinstance(image, UploadFile):
        detail = "send the picture as a file in the form field 'image'"
        raise Problem(INVALID_REQUEST, detail, errors=[ProblemError(pointer="#/image", detail=detail)])
    picture = await image.read(max_bytes + 1)
    if len(picture) > max_bytes:
        raise query.too_large(max_bytes)
    return picture


def _validated(model: type[Model], given: bytes | dict[str, Any]) -> Model:
    try:
        return model.model_validate_json(given) if isinstance(given, bytes) else model.model_validate(given)
    except ValidationError as error:
        raise Problem.of_validation(error) from error


@router.get(
    "/collections",
    tags=["collections"],
    summary="What can be searched",
    responses=_problems(_503="Elasticsearch does not answer"),
)
async def collections(engine: EngineDep) -> CollectionList:
    """Every collection, with the number of its searchable pictures, its model, and how far its embedder is."""
    return CollectionList(collections=await engine.collections.summaries())


@router.post(
    "/report",
    tags=["collections"],
    summary="Say that a picture is not there any more",
    status_code=HTTPStatus.ACCEPTED,
    responses=_problems(
        _400="Not JSON",
        _404="Unknown collection, or no such picture in it",
        _413="The body is too large",
        _422="The request has faults",
        _503="Elasticsearch does not answer",
    ),
)
async def report(asked: ReportRequest, request: Request, engine: EngineDep) -> ReportReceipt:
    """What cannot be loaded may be reported. The picture is asked for anew, once an hour at most, and leaves the
    collection only if its server says that it is gone. Each client may report 20 pictures a minute."""
    quota = request.app.state.reports.take(counted_as(request.scope, request.state.caller), REPORTS_PER_MINUTE)
    if quota.retry_seconds:
        raise too_often(quota)
    return ReportReceipt(known=not await engine.report(asked.collection, asked.id))


@router.get("/healthz", tags=["health"], summary="Is the process alive")
async def healthz() -> Health:
    """Answers while the process runs, whatever else is down: restart it when this does not answer."""
    return Health()


@router.get(
    "/readyz",
    tags=["health"],
    summary="Can it answer searches",
    responses=_problems(_503="Elasticsearch does not answer"),
)
async def readyz(request: Request, engine: EngineDep) -> Readiness:
    """Ready when Elasticsearch answers. Encoders are reported, not judged: one that is away takes only its own
    collections with it, and their searches say so at once."""
    readiness = await engine.readiness()
    return readiness.model_copy(update={"faults": faults_of(request.app.state.key_file)})
