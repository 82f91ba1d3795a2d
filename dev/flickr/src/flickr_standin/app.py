"""The HTTP application: Flickr's REST endpoint, the pictures, and faults on demand. `main` and the tests call `create_app`.

A fault is ordered by `POST /_faults` and answers the next calls of the API in place of it, so that a client can be shown
what Flickr does on a bad day. `POST /_photos` and `DELETE /_photos/<id>` do what owners do to their photos meanwhile.
"""

import asyncio
import re
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from flickr_standin import answer
from flickr_standin.photos import Library, Photo, photos_of
from flickr_standin.search import FlickrError, estimated, group_at, info, owner_at, search

API_PATH: Final = "/services/rest/"
PICTURES_PATH: Final = "/photos"
REQUESTS_PER_HOUR: Final = 3600

_BODY_LIMIT = 2**20
_PHOTO = TypeAdapter(Photo)
_CALLBACK = re.compile(r"[A-Za-z_$][\w$.]{0,99}")


class Fault(BaseModel):
    """What the next calls of the API get in place of an answer."""

    status: Annotated[int, Field(ge=400, le=599)] | Literal["throttle", "html", "truncated", "busy", "slow"]
    """An HTTP status, or: 429; an error page with status 200; half an answer; `stat: fail` 105; the answer, late."""
    count: int = Field(default=1, ge=0)
    seconds: float = Field(default=1.0, ge=0, le=600, description="How late `slow` is.")
    retry_after: str | None = Field(default=None, description="Retry-After header of `throttle` and of statuses.")


class Throttle:
    """Counts the calls of each key in the last hour."""

    def __init__(self, requests_per_hour: int, clock: Callable[[], float]) -> None:
        self._limit, self._clock = requests_per_hour, clock
        self._calls: defaultdict[str, deque[float]] = defaultdict(deque)

    def admits(self, key: str) -> bool:
        """Count a call; say whether it is within the limit."""
        now, calls = self._clock(), self._calls[key]
        while calls and calls[0] <= now - 3600:
            calls.popleft()
        if len(calls) >= self._limit:
            return False
        calls.append(now)
        return True


def create_app(
    pictures: Path | None = None,
    *,
    photos: Iterable[Photo] | Library | None = None,
    api_key: str = "demo",
    base_url: str | None = None,
    requests_per_hour: int = REQUESTS_PER_HOUR,
    clock: Callable[[], float] = time.time,
) -> FastAPI:
    """Make the application.

    Args:
        pictures: the folder whose pictures are served, and are the photos unless `photos` are given.
        photos: the photos to search; a library, to change them meanwhile.
        api_key: the one key that is valid.
        base_url: where clients reach the application; taken from each request where it is not given.
        requests_per_hour: calls of one key above which it gets HTTP 429.
        clock: seconds since 1970, for the throttling and for what is not indexed yet.
    """
    if photos is None:
        photos = photos_of(pictures) if pictures is not None else []
    library = photos if isinstance(photos, Library) else Library(photos)
    throttle = Throttle(requests_per_hour, clock)
    faults: deque[Fault] = deque()
    app = FastAPI(title="Flickr stand-in", docs_url=None, redoc_url=None)

    @app.api_route(API_PATH, methods=["GET", "POST"])
    @app.api_route(API_PATH.rstrip("/"), methods=["GET", "POST"], include_in_schema=False)
    async def rest(request: Request) -> Response:
        arguments = await _arguments(request)
        fault = faults.popleft() if faults else None
        if fault is not None and fault.status == "slow":
            await asyncio.sleep(fault.seconds)
        elif fault is not None and (broken := _broken(fault, arguments)) is not None:
            return broken
        if not throttle.admits(arguments.get("api_key", "")):
            return _too_many_requests(None)
        try:
            if arguments.get("api_key") != api_key:
                raise FlickrError(100, "Invalid API Key (Key has invalid format)")
            pictures_url = (base_url or str(request.base_url)).rstrip("/") + PICTURES_PATH
            now = datetime.fromtimestamp(clock(), UTC)
            response = _write(call(library, arguments, pictures_url, now), arguments)
        except FlickrError as failure:
            response = _write(failure, arguments)
        if fault is not None and fault.status == "truncated":
            return Response(response.body[: len(response.body) // 2], media_type=response.media_type)
        return response

    @app.post("/_faults")
    async def order(fault: Fault) -> dict[str, int]:
        """Put off the API for the next `count` calls; 0 takes back all that was ordered."""
        if fault.count == 0:
            faults.clear()
        faults.extend([fault] * fault.count)
        return {"ordered": len(faults)}

    @app.post("/_photos")
    async def put(fields: dict[str, Any]) -> dict[str, int]:
        """Change fields of the photo with this `id`, or add one that has at least the fields without a default."""
        known = library.get(str(fields.get("id")))
        try:
            library.put(_PHOTO.validate_python({**(asdict(known) if known else {}), **fields}))
        except ValidationError as error:
            raise HTTPException(422, str(error)) from error
        return {"photos": len(library.photos)}

    @app.delete("/_photos/{id}")
    async def remove(id: str) -> dict[str, int]:
        """Delete a photo."""
        if not library.remove(id):
            raise HTTPException(404, f"no photo {id}")
        return {"photos": len(library.photos)}

    @app.get("/healthz")
    async def healthz() -> dict[str, int]:
        return {"photos": len(library.photos)}

    if pictures is not None:
        app.mount(PICTURES_PATH, StaticFiles(directory=pictures))
    return app


def call(library: Library, arguments: Mapping[str, str], pictures_url: str, now: datetime) -> answer.Answer:
    """Answer one call of the API.

    Raises:
        FlickrError: `stat: fail`.
    """
    match method := arguments.get("method", ""):
        case "flickr.photos.search":
            extras = [extra.strip() for extra in arguments.get("extras", "").split(",")]
            found = search(library.photos, arguments, logged_in="oauth_token" in arguments, now=now, estimate=estimated)
            return answer.photos(found, extras, pictures_url)
        case "flickr.photos.getInfo":
            return answer.info(info(library.get(arguments.get("photo_id", ""))))
        case "flickr.urls.lookupUser":
            return answer.user(owner_at(library.photos, arguments.get("url", "")))
        case "flickr.urls.lookupGroup":
            return answer.group(group_at(library.photos, arguments.get("url", "")))
        case "flickr.photos.licenses.getInfo":
            return answer.licenses()
        case "flickr.test.echo":
            return answer.echo(arguments)
        case _:
            raise FlickrError(112, f'Method "{method}" not found')


async def _arguments(request: Request) -> dict[str, str]:
    """Arguments of the query and of a form, and those of an OAuth header, in which a signed call carries its key.

    The signature itself is not checked: that takes the key's secret, which the stand-in does not have.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _BODY_LIMIT:
            break
    form = parse_qsl(body[:_BODY_LIMIT].decode(errors="replace"), keep_blank_values=True)
    scheme, _, values = request.headers.get("Authorization", "").partition(" ")
    oauth = dict(re.findall(r'(oauth_\w+)="([^"]*)"', values)) if scheme == "OAuth" else {}
    key = {"api_key": oauth["oauth_consumer_key"]} if "oauth_consumer_key" in oauth else {}
    return {**key, **dict(request.query_params), **dict(form), **oauth}


def _write(outcome: answer.Answer | FlickrError, arguments: Mapping[str, str]) -> Response:
    match form := arguments.get("format", "rest"):
        case "json" if arguments.get("nojsoncallback") == "1":
            return Response(answer.as_json(outcome, None), media_type="application/json")
        case "json":
            callback = arguments.get("jsoncallback", "jsonFlickrApi")
            text = answer.as_json(outcome, callback if _CALLBACK.fullmatch(callback) else "jsonFlickrApi")
            return Response(text, media_type="text/javascript")
        case "rest":
            return Response(answer.as_xml(outcome), media_type="text/xml")
        case _:
            return Response(answer.as_xml(FlickrError(111, f'Format "{form}" not found')), media_type="text/xml")


def _broken(fault: Fault, arguments: Mapping[str, str]) -> Response | None:
    match fault.status:
        case "throttle":
            return _too_many_requests(fault.retry_after)
        case "html":
            return HTMLResponse("<html><body><h1>Bad, bad panda!</h1></body></html>")
        case "busy":
            return _write(FlickrError(105, "Service currently unavailable"), arguments)
        case int(status):
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else None
            return HTMLResponse(f"<html><body><h1>{status}</h1></body></html>", status, headers)
        case _:
            return None


def _too_many_requests(retry_after: str | None) -> Response:
    return HTMLResponse(
        "<html><body><h1>429 Too Many Requests</h1>\nYou have sent too many requests in a given amount of time.\n"
        "</body></html>",
        429,
        {"Retry-After": retry_after} if retry_after else None,
    )
