"""Problems (RFC 9457): every answer that is not a success is one of these kinds, as `application/problem+json`.

    Problem
        who asks        KEY_REQUIRED, UNKNOWN_KEY, RATE_LIMITED
        the request     INVALID_REQUEST, MALFORMED_BODY, TOO_DEEP, UNKNOWN_COLLECTION, UNKNOWN_PICTURE
        its picture     BODY_TOO_LARGE, IMAGE_TOO_LARGE, UNSUPPORTED_IMAGE, UNUSABLE_IMAGE, IMAGE_NOT_FETCHED
        its media type  UNSUPPORTED_BODY
        what we can do  OVERLOADED, TOO_MANY_REPORTS, DEADLINE_EXCEEDED
        what we ask     ENCODER_UNAVAILABLE, ENCODER_OVERLOADED, MODEL_MISMATCH, INDEX_UNAVAILABLE, INDEX_UNREADABLE

`routes` and `engine` raise `Problem`; `install` teaches an application to answer with them.
"""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from imagesearch_search.schema import ProblemDetails, ProblemError

MEDIA_TYPE = "application/problem+json"

log = logging.getLogger(__name__)


class Kind(NamedTuple):
    """A kind of problem: its code is the last part of the problem's `type`, and never changes."""

    code: str
    status: int
    title: str


KEY_REQUIRED = Kind("key-required", 401, "An API key is needed")
UNKNOWN_KEY = Kind("unknown-key", 401, "Unknown API key")
RATE_LIMITED = Kind("rate-limited", 429, "Too many requests of one client")
OVERLOADED = Kind("overloaded", 429, "Too many requests of all clients")
TOO_MANY_REPORTS = Kind("too-many-reports", 429, "Too many pictures of the collection are reported")
DEADLINE_EXCEEDED = Kind("deadline-exceeded", 504, "Not answered in time")
INVALID_REQUEST = Kind("invalid-request", 422, "The request has faults")
MALFORMED_BODY = Kind("malformed-body", 400, "The body cannot be read")
TOO_DEEP = Kind("too-deep", 400, "Past the last page")
UNKNOWN_COLLECTION = Kind("unknown-collection", 404, "Unknown collection")
UNKNOWN_PICTURE = Kind("unknown-picture", 404, "Unknown picture")
BODY_TOO_LARGE = Kind("body-too-large", 413, "The body is too large")
UNSUPPORTED_BODY = Kind("unsupported-body", 415, "Unsupported media type of the body")
IMAGE_TOO_LARGE = Kind("image-too-large", 413, "The picture is too large")
UNSUPPORTED_IMAGE = Kind("unsupported-image", 415, "Not a picture of a known format")
UNUSABLE_IMAGE = Kind("unusable-image", 422, "The picture cannot be used")
IMAGE_NOT_FETCHED = Kind("image-not-fetched", 422, "The picture could not be fetched")
ENCODER_UNAVAILABLE = Kind("encoder-unavailable", 503, "The encoder does not answer")
ENCODER_OVERLOADED = Kind("encoder-overloaded", 503, "The encoder has too much to do")
MODEL_MISMATCH = Kind("model-mismatch", 503, "Encoder and index hold different models")
INDEX_UNAVAILABLE = Kind("index-unavailable", 503, "Elasticsearch does not answer")
INDEX_UNREADABLE = Kind("index-unreadable", 503, "The collection's index is not readable")
INTERNAL = Kind("internal", 500, "Internal error")
# RFC 6750: an error code only where there was a key.
_CHALLENGES: Final = {
    KEY_REQUIRED: 'Bearer realm="imagesearch"',
    UNKNOWN_KEY: 'Bearer realm="imagesearch", error="invalid_token"',
}


class Problem(HTTPException):
    """Something went wrong that the caller is told about.

    It derives from `HTTPException` because FastAPI turns any other exception that is raised while it reads a body into a 400.
    """

    def __init__(
        self, kind: Kind, detail: str, *, errors: Sequence[ProblemError] = (), retry_after: int | None = None
    ) -> None:
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        if kind in _CHALLENGES:
            headers["WWW-Authenticate"] = _CHALLENGES[kind]
        super().__init__(kind.status, detail, headers)
        self.kind = kind
        self.errors = tuple(errors)

    @classmethod
    def of_validation(cls, error: ValidationError | RequestValidationError) -> "Problem":
        """The faults that pydantic found, each with a pointer; what was sent is not repeated."""
        faults = error.errors() if isinstance(error, RequestValidationError) else error.errors(include_url=False)
        if any(fault["type"] in ("json_invalid", "model_attributes_type", "model_type") for fault in faults):
            return cls(MALFORMED_BODY, "The body is not a JSON object.")
        errors = [ProblemError(pointer=_pointer(fault["loc"]), detail=_sentence(fault["msg"])) for fault in faults]
        return cls(INVALID_REQUEST, "; ".join(f"{e.pointer[2:] or 'body'}: {e.detail}" for e in errors), errors=errors)


def _pointer(location: Sequence[Any]) -> str:
    """`("body", "size")` -> `#/size`."""
    return "#/" + "/".join(str(part) for part in location if part != "body")


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")


def document(kind: Kind, detail: str, path: str, errors: Sequence[ProblemError] = ()) -> dict[str, Any]:
    """The problem document of one answer."""
    return ProblemDetails(
        type="about:blank" if kind.code == "" else f"urn:imagesearch:problem:{kind.code}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=path,
        errors=tuple(errors),
    ).model_dump(mode="json")


def answer(problem: Problem, path: str) -> Response:
    """The HTTP response of a problem."""
    body = document(problem.kind, problem.detail, path, problem.errors)
    return JSONResponse(body, problem.kind.status, problem.headers, media_type=MEDIA_TYPE)


async def respond(request: Request, error: Exception) -> Response:
    """The exception handler of the application: any error in, a problem document out."""
    path = request.url.path
    match error:
        case Problem():
            if error.kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                log.warning("%s %s: %s (%r)", request.method, path, error.detail, error.__cause__)
            return answer(error, path)
        case RequestValidationError():
            return answer(Problem.of_validation(error), path)
        case HTTPException():
            kind = Kind("", error.status_code, HTTPStatus(error.status_code).phrase)
            body = document(kind, _http_detail(request, error), path)
            return JSONResponse(body, error.status_code, error.headers, media_type=MEDIA_TYPE)
        case _:
            log.error("%s %s failed", request.method, path, exc_info=error)
            return answer(Problem(INTERNAL, "The cause is in the log of the search API."), path)


def install(app: FastAPI) -> None:
    """Make `app` answer every error with a problem document."""
    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, respond)


def _http_detail(request: Request, error: HTTPException) -> str:
    match error.status_code:
        case 404:
            return f"There is nothing at {request.url.path}. The API is described at /docs."
        case 405:
            allowed = (error.headers or {}).get("Allow") or (error.headers or {}).get("allow", "another method")
            return f"{request.url.path} does not answer {request.method}; use {allowed}."
        case _:
            return str(error.detail)
