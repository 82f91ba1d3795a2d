"""What happens to every request, whatever its route: its time is taken, its body is counted, its answer is hardened.

Plain ASGI: the limit has to stand where the bytes arrive, before anything collects them.
"""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imagesearch_search.limits import overloaded
from imagesearch_search.problems import BODY_TOO_LARGE, Problem, answer
from imagesearch_search.timing import Stages

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' http: https: data: blob:",  # thumbnails come straight from where the pictures are
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
TOGETHER: Final = 64 * 2**20
"""Bytes of the large bodies that are held at once. Each may take memory several times while it is decoded."""
_HARDENING: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Headers:
    """Adds `Server-Timing` and the security headers to every answer, and puts the `Stages` into the request's state."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        stages = Stages()
        scope.setdefault("state", {})["stages"] = stages

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Server-Timing"] = stages.header()
                for name, value in _HARDENING.items():
                    headers.setdefault(name, value)
            await send(message)

        return await self._app(scope, receive, send_with_headers)


class BodyLimit:
    """Refuses a body past `limits[path]` (else `default`) bytes with 413, by its declared length or while it arrives.

    Bodies past `default` bytes share `together` bytes of memory. While these are taken, further ones are refused with
    429: many slow uploads could fill the memory otherwise. Smaller bodies, those of words, always have room.
    """

    def __init__(self, app: ASGIApp, *, default: int, limits: dict[str, int], together: int = TOGETHER) -> None:
        self._app = app
        self._default = default
        self._limits = limits
        self._together = max(together, *limits.values())
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        limit = self._limits.get(scope["path"], self._default)
        problem = Problem(BODY_TOO_LARGE, f"The body has more than the {limit} bytes that are taken here.")
        declared = Request(scope).headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > limit:
            return await answer(problem, scope["path"])(scope, receive, send)
        received = held = 0

        async def counting() -> Message:
            nonlocal received, held
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise problem
            if received > self._default:
                self._held += received - held
                held = received
                if self._held > self._together:
                    raise overloaded()
            return message

        try:
            return await self._app(scope, counting, send)
        finally:
            self._held -= held
