"""Who is let in, and for how long: what happens to a request between its headers and its route.

Plain ASGI, so that whoever is refused is refused by their headers, before anything of the body is read.

`Door` asks who it is and how much they asked before; `Attendance` gives a request a place among those that are worked
on and a time by which it must be done, and stops the work when nobody waits for the answer any more.
"""

import asyncio
import math
import re
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from fastapi import APIRouter
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imagesearch_search.access import KEY_HEADER, Caller, Keys, key_required
from imagesearch_search.limits import Gate, Place, Quota, RateLimiter, overloaded
from imagesearch_search.problems import (
    DEADLINE_EXCEEDED,
    INVALID_REQUEST,
    RATE_LIMITED,
    UNKNOWN_KEY,
    Problem,
    answer,
)

TIMEOUT_HEADER: Final = "X-Request-Timeout"
OPEN_TAG: Final = "health"
"""Routes of this tag are for whoever looks after the process: no key, no limit, no place."""
_SITE_BITS: Final = 64
_NUMBER: Final = re.compile(r"(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""As JSON writes those that are not below 0; Python's `float` reads much else."""

Guarded = Callable[[Scope], bool]


def guarded_by(router: APIRouter) -> Guarded:
    """Whether a request is for one of the router's routes, other than those that tell how the process is.

    The router itself is asked: what it would answer cannot be reached by another spelling of the path.
    """
    routes = [route for route in router.routes if OPEN_TAG not in getattr(route, "tags", ())]
    return lambda scope: any(route.matches(scope)[0] is not Match.NONE for route in routes)


class Door:
    """Refuses who has no key where one is needed, and who asks too often. Leaves the `Caller` in the request's state.

    Args:
        app: what is behind the door.
        guarded: which requests are looked at.
        keys: the keys that hold now.
        requests_per_minute: of a client whose key says nothing else; None is no limit.
        limiter: counts them.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        guarded: Guarded,
        keys: Callable[[], Keys],
        requests_per_minute: int | None,
        limiter: RateLimiter,
    ) -> None:
        self._app = app
        self._guarded = guarded
        self._keys = keys
        self._requests_per_minute = requests_per_minute
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        keys = self._keys()
        caller = keys.caller(key_of(Headers(scope=scope)))
        scope.setdefault("state", {})["caller"] = caller or keys.anonymous
        if not self._guarded(scope):
            return await self._app(scope, receive, send)
        quota = self._quota(scope, caller)
        headers = {"Cache-Control": "no-store", **(quota.headers() if quota else {})}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        if refusal := _refusal(keys, caller, quota):
            return await answer(refusal, scope["path"])(scope, receive, send_with_headers)
        return await self._app(scope, receive, send_with_headers)

    def _quota(self, scope: Scope, caller: Caller | None) -> Quota | None:
        per_minute = (caller and caller.requests_per_minute) or self._requests_per_minute
        if per_minute is None:
            return None
        return self._limiter.take(counted_as(scope, caller), per_minute)


def counted_as(scope: Scope, caller: Caller | None) -> tuple[str, str]:
    """Which client's requests this one is counted among."""
    # Wrong keys count for the address: whoever tries some out is as limited as whoever shows none.
    return ("key", caller.name) if caller and caller.name else ("address", site_of(client_of(scope)))


def _refusal(keys: Keys, caller: Caller | None, quota: Quota | None) -> Problem | None:
    if quota and quota.retry_seconds:
        return too_often(quota)
    if caller is None:
        return Problem(UNKNOWN_KEY, "This API key is not known (any more).")
    if caller.name is None and keys.required:
        return key_required()
    return None


def too_often(quota: Quota) -> Problem:
    """The problem of whoever has asked for all that they may."""
    detail = f"More than {quota.per_minute} requests a minute. The next is taken in {quota.retry_seconds} s."
    return Problem(RATE_LIMITED, detail, retry_after=quota.retry_seconds)


def key_of(headers: Headers) -> str | None:
    """The API key of a request. Its own header goes first: a proxy before us may have its own use for the other."""
    if key := headers.get(KEY_HEADER, "").strip():
        return key
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def client_of(scope: Scope) -> str:
    """The address that asks; of a proxy that is trusted, the one it names."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def site_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or the network of 2^64 that whoever has an IPv6 address has whole."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and not parsed.ipv4_mapped:
        return str(ip_network((int(parsed), _SITE_BITS), strict=False))
    return address


def seconds_of(headers: Headers, most: float) -> float:
    """How long the client will wait, at most `most`.

    Raises:
        Problem: the header is no number of seconds.
    """
    given = headers.get(TIMEOUT_HEADER)
    if given is None:
        return most
    seconds = float(given) if _NUMBER.fullmatch(given) else 0.0
    if seconds == 0:
        raise Problem(INVALID_REQUEST, f"{TIMEOUT_HEADER} is a number of seconds above 0, such as 2.5.")
    return min(seconds, most)


class Attendance:
    """Sees a request through: its body, its place, its end.

    The time runs from the headers on. When it is over, or the client hangs up, the work is cancelled where it stands,
    and with it the connections to the encoder, to Elasticsearch and to a picture's server; the first two stop by that.
    (A time limit given to each of them instead would count as their failure, and one client's 1 ms would open the
    circuit of an encoder for all.) What others wait for too goes on.

    A place is held from the end of the body to the beginning of the answer: clients that send or read slowly hold none.

    Args:
        app: the routes.
        guarded: which requests are attended.
        gate: where the places are.
        seconds: the longest that a request may take.
    """

    def __init__(self, app: ASGIApp, *, guarded: Guarded, gate: Gate, seconds: float) -> None:
        self._app = app
        self._guarded = guarded
        self._gate = gate
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._guarded(scope):
            return await self._app(scope, receive, send)
        try:
            if self._gate.full:
                raise overloaded()
            await self._attend(seconds_of(Headers(scope=scope), self._seconds), scope, receive, send)
        except Problem as problem:
            await answer(problem, scope["path"])(scope, receive, send)
        except ClientDisconnect:
            pass  # nobody reads an answer

    async def _attend(self, seconds: float, scope: Scope, receive: Receive, send: Send) -> None:
        place = Place(self._gate)
        answered = hung_up = False

        async def send_and_let_go(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                place.give_back()
                if not limit.expired():
                    limit.reschedule(None)  # what is left is up to the network, and no other answer can be given
            await send(message)

        async def watch() -> None:
            nonlocal hung_up
            while (await receive())["type"] != "http.disconnect":
                pass
            if not answered and not limit.expired():
                hung_up = True
                limit.reschedule(-math.inf)

        try:
            async with asyncio.timeout(seconds) as limit:
                body = await _whole(receive)
                watching = asyncio.create_task(watch())
                try:
                    await place.take()
                    await self._app(scope, _again(body), send_and_let_go)
                finally:
                    watching.cancel()
                    place.give_back()
        except TimeoutError:
            if hung_up:
                raise ClientDisconnect from None
            if not limit.expired():
                raise
            raise Problem(DEADLINE_EXCEEDED, f"There was no answer within {seconds:g} s.", retry_after=1) from None


async def _whole(receive: Receive) -> bytes:
    """The body, when all of it is there: from then on, `receive` only tells that the client has gone.

    Raises:
        ClientDisconnect: it never came.
    """
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def _again(body: bytes) -> Receive:
    """A `receive` that gives the body once, and then waits: who hangs up is not told by it."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if messages:
            return messages.pop()
        await asyncio.Event().wait()
        raise AssertionError("nothing ends the wait but cancelling it")

    return receive
