"""Manifests by the real command on a real Kafka: killed and gone on with, taken down, letters that come and go."""

import csv
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from imagesearch_contract import names
from imagesearch_contract.settings import KafkaConnection, ManifestSource, ProducerSettings
from imagesearch_producer.topics import messages
from pyarrow import parquet

from .conftest import Web

pytestmark = pytest.mark.integration

PARTITIONS = 3


def zoo(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"zoo:{number}", "url": f"https://zoo.example/{number}.jpg", **fields}


def lines(*rows: object) -> bytes:
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


@dataclass
class Collection:
    """A collection of this test's own, and the command over one source of it."""

    kafka: KafkaConnection
    topic: str

    def start(self, url: str, **settings: Any) -> "subprocess.Popen[str]":
        environment = ProducerSettings(
            **self.kafka.model_dump(), topic=self.topic, source=ManifestSource(url=url), source_name="animals",
            allowed_networks=("127.0.0.0/8",), **settings,
        ).to_env()  # fmt: skip
        return subprocess.Popen(
            [Path(sys.executable).with_name("imagesearch-producer")],
            env={"PATH": os.environ["PATH"], **environment},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, url: str, **settings: Any) -> str:
        """One run that has to end well; its summary."""
        return self._ended(self.start(url, **settings), 0)[0]

    def fail(self, url: str) -> str:
        """One run that has to fail; the line that says why."""
        said = self._ended(self.start(url), 1)[1].splitlines()
        assert not any("Traceback" in line for line in said)
        return said[-1]

    def _ended(self, process: "subprocess.Popen[str]", status: int) -> tuple[str, str]:
        with process:
            out, err = process.communicate(timeout=120)
        assert process.returncode == status, err
        return out, err

    def _values(self, topic: str) -> dict[str, bytes]:
        found: dict[str, bytes | None] = {}
        for message in messages(self.kafka, topic):
            found[(message.key() or b"").decode()] = message.value()
        return {key: value for key, value in found.items() if value is not None}

    @property
    def records(self) -> dict[str, bytes]:
        return self._values(self.topic)

    @property
    def letters(self) -> set[str]:
        return set(self._values(names.dead_letter_topic(self.topic)))

    @property
    def state(self) -> dict[str, Any]:
        value = self._values(names.state_topic(self.topic)).get("animals")
        return json.loads(value) if value else {}

    def sent(self) -> int:
        """How many messages the records topic has ever taken."""
        consumer = Consumer({**self.kafka.kafka_client, "group.id": "test"})
        ends = [consumer.get_watermark_offsets(TopicPartition(self.topic, each), 30)[1] for each in range(PARTITIONS)]
        consumer.close()
        return sum(ends)


@pytest.fixture
def collection(kafka_bootstrap_servers: str) -> Collection:
    topic = f"imagesearch.default.test-{uuid.uuid4().hex[:12]}"
    wanted = [
        NewTopic(name, partitions, 1, config={"cleanup.policy": "compact"})
        for name, partitions in (
            (topic, PARTITIONS),
            (names.dead_letter_topic(topic), 1),
            (names.state_topic(topic), 1),
        )
    ]
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap_servers})  # a name, or it would end before its request
    for created in admin.create_topics(wanted).values():
        created.result(timeout=30)
    return Collection(KafkaConnection(kafka_bootstrap_servers=kafka_bootstrap_servers), topic)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_run_that_is_killed_is_gone_on_with_and_nothing_is_lost_or_sent_for_nothing(
    collection: Collection, tmp_path: Path, seed: int
) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(lines(*(zoo(number) for number in range(100))))
    collection.run(str(path))
    path.write_bytes(lines(*(zoo(number, title=f"by {seed}") for number in range(40, 30_000)), b"{"))
    dice = random.Random(seed)

    before = collection.sent()
    for _ in range(2):
        process = collection.start(str(path))
        wanted = dice.randrange(1, 25_000)
        while process.poll() is None and collection.sent() - before < wanted:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    line, arrived = collection.state.get("line", 0), len(collection.records)
    summary = collection.run(str(path))

    published, unchanged = (int(word) for word in summary.split()[1:4:2])
    assert published + unchanged == 29_960
    assert unchanged >= max(line, arrived - 100)
    assert collection.records.keys() == {f"zoo:{number}" for number in range(40, 30_000)}
    assert all(f"by {seed}".encode() in value for value in collection.records.values())
    assert collection.letters == {"animals/29961"}
    assert "taken down 40 " in summary
    sent = collection.sent()
    assert collection.run(str(path)).startswith("published 0 unchanged 29960 taken down 0 skipped 0 failed 0 in ")
    assert collection.sent() == sent


def test_what_is_gone_is_taken_down_and_what_is_mended_loses_its_letter(collection: Collection, tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"

    def write(*rows: dict[str, Any]) -> None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "url", "title"])
            writer.writeheader()
            writer.writerows(rows)

    write(zoo(1), {"id": "zoo:2"}, zoo(3, title="a\nb"), {"id": "zoo:4"})
    first = collection.run(str(path))
    assert first.startswith("published 2 unchanged 0 taken down 0 skipped 2 (bad line 2) failed 0 in ")
    assert collection.letters == {"animals/3", "animals/6"}

    write(zoo(1), zoo(2), {"id": "zoo:4"})
    second = collection.run(str(path))

    assert second.startswith("published 1 unchanged 1 taken down 1 skipped 1 (bad line 1) failed 0 in ")
    assert collection.records.keys() == {"zoo:1", "zoo:2"}
    assert collection.letters == {"animals/4"}


def test_a_packed_manifest_over_http_that_has_not_changed_is_one_request(collection: Collection, web: Web) -> None:
    web.pages["/animals"] = gzip.compress(lines(zoo(1), zoo(2)))
    url = f"{web.base}/animals"

    assert collection.run(url).startswith("published 2 unchanged 0 ")
    assert collection.run(url).startswith("published 0 unchanged 2 ")
    web.pages["/animals"] = gzip.compress(lines(zoo(1), zoo(2, title="renamed")))
    assert collection.run(url).startswith("published 1 unchanged 1 ")
    assert web.statuses == [200, 304, 200]


def test_a_manifest_that_changes_while_it_is_downloaded_is_read_again_by_the_next_run(
    collection: Collection, web: Web
) -> None:
    old, new = (lines(*(zoo(number, title=title) for number in range(1000))) for title in ("old", "new"))

    def changing(request: BaseHTTPRequestHandler) -> None:
        """The headers of the old version, and a body whose second half is the new one's."""
        half = len(old) // 2
        request.send_response(200)
        request.send_header("ETag", '"old"')
        request.send_header("Content-Length", str(len(old)))
        request.end_headers()
        web.pages["/animals"] = new
        request.wfile.write(old[:half] + new[half:])

    web.pages["/animals"] = changing
    url = f"{web.base}/animals"

    assert collection.run(url).startswith("published 1000 ")
    collection.run(url)

    assert web.statuses == [200]
    assert all(b'"new"' in value for value in collection.records.values())


def test_a_download_that_is_cut_off_or_of_the_wrong_length_takes_nothing_down(collection: Collection, web: Web) -> None:
    url = f"{web.base}/animals"
    web.pages["/animals"] = lines(zoo(1), zoo(2), zoo(3))
    collection.run(url)
    whole = gzip.compress(lines(*(zoo(number) for number in range(3, 500))))

    def short(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(whole) + 10))
        request.end_headers()
        request.wfile.write(whole)

    def silent(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        request.wfile.write(whole[: len(whole) // 2])

    web.pages["/animals"] = short
    assert "cannot be fetched: broken off: " in collection.fail(url)
    web.pages["/animals"] = silent
    assert "is gzip that cannot be unpacked: Compressed file ended" in collection.fail(url)
    assert collection.records.keys() == {"zoo:1", "zoo:2", "zoo:3"}


def test_parquet_arrives_as_its_rows_say(collection: Collection, tmp_path: Path) -> None:
    path = tmp_path / "animals.parquet"
    table = pa.Table.from_pylist([zoo(number, tags=["a", "b;c"]) for number in range(1200)])
    parquet.write_table(table, path, row_group_size=700)

    assert collection.run(str(path)).startswith("published 1200 ")
    assert json.loads(collection.records["zoo:7"])["tags"] == ["a", "b;c"]
