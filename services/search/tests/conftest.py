"""The search API over parts that can be told how to behave: an index in memory, and a real encoder server with faults.

The encoder server is the real HTTP side of the encoder service; only its model is small enough to reason about:
a vector has four numbers, for dog (or red), cat (green), boat (blue) and anything else.
"""

import operator
import threading
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from typing import Any

import aiohttp
import httpx
import numpy as np
import pytest
import uvicorn
from elasticsearch import Elasticsearch
from fastapi import FastAPI
from imagesearch_contract import names
from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.index import IndexMeta, document, index_body, orientation, size
from imagesearch_contract.platform_indices import REPORTS_INDEX, Progress, Report, bodies
from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import ElasticsearchSettings, EncoderServiceSettings, SearchSettings
from imagesearch_fetcher.decode import decode
from imagesearch_fetcher.fetch import FetchError
from imagesearch_search.app import create_app
from imagesearch_search.encoder_client import EncoderClient
from imagesearch_search.encoder_http import EncoderHttp
from imagesearch_search.engine import SearchEngine
from imagesearch_search.index_client import ElasticsearchIndex, IndexMissingError, connect, unavailable
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response

MODEL = ("tiny", "1")
AXES = {"dog": 0, "cat": 1, "boat": 2}


def text_vector(text: str) -> np.ndarray:
    vector = np.zeros(4, np.float32)
    for word in text.lower().split():
        vector[AXES.get(word, 3)] += 1
    return vector / np.linalg.norm(vector)


def image_vector(image: Image.Image) -> np.ndarray:
    red, green, blue = np.asarray(image.resize((1, 1)))[0, 0]
    vector = np.array([red, green, blue, 1], np.float32)
    return vector / np.linalg.norm(vector)


class FakeEncoder:
    """A real server of the encoder's interface. `fault` answers in its place; `asked` are the paths it was asked."""

    def __init__(self, model: tuple[str, str] = MODEL) -> None:
        settings = EncoderServiceSettings(model_name=model[0], model_version=model[1])
        self._threads = ThreadPoolExecutor(1)
        self._http = EncoderHttp(settings, decode=self._decode, text=self._text, image=self._image)
        self.asked: list[str] = []
        self.texts: list[str] = []
        self.fault: Callable[[Request], Awaitable[Response]] | None = None
        self.url = ""

    def _decode(self, data: bytes) -> "Future[Image.Image]":
        return self._threads.submit(decode, data, max_pixels=1_000_000)

    async def _text(self, text: str) -> np.ndarray:
        self.texts.append(text)
        return text_vector(text)

    async def _image(self, image: Image.Image) -> np.ndarray:
        return image_vector(image)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.asked.append(request.url.path)
        answer = await (self.fault or self._http.answer)(request)
        await answer(scope, receive, send)


class FakeIndex:
    """Elasticsearch in memory: exact neighbours, the same paging and ordering."""

    def __init__(self) -> None:
        self.indices: dict[str, dict[str, Any]] = {}
        self.documents: dict[str, dict[str, dict[str, Any]]] = {}
        self.alias: dict[str, str] = {}
        self.told: dict[str, Progress] = {}
        self.reported: dict[str, Report] = {}
        self.down = False
        self.searched: list[str] = []
        self.asked_mappings = 0

    def add(self, name: str, encoder_url: str, *, namespace: str = "default", model: tuple[str, str] = MODEL) -> str:
        meta = IndexMeta(
            namespace=namespace,
            collection=name,
            model_name=model[0],
            model_version=model[1],
            dims=4,
            encoder_url=encoder_url,
        )
        index = names.index(namespace, name, *model)
        self.indices[index] = index_body(meta)["mappings"]
        self.documents[index] = {}
        self.alias[names.alias(namespace, name)] = index
        return index

    def put(self, index: str, image_id: str, vector: np.ndarray, **fields: Any) -> None:
        source = {"id": image_id, "url": f"http://pictures.example/{image_id}", **fields}
        if {"width", "height"} <= fields.keys():
            pixels = fields["width"], fields["height"]
            source |= {"orientation": orientation(*pixels), "size": size(*pixels)}
        self.documents[index][image_id] = {"vector": vector, "source": source}

    def _check(self) -> None:
        if self.down:
            raise unavailable(ConnectionRefusedError())

    async def mappings(self, name: str) -> dict[str, dict[str, Any]]:
        self._check()
        self.asked_mappings += 1
        found = {self.alias.get(part, part) for part in name.split(",")}
        return {index: self.indices[index] for index in found if index in self.indices}

    async def aliases(self) -> dict[str, set[str]]:
        self._check()
        return {index: {alias for alias, target in self.alias.items() if target == index} for index in self.indices}

    async def counts(self, indices: list[str]) -> dict[str, int]:
        self._check()
        return {index: len(self.documents[index]) for index in indices if self.documents[index]}

    async def progress(self, indices: list[str]) -> dict[str, Progress]:
        self._check()
        return {index: self.told[index] for index in indices if index in self.told}

    async def reports(self, index: str) -> int:
        self._check()
        return sum(report.index == index for report in self.reported.values())

    async def report(self, report: Report) -> bool:
        self._check()
        return self.reported.setdefault(report.id, report) is report

    async def vectors(self, index: str, ids: Sequence[str]) -> dict[str, bytes]:
        self._check()
        known = self.documents[index]
        return {key: known[key]["vector"].astype("<f4").tobytes() for key in ids if key in known}

    async def search(self, index: str, bodies: Sequence[Mapping[str, Any]], *, preference: str) -> list[dict[str, Any]]:
        self._check()
        self.searched.append(index)
        if index not in self.documents:
            raise IndexMissingError(index)
        return [answer(self.documents[index], body) for body in bodies]


def answer(documents: dict[str, dict[str, Any]], body: Mapping[str, Any]) -> dict[str, Any]:
    """What Elasticsearch answers to the bodies that the search API sends."""
    if knn := body.get("knn"):
        query = np.array(knn["query_vector"])
        scores = {
            key: float((1 + document["vector"] @ query) / 2)
            for key, document in documents.items()
            if passes(document["source"], {"bool": {"filter": knn.get("filter", [])}})
        }
        scores = dict(sorted(scores.items(), key=lambda each: (-each[1], each[0]))[: knn["k"]])
    else:
        scores = {key: 1.0 for key, document in documents.items() if passes(document["source"], body["query"])}
    found = [
        {"_id": key, "_score": score, **documents[key], "fields": fields(key, documents)}
        for key, score in scores.items()
    ]
    for hit in found:
        hit["_source"] = hit.pop("source")
    for [(field, order)] in reversed([list(each.items()) for each in body.get("sort", [])]):
        found.sort(key=partial(place, field), reverse=(order if isinstance(order, str) else order["order"]) == "desc")
    start = body.get("from", 0)
    counted = {
        name: {"buckets": buckets(found, next(iter(wanted.values())))} for name, wanted in body.get("aggs", {}).items()
    }
    return {
        "hits": {"total": {"value": len(found)}, "hits": found[start : start + body["size"]]},
        "aggregations": counted,
    }


def fields(key: str, documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    column = documents[key]["source"].get("fingerprint")
    return {
        "id": [key],
        "embedding": documents[key]["vector"].tolist(),
        **({"fingerprint": [column]} if column else {}),
    }


def place(field: str, hit: dict[str, Any]) -> Any:
    return hit["_score"] if field == "_score" else hit["_source"].get(field) or ""


def passes(source: dict[str, Any], query: Mapping[str, Any]) -> bool:
    [(kind, asked)] = query.items()
    match kind:
        case "bool":
            return all(passes(source, clause) for clause in [*asked.get("must", []), *asked.get("filter", [])])
        case "ids":
            return source["id"] in asked["values"]
        case "function_score" | "exists":
            return True
        case "multi_match":
            words = f"{source.get('title', '')} {' '.join(source.get('tags', []))}".lower().split()
            return all(word in words for word in asked["query"].lower().split())
    [(field, wanted)] = asked.items()
    values = source.get(field) if isinstance(source.get(field), list) else [source.get(field)]
    match kind:
        case "terms":
            return any(value in wanted for value in values)
        case "term":
            return wanted in values
        case "range":
            bounds = {"gte": operator.ge, "lte": operator.le, "lt": operator.lt}
            return values[0] is not None and all(bounds[name](values[0], bound) for name, bound in wanted.items())
    raise AssertionError(f"nobody told this index what {kind} is")


def buckets(found: list[dict[str, Any]], wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    values = Counter(
        value
        for hit in found
        for each in [hit["_source"].get(wanted["field"])]
        for value in (each if isinstance(each, list) else [each])
        if value is not None
    )
    if "calendar_interval" in wanted:
        years = Counter(moment[:4] for moment in values.elements())
        return [{"key": 0, "key_as_string": year, "doc_count": years[year]} for year in sorted(years)]
    return [
        {"key": value, "doc_count": count}
        for value, count in sorted(values.items(), key=lambda each: (-each[1], each[0]))
    ]


class RealIndex(ElasticsearchIndex):
    """The real one, filled as the one in memory is."""

    def __init__(self, url: str) -> None:
        super().__init__(connect(ElasticsearchSettings(elasticsearch_url=url)))
        self.alias: dict[str, str] = {}
        self._filler = Elasticsearch(url)

    def add(self, name: str, encoder_url: str) -> str:
        meta = IndexMeta(
            namespace="default",
            collection=name,
            model_name=MODEL[0],
            model_version=MODEL[1],
            dims=4,
            encoder_url=encoder_url,
        )
        index = f"default.{name}.{uuid.uuid4().hex[:8]}"
        self._filler.indices.create(index=index, **index_body(meta, quantization="none"))
        self._filler.indices.put_alias(index=index, name=names.alias("default", name))
        self.alias[names.alias("default", name)] = index
        return index

    def put(self, index: str, image_id: str, vector: np.ndarray, fingerprint: str | None = None, **fields: Any) -> None:
        record = ImageRecord(id=image_id, url=f"http://pictures.example/{image_id}", **fields)
        now = datetime.now(UTC)
        source = document(record, vector.tolist(), model="tiny/1", indexed_at=now, fingerprint=fingerprint)
        self._filler.index(index=index, id=image_id, document=source, refresh=True)

    @property
    def reported(self) -> dict[str, Report]:
        self._filler.indices.refresh(index=REPORTS_INDEX)
        hits = self._filler.search(index=REPORTS_INDEX, size=1000)["hits"]["hits"]
        return {hit["_id"]: Report.model_validate(hit["_source"]) for hit in hits}

    def make_platform_indices(self) -> None:
        """As the operator does; empty, whoever used them before."""
        self._filler.indices.delete(index=",".join(bodies()), ignore_unavailable=True)
        for name, body in bodies().items():
            self._filler.indices.create(index=name, **body)

    async def close(self) -> None:
        self._filler.indices.delete(index=",".join(self.alias.values()))
        self._filler.close()
        await self._client.close()


class FakeTime:
    """A clock that only goes on while somebody sleeps by it."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class FakeWeb:
    """What the fetcher finds, and after how many seconds: bytes, or the reason why there are none."""

    def __init__(self, time: FakeTime) -> None:
        self.pages: dict[str, bytes | Reason] = {}
        self.seconds = 0.0
        self._time = time

    async def fetch(self, url: str) -> bytes:
        await self._time.sleep(self.seconds)
        page = self.pages.get(url, Reason.UNREACHABLE)
        if isinstance(page, bytes):
            return page
        raise FetchError(page, f"{url} resolves to 10.0.0.7, which is private")


@pytest.fixture(scope="session")
def encoder_server() -> Iterator[tuple[str, list[FakeEncoder]]]:
    """A server in a thread of its own, whose last listed encoder answers: to start one for each test takes too long."""
    encoders: list[FakeEncoder] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await encoders[-1](scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", ws="none", log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", encoders
    server.should_exit = server.force_exit = True
    thread.join()


@pytest.fixture
def encoder(encoder_server: tuple[str, list[FakeEncoder]]) -> FakeEncoder:
    fake = FakeEncoder()
    fake.url, encoders = encoder_server
    encoders.append(fake)
    return fake


@pytest.fixture
def zoo_in_memory(encoder: FakeEncoder) -> FakeIndex:
    """Holds the collection `zoo`, with a dog, a cat and a boat."""
    fake = FakeIndex()
    populate(fake, encoder)
    return fake


@pytest.fixture
async def zoo_on_elasticsearch(elasticsearch_url: str, encoder: FakeEncoder) -> AsyncIterator[RealIndex]:
    """The same on a real server."""
    real = RealIndex(elasticsearch_url)
    populate(real, encoder)
    yield real
    await real.close()


def populate(index: FakeIndex | RealIndex, encoder: FakeEncoder) -> None:
    zoo = index.add("zoo", encoder.url)
    for name in AXES:
        index.put(zoo, f"test:{name}", text_vector(name), title=f"A {name}")


@pytest.fixture
def index(zoo_in_memory: FakeIndex) -> FakeIndex:
    """Which of the two is searched."""
    return zoo_in_memory


@pytest.fixture
def passing() -> FakeTime:
    """The time by which pictures are fetched."""
    return FakeTime()


@pytest.fixture
def web(passing: FakeTime) -> FakeWeb:
    return FakeWeb(passing)


@pytest.fixture
def settings() -> SearchSettings:
    return SearchSettings(encoder_timeout_seconds=0.5, fetch_max_bytes=20_000, max_depth=50)


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """Makes the file of a picture in one colour."""

    def make(colour: str = "red", file_format: str = "PNG") -> bytes:
        file = BytesIO()
        Image.new("RGB", (8, 8), colour).save(file, file_format)
        return file.getvalue()

    return make


@pytest.fixture
def app(settings: SearchSettings, index: FakeIndex, web: FakeWeb, passing: FakeTime) -> FastAPI:
    @asynccontextmanager
    async def connect(settings: SearchSettings) -> AsyncIterator[SearchEngine]:
        async with aiohttp.ClientSession() as session:
            client = EncoderClient(session, settings.encoder_timeout_seconds)
            engine = SearchEngine(
                settings, index=index, encoder=client, fetch=web.fetch, sleep=passing.sleep, clock=passing.clock
            )
            yield engine
            await engine.close()

    return create_app(settings, connect)


@pytest.fixture
async def api(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        yield client
