"""The API keeps to its OpenAPI document, whatever is sent: Schemathesis makes requests of it, good and bad, and checks all
that can be said of each answer from the document alone. Few of them here; `make abuse` asks for ten thousand of each operation.
"""

import hashlib
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import schemathesis
import uvicorn
from fastapi import FastAPI
from hypothesis import HealthCheck
from hypothesis import settings as examples_of
from imagesearch_contract import names
from imagesearch_contract.settings import SearchSettings
from imagesearch_search import index_client
from imagesearch_search.app import create_app
from imagesearch_search.encoder_client import EncoderClient
from imagesearch_search.engine import SearchEngine
from imagesearch_search.index_client import ElasticsearchIndex
from schemathesis.config import SchemathesisConfig

EXAMPLES = int(os.environ.get("IMAGESEARCH_API_EXAMPLES", "20"))
DOCUMENT = json.loads((Path(__file__).parents[1] / "openapi.json").read_text())
ZOO = names.alias("default", "zoo")
KEY = "a key"

# 504 is the right answer to an X-Request-Timeout of a microsecond, and 413 to a body that is wrong in many places.
CHECKS = {
    "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "504"]},
    "negative_data_rejection": {"expected-statuses": ["4xx", "504"]},
}
# What the document allows is taken: past the last page, too large or an unknown collection at worst.
ACCEPTED = ["2xx", "400", "401", "404", "413", "429", "504"]
# A document cannot say what is a picture, or an id of the collection.
WITH_PICTURES = [*ACCEPTED, "415", "422"]
CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": CHECKS | {"positive_data_acceptance": {"expected-statuses": ACCEPTED}},
        "operations": [
            {
                "include-path": path,
                "checks": CHECKS | {"positive_data_acceptance": {"expected-statuses": WITH_PICTURES}},
            }
            for path in ("/search", "/image_search")
        ],
    }
)
schema = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)


@schema.hook
def filter_case(_: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Leave out what no API can judge: forms that are wrong in a way that a form cannot be, as in one a number is text and
    no values are no field; and made-up lengths of the body, which the server judges."""
    if "content-length" in case.headers:
        return False
    if case.media_type != "multipart/form-data" or not isinstance(case.body, dict):
        return True
    return isinstance(case.body.get("collection", ""), str) and [] not in case.body.values()


examples = examples_of(
    max_examples=EXAMPLES, derandomize=EXAMPLES < 100, deadline=None, suppress_health_check=list(HealthCheck)
)
pytestmark = pytest.mark.timeout(300 + 2 * EXAMPLES)


class MostAreTheZoo:
    """An index in which every name is one of the zoo's but those that begin with a digit: made-up names find nothing else."""

    def __init__(self, index: Any) -> None:
        self._index = index

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    async def mappings(self, name: str) -> dict[str, dict[str, Any]]:
        return await self._index.mappings(name if name[0].isdigit() else ZOO)


def api_over(index: Any, settings: SearchSettings, web: Any, passing: Any) -> FastAPI:
    """The API over an index; over that of the settings where there is none."""

    @asynccontextmanager
    async def connect(settings: SearchSettings) -> AsyncIterator[SearchEngine]:
        async with index_client.connect(settings) as client, aiohttp.ClientSession() as session:
            engine = SearchEngine(
                settings,
                index=index or MostAreTheZoo(ElasticsearchIndex(client)),
                encoder=EncoderClient(session, settings.encoder_timeout_seconds),
                fetch=web.fetch,
                sleep=passing.sleep,
                clock=passing.clock,
            )
            yield engine
            await engine.close()

    return create_app(settings, connect)


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The API behind a real HTTP server."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, ws="none", log_level="error", server_header=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def settings() -> SearchSettings:
    """Nothing takes too long here, however busy the machine is."""
    return SearchSettings(encoder_timeout_seconds=60, fetch_max_bytes=20_000, max_depth=50)


@pytest.fixture
def index(zoo_in_memory):
    return MostAreTheZoo(zoo_in_memory)


@pytest.fixture
def served(settings: SearchSettings, index, web, passing) -> Iterator[str]:
    with serving(api_over(index, settings, web, passing)) as url:
        yield url


@schema.parametrize()
@examples
def test_every_answer_is_as_documented(case: schemathesis.Case, served: str) -> None:
    case.call_and_validate(base_url=served)


@pytest.fixture
def guarded(settings: SearchSettings, tmp_path: Path, index, web, passing) -> Iterator[str]:
    """The same for whoever has a key, which may search the zoo of them all, and not too often."""
    key = {"name": "one", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "collections": ["*"]}
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"keys": [key | {"requestsPerMinute": 600}]}))
    limited = settings.model_copy(update={"access_keys_path": keys, "requests_per_minute": 60})
    with serving(api_over(index, limited, web, passing)) as url:
        yield url


@schema.parametrize()
@examples
def test_every_answer_is_as_documented_where_keys_and_limits_are(case: schemathesis.Case, guarded: str) -> None:
    odd = len(case.as_curl_command()) % 2
    case.call_and_validate(base_url=guarded, headers={"X-API-Key": KEY} if odd else {})


@pytest.fixture
def on_elasticsearch(
    settings: SearchSettings, elasticsearch_url: str, zoo_on_elasticsearch, web, passing
) -> Iterator[str]:
    connected = settings.model_copy(update={"elasticsearch_url": elasticsearch_url})
    with serving(api_over(None, connected, web, passing)) as url:
        yield url


@pytest.mark.integration
@schema.parametrize()
@examples
def test_every_answer_is_as_documented_over_a_real_elasticsearch(
    case: schemathesis.Case, on_elasticsearch: str
) -> None:
    case.call_and_validate(base_url=on_elasticsearch)
