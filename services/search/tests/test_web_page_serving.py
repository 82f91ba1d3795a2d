"""The built web page and the documentation, served beside the API."""

import gzip

import pytest
from imagesearch_contract.settings import SearchSettings, SettingsError
from imagesearch_search.app import create_app


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>imagesearch</title>")
    (tmp_path / "assets" / "main-1a2b3c.js").write_text("1")
    return SearchSettings(web_dir=tmp_path)


async def test_the_page_is_asked_for_anew_and_its_assets_are_kept(api):
    page, asset = await api.get("/"), await api.get("/assets/main-1a2b3c.js")

    assert (page.status_code, page.headers["cache-control"]) == (200, "no-cache")
    assert "text/html" in page.headers["content-type"]
    assert "immutable" in asset.headers["cache-control"]


async def test_an_asset_travels_compressed_to_whoever_takes_that(api, settings):
    script = b"let picture = 1;" * 100
    (settings.web_dir / "assets" / "main-4d5e6f.js").write_bytes(script)
    (settings.web_dir / "assets" / "main-4d5e6f.js.gz").write_bytes(gzip.compress(script))

    packed = await api.get("/assets/main-4d5e6f.js", headers={"Accept-Encoding": "gzip, deflate"})
    plain = await api.get("/assets/main-4d5e6f.js", headers={"Accept-Encoding": "identity"})

    assert packed.content == plain.content == script
    assert int(packed.headers["content-length"]) < len(script)
    assert [answer.headers.get("content-encoding") for answer in (packed, plain)] == ["gzip", None]
    for header in ("content-type", "cache-control", "vary"):
        assert packed.headers[header] == plain.headers[header]
    assert "javascript" in packed.headers["content-type"]


async def test_what_was_compressed_before_is_asked_for_by_its_own_mark(api, settings):
    (settings.web_dir / "index.html.gz").write_bytes(gzip.compress(b"<!doctype html><title>imagesearch</title>"))
    packed = await api.get("/", headers={"Accept-Encoding": "gzip"})
    plain = await api.get("/", headers={"Accept-Encoding": "identity"})
    assert packed.text == plain.text
    assert packed.headers["etag"] != plain.headers["etag"]

    again = await api.get("/", headers={"Accept-Encoding": "gzip", "If-None-Match": packed.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


async def test_the_search_in_the_pages_url_is_the_pages_own_business(api):
    assert (await api.get("/?q=dog&collection=zoo")).status_code == 200


async def test_the_api_answers_before_the_page_does(api):
    assert (await api.get("/healthz")).json() == {"status": "ok"}
    assert (await api.get("/text_search")).status_code == 405
    assert (await api.post("/text_search", json={"collection": "zoo", "query": "dog"})).status_code == 200


@pytest.mark.parametrize("path", ["/nowhere", "/assets/../../secret", "/assets/%2e%2e/%2e%2e/etc/passwd", "/assets/"])
async def test_what_is_not_there_is_a_problem_document(api, path):
    answer = await api.get(path)

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_the_documentation_needs_no_other_host(api):
    page = await api.get("/docs")

    assert page.status_code == 200
    assert "https://" not in page.text
    for path in ("/docs/static/swagger-ui-bundle.js", "/docs/static/swagger-ui.css", "/docs/static/favicon-32x32.png"):
        assert path in page.text
        assert (await api.get(path)).status_code == 200


def test_a_page_that_was_not_built_is_said_at_the_start(tmp_path):
    with pytest.raises(SettingsError, match="build the web page first"):
        create_app(SearchSettings(web_dir=tmp_path / "dist"))
