"""How well the whole search finds what is right: `POST /search` of the real API over a real Elasticsearch.

`bench/quality.py` prints it, and a test compares it with what it was. The encoder's HTTP side is the one that runs on Ray,
here without Ray, which changes no vector.
"""

import asyncio
import base64
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import uvicorn
from elasticsearch import Elasticsearch, helpers
from imagesearch_contract.index import IndexMeta, document
from imagesearch_contract.settings import EncoderServiceSettings, SearchSettings
from imagesearch_encoder.evaluate import DEPTH, MAX_PIXELS
from imagesearch_encoder.runtime.encoder import Encoder
from imagesearch_fetcher.decode import decode
from imagesearch_search.encoder_http import EncoderHttp, Vector
from starlette.requests import Request

from imagesearch_stack import StackError, judged, pictures, provision
from imagesearch_stack.judged import Figures, Query, Samples
from imagesearch_stack.processes import Process, free_port
from imagesearch_stack.servers import answers_ok, script

MODEL: Final = ("measured", "1")
NAMESPACE: Final = "quality"
CLIENTS: Final = 4
CALIBRATED_SECONDS: Final = 60.0
NOWHERE: Final = "http://pictures.invalid"
"""Pictures are indexed under it, and fetched from nowhere."""


def measure(
    encoder: Encoder, every: list[Samples], *, elasticsearch_url: str, run_dir: Path
) -> dict[str, dict[str, Figures]]:
    """Index the samples, ask all their queries, and delete the indices; samples -> kind of query -> figures.

    Captions are asked twice, by meaning alone and as the API does unless it is told otherwise: with their words.

    Raises:
        StackError: a search was not answered.
    """
    with (
        _encoder_service(encoder) as encoder_url,
        _indexed(encoder, every, elasticsearch_url, encoder_url),
        _search_api(elasticsearch_url, run_dir) as url,
        httpx.Client(base_url=url, timeout=60, trust_env=False) as client,
    ):
        return {samples.name: _ask_all(client, samples) for samples in every}


def _ask_all(client: httpx.Client, samples: Samples) -> dict[str, Figures]:
    _wait_until_calibrated(client, samples)
    asked = judged.queries(samples)
    with ThreadPoolExecutor(CLIENTS) as pool:
        found = list(pool.map(partial(_ask, client, samples, keyword_weight=0), asked))
        rows = judged.by_kind(found, asked)
        worded = [query for query in asked if query.kind == "caption" and query.language in ("en", "de")]
        with_words = list(pool.map(partial(_ask, client, samples), worded))
    for label, figures in judged.by_kind(with_words, worded).items():
        rows[f"{label}, with words"] = figures
    return rows


def _ask(client: httpx.Client, samples: Samples, query: Query, **options: float) -> list[bool]:
    """Whether each of the first answers is right."""
    ids = [picture_id(samples, row) for row in query.right]
    own = None if query.picture is None else picture_id(samples, query.picture)
    hits = _search(client, samples, _terms(samples, query), size=DEPTH + 1, **options)["hits"]
    return [hit["id"] in ids for hit in hits if hit["id"] != own][:DEPTH]


def _terms(samples: Samples, query: Query) -> list[dict[str, str]]:
    terms = [] if query.text is None else [{"text": query.text}]
    if query.picture is not None:
        terms.append({"image_base64": base64.b64encode(samples.read(query.picture)).decode()})
    return terms


def _search(client: httpx.Client, samples: Samples, terms: list[dict[str, str]], **options: float) -> dict[str, Any]:
    body = {"collection": f"{NAMESPACE}/{samples.name}", "terms": terms, **options}
    answer = client.post("/search", json=body)
    if answer.status_code != httpx.codes.OK or answer.json()["degraded"]:
        raise StackError(f"a search was not answered as it should be ({answer.status_code}): {answer.text[:500]}")
    found: dict[str, Any] = answer.json()
    return found


def _wait_until_calibrated(client: httpx.Client, samples: Samples) -> None:
    """What is a strong match comes first, so the order is settled only when that can be told."""
    deadline = time.monotonic() + CALIBRATED_SECONDS
    while _search(client, samples, [{"text": "anything"}], size=1)["strong"] is None:
        if time.monotonic() > deadline:
            raise StackError(f"{samples.name} was not calibrated within {CALIBRATED_SECONDS:.0f} s")
        time.sleep(0.2)


def picture_id(samples: Samples, row: int) -> str:
    """The id under which a picture is indexed."""
    return pictures.record(samples.found[row], NOWHERE, samples.credit).id


@contextmanager
def _indexed(encoder: Encoder, every: list[Samples], elasticsearch_url: str, encoder_url: str) -> Iterator[None]:
    created: list[str] = []
    with Elasticsearch(elasticsearch_url, request_timeout=provision.ELASTICSEARCH_SECONDS) as client:
        try:
            for samples in every:
                meta = IndexMeta(
                    namespace=NAMESPACE,
                    collection=samples.name,
                    model_name=MODEL[0],
                    model_version=MODEL[1],
                    dims=encoder.dims,
                    encoder_url=encoder_url,
                )
                created.append(provision.create_index(elasticsearch_url, meta))
                helpers.bulk(client, _documents(encoder, samples, created[-1]), refresh=True)
            yield
        finally:
            for index in created:
                client.indices.delete(index=index)


def _documents(encoder: Encoder, samples: Samples, index: str) -> Iterator[dict[str, Any]]:
    now = datetime.now(UTC)
    for stamp, vector in zip(samples.found, samples.vectors(encoder), strict=True):
        record = pictures.record(stamp, NOWHERE, samples.credit)
        source = document(record, vector.tolist(), model="/".join(MODEL), indexed_at=now)
        yield {"_index": index, "_id": record.id, "_source": source}


@contextmanager
def _search_api(elasticsearch_url: str, run_dir: Path) -> Iterator[str]:
    """The API's own command."""
    settings = SearchSettings(elasticsearch_url=elasticsearch_url, port=free_port(), encoder_timeout_seconds=30)
    process = Process(
        "the search API",
        [script("imagesearch-search")],
        log=run_dir / "logs" / "quality-search.log",
        env=settings.to_env(),
    )
    url = f"http://127.0.0.1:{settings.port}"
    try:
        process.wait_until(lambda: answers_ok(f"{url}/readyz"), within_seconds=120)
        yield url
    finally:
        process.stop()


@contextmanager
def _encoder_service(encoder: Encoder) -> Iterator[str]:
    """The HTTP side of the encoder service, in a thread."""

    async def text(given: str) -> Vector:
        return np.asarray((await asyncio.to_thread(encoder.encode_text, [given]))[0])

    async def image(given: Any) -> Vector:
        return np.asarray((await asyncio.to_thread(encoder.encode_image, [given]))[0])

    decode_small = partial(decode, max_pixels=MAX_PIXELS, min_side=encoder.info.preprocessing.min_side)
    with ThreadPoolExecutor(2) as pool:
        http = EncoderHttp(
            EncoderServiceSettings(model_name=MODEL[0], model_version=MODEL[1]),
            decode=partial(pool.submit, decode_small),
            text=text,
            image=image,
        )

        async def app(scope: Any, receive: Any, send: Any) -> None:
            answer = await http.answer(Request(scope, receive))
            await answer(scope, receive, send)

        server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", ws="none", log_level="error"))
        thread = threading.Thread(target=server.run, name="encoder")
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
