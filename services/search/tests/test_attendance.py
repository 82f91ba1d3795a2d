"""A request from its headers to its end: the place it has, the time it may take, and that it stops when nobody waits.

What depends on how a server tells that a client has gone is tried on the real one.
"""

import asyncio
import json
import threading
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from imagesearch_contract.settings import ElasticsearchSettings, SearchSettings
from imagesearch_search.admission import Attendance
from imagesearch_search.index_client import ElasticsearchIndex, connect
from imagesearch_search.limits import Gate
from imagesearch_search.middleware import BodyLimit
from starlette.responses import Response


@pytest.fixture
def settings():
    return SearchSettings(encoder_timeout_seconds=30, request_timeout_seconds=20, fetch_max_bytes=20_000)


class Held:
    """A fault of the encoder: it answers when it is let go, and knows whether its client went first."""

    def __init__(self, encoder):
        self._answer = encoder._http.answer
        self.begun, self.let_go, self.left = threading.Event(), threading.Event(), threading.Event()

    async def __call__(self, request):
        answer = await self._answer(request)  # reads the body
        self.begun.set()
        while not self.let_go.is_set():
            if await request.is_disconnected():
                self.left.set()
                break
            await asyncio.sleep(0.005)
        return answer


@pytest.fixture
def held(encoder):
    fault = encoder.fault = Held(encoder)
    yield fault
    fault.let_go.set()


async def happens(event):
    assert await asyncio.to_thread(event.wait, 5)


@pytest.fixture
async def served(app):
    """The address of the API on a real server."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", ws="none", proxy_headers=False))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    await serving


@asynccontextmanager
async def sent(address, request: httpx.Request):
    """A connection on which the request was sent, whole."""
    reader, writer = await asyncio.open_connection(*address)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    writer.write(f"{request.method} {request.url.path} HTTP/1.1\r\n{head}\r\n".encode() + request.read())
    await writer.drain()
    try:
        yield reader
    finally:
        writer.close()
        await writer.wait_closed()


def text_search(query="dog", **headers):
    return httpx.Request("POST", "http://api/text_search", json={"collection": "zoo", "query": query}, headers=headers)


# -- clients that hang up


async def test_who_hangs_up_is_not_worked_for_any_more(served, held, index):
    async with sent(served, text_search()):
        await happens(held.begun)

    await happens(held.left)
    assert index.searched == []


async def test_an_upload_whose_client_hangs_up_is_not_worked_for_any_more(served, held, index, picture):
    upload = httpx.Request(
        "POST", "http://api/image_search", data={"collection": "zoo"}, files={"image": ("a.png", picture())}
    )
    async with sent(served, upload):
        await happens(held.begun)

    await happens(held.left)
    assert index.searched == []


async def test_elasticsearch_is_told_by_its_connection_that_nobody_waits():
    asked, closed = asyncio.Event(), asyncio.Event()

    async def elasticsearch(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        while await reader.read(1000):
            pass
        closed.set()
        writer.close()

    server = await asyncio.start_server(elasticsearch, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, connect(ElasticsearchSettings(elasticsearch_url=f"http://127.0.0.1:{port}")) as client:
        search = asyncio.create_task(ElasticsearchIndex(client).search("index", {"size": 1}, preference="x"))
        await asyncio.wait_for(asked.wait(), 5)
        search.cancel()
        await asyncio.wait_for(closed.wait(), 5)


async def test_what_another_waits_for_too_goes_on(served, held):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served[1]}") as client:
        async with sent(served, text_search()):
            await happens(held.begun)
            other = asyncio.create_task(client.post("/text_search", json={"collection": "zoo", "query": "dog"}))
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)
        assert not held.left.is_set()
        held.let_go.set()

        assert (await other).status_code == 200


async def test_who_hangs_up_over_the_body_is_no_error(served, api, caplog):
    for path in ("/text_search", "/image_search"):
        request = httpx.Request("POST", f"http://api{path}", content=b"{", headers={"Content-Length": "100"})
        async with sent(served, request):
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.05)

    assert caplog.records == []
    assert (await api.post("/text_search", json={"collection": "zoo", "query": "dog"})).status_code == 200


async def test_a_connection_is_kept_over_answers_and_refusals(served):
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served[1]}", limits=httpx.Limits(max_connections=1)) as c:
        for query, status in (("dog", 200), ("", 422), ("dog", 200)):
            assert (await c.post("/text_search", json={"collection": "zoo", "query": query})).status_code == status


# -- time


@pytest.mark.parametrize("path", ["/text_search", "/image_search"])
async def test_an_answer_that_does_not_come_in_time_is_a_clear_504_and_the_work_ends(api, held, index, picture, path):
    body = (
        {"json": {"collection": "zoo", "query": "dog"}}
        if path == "/text_search"
        else {"data": {"collection": "zoo"}, "files": {"image": ("a.png", picture())}}
    )
    answer = await api.post(path, headers={"X-Request-Timeout": "0.5"}, **body)

    assert (answer.status_code, answer.json()["type"]) == (504, "urn:imagesearch:problem:deadline-exceeded")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "0.5 s" in answer.json()["detail"]
    await happens(held.left)
    assert index.searched == []


async def test_clients_without_patience_do_not_make_the_encoder_look_dead(api, held, encoder):
    for number in range(5):
        await api.post(
            "/text_search",
            json={"collection": "zoo", "query": f"dog {number}"},
            headers={"X-Request-Timeout": "0.02"},
        )
    encoder.fault = None

    assert (await api.post("/text_search", json={"collection": "zoo", "query": "cat"})).status_code == 200


@pytest.mark.parametrize("settings", [SearchSettings(encoder_timeout_seconds=30, request_timeout_seconds=0.1)])
@pytest.mark.parametrize("headers", [{}, {"X-Request-Timeout": "60"}, {"X-Request-Timeout": "1e999"}])
async def test_the_servers_own_limit_holds_in_any_case(api, held, settings, headers):
    answer = await api.post("/text_search", json={"collection": "zoo", "query": "dog"}, headers=headers)

    assert answer.status_code == 504


@pytest.mark.parametrize("seconds", ["soon", "", "0", "-1", "1_0", "inf", "nan", "1e999999x"])
async def test_a_time_that_is_none_is_refused(api, seconds):
    answer = await api.post(
        "/text_search", json={"collection": "zoo", "query": "dog"}, headers={"X-Request-Timeout": seconds}
    )

    assert (answer.status_code, answer.json()["type"]) == (422, "urn:imagesearch:problem:invalid-request")
    assert "X-Request-Timeout" in answer.json()["detail"]


async def test_a_body_that_does_not_come_in_time_is_a_504(served):
    request = httpx.Request(
        "POST", "http://api/text_search", content=b"{", headers={"Content-Length": "100", "X-Request-Timeout": "0.1"}
    )
    async with sent(served, request) as reader:
        assert b"504" in await asyncio.wait_for(reader.readline(), 5)


# -- places


def attended(gate, app=None, seconds=20.0):
    async def answering(scope, receive, send):
        await Response(json.dumps((await receive())["body"].decode()))(scope, receive, send)

    return Attendance(app or answering, guarded=lambda scope: True, gate=gate, seconds=seconds)


async def post(app, receive, **headers):
    """The status of an answer, with a `receive` of the test's own."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/text_search",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    statuses = []

    async def send(message):
        statuses.append(message.get("status"))

    await app(scope, receive, send)
    return statuses[0] if statuses else None


async def unread():
    raise AssertionError("the body was read")


async def silent():
    await asyncio.Event().wait()


async def test_where_there_is_neither_place_nor_queue_the_body_is_not_read():
    gate = Gate(1, patience_seconds=30)
    await gate.enter()
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)

    assert await post(attended(gate), unread) == 429
    waiting.cancel()


async def test_clients_that_send_slowly_hold_no_place():
    gate = Gate(1, patience_seconds=30)
    slow = [asyncio.create_task(post(attended(gate), silent)) for _ in range(10)]
    await asyncio.sleep(0)

    async with gate.place():
        pass
    for task in slow:
        task.cancel()
    await asyncio.wait(slow)


async def test_clients_that_read_slowly_hold_no_place_and_are_not_cut_off():
    gate, begun, read = Gate(1, patience_seconds=30), asyncio.Event(), asyncio.Event()

    async def slowly_read(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        begun.set()
        await read.wait()
        await send({"type": "http.response.body", "body": b""})

    task = asyncio.create_task(post(attended(gate, slowly_read, seconds=0.01), _body_and_silence()))
    await begun.wait()
    async with gate.place():
        await asyncio.sleep(0.05)
    read.set()
    assert await task == 200


def _body_and_silence():
    messages = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def receive():
        return messages.pop() if messages else await silent()

    return receive


@pytest.mark.parametrize("settings", [SearchSettings(encoder_timeout_seconds=30, max_concurrent_searches=1)])
async def test_a_search_past_what_can_be_done_is_refused_and_one_that_comes_later_is_not(api, held, settings):
    async def search(query):
        return (await api.post("/text_search", json={"collection": "zoo", "query": query})).json()

    searching = asyncio.create_task(search("dog"))
    await happens(held.begun)
    refused = await search("cat")
    held.let_go.set()

    assert (refused["status"], refused["type"]) == (429, "urn:imagesearch:problem:overloaded")
    assert len((await searching)["hits"]) == 3
    assert len((await search("boat"))["hits"]) == 3


@pytest.mark.parametrize("settings", [SearchSettings(max_concurrent_searches=1)])
async def test_who_hung_up_or_ran_out_of_time_holds_no_place(api, served, held, settings):
    async with sent(served, text_search("boat")):
        await happens(held.begun)
    await happens(held.left)
    await api.post("/text_search", json={"collection": "zoo", "query": "dog"}, headers={"X-Request-Timeout": "0.05"})
    held.let_go.set()

    assert (await api.post("/text_search", json={"collection": "zoo", "query": "cat"})).status_code == 200


@pytest.mark.parametrize("settings", [SearchSettings(max_concurrent_searches=1, fetch_concurrency=1)])
async def test_pictures_that_do_not_come_keep_nobody_else_from_searching(api, app, settings):
    asked, silence = asyncio.Event(), asyncio.Event()

    async def never(url):
        asked.set()
        await silence.wait()

    app.state.engine._fetch = never
    by_address = {"collection": "zoo", "image_url": "http://silent.example/x.png"}
    waiting = [asyncio.create_task(api.post("/image_search", json=by_address)) for _ in range(2)]
    await asked.wait()
    await asyncio.sleep(0.01)

    assert (await api.post("/text_search", json={"collection": "zoo", "query": "dog"})).status_code == 200
    assert (await api.post("/image_search", json=by_address)).status_code == 429
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


# -- memory


async def test_large_bodies_share_their_memory_and_small_ones_always_have_room():
    gate, half = Gate(100), {"type": "http.request", "body": b"x" * 60, "more_body": True}
    app = BodyLimit(attended(gate), default=10, limits={"/text_search": 100}, together=100)

    def uploading():
        messages = [half]

        async def receive():
            return messages.pop() if messages else await silent()

        return receive

    first = asyncio.create_task(post(app, uploading()))
    await asyncio.sleep(0)
    assert await post(app, uploading()) == 429
    assert await post(app, _body_and_silence()) == 200

    first.cancel()
    await asyncio.wait({first})
    third = asyncio.create_task(post(app, uploading()))
    await asyncio.sleep(0)
    assert not third.done()
    third.cancel()
    await asyncio.wait({third})
