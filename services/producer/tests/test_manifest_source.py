"""A manifest from run to run: what is read again, what is taken down, which letters go, and what is taken for broken."""

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message
from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import FetchSettings, ManifestSource, ProducerSettings
from imagesearch_producer.catalogue import SOURCE_HEADER, Catalogue
from imagesearch_producer.run import Tally, run
from imagesearch_producer.sources import BadRow, Item, SourceError, State, manifest
from imagesearch_producer.sources.manifest import content
from imagesearch_producer.sources.manifest.content import opened

from .conftest import Web


def zoo(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"zoo:{number}", "url": f"https://zoo.example/{number}.jpg", **fields}


def lines(*rows: object) -> bytes:
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


class Killed(BaseException):
    """The end of a run that nobody sees coming."""


@dataclass
class Collection:
    """A collection's topics, and runs of one source over them; `reads` counts the passes over the records."""

    source: ManifestSource
    records: dict[bytes, tuple[bytes, str]] = field(default_factory=dict)
    letters: dict[int, str] = field(default_factory=dict)
    state: State = field(default_factory=dict)
    reads: int = 0
    sent: int = 0
    kill_after: int | None = None
    """So many items after which the run is killed."""

    def run(self, *, name: str = "zoo", quota: int | None = None) -> Tally:
        settings = ProducerSettings(topic="t", source=self.source, source_name=name, allowed_networks=("127.0.0.0/8",))
        tally, self.sent = Tally(), 0
        with Catalogue(self._read) as catalogue:
            items = manifest.records(self.source, settings, self.state, catalogue, lambda: set(self.letters))
            self._name = name
            run(self._until_killed(items), catalogue, self, tally, source=name, quota=quota)
        return tally

    def _until_killed(self, items: Iterator[Item]) -> Iterator[Item]:
        for number, item in enumerate(items):
            if number == self.kill_after:
                raise Killed
            yield item

    def _read(self) -> Iterator[Message]:
        self.reads += 1
        for key, (value, source) in self.records.items():
            yield Message(topic="t", partition=0, key=key, value=value, headers=[(SOURCE_HEADER, source.encode())])

    def publish(self, key: bytes, value: bytes | None) -> None:
        self.sent += 1
        if value is None:
            del self.records[key]
        else:
            self.records[key] = (value, self._name)

    def reject(self, row: BadRow) -> None:
        self.letters[row.line] = row.detail

    def withdraw(self, line: int) -> None:
        del self.letters[line]

    def save(self, state: State) -> bool:
        self.state = json.loads(json.dumps(state))
        return True

    @property
    def ids(self) -> set[str]:
        return {key.decode() for key in self.records}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manifest.jsonl"


@pytest.fixture
def collection(path: Path) -> Collection:
    return Collection(ManifestSource(url=str(path)))


def test_a_manifest_that_has_not_changed_costs_no_look_at_the_topic(path: Path, collection: Collection) -> None:
    path.write_bytes(lines(zoo(1), zoo(2)))
    assert collection.run().published == 2
    kept, reads = collection.state, collection.reads

    tally = collection.run()

    assert (tally.unchanged, tally.published, collection.reads) == (2, 0, reads)
    assert collection.state == kept


def test_of_one_that_has_changed_only_the_difference_is_published(path: Path, collection: Collection) -> None:
    path.write_bytes(lines(zoo(1), zoo(2), zoo(3)))
    collection.run()
    path.write_bytes(lines(zoo(4), zoo(1), zoo(2, title="renamed")))

    tally = collection.run()

    assert (tally.published, tally.unchanged, tally.taken_down) == (2, 1, 1)
    assert collection.ids == {"zoo:1", "zoo:2", "zoo:4"}


def test_another_format_or_address_in_the_settings_makes_it_read_again(path: Path, collection: Collection) -> None:
    path.write_bytes(lines(zoo(1)))
    collection.run()
    reads = collection.reads

    collection.source = ManifestSource(url=str(path), format="jsonl")
    collection.run()

    assert collection.reads == reads + 1


def test_what_another_source_published_is_not_taken_down(path: Path, collection: Collection) -> None:
    path.write_bytes(lines(zoo(1)))
    collection.run(name="other")
    collection.state = {}
    path.write_bytes(lines(zoo(2)))

    assert collection.run().taken_down == 0
    assert collection.ids == {"zoo:1", "zoo:2"}


@pytest.mark.parametrize("seed", range(20))
def test_a_run_that_is_killed_anywhere_is_gone_on_with(
    path: Path, collection: Collection, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Whatever is killed, and however often: in the end the topics are as if nothing had been."""
    monkeypatch.setattr(manifest, "CHECKPOINT_ROWS", 7)
    dice = random.Random(seed)
    path.write_bytes(lines(*(zoo(number) for number in range(60)), *[b"{"] * 5))
    collection.run()
    rows = [zoo(number, title=f"by {seed}") for number in range(20, 70)] + [b"{", zoo(1), b"["]
    dice.shuffle(rows)
    path.write_bytes(lines(*rows, zoo(1000)))

    for _ in range(4):
        collection.kill_after = dice.randrange(80)
        try:
            collection.run()
        except Killed:
            continue
    collection.kill_after = None
    tally = collection.run()

    assert collection.ids == {f"zoo:{number}" for number in (*range(20, 70), 1, 1000)}
    assert all(
        b'"title"' in value for key, (value, _) in collection.records.items() if key not in (b"zoo:1", b"zoo:1000")
    )
    assert collection.letters.keys() == {line for line, row in enumerate(rows, 1) if isinstance(row, bytes)}
    assert tally.published + tally.unchanged == 52
    assert collection.run().unchanged == 52


def test_rows_that_a_killed_run_brought_to_kafka_are_not_compared_again(
    path: Path, collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "CHECKPOINT_ROWS", 10)
    path.write_bytes(lines(*(zoo(number) for number in range(30))))
    collection.kill_after = 28
    with pytest.raises(Killed):
        collection.run()
    assert collection.state["line"] == 20
    collection.kill_after = None

    tally = collection.run()

    assert (tally.unchanged, tally.published, collection.sent) == (25, 5, 5)


def test_a_quota_is_gone_on_from_and_takes_nothing_down_before_the_end(path: Path, collection: Collection) -> None:
    path.write_bytes(lines(zoo(0), zoo(1)))
    collection.run()
    path.write_bytes(lines(*(zoo(number) for number in range(1, 10))))

    assert [collection.run(quota=3).taken_down for _ in range(3)] == [0, 0, 1]
    assert collection.ids == {f"zoo:{number}" for number in range(1, 10)}


def test_a_bad_row_has_a_letter_until_it_is_good_or_gone(path: Path, collection: Collection) -> None:
    path.write_bytes(lines(zoo(1), b"{", b"[", zoo(4, width=-1)))
    collection.run()
    assert collection.letters.keys() == {2, 3, 4}
    path.write_bytes(lines(zoo(1), zoo(2), b"["))

    collection.run()

    assert collection.letters.keys() == {3}


def test_a_photo_whose_row_has_gone_bad_stays_as_it_is(path: Path, collection: Collection) -> None:
    path.write_bytes(lines(zoo(1), zoo(2), {"url": "https://zoo.example/x.jpg"}))
    collection.run()
    before = dict(collection.records)
    path.write_bytes(lines(zoo(1, width=-1), zoo(2), {"url": "https://zoo.example/x.jpg", "width": 0}))

    assert collection.run().taken_down == 0
    assert collection.records == before


def test_a_bad_row_may_have_an_id_that_is_none(path: Path, collection: Collection) -> None:
    path.write_bytes(
        lines(zoo(1), *({"id": id, "url": "https://zoo.example/"} for id in ("\ud800", "é", 7, "x" * 10_000)))
    )

    assert collection.run().skipped == {"bad line": 4}


def test_an_id_that_comes_twice_counts_once(path: Path, collection: Collection) -> None:
    path.write_bytes(lines(zoo(1, title="first"), zoo(1, title="second")))

    assert collection.run().skipped == {"seen before": 1}
    assert b"first" in collection.records[b"zoo:1"][0]


@pytest.mark.parametrize("rows", [(), (b"<html>", b"</html>")], ids=["empty", "a web page"])
def test_a_manifest_without_a_record_takes_nothing_down(path: Path, collection: Collection, rows: tuple[bytes]) -> None:
    path.write_bytes(lines(zoo(1)))
    collection.run()
    path.write_bytes(lines(*rows))

    with pytest.raises(SourceError, match=r"^manifest .*manifest\.jsonl (holds no record|lacks 1 of the 1 photos)"):
        collection.run()
    assert collection.ids == {"zoo:1"}


def test_a_manifest_that_never_had_a_photo_may_be_empty(path: Path, collection: Collection) -> None:
    path.write_bytes(b"")

    assert collection.run().published == 0


def test_more_than_half_of_a_hundred_do_not_go_at_once_unless_it_is_meant(path: Path, collection: Collection) -> None:
    path.write_bytes(lines(*(zoo(number) for number in range(100))))
    collection.run()
    path.write_bytes(lines(*(zoo(number) for number in range(51, 100)), *(zoo(number) for number in range(200, 300))))

    for _ in range(2):
        with pytest.raises(
            SourceError, match=r"lacks 51 of the 100 photos .* set the source's maxTakedownPercent to 100"
        ):
            collection.run()
    assert len(collection.ids) == 200

    collection.source = collection.source.model_copy(update={"max_takedown_percent": 100})
    assert collection.run().taken_down == 51
    assert len(collection.ids) == 149


def test_half_of_a_hundred_may_go(path: Path, collection: Collection) -> None:
    path.write_bytes(lines(*(zoo(number) for number in range(100))))
    collection.run()
    path.write_bytes(lines(*(zoo(number) for number in range(50, 100))))

    assert collection.run().taken_down == 50


def test_ten_thousand_bad_rows_are_enough(path: Path, collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "BAD_ROWS_LIMIT", 10)
    path.write_bytes(lines(zoo(1), *[b"{"] * 11))

    with pytest.raises(SourceError, match=r"more than 10 rows that are no records; is it one\? \(line 2: "):
        collection.run()


def test_a_state_that_makes_no_sense_costs_time_only(path: Path, collection: Collection) -> None:
    path.write_bytes(lines(zoo(1)))
    collection.run()
    collection.state = {"url": str(path), "format": "auto", "line": "many"}

    assert collection.run().unchanged == 1


@pytest.mark.parametrize("name", ["missing.jsonl", ".", "\0"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=r"^manifest .* cannot be read: "):
        Collection(ManifestSource(url=f"{tmp_path}/{name}")).run()


def test_a_manifest_by_url_resolves_relative_addresses(web: Web) -> None:
    web.pages["/a/manifest"] = lines({"url": "b c.jpg", "thumbnail_url": "/t.jpg", "page_url": "https://zoo.example/"})
    collection = Collection(ManifestSource(url=f"{web.base}/a/manifest"))

    collection.run()

    ((value, _),) = collection.records.values()
    record = ImageRecord.from_bytes(value)
    assert (record.url, record.thumbnail_url) == (f"{web.base}/a/b c.jpg", f"{web.base}/t.jpg")
    assert record.page_url == "https://zoo.example/"


def test_an_unchanged_manifest_is_asked_for_and_not_sent(web: Web) -> None:
    web.pages["/m"] = lines(zoo(1), zoo(2))
    collection = Collection(ManifestSource(url=f"{web.base}/m"))

    assert [collection.run().unchanged for _ in range(3)] == [0, 2, 2]
    assert (web.statuses, collection.reads) == ([200, 304, 304], 1)
    web.pages["/m"] = lines(zoo(1), zoo(2), zoo(3))
    assert collection.run().published == 1


def test_a_manifest_that_was_not_read_to_its_end_is_asked_for_whole(web: Web) -> None:
    web.pages["/m"] = lines(*(zoo(number) for number in range(9)))
    collection = Collection(ManifestSource(url=f"{web.base}/m"), kill_after=4)
    with pytest.raises(Killed):
        collection.run()
    collection.kill_after = None

    assert collection.run().unchanged == 3
    assert web.statuses == [200, 200]
    assert len(collection.ids) == 9


def test_the_same_bytes_under_another_etag_are_unchanged(web: Web) -> None:
    etags = iter(range(3))

    def restless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("ETag", f'"{next(etags)}"')
        request.end_headers()
        request.wfile.write(lines(zoo(1)))

    web.pages["/m"] = restless
    collection = Collection(ManifestSource(url=f"{web.base}/m"))

    assert [collection.run().unchanged for _ in range(3)] == [0, 1, 1]
    assert (collection.reads, collection.state["etag"]) == (1, '"2"')


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_download_that_breaks_off_publishes_and_takes_down_nothing(web: Web, packed: bool) -> None:
    web.pages["/m"] = lines(zoo(1), zoo(2))
    collection = Collection(ManifestSource(url=f"{web.base}/m"))
    collection.run()
    body = lines(*(zoo(number) for number in range(2, 50)))
    body = gzip.compress(body) if packed else body

    def broken(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: len(body) // 2])

    web.pages["/m"] = broken
    with pytest.raises(SourceError, match=r"cannot be fetched: broken off: .* \(unreachable\)"):
        collection.run()
    assert collection.ids == {"zoo:1", "zoo:2"}


def test_gzip_that_is_cut_off_without_a_word_of_its_server_is_noticed(web: Web) -> None:
    web.pages["/m"] = gzip.compress(lines(*(zoo(number) for number in range(50))))[:-9]
    collection = Collection(ManifestSource(url=f"{web.base}/m"))

    with pytest.raises(SourceError, match="is gzip that cannot be unpacked: Compressed file ended before"):
        collection.run()
    assert collection.ids == set()


@pytest.mark.parametrize("name", ["m", "m.gz", "m.jsonl"])
def test_gzip_is_known_by_its_first_bytes_and_not_by_its_name(web: Web, name: str) -> None:
    web.pages[f"/{name}"] = gzip.compress(lines(zoo(1))) + gzip.compress(lines(zoo(2)))

    assert Collection(ManifestSource(url=f"{web.base}/{name}")).run().published == 2


def test_a_gzip_bomb_ends_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MANIFEST_LIMIT", 10 * 2**20)
    bomb = tmp_path / "bomb.jsonl.gz"
    with gzip.open(bomb, "wb") as file:
        for _ in range(50):
            file.write(bytes(2**20))
    assert bomb.stat().st_size < 2**20

    with pytest.raises(SourceError, match="is larger than 10485760 bytes unpacked"):
        Collection(ManifestSource(url=str(bomb))).run()


def test_a_manifest_over_the_limit_is_refused(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MANIFEST_LIMIT", 100)
    web.pages["/m"] = bytes(101)
    (tmp_path / "m").write_bytes(bytes(101))

    with pytest.raises(SourceError, match="is larger than 100 bytes"):
        Collection(ManifestSource(url=str(tmp_path / "m"))).run()
    with pytest.raises(SourceError, match=r"more than 100 bytes \(too_large\)"):
        Collection(ManifestSource(url=f"{web.base}/m")).run()


def test_a_manifest_that_is_not_there_is_told(web: Web) -> None:
    with pytest.raises(SourceError, match=r"^manifest http.* cannot be fetched: .*404 \(dead_link\)"):
        Collection(ManifestSource(url=f"{web.base}/m")).run()


def test_a_manifest_on_a_private_address_is_refused_unless_it_is_allowed(web: Web) -> None:
    with pytest.raises(SourceError, match="blocked_url"), opened(f"{web.base}/m", FetchSettings()):
        pass


@pytest.mark.parametrize(
    ("format", "rows"), [("csv", "id,url\nzoo:1,https://zoo.example/1.jpg\n"), ("jsonl", lines(zoo(1)))]
)
def test_a_format_that_is_named_holds_against_name_and_look(tmp_path: Path, format: Any, rows: str | bytes) -> None:
    path = tmp_path / "list.parquet"
    path.write_bytes(rows if isinstance(rows, bytes) else rows.encode())

    assert Collection(ManifestSource(url=str(path), format=format)).run().published == 1
