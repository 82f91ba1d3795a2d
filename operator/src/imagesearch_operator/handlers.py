"""Kopf watches; every event means one thing: look at the collection that it is about.

Only `kopf.on.event` is used. Handlers for created, updated and deleted objects would keep state in annotations and in
a finalizer of kopf's own, and judge by what happened rather than by what is.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import kopf

from imagesearch_operator import naming
from imagesearch_operator.facts import Manifest
from imagesearch_operator.health import Health
from imagesearch_operator.kinds import COLLECTION, Kind
from imagesearch_operator.live import Key, Live

WATCH_SECONDS: Final = 240
"""A watch is renewed this often; so often it proves that it lives."""
SILENCE_SECONDS: Final = 70.0
"""The API server sends a bookmark every minute; a watch that is silent for longer is renewed."""
STALE_SECONDS: Final = WATCH_SECONDS + SILENCE_SECONDS + 60.0
ANSWER_SECONDS: Final = 0.2
"""An event is held back for so long, so that the answer to a write of ours comes before the event of it, which is no news then."""

OnChange = Callable[[Key], None]


def registry(
    live: Live, on_change: OnChange, health: Health, served: Iterable[Kind], namespaces: Iterable[str]
) -> kopf.OperatorRegistry:
    """Handlers that keep `live` current and call `on_change` for each collection that an event is about."""
    made = kopf.OperatorRegistry()

    async def observed(event: Any, **_: Any) -> None:
        await asyncio.sleep(ANSWER_SECONDS)
        observe(live, on_change, event["type"], dict(event["object"]))

    for kind in served:
        kopf.on.event(kind.group, kind.version, kind.plural, id=kind.plural, registry=made)(observed)

    async def login(**kwargs: Any) -> kopf.AiohttpSession:
        return _session(health, kwargs)

    kopf.on.login(registry=made)(login)
    places = tuple(namespaces) or (None,)
    for path in (kind.path(namespace) for kind in served for namespace in places):
        health.expect(f"watch of {path}", within_seconds=STALE_SECONDS)
    return made


def settings(served: Iterable[Kind]) -> kopf.OperatorSettings:
    """How kopf watches."""
    made = kopf.OperatorSettings()
    made.posting.enabled = False
    made.scanning.disabled = True  # new kinds are noticed by us: it would take rights on all namespaces and CRDs
    made.watching.server_timeout = WATCH_SECONDS
    made.watching.client_timeout = WATCH_SECONDS + 10
    made.watching.connect_timeout = 10
    made.watching.inactivity_timeout = SILENCE_SECONDS
    made.networking.request_timeout = 30
    made.networking.connect_timeout = 10
    made.networking.error_backoffs = [1, 2, 4, 8, 16, 30]
    selector = ",".join(f"{name}={value}" for name, value in naming.SELECTOR.items())
    for kind in served:
        if kind != COLLECTION:
            made.watching.label_selectors[kind.group, kind.version, kind.plural] = selector
    return made


def observe(live: Live, on_change: OnChange, event_type: str | None, body: Manifest) -> None:
    """Take one event of a watch. What is known already (our own writes, mostly) changes nothing."""
    if event_type == "DELETED":
        concerned = live.concerned(body)
        is_news = live.remove(body)
    else:
        is_news = live.put(body)
        concerned = live.concerned(body)
    if is_news:
        for key in concerned:
            on_change(key)


def _session(health: Health, kwargs: dict[str, Any]) -> kopf.AiohttpSession:
    """Kopf's own credentials, in a session that counts each watch which the API server accepts as a heartbeat."""
    in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
    found = kopf.login_with_service_account(**kwargs) if in_cluster else kopf.login_with_kubeconfig(**kwargs)
    if found is None:
        raise kopf.PermanentError("no credentials for the Kubernetes API: run in a pod, or set KUBECONFIG")

    prefix = urlsplit(found.server).path.rstrip("/")  # of an API server behind a proxy

    async def ended(_session: Any, _context: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        if params.url.query.get("watch") == "true" and params.response.status == 200:
            health.beat(f"watch of {params.url.path.removeprefix(prefix)}")

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(ended)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=found.as_ssl_context()),
        headers=found.as_http_headers(),
        trace_configs=[trace],
    )
    return kopf.AiohttpSession(server=found.server, default_namespace=found.default_namespace, aiohttp_session=session)
