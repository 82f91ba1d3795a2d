"""The search API as an ASGI application. `main` serves it, tests call it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import version

import aiohttp
from fastapi import FastAPI
from imagesearch_contract.settings import SearchSettings
from imagesearch_fetcher.fetch import Fetcher, FetchPolicy

from imagesearch_search import index_client, openapi, problems, web
from imagesearch_search.encoder_client import EncoderClient
from imagesearch_search.engine import SearchEngine
from imagesearch_search.index_client import ElasticsearchIndex
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
    """The application; `connect` is entered when it starts and left when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with connect(settings) as engine:
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
    app.add_middleware(
        BodyLimit, default=64 * 1024, limits=dict.fromkeys(("/image_search", "/search"), body_limit(settings))
    )
    app.add_middleware(Headers)  # last added is outermost: its clock sees everything
    app.openapi = partial(openapi.cached, app)  # type: ignore[method-assign]
    return app
