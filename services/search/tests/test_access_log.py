"""The access log: a line for each request, and nothing in it that is not ours to keep."""

import hashlib
import json
import logging

import pytest
from imagesearch_contract.settings import SearchSettings
from imagesearch_search import access_log

KEY = "isk_a-key-of-the-shop"


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, access_log.log.name)
    return lambda: [json.loads(record.getMessage()) for record in caplog.records if record.name == access_log.log.name]


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "keys.yaml"
    entry = {"name": "shop", "sha256": hashlib.sha256(KEY.encode()).hexdigest(), "collections": ["*"]}
    path.write_text(json.dumps({"keys": [entry]}))
    return SearchSettings(access_keys_path=path, encoder_timeout_seconds=0.5)


async def search(api, **body):
    return await api.post(
        "/text_search", json={"collection": "zoo", "query": "a secret dog"} | body, headers={"X-API-Key": KEY}
    )


async def test_a_search_is_one_line(api, lines):
    await search(api)

    (line,) = lines()
    assert line.pop("ms") > 0
    assert line.pop("time").endswith("+00:00")
    assert line == {"method": "POST", "path": "/text_search", "status": 200, "client": "127.0.0.1", "key": "shop"}


async def test_neither_words_nor_addresses_nor_keys_are_logged(api, lines, caplog):
    await search(api)
    await search(api, query="secret" * 1000)
    await search(api, query=["secret"])
    await api.post(
        "/image_search",
        json={"collection": "zoo", "image_url": "http://secret.example/x.png"},
        headers={"Authorization": f"Bearer {KEY}"},
    )
    await api.post("/text_search?q=secret", json={}, headers={"X-API-Key": "isk_secret"})
    await api.get("/?q=secret&key=secret")

    assert [line["status"] for line in lines()] == [200, 422, 422, 422, 401, 404]
    for secret in ("secret", KEY):
        assert secret not in caplog.text


async def test_refusals_and_failures_are_logged_with_their_status(api, lines, index):
    await api.post("/text_search", json={})
    index.alias = None  # a programming error
    await search(api)
    await api.get("/healthz")
    await api.get("/readyz", headers={"X-API-Key": KEY})

    assert [(line["path"], line["status"], line["key"]) for line in lines()] == [
        ("/text_search", 401, None),
        ("/text_search", 500, "shop"),
        ("/readyz", 500, "shop"),
    ]


async def test_a_line_is_one_line_whatever_the_path(api, lines):
    await api.get("/a%0a%22%1b[31m" + "x" * 1000)

    (line,) = lines()
    assert line["path"].startswith('/a\n"\x1b[31mx')
    assert len(line["path"]) == 200


class TestOptedIn:
    @pytest.fixture
    def settings(self, settings):
        return settings.model_copy(update={"log_queries": True, "fetch_max_bytes": 200_000})

    async def test_what_was_searched_for_is_logged(self, api, lines):
        await search(api)

        assert lines()[0]["search"] == {"collection": "zoo", "query": "a secret dog"}

    async def test_pictures_are_left_out(self, api, lines, picture):
        await api.post("/image_search", json={"collection": "zoo", "image_base64": "AAAA"}, headers={"X-API-Key": KEY})
        await api.post("/image_search", json={"image_base64": "A" * 100_000}, headers={"X-API-Key": KEY})
        await api.post(
            "/image_search", data={"collection": "zoo"}, files={"image": picture()}, headers={"X-API-Key": KEY}
        )

        assert [line["search"] for line in lines()] == [{"collection": "zoo"}, None, None]

    @pytest.mark.parametrize("body", [b"{", b"[" * 10_000, b'"\\ud800"', b"\xff"])
    async def test_odd_bodies_do_no_harm(self, api, lines, body):
        await api.post("/text_search", content=body, headers={"X-API-Key": KEY})

        assert len(lines()) == 1

    async def test_a_body_that_is_refused_is_not_read_for_the_log(self, api, lines):
        await api.post("/text_search", json={"query": "dog"})

        assert "search" not in lines()[0]


def test_the_lines_go_to_the_standard_output_as_they_are(capsys, monkeypatch):
    monkeypatch.setattr(access_log, "log", logging.Logger("test"))
    access_log.to_standard_output()
    access_log.log.info("%s", '{"status": 200}')

    assert capsys.readouterr() == ('{"status": 200}\n', "")
