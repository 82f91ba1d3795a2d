"""One line for each request, as JSON on the standard output. `main` switches it on.

It never holds a key, a query string, or a header. What was searched for is in it only where the settings say so.
"""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imagesearch_search.admission import client_of

log = logging.getLogger(__name__)

_PROBES: Final = frozenset({"/healthz", "/readyz"})
_HUNG_UP: Final = 499
"""The status of a request that nobody waited for; nginx's number for it."""
_QUERY_LIMIT: Final = 16 * 1024
_PATH_LIMIT: Final = 200


class AccessLog:
    """Logs each request when it has ended; the probes of a process only when they fail.

    Args:
        app: what answers.
        queries: whether the JSON of a search is logged, too (pictures left out).
    """

    def __init__(self, app: ASGIApp, *, queries: bool) -> None:
        self._app = app
        self._queries = queries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started, status, body = time.perf_counter(), _HUNG_UP, bytearray()

        async def send_and_see(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        async def receive_and_keep() -> Message:
            message = await receive()
            if len(body) <= _QUERY_LIMIT:
                body.extend(message.get("body", b""))
            return message

        try:
            await self._app(scope, receive_and_keep if self._queries else receive, send_and_see)
        except Exception:
            status = 500  # it is answered further out
            raise
        finally:
            if status >= 400 or scope["path"] not in _PROBES:
                line = _line(scope, status, time.perf_counter() - started)
                if body:
                    line["search"] = _search(bytes(body))
                log.info("%s", json.dumps(line))


def _line(scope: Scope, status: int, seconds: float) -> dict[str, Any]:
    caller = scope.get("state", {}).get("caller")
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "method": scope["method"],
        "path": scope["path"][:_PATH_LIMIT],
        "status": status,
        "ms": round(seconds * 1000, 1),
        "client": client_of(scope),
        "key": caller.name if caller else None,
    }


def _search(body: bytes) -> Any:
    """What was searched for, as far as it is JSON and short; else nothing of it."""
    if len(body) > _QUERY_LIMIT:
        return None
    try:
        return json.loads(body, object_hook=lambda found: {k: v for k, v in found.items() if k != "image_base64"})
    except (ValueError, RecursionError):
        return None


def to_standard_output() -> None:
    """Write the lines there, as they are."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
