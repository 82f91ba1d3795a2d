"""The producer as a command, against a real Kafka: what arrives, what a second run adds, how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qsl

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from flickr_standin.app import create_app
from flickr_standin.photos import Library, Photo
from flickr_standin.serving import serving
from imagesearch_contract import names
from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import FlickrSource, KafkaConnection, ManifestSource, ProducerSettings
from imagesearch_producer import state, topics
from imagesearch_producer.catalogue import SOURCE_HEADER, TAKEN_DOWN, Catalogue, digest
from imagesearch_producer.publish import Publisher, PublishError
from imagesearch_producer.topics import TopicError
from imagesearch_stack import provision
from PIL import Image

PARTITIONS = 3


def create_topic(bootstrap_servers: str, **config: str) -> str:
    """A collection's topics, `config` that of the first; its name."""
    name = f"imagesearch.default.test-{uuid.uuid4().hex[:12]}"
    compact = {"cleanup.policy": "compact"}
    wanted = [
        NewTopic(name, PARTITIONS, 1, config={**compact, **config}),
        NewTopic(names.dead_letter_topic(name), 1, 1, config=compact),
        NewTopic(names.state_topic(name), 1, 1, config=compact),
    ]
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})  # a name, or it would end before its request
    for created in admin.create_topics(wanted).values():
        created.result(timeout=30)
    return name


@pytest.fixture
def topic(kafka_bootstrap_servers: str) -> str:
    """The topic of a collection of this test's own."""
    return create_topic(kafka_bootstrap_servers)


@pytest.fixture(scope="module")
def ledger(kafka_bootstrap_servers: str) -> None:
    """The topic by which Flickr's requests are shared out, as the platform has it."""
    provision.create_topics(kafka_bootstrap_servers, "imagesearch.default.ledger")


def messages(bootstrap_servers: str, topic: str) -> list[tuple[bytes, bytes | None]]:
    """Everything in the topic, in the order of each partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "test", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)])
    found, ends = [], 0
    while ends < PARTITIONS:
        message = consumer.poll(30)
        assert message is not None, "Kafka sent nothing for 30 s"
        if (error := message.error()) is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            ends += 1
        else:
            key = message.key()
            assert key is not None
            found.append((key, message.value()))
    consumer.close()
    return found


def produce(environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run the command as a pod would: without a terminal, set up by the environment alone."""
    return subprocess.run(
        [Path(sys.executable).with_name("imagesearch-producer")],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def manifest(folder: Path, *records: dict[str, Any]) -> ManifestSource:
    path = folder / "manifest.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records))
    return ManifestSource(url=str(path))


def zoo(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"zoo:{number}", "url": f"https://zoo.example/{number}.jpg", **fields}


@pytest.mark.integration
def test_a_second_run_publishes_nothing_and_a_third_only_what_changed(
    kafka_bootstrap_servers: str, topic: str, tmp_path: Path
) -> None:
    def run(*records: dict[str, Any]) -> str:
        source = manifest(tmp_path, *records)
        done = produce(
            ProducerSettings(kafka_bootstrap_servers=kafka_bootstrap_servers, topic=topic, source=source).to_env()
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    hundred = [zoo(number) for number in range(100)]

    assert run(*hundred, {"url": "nowhere"}).startswith(
        "published 100 unchanged 0 taken down 0 skipped 1 (bad line 1) failed 0 in "
    )
    assert run(*hundred).startswith("published 0 unchanged 100 taken down 0 skipped 0 failed 0 in ")
    assert run(zoo(0, title="renamed"), *hundred[1:]).startswith("published 1 unchanged 99 ")

    found = messages(kafka_bootstrap_servers, topic)
    assert len(found) == 101
    assert {key for key, _ in found} == {f"zoo:{number}".encode() for number in range(100)}
    assert all(value and ImageRecord.from_bytes(value).id.encode() == key for key, value in found)
    assert dict(found)[b"zoo:0"] == ImageRecord(**zoo(0, title="renamed")).to_bytes()


@pytest.mark.integration
@pytest.mark.usefixtures("ledger")
def test_photos_of_flickr_arrive_up_to_the_quota_and_the_next_run_goes_on(
    kafka_bootstrap_servers: str, topic: str, tmp_path: Path
) -> None:
    for number in range(40):
        Image.new("RGB", (8, 8)).save(tmp_path / f"dog {number}.png")
    with serving(create_app(tmp_path, api_key="valid-key")) as base_url:
        settings = ProducerSettings(
            kafka_bootstrap_servers=kafka_bootstrap_servers,
            topic=topic,
            quota=10,
            source=FlickrSource(text="dog", endpoint=f"{base_url}/services/rest/"),
        )
        first, second = (produce({**settings.to_env(), "FLICKR_API_KEY": "valid-key"}) for _ in range(2))
        refused = produce({**settings.to_env(), "FLICKR_API_KEY": "wrong-key"})

    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert first.stdout.startswith("published 10 unchanged 0 ")
    assert second.stdout.startswith("published 10 unchanged 10 ")
    assert len(dict(messages(kafka_bootstrap_servers, topic))) == 20
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].endswith("(code 100); check FLICKR_API_KEY")
    assert "Traceback" not in refused.stderr
    assert "wrong-key" not in refused.stderr


@pytest.mark.integration
def test_a_takedown_leaves_a_trace_only_by_hand_and_of_two_values_the_last_counts(
    kafka_bootstrap_servers: str, topic: str
) -> None:
    producer = Producer({"bootstrap.servers": kafka_bootstrap_servers})
    mine = {SOURCE_HEADER: b"zoo"}
    for key, value, headers in (
        (b"zoo:1", b"old", mine),
        (b"zoo:2", b"gone", mine),
        (b"zoo:3", b"gone", mine),
        (b"zoo:1", b"new", mine),
        (b"zoo:2", None, mine),
        (b"zoo:3", None, {}),
    ):
        producer.produce(topic, key=key, value=value, headers=headers)
    assert producer.flush(30) == 0

    kafka = KafkaConnection(kafka_bootstrap_servers=kafka_bootstrap_servers)
    with Catalogue(partial(topics.messages, kafka, topic)) as catalogue:
        assert catalogue.digest(b"zoo:1") == digest(b"new")
        assert catalogue.digest(b"zoo:2") is None
        assert catalogue.digest(b"zoo:3") == TAKEN_DOWN


@pytest.mark.integration
def test_of_a_topic_what_was_published_since_a_moment_can_be_read_alone(
    kafka_bootstrap_servers: str, topic: str
) -> None:
    kafka = KafkaConnection(kafka_bootstrap_servers=kafka_bootstrap_servers)
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    producer = Producer({"bootstrap.servers": kafka_bootstrap_servers})
    for minute in range(-30, 30):
        milliseconds = int((noon + timedelta(minutes=minute)).timestamp() * 1000)
        producer.produce(topic, key=f"zoo:{minute}".encode(), value=b"{}", timestamp=milliseconds)
    assert producer.flush(30) == 0

    def keys(since: datetime | None) -> set[bytes | None]:
        return {message.key() for message in topics.messages(kafka, topic, since=since)}

    assert len(keys(None)) == 60
    assert keys(noon) == {f"zoo:{minute}".encode() for minute in range(30)}
    assert keys(noon + timedelta(days=1)) == set()


@pytest.mark.integration
@pytest.mark.usefixtures("ledger")
def test_a_photo_that_is_deleted_on_flickr_is_taken_down_by_a_sweep_and_new_ones_cost_no_pass_over_the_topic(
    kafka_bootstrap_servers: str, topic: str
) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    library = Library(
        Photo(str(number), "1@N01", "One", f"dog {number}", start + timedelta(hours=number), start)
        for number in range(700)
    )
    with serving(create_app(photos=library, api_key="valid-key")) as base_url:
        settings = ProducerSettings(
            kafka_bootstrap_servers=kafka_bootstrap_servers,
            topic=topic,
            source=FlickrSource(text="dog", endpoint=f"{base_url}/services/rest/"),
        )

        def run() -> str:
            done = produce({**settings.to_env(), "FLICKR_API_KEY": "valid-key"})
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert run().startswith("published 700 unchanged 0 taken down 0 ")
        assert run().startswith("published 0 unchanged 0 taken down 0 ")
        library.remove("7")
        producer = Producer({"bootstrap.servers": kafka_bootstrap_servers})
        long_ago = {**state.load(settings), "swept": 0}
        producer.produce(settings.state_topic, key=settings.source_name.encode(), value=state.dump(long_ago))
        assert producer.flush(30) == 0
        assert run().startswith("published 0 unchanged 699 taken down 1 ")

    found = messages(kafka_bootstrap_servers, topic)
    assert len(found) == 701
    assert [key for key, value in found if value is None] == [b"flickr:7"]


@pytest.mark.integration
def test_a_topic_that_is_missing_is_told_and_not_created(kafka_bootstrap_servers: str, tmp_path: Path) -> None:
    settings = ProducerSettings(
        kafka_bootstrap_servers=kafka_bootstrap_servers, topic="imagesearch.default.missing", source=manifest(tmp_path)
    )

    done = produce(settings.to_env())

    assert done.returncode == 1
    assert re.search(r"topic imagesearch\.default\.missing(\.state)? does not exist", done.stderr)
    assert len(done.stderr.splitlines()) == 1
    topics = AdminClient({"bootstrap.servers": kafka_bootstrap_servers}).list_topics(timeout=30).topics
    assert "imagesearch.default.missing" not in topics


@pytest.mark.integration
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_a_kafka_that_wants_a_password_over_tls_is_published_to(
    guarded_kafka: KafkaConnection, topic: str, tmp_path: Path, mechanism: str
) -> None:
    settings = ProducerSettings(
        **guarded_kafka.model_dump(exclude={"kafka_sasl_mechanism"}),
        kafka_sasl_mechanism=mechanism,
        topic=topic,
        source=manifest(tmp_path, zoo(1)),
    )
    assert guarded_kafka.kafka_password is not None

    done = produce({**settings.to_env(), "KAFKA_PASSWORD": guarded_kafka.kafka_password.get_secret_value()})

    assert done.stdout.startswith("published 1 "), done.stderr


@pytest.mark.integration
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"KAFKA_PASSWORD": "guessed"}, r": SASL authentication error: .*; check IMAGESEARCH_KAFKA_USERNAME, "),
        ({"KAFKA_PASSWORD": ""}, r": .*sasl\.password must be set; check .* KAFKA_PASSWORD$"),
        ({"IMAGESEARCH_KAFKA_CA_PATH": ""}, r": SSL handshake failed: .*; check IMAGESEARCH_KAFKA_CA_PATH "),
    ],
    ids=["wrong password", "no password", "unknown authority"],
)
def test_why_kafka_does_not_let_us_in_is_told_on_one_line(
    guarded_kafka: KafkaConnection, topic: str, tmp_path: Path, change: dict[str, str], said: str
) -> None:
    settings = ProducerSettings(**guarded_kafka.model_dump(), topic=topic, source=manifest(tmp_path))

    done = produce({**settings.to_env(), "KAFKA_PASSWORD": "guessed", **change})

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert re.search(rf"^imagesearch-producer: Kafka cannot be reached at 127\.0\.0\.1:\d+{said}", line), line
    assert "guessed" not in line


@pytest.mark.integration
def test_a_record_that_kafka_refuses_is_failed_and_so_is_the_run(kafka_bootstrap_servers: str, tmp_path: Path) -> None:
    topic = create_topic(kafka_bootstrap_servers, **{"max.message.bytes": "1000"})
    noise = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(2_000))  # that lz4 cannot make small
    source = manifest(tmp_path, zoo(1))
    settings = ProducerSettings(kafka_bootstrap_servers=kafka_bootstrap_servers, topic=topic, source=source)
    assert produce(settings.to_env()).returncode == 0
    manifest(tmp_path, zoo(1), zoo(2, description=noise))

    done = produce(settings.to_env())

    assert done.returncode == 1
    assert done.stdout.startswith("published 0 unchanged 1 taken down 0 skipped 0 failed 1 in ")
    assert done.stderr.splitlines()[-1] == (
        "imagesearch-producer: 1 of the records did not arrive: Broker: Message size too large"
    )
    assert dict(messages(kafka_bootstrap_servers, topic)).keys() == {b"zoo:1"}


@pytest.mark.integration
@pytest.mark.usefixtures("ledger")
def test_a_run_that_is_told_to_stop_delivers_what_it_has(kafka_bootstrap_servers: str, topic: str) -> None:
    """A Flickr that answers one request and then hangs, as a pod is being moved."""
    hanging = Event()
    release = Event()

    class Flickr(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            if int(form["min_upload_date"]) > 1_700_000_000:
                hanging.set()
                release.wait(60)
                return
            photos = [
                {
                    "id": str(number),
                    "owner": "1@N01",
                    "license": "4",
                    "url_m": "https://live.example/1.jpg",
                    "dateupload": 1_700_000_000 + number,
                }
                for number in range(500)
            ]
            body = json.dumps({"stat": "ok", "photos": {"pages": 2, "total": 1000, "photo": photos}}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Flickr) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        settings = ProducerSettings(
            kafka_bootstrap_servers=kafka_bootstrap_servers,
            topic=topic,
            source=FlickrSource(text="dog", endpoint=f"http://127.0.0.1:{server.server_port}/"),
        )
        with subprocess.Popen(
            [Path(sys.executable).with_name("imagesearch-producer")],
            env={"PATH": os.environ["PATH"], **settings.to_env(), "FLICKR_API_KEY": "valid-key"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert hanging.wait(60)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        release.set()
        server.shutdown()

    assert process.returncode == 130
    assert out.startswith("published 499 unchanged 0 taken down 0 skipped 0 failed 0 in ")
    assert err.splitlines()[-1] == "imagesearch-producer: stopped before the end of the source; run it again to go on"
    assert "Traceback" not in err
    assert len(messages(kafka_bootstrap_servers, topic)) == 499


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and nobody else can take meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def test_a_kafka_that_is_not_there_is_told(closed_port: int) -> None:
    kafka = KafkaConnection(kafka_bootstrap_servers=f"127.0.0.1:{closed_port}")
    with pytest.raises(TopicError, match=rf"Kafka cannot be reached at 127\.0\.0\.1:{closed_port}: "):
        next(topics.messages(kafka, "any", connect_seconds=0.5))


def test_records_that_cannot_be_delivered_are_counted_and_end_the_run(closed_port: int) -> None:
    kafka = KafkaConnection(kafka_bootstrap_servers=f"127.0.0.1:{closed_port}")
    with Publisher(kafka, delivery_seconds=1) as publisher:
        publisher.publish("any", b"zoo:1", b"{}")
        publisher.flush()
        with pytest.raises(PublishError, match="Kafka takes no more records: Local: Message timed out"):
            publisher.publish("any", b"zoo:2", b"{}")

    assert publisher.failed == 1


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {},
            "ProducerSettings cannot be read from the environment: IMAGESEARCH_TOPIC: Field required; IMAGESEARCH_SOURCE: ",
        ),
        (
            {"IMAGESEARCH_TOPIC": "t", "IMAGESEARCH_SOURCE": '{"kind": "flickr", "text": "dog"}'},
            "needs an API key in FLICKR_API_KEY; ",
        ),
    ],
)
def test_settings_that_do_not_do_are_told_on_one_line(environment: dict[str, str], message: str) -> None:
    done = produce(environment)

    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
