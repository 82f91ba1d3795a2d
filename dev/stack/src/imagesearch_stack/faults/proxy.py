"""An Elasticsearch that fails: a proxy that passes on what it does not refuse, delay or break off, at random from a seed."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from aiohttp import ClientError, ClientSession, web
from yarl import URL

from imagesearch_stack.faults.serving import Server, reset

STALL_SECONDS: Final = 5.0
REJECTION: Final = {
    "type": "es_rejected_execution_exception",
    "reason": "rejected execution of coordinating operation [by the fault proxy]",
}
_HOP_BY_HOP: Final = frozenset(
    {"host", "connection", "content-length", "content-encoding", "transfer-encoding", "accept-encoding"}
)


class Fault(StrEnum):
    """What may happen to a request, or to an item of a bulk request."""

    REJECTED = "429"
    """An item of a bulk request does not reach Elasticsearch, and is answered as when its write queue is full."""
    UNAVAILABLE = "503"
    """The request does not reach Elasticsearch."""
    STALL = "stall"
    """The request is passed on only after `STALL_SECONDS`."""
    RESET = "reset"
    """Elasticsearch does what it was asked for; half-way through its answer the connection is reset."""


class Item(NamedTuple):
    """One operation of a bulk request."""

    action: str
    """`index`, `create`, `update` or `delete`."""
    fields: dict[str, Any]
    """`_id`, `version` and the like."""
    lines: tuple[bytes, ...]


class Proxy(Server):
    """Stands before one Elasticsearch. Counts what it lets happen."""

    def __init__(self, upstream: str, faults: Mapping[Fault, float], *, seed: int | str) -> None:
        """Set up.

        Args:
            upstream: the URL of the real one.
            faults: each with its share, 0 to 1: of the items of bulk requests for `REJECTED`, else of the requests.
            seed: of the chance.
        """
        super().__init__()
        self.happened: Counter[Fault] = Counter()
        self.requests = 0
        self._upstream, self._faults, self._random = upstream, faults, random.Random(seed)  # noqa: S311  chance, not secrecy

    async def open(self) -> None:
        """Begin to listen."""
        self._session = ClientSession(trust_env=False, auto_decompress=True)
        await super().open()

    async def close(self) -> None:
        """Stop, with whatever is under way."""
        await super().close()
        await self._session.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Pass the request on, unless chance has it otherwise."""
        self.requests += 1
        body = await request.content.read()
        if self._strikes(Fault.UNAVAILABLE):
            return _json(503, {"error": {"type": "unavailable", "reason": "by the fault proxy"}, "status": 503})
        if self._strikes(Fault.STALL):
            await asyncio.sleep(STALL_SECONDS)
        is_bulk = request.method in ("POST", "PUT") and request.path.endswith("/_bulk")
        answer = await (self._bulk(request, body) if is_bulk else self._pass_on(request, body))
        return await _break_off(request, answer) if self._strikes(Fault.RESET) else answer

    def _strikes(self, fault: Fault) -> bool:
        strikes = self._random.random() < self._faults.get(fault, 0)
        self.happened[fault] += strikes
        return strikes

    async def _bulk(self, request: web.BaseRequest, body: bytes) -> web.Response:
        items = bulk_items(body)
        rejected = [self._strikes(Fault.REJECTED) for _ in items]
        if not any(rejected):
            return await self._pass_on(request, body)
        kept = [item for item, is_rejected in zip(items, rejected, strict=True) if not is_rejected]
        answer: dict[str, Any] = {"took": 0, "items": []}
        if kept:
            passed = await self._pass_on(request, bulk_body(kept))
            if passed.status != 200:
                return passed
            assert isinstance(passed.body, bytes)  # noqa: S101  for mypy: `_pass_on` gives no other
            answer = json.loads(passed.body)
        return _json(200, {**answer, "errors": True, "items": answers(items, rejected, answer["items"])})

    async def _pass_on(self, request: web.BaseRequest, body: bytes) -> web.Response:
        url = URL(self._upstream + request.raw_path, encoded=True)
        try:
            async with self._session.request(request.method, url, data=body, headers=_kept(request.headers)) as answer:
                return web.Response(status=answer.status, body=await answer.read(), headers=_kept(answer.headers))
        except ClientError as error:
            return _json(502, {"error": {"type": "bad_gateway", "reason": str(error)}, "status": 502})


async def _break_off(request: web.BaseRequest, answer: web.Response) -> web.StreamResponse:
    assert isinstance(answer.body, bytes)  # noqa: S101  as above
    broken = web.StreamResponse(status=answer.status, headers=_kept(answer.headers))
    broken.content_length = len(answer.body)
    await broken.prepare(request)
    await broken.write(answer.body[: len(answer.body) // 2])
    reset(request.transport)
    return broken


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}


def _json(status: int, body: dict[str, Any]) -> web.Response:
    # The client refuses to talk to what does not call itself so.
    return web.json_response(body, status=status, headers={"X-Elastic-Product": "Elasticsearch"})


def bulk_items(body: bytes) -> list[Item]:
    """The operations of a bulk request; all but deletions have a second line."""
    lines = iter([line for line in body.split(b"\n") if line.strip()])
    items = []
    for line in lines:
        ((action, fields),) = json.loads(line).items()
        items.append(Item(action, fields, (line,) if action == "delete" else (line, next(lines))))
    return items


def bulk_body(items: Iterable[Item]) -> bytes:
    """The bulk request of these operations."""
    return b"".join(line + b"\n" for item in items for line in item.lines)


def answers(
    items: Sequence[Item], rejected: Sequence[bool], answered: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What became of each operation, in order: `answered` for those that were passed on, a 429 for the rejected ones."""
    passed_on = iter(answered)
    return [
        {item.action: {"_id": item.fields.get("_id"), "status": 429, "error": REJECTION}}
        if is_rejected
        else next(passed_on)
        for item, is_rejected in zip(items, rejected, strict=True)
    ]
