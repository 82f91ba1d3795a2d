"""The two processes of this package as they run: the API's command, and Ray Serve with the starter model, over a real
Elasticsearch. In file order; the last test takes the encoder away."""

import asyncio
import base64
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
from elasticsearch import Elasticsearch, helpers
from imagesearch_client import Client, like, picture
from imagesearch_contract import names
from imagesearch_contract.index import IndexMeta, document, index_body
from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import EncoderServiceSettings, SearchSettings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

FOLDERS = ("animals/birds", "vehicles")
NOISE = 1200


@pytest.fixture(scope="module")
def serving(processes, run_dir, mlflow_tracking_uri, starter_model):
    """The encoder service, of two replicas: its process, with `url`."""
    from imagesearch_stack import replicas
    from imagesearch_stack.processes import free_port

    settings = EncoderServiceSettings(
        mlflow_tracking_uri=mlflow_tracking_uri,
        model_name=starter_model.name,
        model_version=starter_model.version,
        min_replicas=2,
        max_replicas=2,
    )
    port = free_port()
    process = processes.add(replicas.start(settings, port=port, log=run_dir / "logs" / "test-encoder.log"))
    process.url = f"http://127.0.0.1:{port}"
    replicas.wait(process, 2, process.url)
    yield process
    process.stop()


def _ok(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def encode(url: str, path: Path) -> np.ndarray:
    answer = httpx.post(f"{url}/encode_image", content=path.read_bytes(), timeout=60)
    assert answer.status_code == 200, answer.text
    return np.frombuffer(answer.content, "<f4")


@pytest.fixture(scope="module")
def pictures(stamps_dir) -> list[Path]:
    return sorted(p for folder in FOLDERS for p in (stamps_dir / folder).rglob("*") if p.suffix in (".png", ".jpg"))


@pytest.fixture(scope="module")
def collections(elasticsearch_url, starter_model, serving, pictures, stamps_dir, picture_server) -> Iterator[None]:
    """`birds-and-wheels` of pictures; `noise` of random vectors; `stranger`, whose model its encoder does not serve."""
    with Elasticsearch(elasticsearch_url) as es:
        created = [
            _create(es, name, version, serving.url)
            for name, version in (
                ("birds-and-wheels", starter_model.version),
                ("noise", starter_model.version),
                ("stranger", "999"),
            )
        ]
        vectors = [encode(serving.url, path) for path in pictures]
        records = [
            ImageRecord(
                id=names.image_id("manifest", str(path.relative_to(stamps_dir))),
                url=f"{picture_server}/{path.relative_to(stamps_dir)}",
                title=path.stem,
            )
            for path in pictures
        ]
        _index(es, created[0], records, np.stack(vectors))
        noise = np.random.default_rng(0).normal(size=(NOISE, 512)).astype(np.float32)
        noise[600:] = noise[:600]  # twice each: every score is a tie
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        _index(es, created[1], [ImageRecord(id=f"test:{n}", url="http://x.example/") for n in range(NOISE)], noise)
        yield
        es.indices.delete(index=",".join(created))


def _create(es: Elasticsearch, name: str, version: str, encoder_url: str) -> str:
    meta = IndexMeta(
        namespace="default",
        collection=name,
        model_name="starter",
        model_version=version,
        dims=512,
        encoder_url=encoder_url,
    )
    index = names.index("default", name, "starter", version)
    es.indices.create(index=index, body=index_body(meta))
    es.indices.put_alias(index=index, name=names.alias("default", name))
    return index


def _index(es: Elasticsearch, index: str, records: list[ImageRecord], vectors: np.ndarray) -> None:
    now = datetime.now(UTC)
    actions = (
        {"_index": index, "_id": r.id, "_source": document(r, v.tolist(), model="starter/1", indexed_at=now)}
        for r, v in zip(records, vectors, strict=True)
    )
    helpers.bulk(es, actions, refresh=True)


@pytest.fixture(scope="module")
def search_url(processes, run_dir, elasticsearch_url, collections) -> str:
    """The API's own command."""
    from imagesearch_stack.processes import Process, free_port

    settings = SearchSettings(
        elasticsearch_url=elasticsearch_url,
        port=free_port(),
        allowed_networks=("127.0.0.0/8",),
        encoder_timeout_seconds=30,
    )
    command = [str(Path(sys.executable).with_name("imagesearch-search"))]
    process = processes.add(
        Process("the search API", command, log=run_dir / "logs" / "test-search.log", env=settings.to_env())
    )
    url = f"http://127.0.0.1:{settings.port}"
    process.wait_until(lambda: _ok(f"{url}/readyz"), within_seconds=120)
    return url


@pytest.fixture
def client(search_url) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=search_url, timeout=60) as client:
        yield client


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["hits"]]


@pytest.mark.parametrize(("words", "folder"), [("birds", "animals/birds"), ("Vögel", "animals/birds")])
def test_words_find_the_right_kind_of_picture(client, words, folder, pictures, stamps_dir):
    asked = {"collection": "birds-and-wheels", "query": words, "size": 10, "keyword_weight": 0}
    answer = client.post("/text_search", json=asked)

    right = sum(found.startswith(f"manifest:{folder}") for found in ids(answer))
    by_chance = 10 * sum(str(path.relative_to(stamps_dir)).startswith(folder) for path in pictures) / len(pictures)
    assert right > by_chance
    scores = [hit["score"] for hit in answer.json()["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert "embedding" not in answer.json()["hits"][0]


def test_a_picture_finds_itself_however_it_is_given(client, pictures, stamps_dir, picture_server):
    path = pictures[3]
    relative = path.relative_to(stamps_dir)
    fields = {"collection": "birds-and-wheels", "size": 1}
    answers = [
        client.post("/image_search", json=fields | {"image_url": f"{picture_server}/{relative}"}),
        client.post("/image_search", json=fields | {"image_base64": base64.b64encode(path.read_bytes()).decode()}),
        client.post("/image_search", data=fields, files={"image": path.read_bytes()}),
    ]

    for answer in answers:
        assert ids(answer) == [f"manifest:{relative}"]
        assert answer.json()["hits"][0]["score"] == pytest.approx(1.0, abs=0.01)


def test_the_python_client_finds_by_words_and_pictures_and_goes_from_page_to_page(search_url, pictures, stamps_dir):
    itself = f"manifest:{pictures[3].relative_to(stamps_dir)}"
    with Client(search_url) as client:
        by_picture = client.search("birds-and-wheels", picture(pictures[3]), size=1)
        without_itself = client.search("birds-and-wheels", "bird", like(itself), size=5)
        every = [hit.id for hit in client.hits("birds-and-wheels", pictures[3].stem, size=50, keyword_weight=1)]

    assert [hit.id for hit in by_picture.hits] == [itself]
    assert itself not in [hit.id for hit in without_itself.hits]
    assert sorted(every) == sorted(f"manifest:{path.relative_to(stamps_dir)}" for path in pictures)
    assert every[0] == itself  # its title has the words


def test_a_thousand_hits_are_paged_through_without_repeats(client):
    seen, start, pages = [], 0, 0
    while start is not None:
        answer = client.post("/text_search", json={"collection": "noise", "query": "boat", "size": 90, "from": start})
        seen += ids(answer)
        start, pages = answer.json()["next_from"], pages + 1

    assert len(seen) == len(set(seen)) == 990
    assert pages == 11
    again = client.post("/text_search", json={"collection": "noise", "query": "boat", "size": 90, "from": 450})
    assert ids(again) == seen[450:540]
    past = client.post("/text_search", json={"collection": "noise", "query": "boat", "size": 90, "from": 990})
    assert past.json()["type"] == "urn:imagesearch:problem:too-deep"


def test_collections_are_listed_and_an_unknown_one_is_named(client, pictures):
    listed = {c["collection"]: c["images"] for c in client.get("/collections").json()["collections"]}
    assert listed.items() >= {"birds-and-wheels": len(pictures), "noise": NOISE, "stranger": 0}.items()

    answer = client.post("/text_search", json={"collection": "nothing", "query": "boat"})
    assert answer.status_code == 404
    assert "birds-and-wheels" in answer.json()["detail"]


def test_an_encoder_of_another_model_is_refused(client):
    answer = client.post("/text_search", json={"collection": "stranger", "query": "boat"})

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:imagesearch:problem:model-mismatch")


def test_a_broken_picture_is_refused_by_the_real_decoder(client, pictures):
    answer = client.post(
        "/image_search", data={"collection": "birds-and-wheels"}, files={"image": pictures[0].read_bytes()[:500]}
    )

    assert (answer.status_code, answer.json()["type"]) == (422, "urn:imagesearch:problem:unusable-image")


async def test_what_is_encoded_in_a_batch_is_what_is_encoded_alone(serving):
    texts = [f"{colour} {thing}" for colour in ("red", "green", "blue") for thing in ("bird", "car", "house", "guitar")]
    async with httpx.AsyncClient(base_url=serving.url, timeout=60) as encoder:

        async def one(text: str) -> np.ndarray:
            answer = await encoder.post("/encode_text", json={"texts": [text]})
            assert answer.status_code == 200
            return np.frombuffer(answer.content, "<f4")

        alone = [await one(text) for text in texts]
        together = await asyncio.gather(*map(one, texts))
        in_one_request = await encoder.post("/encode_text", json={"texts": texts})

    rows = np.frombuffer(in_one_request.content, "<f4").reshape(len(texts), -1)
    for vector, batched, row in zip(alone, together, rows, strict=True):
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)
        assert vector @ batched == pytest.approx(1, abs=1e-4)
        assert vector @ row == pytest.approx(1, abs=1e-4)


async def test_no_search_fails_while_a_replica_of_the_encoder_is_killed(search_url, serving):
    from imagesearch_stack import replicas

    killed = asyncio.Event()

    async def ask_on(client: httpx.AsyncClient, who: int) -> list[tuple[int, bool]]:
        answers, after = [], 0
        while after < 10:
            after += killed.is_set()
            words = {"collection": "birds-and-wheels", "query": f"{who} birds and {len(answers)} cars"}
            answer = await client.post("/text_search", json=words)
            answers.append((answer.status_code, answer.json().get("degraded")))
        return answers

    async with httpx.AsyncClient(base_url=search_url, timeout=60) as client:
        asking = asyncio.gather(*(ask_on(client, who) for who in range(8)))
        await asyncio.sleep(1)
        replicas.kill_one(serving)
        killed.set()
        answers = [answer for each in await asking for answer in each]

    assert set(answers) == {(200, False)}


def test_without_the_encoder_known_words_still_find_new_ones_are_looked_for_in_captions_and_the_rest_is_a_fast_503(
    client, serving, pictures
):
    known = {"collection": "birds-and-wheels", "query": "birds"}
    client.post("/text_search", json=known)
    serving.stop()

    captioned = client.post("/text_search", json=known | {"query": pictures[5].stem}).json()
    answer = client.post("/text_search", json=known | {"query": "something never asked before", "keyword_weight": 0})

    assert captioned["degraded"] is True
    assert captioned["hits"][0]["title"] == pictures[5].stem
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:imagesearch:problem:encoder-unavailable")
    assert answer.headers["retry-after"] == "1"
    assert client.post("/text_search", json=known).json()["degraded"] is False
    assert client.get("/healthz").status_code == 200
    assert {encoder["reachable"] for encoder in client.get("/readyz").json()["encoders"]} == {False}
