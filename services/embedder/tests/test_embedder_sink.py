"""Bulk writes against a small HTTP server that answers as Elasticsearch does, well and badly."""

import base64
import json
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from imagesearch_contract.index import VECTOR_FIELD, IndexMeta, index_body
from imagesearch_contract.settings import EmbedderSettings
from imagesearch_embedder.embed import Outcome, Refused, Write
from imagesearch_embedder.sink import (
    LONGEST_PAUSE,
    IndexMismatchError,
    IndexMissing,
    Sink,
    Unavailable,
    check_index,
    connect,
    takes_packed_vectors,
)

Reply = Callable[[list[tuple[dict, dict | None]]], tuple[int, dict]]


class FakeElasticsearch:
    """Answers each bulk request with the next of `replies`, then with success; keeps the operations it was sent."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.bulks: list[list[tuple[dict, dict | None]]] = []
        self.exists = [True]
        self.index: tuple[int, dict] = (404, {"error": {"type": "index_not_found_exception"}, "status": 404})
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                exists = fake.exists.pop(0) if len(fake.exists) > 1 else fake.exists[0]
                self._answer(200 if exists else 404, None)

            def do_GET(self) -> None:
                self._answer(*fake.index)

            def do_PUT(self) -> None:
                operations = _operations(self.rfile.read(int(self.headers["Content-Length"])))
                fake.bulks.append(operations)
                reply = fake.replies.pop(0) if fake.replies else all_ok
                self._answer(*reply(operations))

            def _answer(self, status: int, body: dict | None) -> None:
                data = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("X-Elastic-Product", "Elasticsearch")
                self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def _operations(body: bytes) -> list[tuple[dict, dict | None]]:
    lines = iter(json.loads(line) for line in body.splitlines())
    return [(action, None if "delete" in action else next(lines)) for action in lines]


def items(*statuses: int) -> Reply:
    def reply(operations: list) -> tuple[int, dict]:
        answers = []
        for (action, _), status in zip(operations, statuses, strict=True):
            (name,) = action
            error = {"error": {"type": "some_exception", "reason": "because"}} if status >= 400 else {}
            answers.append({name: {"status": status, **error}})
        return 200, {"errors": any(status >= 400 for status in statuses), "items": answers}

    return reply


def all_ok(operations: list) -> tuple[int, dict]:
    return items(*[200] * len(operations))(operations)


def whole(status: int, more_than: int = 0) -> Reply:
    def reply(operations: list) -> tuple[int, dict]:
        if len(operations) <= more_than:
            return all_ok(operations)
        return status, {"error": {"type": "some_exception", "reason": "because"}, "status": status}

    return reply


@pytest.fixture
def server() -> Iterator[FakeElasticsearch]:
    fake = FakeElasticsearch()
    thread = threading.Thread(target=fake.server.serve_forever, args=(0.01,))
    thread.start()
    yield fake
    fake.server.shutdown()
    thread.join()
    fake.server.server_close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def sink(server: FakeElasticsearch, pauses: list[float]) -> Iterator[Sink]:
    with connect(settings(server)) as client:
        yield Sink(client, "here", sleep=pauses.append)


def settings(server: FakeElasticsearch) -> EmbedderSettings:
    return EmbedderSettings(
        elasticsearch_url=server.url,
        topic="records",
        index="here",
        checkpoint_location="nowhere",
        model_name="colour",
        model_version="1",
    )


def as_told(mappings: dict) -> dict:
    """An index as `GET /here` tells it."""
    return {"mappings": mappings, "settings": {"index": {"uuid": "uuid-of-here"}}}


def write(name: str, version: int = 7) -> Write:
    return Write(f"test:{name}", version, {"title": name, "embedding": np.array([0.1, 0.2], dtype=np.float32)})


def test_a_write_carries_its_id_and_external_version(server: FakeElasticsearch, sink: Sink) -> None:
    assert sink.write([write("a"), Write("test:b", 9, None)]) == [Outcome.INDEXED, Outcome.DELETED]
    (operations,) = server.bulks
    assert operations == [
        (
            {"index": {"_id": "test:a", "version": 7, "version_type": "external_gte"}},
            {"title": "a", "embedding": [0.1, 0.2]},
        ),
        ({"delete": {"_id": "test:b", "version": 9, "version_type": "external_gte"}}, None),
    ]


def test_where_it_may_the_vector_goes_as_base64_of_its_big_endian_floats(server: FakeElasticsearch) -> None:
    with connect(settings(server)) as client:
        Sink(client, "here", packed=True).write([write("a"), Write("test:b", 9, None)])
    ((_, document), (_, deleted)) = server.bulks[0]
    assert deleted is None
    assert document == {"title": "a", "embedding": base64.b64encode(struct.pack(">2f", 0.1, 0.2)).decode()}


@pytest.mark.parametrize(
    ("versions", "packed"),
    [
        (["9.2.0"], False),
        (["9.3.0"], True),
        (["9.10.1-SNAPSHOT"], True),
        (["10.0.0"], True),
        (["9.4.0", "9.2.4"], False),
        ([], False),
        (["of our own"], False),
    ],
)
def test_vectors_are_packed_where_every_node_can_read_that(
    server: FakeElasticsearch, versions: list[str], packed: bool
) -> None:
    server.index = (200, {"nodes": {str(n): {"version": version} for n, version in enumerate(versions)}})
    with connect(settings(server)) as client:
        assert takes_packed_vectors(client) is packed


def test_an_elasticsearch_that_does_not_tell_its_version_gets_plain_vectors(server: FakeElasticsearch) -> None:
    server.index = (403, {"error": {"type": "security_exception"}, "status": 403})
    with connect(settings(server)) as client:
        assert takes_packed_vectors(client) is False


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_an_item_that_is_refused_for_now_is_sent_again_alone(
    server: FakeElasticsearch, sink: Sink, pauses: list[float], status: int
) -> None:
    server.replies = [items(200, status, 200), items(status)]
    assert sink.write([write("a"), write("b"), write("c")]) == [Outcome.INDEXED] * 3
    assert [[action["index"]["_id"] for action, _ in bulk] for bulk in server.bulks] == [
        ["test:a", "test:b", "test:c"],
        ["test:b"],
        ["test:b"],
    ]
    assert len(pauses) == 2


def test_a_permanent_refusal_names_its_cause_and_spares_the_others(server: FakeElasticsearch, sink: Sink) -> None:
    server.replies = [items(200, 400, 201)]
    answers = sink.write([write("a"), write("b"), write("c")])
    assert answers == [Outcome.INDEXED, Refused("400 some_exception: because"), Outcome.INDEXED]


def test_a_version_conflict_is_a_stale_write_and_no_error(server: FakeElasticsearch, sink: Sink) -> None:
    server.replies = [items(409, 409)]
    assert sink.write([write("a"), Write("test:b", 9, None)]) == [Outcome.STALE, Outcome.STALE]


def test_deleting_what_is_not_there_is_fine(server: FakeElasticsearch, sink: Sink) -> None:
    server.replies = [items(404)]
    assert sink.write([Write("test:b", 9, None)]) == [Outcome.DELETED]


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_request_that_is_refused_as_a_whole_is_sent_again(
    server: FakeElasticsearch, sink: Sink, pauses: list[float], status: int
) -> None:
    server.replies = [whole(status), whole(status)]
    assert sink.write([write("a")]) == [Outcome.INDEXED]
    assert len(pauses) == 2


def test_a_request_that_is_too_large_is_cut_in_two(server: FakeElasticsearch, sink: Sink, pauses: list[float]) -> None:
    server.replies = [whole(413, more_than=2)] * 7
    assert sink.write([write(name) for name in "abcde"]) == [Outcome.INDEXED] * 5
    assert max(len(bulk) for bulk in server.bulks[1:]) < 5
    assert pauses == []


def test_one_document_that_spoils_the_request_is_found_and_refused(server: FakeElasticsearch, sink: Sink) -> None:
    def spoilt(operations: list) -> tuple[int, dict]:
        bad = any(action["index"]["_id"] == "test:c" for action, _ in operations)
        return whole(400)(operations) if bad else all_ok(operations)

    server.replies = [spoilt] * 10
    answers = sink.write([write(name) for name in "abcde"])
    assert [isinstance(answer, Refused) for answer in answers] == [False, False, True, False, False]


def test_a_missing_index_is_waited_for_and_never_created(
    server: FakeElasticsearch, sink: Sink, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    server.exists = [False, False, True]
    assert sink.write([write("a")]) == [Outcome.INDEXED]
    assert (len(pauses), len(server.bulks)) == (2, 1)
    assert "index here does not exist" in caplog.text


def test_an_elasticsearch_that_is_down_is_waited_for_with_longer_and_longer_pauses(
    server: FakeElasticsearch, caplog: pytest.LogCaptureFixture
) -> None:
    pauses: list[float] = []

    class GiveUpError(Exception):
        pass

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 12:
            raise GiveUpError

    down = settings(server).model_copy(update={"elasticsearch_url": "http://127.0.0.1:9"})
    with connect(down) as client, pytest.raises(GiveUpError):
        Sink(client, "here", sleep=sleep).write([write("a")])
    assert pauses[0] < 1 < pauses[4] < pauses[11] <= LONGEST_PAUSE
    assert "1 writes wait for Elasticsearch" in caplog.text


def test_the_index_of_another_model_is_refused(server: FakeElasticsearch) -> None:
    meta = IndexMeta(
        namespace="default", collection="c", model_name="other", model_version="3", dims=4, encoder_url="http://x"
    )
    server.index = (200, {"here": as_told(index_body(meta)["mappings"])})
    with connect(settings(server)) as client, pytest.raises(IndexMismatchError, match=r"other/3, not of colour/1"):
        check_index(client, settings(server))


def test_an_index_that_is_not_ours_is_refused(server: FakeElasticsearch) -> None:
    server.index = (200, {"here": as_told({})})
    with connect(settings(server)) as client, pytest.raises(IndexMismatchError, match="was not made for this embedder"):
        check_index(client, settings(server))


def test_an_index_that_is_missing_can_be_waited_for(server: FakeElasticsearch) -> None:
    with connect(settings(server)) as client, pytest.raises(IndexMissing, match="index here does not exist"):
        check_index(client, settings(server))


def test_an_elasticsearch_that_cannot_be_asked_says_nothing_about_the_index(server: FakeElasticsearch) -> None:
    server.index = (503, {"error": {"type": "some_exception"}, "status": 503})
    with connect(settings(server)) as client, pytest.raises(Unavailable) as caught:
        check_index(client, settings(server))
    assert not isinstance(caught.value, IndexMissing)


def test_the_index_of_our_model_is_accepted(server: FakeElasticsearch) -> None:
    meta = IndexMeta(
        namespace="default", collection="c", model_name="colour", model_version="1", dims=4, encoder_url="http://x"
    )
    server.index = (200, {"here": as_told(index_body(meta)["mappings"])})
    with connect(settings(server)) as client:
        assert check_index(client, settings(server)) == "uuid-of-here"


@pytest.mark.integration
def test_a_real_elasticsearch_gives_back_the_vector_that_was_written(elasticsearch_url: str) -> None:
    meta = IndexMeta(
        namespace="tests", collection="sink", model_name="colour", model_version="1", dims=2, encoder_url="http://x"
    )
    vector = np.array([0.6, 0.8], dtype=np.float32)
    with Elasticsearch(elasticsearch_url) as client:
        client.indices.create(index="tests.sink", **index_body(meta))
        packed = takes_packed_vectors(client)
        sink = Sink(client, "tests.sink", packed=packed)
        assert sink.write([Write("test:a", 7, {"title": "a", VECTOR_FIELD: vector})]) == [Outcome.INDEXED]
        client.indices.refresh(index="tests.sink")
        (hit,) = client.search(index="tests.sink", fields=[VECTOR_FIELD])["hits"]["hits"]
        versions = {node["version"] for node in client.nodes.info()["nodes"].values()}
    assert np.allclose(hit["fields"][VECTOR_FIELD], vector)
    assert packed == all(tuple(map(int, version.split(".")[:2])) >= (9, 3) for version in versions)
