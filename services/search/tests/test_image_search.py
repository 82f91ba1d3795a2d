"""Searching by a picture: by address, in base64, as an upload."""

import base64
import socket
from dataclasses import replace

import aiohttp
import pytest
from imagesearch_contract.dead_letter import Reason
from imagesearch_fetcher.fetch import Fetcher, FetchPolicy
from imagesearch_search import problems
from imagesearch_search.encoder_client import EncoderClient
from imagesearch_search.engine import FETCH_GRACE_SECONDS, SearchEngine
from imagesearch_search.problems import Problem
from imagesearch_search.timing import Stages


async def test_an_uploaded_picture_finds_what_is_like_it(api, picture):
    answer = await api.post(
        "/image_search",
        data={"collection": "zoo", "size": "1"},
        files={"image": ("a.png", picture("lime"), "image/png")},
    )

    assert answer.status_code == 200
    assert [hit["id"] for hit in answer.json()["hits"]] == ["test:cat"]


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
async def test_a_picture_in_base64_finds_what_is_like_it(api, picture, prefix):
    text = prefix + base64.b64encode(picture("blue")).decode()

    answer = await api.post("/image_search", json={"collection": "zoo", "image_base64": text, "size": 1})

    assert [hit["id"] for hit in answer.json()["hits"]] == ["test:boat"]


async def test_a_picture_is_fetched_from_its_address(api, web, picture):
    web.pages["https://pictures.example/red.png"] = picture("red")

    answer = await api.post(
        "/image_search", json={"collection": "zoo", "image_url": "https://pictures.example/red.png", "size": 1}
    )

    assert [hit["id"] for hit in answer.json()["hits"]] == ["test:dog"]
    assert "fetch;dur=" in answer.headers["server-timing"]


async def test_blocked_dead_and_silent_addresses_look_the_same(api, web):
    seen = set()
    for reason in (Reason.BLOCKED_URL, Reason.DEAD_LINK, Reason.UNREACHABLE):
        web.pages["http://10.0.0.7/x"] = reason
        answer = await api.post("/image_search", json={"collection": "zoo", "image_url": "http://10.0.0.7/x"})
        seen.add((answer.status_code, answer.text))

    ((status, text),) = seen
    assert status == 422
    assert "urn:imagesearch:problem:image-not-fetched" in text
    assert "private" not in text


async def test_blocked_and_silent_addresses_take_the_same_time(api, web, passing, settings):
    took = []
    for reason, seconds in (
        (Reason.BLOCKED_URL, 0.0),
        (Reason.BLOCKED_URL, 0.3),  # after a lookup
        (Reason.UNREACHABLE, 1.5),
        (Reason.UNREACHABLE, settings.fetch_timeout_seconds),
    ):
        web.pages["http://10.0.0.7/x"], web.seconds, started = reason, seconds, passing.now
        await api.post("/image_search", json={"collection": "zoo", "image_url": "http://10.0.0.7/x"})
        took.append(passing.now - started)

    assert took == pytest.approx([settings.fetch_timeout_seconds + FETCH_GRACE_SECONDS] * 4)


async def test_a_server_that_says_no_is_believed_at_once(api, web, passing):
    web.pages["http://pictures.example/x"] = Reason.DEAD_LINK

    await api.post("/image_search", json={"collection": "zoo", "image_url": "http://pictures.example/x"})

    assert passing.now == 0


async def _to_loopback(host, port):
    return ["127.0.0.1"]


async def _to_nowhere(host, port):
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def test_the_real_fetcher_gives_blocked_and_unreachable_addresses_one_answer(settings, index, passing):
    listener = socket.create_server(("127.0.0.1", 0))
    heard, closed = listener.getsockname()[1], _closed_port()
    inside = FetchPolicy(allowed_networks=("127.0.0.1/32",), attempts=1)
    seen, took = set(), []
    for policy, resolve, url in (
        (FetchPolicy(), _to_loopback, f"http://127.0.0.1:{heard}/x"),  # blocked by itself
        (FetchPolicy(), _to_loopback, "http://intranet.example/x"),  # blocked by what it resolves to
        (FetchPolicy(), _to_nowhere, "http://intranet.example/x"),  # not there
        (inside, _to_loopback, f"http://127.0.0.2:{heard}/x"),
        (inside, _to_loopback, f"http://127.0.0.1:{closed}/x"),  # nobody listens
        (inside, _to_loopback, f"https://127.0.0.1:{heard}/x"),  # somebody listens and says nothing
    ):
        async with (
            Fetcher(replace(policy, connect_timeout_seconds=0.1, read_timeout_seconds=0.1), resolve=resolve) as fetcher,
            aiohttp.ClientSession() as session,
        ):
            engine = SearchEngine(
                settings,
                index=index,
                encoder=EncoderClient(session, 1.0),
                fetch=fetcher.fetch,
                sleep=passing.sleep,
                clock=passing.clock,
            )
            started = passing.now
            with pytest.raises(Problem) as caught:
                await engine.fetch(url, Stages())
            took.append(passing.now - started)
            answer = problems.answer(caught.value, "/image_search")
        seen.add((answer.status_code, bytes(answer.body), str(answer.headers)))
    listener.close()

    assert len(seen) == 1
    assert took == pytest.approx([settings.fetch_timeout_seconds + FETCH_GRACE_SECONDS] * 6)


def _closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def test_a_fetched_picture_that_is_too_large_says_so(api, web):
    web.pages["http://pictures.example/x"] = Reason.TOO_LARGE

    answer = await api.post("/image_search", json={"collection": "zoo", "image_url": "http://pictures.example/x"})

    assert (answer.status_code, answer.json()["title"]) == (413, "The picture is too large")


@pytest.mark.parametrize(
    ("data", "status", "kind"),
    [
        (b"<html>not found</html>", 415, "unsupported-image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "unsupported-image"),
        (b"", 415, "unsupported-image"),
    ],
)
async def test_what_is_no_picture_is_refused_with_the_reason(api, data, status, kind):
    answer = await api.post("/image_search", data={"collection": "zoo"}, files={"image": ("x", data)})

    assert answer.status_code == status
    assert answer.json()["type"] == f"urn:imagesearch:problem:{kind}"


async def test_a_truncated_picture_is_refused_with_the_reason(api, picture):
    answer = await api.post("/image_search", data={"collection": "zoo"}, files={"image": ("x", picture()[:50])})

    assert (answer.status_code, answer.json()["type"]) == (422, "urn:imagesearch:problem:unusable-image")
    assert "truncated" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({}, "#/", "exactly one"),
        ({"image_url": "http://a.example", "image_base64": "AAAA"}, "#/", "exactly one"),
        ({"image_base64": "not base64!"}, "#/image_base64", "not base64"),
        ({"image_base64": "QUJD RA=="}, "#/image_base64", "not base64"),
        ({"image_base64": "ä"}, "#/image_base64", "not base64"),
        ({"image_base64": ""}, "#/image_base64", "at least 1"),
        ({"image_url": ""}, "#/image_url", "at least 1"),
        ({"image_url": "http://a.example/" + "a" * 3000}, "#/image_url", "at most 2048"),
        ({"image_base64": "AAAA", "colour": "red"}, "#/colour", "not permitted"),
    ],
)
async def test_a_faulty_request_is_told_which_field_and_why(api, body, pointer, words):
    answer = await api.post("/image_search", json={"collection": "zoo", **body})

    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == pointer
    assert words in fault["detail"]


async def test_a_form_without_a_file_says_what_is_missing(api):
    for files in ({"picture": ("x", b"AAAA")}, {"image": (None, "text, not a file")}):
        answer = await api.post("/image_search", data={"collection": "zoo"}, files=files)

        assert answer.status_code == 422
        assert answer.json()["errors"] == [
            {"pointer": "#/image", "detail": "send the picture as a file in the form field 'image'"}
        ]


async def test_a_form_with_a_faulty_field_says_which(api, picture):
    answer = await api.post(
        "/image_search", data={"collection": "zoo", "size": "many"}, files={"image": ("x", picture())}
    )

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/size")


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", b"hello", 415),
        ("", b"hello", 415),
        ("application/json", b"{", 400),
        ("application/json", b"[1]", 400),
        ("application/json", b"\xff\xfe", 400),
        ("application/json", b"[" * 100_000, 413),
        ("application/json", b"[" * 40_000, 400),
        ("multipart/form-data", b"hello", 400),
        ("multipart/form-data; boundary=x", b"--y\r\n", 400),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="image"', 422),
    ],
)
async def test_a_body_of_another_form_is_refused_clearly(api, content_type, body, status):
    answer = await api.post("/image_search", content=body, headers={"Content-Type": content_type})

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


async def test_too_many_bytes_are_refused_however_they_come(api, picture):
    text = base64.b64encode(b"\0" * 20_001).decode()
    answers = [
        await api.post("/image_search", json={"collection": "zoo", "image_base64": text}),
        await api.post("/image_search", data={"collection": "zoo"}, files={"image": ("x", b"\0" * 20_001)}),
    ]

    assert [(a.status_code, a.json()["type"]) for a in answers] == [
        (413, "urn:imagesearch:problem:image-too-large")
    ] * 2


async def test_a_body_without_a_length_is_cut_off_while_it_arrives(api):
    sent = 0

    async def endless():
        nonlocal sent
        while sent < 100 * 2**20:
            sent += 2**16
            yield b"A" * 2**16

    for path in ("/text_search", "/image_search"):
        sent = 0
        answer = await api.post(path, content=endless(), headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:imagesearch:problem:body-too-large")
        assert sent < 2**20
