"""The search API as an ASGI application. `main` serves it, tests call it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version

import aiohttp
from fastapi import FastAPI
from imagesearch_contract.settings import SearchSettings
from imagesearch_fetcher.fetch import Fetcher, FetchPolicy
from starlette.middleware.cors import CORSMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from imagesearch_search import index_client, openapi, problems, web
from imagesearch_search.access import KEY_HEADER, KeyFile, Keys
from imagesearch_search.access_log import AccessLog
from imagesearch_search.admission import TIMEOUT_HEADER, Attendance, Door, guarded_by
from imagesearch_search.encoder_client import EncoderClient
from imagesearch_search.engine import SearchEngine
from imagesearch_search.index_client import ElasticsearchIndex
from imagesearch_search.limits import Gate, RateLimiter
from imagesearch_search.middleware import BodyLimit, Headers
from imagesearch_search.query import body_limit
from imagesearch_search.routes import router

Connect = Callable[[SearchSettings], AbstractAsyncContextManager[SearchEngine]]

_DESCRIPTION = """Finds pictures by what they show.

Name a collection and say in words what you look for, or give a picture. Every answer that is not a success is a
problem document (RFC 9457). `Server-Timing` tells where the time of a request went.
"""


@asynccontextmanager
async def connect(settings: SearchSettings) -> AsyncIterator[SearchEngine]:
    """The engine over the real Elasticsearch, encoders and fetcher; closes its connections at the end."""
    async with (
        index_client.connect(settings) as client,
        # No limit here: a queue in this process would hide from Serve how much there is to do, and time out unseen.
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False) as session,
        Fetcher(replace(FetchPolicy.of(settings), host_wait_seconds=0.0)) as fetcher,  # somebody is waiting
    ):
        engine = SearchEngine(
            settings,
            index=ElasticsearchIndex(client),
            encoder=EncoderClient(session, settings.encoder_timeout_seconds),
            fetch=fetcher.fetch,
        )
        try:
            yield engine
        finally:
            await engine.close()


def create_app(settings: SearchSettings, connect: Connect = connect) -> FastAPI:
    """The application; `connect` is entered when it starts and left when it stops.

    Raises:
        SettingsError: a file that the settings name cannot be used.
    """
    key_file = KeyFile(settings.access_keys_path, settings.default_namespace) if settings.access_keys_path else None

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with _watched(key_file), connect(settings) as engine:
            app.state.engine = engine
            yield

    app = FastAPI(
        title="imagesearch",
        version=version("imagesearch-search"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.include_router(router)
    problems.install(app)
    web.install(app, settings.web_dir)
    app.state.key_file = key_file
    app.state.reports = RateLimiter()
    no_keys = Keys()
    _admit(app, settings, lambda: key_file.keys if key_file else no_keys)
    app.openapi = partial(openapi.cached, app)  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _watched(key_file: KeyFile | None) -> AsyncIterator[None]:
    """Heed changes of the file of keys during the block."""
    watching = asyncio.create_task(key_file.watch()) if key_file else None
    try:
        yield
    finally:
        if watching:
            watching.cancel()


def _admit(app: FastAPI, settings: SearchSettings, keys: Callable[[], Keys]) -> None:
    """Put before the routes what every request passes. Last added is outermost, and sees the answers of all others."""
    guarded = guarded_by(router)
    app.add_middleware(
        Attendance,
        guarded=guarded,
        gate=Gate(settings.max_concurrent_searches),
        seconds=settings.request_timeout_seconds,
    )
    pictures = dict.fromkeys(("/image_search", "/search"), body_limit(settings))
    app.add_middleware(BodyLimit, default=64 * 1024, limits={**pictures, "/report": 4 * 1024})
    app.add_middleware(
        Door, guarded=guarded, keys=keys, requests_per_minute=settings.requests_per_minute, limiter=RateLimiter()
    )
    if settings.cors_allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_allowed_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Cache-Control", KEY_HEADER, TIMEOUT_HEADER),
            expose_headers=("RateLimit", "RateLimit-Policy", "Retry-After", "Server-Timing"),
        )
    app.add_middleware(Headers)
    app.add_middleware(AccessLog, queries=settings.log_queries)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.trusted_proxies))
