"""Manifests: what a line may leave out, and how one that is broken is told."""

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import FetchSettings, ManifestSource
from imagesearch_producer.sources import Item, Skip, SourceError
from imagesearch_producer.sources.manifest import LINE_LIMIT, record_of, records

LOOPBACK = FetchSettings(allowed_networks=("127.0.0.0/8",))
GOOD = {"id": "zoo:1", "url": "https://zoo.example/1.jpg", "title": "A zebra"}


def read(path: Path | str, settings: FetchSettings = LOOPBACK) -> list[Item]:
    return list(records(ManifestSource(url=str(path)), settings))


def write(folder: Path, *lines: object) -> Path:
    path = folder / "manifest.jsonl"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    return path


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server over `tmp_path`."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_line_is_a_record_and_may_leave_out_the_version(tmp_path: Path) -> None:
    assert read(write(tmp_path, GOOD, {**GOOD, "id": "zoo:2", "schema_version": 1, "colour": "ignored"})) == [
        ImageRecord(**GOOD),
        ImageRecord(**{**GOOD, "id": "zoo:2"}),
    ]


def test_without_an_id_the_url_makes_one_that_stays(tmp_path: Path) -> None:
    first, second = read(write(tmp_path, {"url": "https://zoo.example/1.jpg"}, {"url": "https://zoo.example/2.jpg"}))

    assert isinstance(first, ImageRecord)
    assert isinstance(second, ImageRecord)
    assert first.id == "manifest:8f07bb5f6d2afe611d1eec7aefc10043"
    assert first.id != second.id


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{", "line 2: Expecting property name"),
        (b'"text"', "line 2: expected a JSON object, got str"),
        (b"\xff\xfe\x00", "line 2: 'utf-8' codec can't decode"),
        (b"[" * 100_000, "line 2: "),
        (b'{"id":"zoo:2"}', "line 2: url: Field required"),
        (b'{"url":"https://zoo.example/\\ud800"}', "line 2: url: "),
        (b'{"url":"photos/2.jpg"}', "line 2: 'photos/2.jpg' is not an http(s) URL"),
        (b'{"url":"https://zoo.example/2.jpg","id":"no colon"}', "line 2: id: String should match"),
        (b'{"url":"https://zoo.example/2.jpg","schema_version":2}', "line 2: schema_version: Input should be 1"),
        (b'{"url":"https://zoo.example/2.jpg","taken_at":"2024-01-01T00:00:00"}', "line 2: taken_at: "),
        (b'{"url":"' + b"x" * LINE_LIMIT + b'"}', f"line 2: longer than {LINE_LIMIT} bytes"),
    ],
)
def test_a_bad_line_is_told_by_its_number_and_its_neighbours_go_on(tmp_path: Path, line: bytes, fault: str) -> None:
    before, bad, after = read(write(tmp_path, GOOD, line, {**GOOD, "id": "zoo:3"}))

    assert isinstance(before, ImageRecord)
    assert isinstance(bad, Skip)
    assert bad.reason == "bad line"
    assert bad.detail.startswith(fault)
    assert isinstance(after, ImageRecord)


def test_blank_lines_windows_line_ends_and_a_byte_order_mark_are_no_faults(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\r\n  \n" + b'{"url":"x"}')

    record, bad = read(path)

    assert record == ImageRecord(**GOOD)
    assert isinstance(bad, Skip)
    assert bad.detail.startswith("line 4: ")


def test_a_manifest_without_a_single_record_is_no_manifest(tmp_path: Path) -> None:
    path = write(tmp_path, b"<html>", b"</html>")

    with pytest.raises(SourceError, match=r"holds no record; it has to be JSON Lines, one record a line \(line 1: "):
        read(path)


def test_an_empty_manifest_has_nothing_to_publish(tmp_path: Path) -> None:
    assert read(write(tmp_path)) == []


@pytest.mark.parametrize("path", ["missing.jsonl", ".", "\0"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, path: str) -> None:
    with pytest.raises(SourceError, match="cannot be read: "):
        read(f"{tmp_path}/{path}")


def test_a_manifest_by_url_resolves_relative_addresses(tmp_path: Path, web: str) -> None:
    write(tmp_path, {"url": "pictures/a b.jpg", "thumbnail_url": "/t.jpg", "page_url": "https://zoo.example/"})

    (record,) = read(f"{web}/manifest.jsonl")

    assert isinstance(record, ImageRecord)
    assert record.url == f"{web}/pictures/a b.jpg"
    assert record.thumbnail_url == f"{web}/t.jpg"
    assert record.page_url == "https://zoo.example/"


def test_a_manifest_that_is_not_there_is_told(web: str) -> None:
    with pytest.raises(SourceError, match=r"cannot be fetched: .*404 \(dead_link\)"):
        read(f"{web}/missing.jsonl")


def test_a_manifest_on_a_private_address_is_refused_unless_it_is_allowed(tmp_path: Path, web: str) -> None:
    write(tmp_path, GOOD)

    with pytest.raises(SourceError, match="blocked_url"):
        read(f"{web}/manifest.jsonl", FetchSettings())


@given(st.binary(max_size=200))
def test_any_line_gives_a_record_or_a_skip(line: bytes) -> None:
    assert isinstance(record_of(line, 1, None), Skip | ImageRecord)
