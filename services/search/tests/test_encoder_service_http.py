"""The encoder service's side of the contract, without Ray: what it answers to good and to broken requests."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from imagesearch_contract.settings import EncoderServiceSettings
from imagesearch_fetcher.decode import decode
from imagesearch_search.encoder_http import EncoderHttp
from starlette.requests import Request


@pytest.fixture
async def service():
    async def text(words):
        return np.array([len(words), 0], np.float32)

    async def image(picture):
        return np.array(picture.size, np.float32)

    settings = EncoderServiceSettings(model_name="tiny", model_version="1", max_image_bytes=10_000)
    threads = ThreadPoolExecutor(1)
    http = EncoderHttp(settings, decode=lambda data: threads.submit(decode, data, 100), text=text, image=image)

    async def app(scope, receive, send):
        await (await http.answer(Request(scope, receive)))(scope, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://encoder") as client:
        yield client


async def test_texts_come_back_as_rows_of_little_endian_float32(service):
    answer = await service.post("/encode_text", json={"texts": ["a", "four"]})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert (answer.headers["x-imagesearch-dims"], answer.headers["x-imagesearch-model"]) == ("2", "tiny/1")
    assert np.frombuffer(answer.content, "<f4").reshape(2, 2).tolist() == [[1, 0], [4, 0]]


async def test_a_picture_comes_back_as_one_row(service, picture):
    answer = await service.post("/encode_image", content=picture(file_format="JPEG"))

    assert np.frombuffer(answer.content, "<f4").tolist() == [8, 8]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"texts": []}', b'{"texts": "dog"}', b'{"texts": ["a"], "x": 1}', b"\xff"]
)
async def test_a_request_of_another_form_is_a_400(service, body):
    answer = await service.post("/encode_text", content=body)

    assert (answer.status_code, answer.json()["reason"]) == (400, "bad_request")


@pytest.mark.parametrize("texts", [["a" * 1001], ["a"] * 257])
async def test_more_text_than_the_contract_allows_is_a_400(service, texts):
    assert (await service.post("/encode_text", json={"texts": texts})).status_code == 400


async def test_a_picture_that_cannot_be_used_is_a_422_with_the_reason(service, picture):
    from io import BytesIO

    from PIL import Image

    large = BytesIO()
    Image.new("L", (11, 10)).save(large, "PNG")
    cases = {
        b"": "not_an_image",
        b"hello": "not_an_image",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>": "unsupported_format",
        picture()[:50]: "truncated",
        large.getvalue(): "decompression_bomb",
        b"\0" * 10_001: "too_large",
    }

    answers = [await service.post("/encode_image", content=data) for data in cases]

    assert [(a.status_code, a.json()["reason"]) for a in answers] == [(422, reason) for reason in cases.values()]


async def test_health_and_unknown_paths(service):
    assert (await service.get("/healthz")).json() == {"status": "ok", "model": "tiny/1"}
    assert (await service.get("/encode_text")).status_code == 404
    assert (await service.post("/nowhere")).status_code == 404
