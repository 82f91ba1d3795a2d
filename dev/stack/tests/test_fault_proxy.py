"""The proxy before Elasticsearch: what it passes on, rejects, delays and breaks off, and how it counts while it is down."""

import json
from collections.abc import Iterator

import httpx
import pytest
from aiohttp import web
from elasticsearch import ConnectionError as ElasticsearchConnectionError
from elasticsearch import Elasticsearch
from imagesearch_stack.faults import proxy
from imagesearch_stack.faults.proxy import Fault, Proxy, bulk_body, bulk_items
from imagesearch_stack.faults.serving import Server

WRITES = b"".join(
    (b'{"delete": {"_id": "%d"}}\n' % n)
    if n % 3 == 0
    else (b'{"index": {"_id": "%d", "version": 7}}\n{"n": %d}\n' % (n, n))
    for n in range(300)
)


class Store(Server):
    """Answers a bulk request as Elasticsearch does, and remembers what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []
        self.written: list[str] = []

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.asked.append((request.method, request.path_qs))
        items = bulk_items(await request.content.read())
        self.written += [item.fields["_id"] for item in items]
        results = [{item.action: {"_id": item.fields["_id"], "status": 200}} for item in items]
        body = {"took": 3, "errors": False, "items": results}
        return web.json_response(body, headers={"X-Elastic-Product": "Elasticsearch"})


@pytest.fixture
def store() -> Iterator[Store]:
    with Store() as running:
        yield running


def send(url: str, body: bytes = WRITES) -> httpx.Response:
    headers = {"Content-Type": "application/x-ndjson"}
    return httpx.post(f"{url}/pictures/_bulk?refresh=false", content=body, headers=headers, trust_env=False)


def test_without_faults_everything_passes_unchanged(store: Store) -> None:
    with Proxy(store.url, {}, seed=1) as before:
        answer = send(before.url)
    assert store.asked == [("POST", "/pictures/_bulk?refresh=false")]
    assert store.written == [str(n) for n in range(300)]
    assert answer.json() == {
        "took": 3,
        "errors": False,
        "items": [{"index" if n % 3 else "delete": {"_id": str(n), "status": 200}} for n in range(300)],
    }
    assert answer.headers["X-Elastic-Product"] == "Elasticsearch"


def test_rejected_items_do_not_reach_the_store_and_are_answered_in_their_place(store: Store) -> None:
    with Proxy(store.url, {Fault.REJECTED: 0.3}, seed=1) as before:
        answer = send(before.url).json()
    results = [next(iter(item.items())) for item in answer["items"]]
    assert answer["errors"] is True
    assert [result["_id"] for _, result in results] == [str(n) for n in range(300)]
    assert [action for action, _ in results] == ["index" if n % 3 else "delete" for n in range(300)]
    assert store.written == [result["_id"] for _, result in results if result["status"] == 200]
    rejected = [result for _, result in results if result["status"] == 429]
    assert {result["error"]["type"] for result in rejected} == {"es_rejected_execution_exception"}
    assert len(rejected) + len(store.written) == 300
    assert before.happened[Fault.REJECTED] == len(rejected)
    assert 60 < len(rejected) < 120


def test_when_all_items_are_rejected_the_store_is_not_asked(store: Store) -> None:
    with Proxy(store.url, {Fault.REJECTED: 1.0}, seed=1) as before:
        answer = send(before.url)
    assert store.asked == []
    assert answer.status_code == 200
    assert {next(iter(item.values()))["status"] for item in answer.json()["items"]} == {429}


def test_of_two_proxies_with_one_seed_the_same_happens(store: Store) -> None:
    outcomes = []
    for _ in range(2):
        with Proxy(store.url, {Fault.REJECTED: 0.5}, seed="a") as before:
            outcomes.append(send(before.url).json())
    assert outcomes[0] == outcomes[1]


def test_an_unavailable_store_is_not_asked(store: Store) -> None:
    with Proxy(store.url, {Fault.UNAVAILABLE: 1.0}, seed=1) as before:
        assert send(before.url).status_code == 503
    assert store.asked == []


def test_a_stalled_request_is_passed_on_in_the_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "STALL_SECONDS", 0.01)
    with Proxy(store.url, {Fault.STALL: 1.0}, seed=1) as before:
        assert send(before.url).status_code == 200
    assert before.happened == {Fault.STALL: 1, Fault.UNAVAILABLE: 0, Fault.REJECTED: 0, Fault.RESET: 0}


def test_a_reset_comes_after_the_store_has_done_what_it_was_asked_for(store: Store) -> None:
    with Proxy(store.url, {Fault.RESET: 1.0}, seed=1) as before:
        with pytest.raises(httpx.TransportError):
            send(before.url)
        assert len(store.written) == 300
        with Elasticsearch(before.url, max_retries=0) as client, pytest.raises(ElasticsearchConnectionError):
            client.bulk(operations=[{"delete": {"_id": "1"}}])


def test_down_means_that_open_and_new_connections_are_reset_and_counted_and_back_means_back(store: Store) -> None:
    with Proxy(store.url, {}, seed=1) as before, httpx.Client(base_url=before.url, trust_env=False) as client:
        assert client.get("/").status_code == 200
        before.go_down()
        seen = before.connections
        for _ in range(3):
            with pytest.raises(httpx.TransportError):
                client.get("/")
        assert before.connections >= seen + 3
        before.come_back()
        assert client.get("/").status_code == 200


def test_a_bulk_request_that_is_read_and_written_again_is_the_same() -> None:
    assert bulk_body(bulk_items(WRITES)) == WRITES
    update = json.dumps({"update": {"_id": "x"}}).encode() + b"\n" + b'{"doc": {}}\n'
    assert [item.action for item in bulk_items(update + b"\n" + update)] == ["update", "update"]
