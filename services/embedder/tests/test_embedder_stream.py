"""The embedder as it runs in production, on real Kafka, Spark, Elasticsearch and MLflow: what goes in comes out, whatever is killed."""

import functools
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from elasticsearch import Elasticsearch, NotFoundError
from imagesearch_contract import names, platform_indices
from imagesearch_contract.dead_letter import DeadLetter, Reason
from imagesearch_contract.index import VECTOR_FIELD, IndexMeta, index_body
from imagesearch_contract.platform_indices import PROGRESS_INDEX, REPORTS_INDEX, Progress, Report
from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import ElasticsearchSettings, EmbedderSettings, KafkaConnection
from imagesearch_embedder.letters import LetterBox, last_letters, read_letters
from PIL import Image
from pydantic import SecretStr

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

PARTITIONS = 4
WAIT_SECONDS = 240


class Pictures:
    """A picture server: `/<n>.png` is a picture of its own, the other paths are what goes wrong in the world."""

    def __init__(self) -> None:
        self.served = 0
        self.delay = 0.0
        self.at: dict[int, Callable[[], None]] = {}
        self.gone: set[str] = set()
        self._lock = threading.Lock()
        pictures = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with pictures._lock:
                    pictures.served += 1
                    action = pictures.at.pop(pictures.served, None)
                if action:
                    action()
                time.sleep(pictures.delay)
                body = None if self.path in pictures.gone else pictures.body(self.path)
                try:
                    self.send_response(200 if body is not None else 404)
                    self.send_header("Content-Length", str(len(body or b"")))
                    self.end_headers()
                    self.wfile.write(body or b"")
                except OSError:  # the client was killed, or has had enough
                    pass

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    @staticmethod
    def body(path: str) -> bytes | None:
        match path:
            case "/page":
                return b"<!doctype html><title>Sign in</title>"
            case "/empty":
                return b""
            case "/drawing":
                return b'<svg xmlns="http://www.w3.org/2000/svg"/>'
            case "/torn":
                return encoded(picture(1), "JPEG")[:-500]
            case "/bomb":
                return encoded(Image.new("1", (3_000, 3_000)), "PNG")
            case "/huge":
                return bytes(2 * 2**20)
            case _ if path.endswith(".png"):
                return encoded(picture(int(path[1:-4])), "PNG")
            case _:
                return None


def picture(number: int) -> Image.Image:
    noise = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((96, 96), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str) -> bytes:
    data = BytesIO()
    image.save(data, form)
    return data.getvalue()


class Stage:
    """One collection: its topics and index, what is published, and the embedder that runs on it."""

    def __init__(
        self, settings: EmbedderSettings, body: dict[str, Any], spark: dict[str, str], pictures: Pictures, log: Path
    ) -> None:
        self.settings, self.body, self.spark, self.pictures, self.log = settings, body, spark, pictures, log
        self.client = Elasticsearch(settings.elasticsearch_url)
        self.producer = Producer({"bootstrap.servers": settings.kafka_bootstrap_servers})
        self.admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
        self.published = 0
        self.faults: list[str] = []
        self.started: list[subprocess.Popen[bytes]] = []

    def publish(self, key: bytes, value: bytes | None) -> None:
        """Partitions take turns, so that a test knows what lies in which."""
        self.send(key, value, self.published % PARTITIONS)
        self.published += 1

    def send(self, key: bytes, value: bytes | None, partition: int) -> None:
        def delivered(error: object, _: object) -> None:
            if error is not None:
                self.faults.append(str(error))

        self.producer.produce(self.settings.topic, key=key, value=value, partition=partition, on_delivery=delivered)

    def flush(self) -> None:
        assert self.producer.flush(30) == 0
        assert self.faults == []

    def publish_picture(self, name: str, url: str, **fields: Any) -> str:
        record = ImageRecord(id=f"test:{name}", url=url, **fields)
        self.publish(record.id.encode(), record.to_bytes())
        return record.id

    def start(self, **changes: Any) -> subprocess.Popen[bytes]:
        self.flush()
        settings = self.settings.model_copy(update=changes)
        passwords = {
            variable: value.get_secret_value()
            for field, variable in settings.env_names().items()
            if isinstance(value := getattr(settings, field), SecretStr)
        }
        environment = {**os.environ, **self.spark, **settings.to_env(), **passwords}
        with self.log.open("ab") as out:
            process = subprocess.Popen(
                [Path(sys.executable).with_name("imagesearch-embedder")],
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def wait_until(self, true: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not true():
            assert process.poll() is None, f"the embedder ended with {process.returncode}:\n{self._tail()}"
            assert time.monotonic() < deadline, f"not within {WAIT_SECONDS} s:\n{self._tail()}"
            time.sleep(0.3)

    def create_index(self) -> None:
        """As the operator does, with those of the platform."""
        for name, body in platform_indices.bodies().items():
            if not self.client.indices.exists(index=name):
                self.client.indices.create(index=name, **body)
        self.client.indices.create(index=self.settings.index, **self.body)

    def report(self, image: str) -> None:
        """As the search API does."""
        report = Report.of(self.settings.index, image)
        self.client.create(index=REPORTS_INDEX, id=report.id, document=report.to_source())

    def verdict(self, image: str) -> str | None:
        found = self.client.get(index=REPORTS_INDEX, id=Report.of(self.settings.index, image).id)
        return Report.model_validate(found["_source"]).verdict

    def told(self) -> Progress | None:
        """How far the embedder says that it is."""
        try:
            return Progress.model_validate(self.client.get(index=PROGRESS_INDEX, id=self.settings.index)["_source"])
        except NotFoundError:
            return None

    def indexed(self) -> set[str]:
        """Also while there is no index."""
        try:
            return set(self.documents())
        except NotFoundError:
            return set()

    def documents(self) -> dict[str, tuple[int, bytes, dict]]:
        """Version, vector and source (without the time of indexing) of every document."""
        self.client.indices.refresh(index=self.settings.index)
        answer = self.client.search(
            index=self.settings.index, size=5_000, fields=[VECTOR_FIELD], version=True, query={"match_all": {}}
        )
        return {
            hit["_id"]: (
                hit["_version"],
                np.array(hit["fields"][VECTOR_FIELD], dtype=np.float32).tobytes(),
                {key: value for key, value in hit["_source"].items() if key not in ("indexed_at", VECTOR_FIELD)},
            )
            for hit in answer["hits"]["hits"]
        }

    def letters(self) -> list[DeadLetter]:
        return list(read_letters(self.settings))

    def stop(self, process: "subprocess.Popen[bytes]") -> int:
        process.send_signal(signal.SIGTERM)
        return process.wait(60)

    def committed(self) -> dict[int, int]:
        """Partition -> how far the embedder has told Kafka that it is; empty while Kafka cannot say."""
        group = names.consumer_group(self.settings.index)
        asked = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
        try:
            return {each.partition: each.offset for each in asked[group].result(30).topic_partitions}
        except KafkaException as error:  # the first to ask for a group makes the topic in which Kafka keeps them
            if "COORDINATOR" not in error.args[0].name():
                raise
            return {}

    def lag(self) -> int | None:
        """As an operator sees it; None before every partition is known."""
        ends = self.admin.list_offsets(
            {TopicPartition(self.settings.topic, each): OffsetSpec.latest() for each in range(PARTITIONS)}
        )
        done = self.committed()
        if len(done) < PARTITIONS:
            return None
        return sum(end.result(30).offset - done[place.partition] for place, end in ends.items())

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-4_000:]

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                tree = psutil.Process(process.pid).children(recursive=True)
                for each in [*tree, process]:
                    each.kill()
                process.wait(30)
        self.client.close()


@pytest.fixture(scope="module")
def pictures() -> Iterator[Pictures]:
    served = Pictures()
    thread = threading.Thread(target=served.server.serve_forever, args=(0.05,))
    thread.start()
    yield served
    served.server.shutdown()
    thread.join()
    served.server.server_close()


@pytest.fixture
def stage(
    kafka_bootstrap_servers: str,
    elasticsearch_url: str,
    mlflow_tracking_uri: str,
    starter_model: Any,
    pictures: Pictures,
    tmp_path: Path,
) -> Iterator[Stage]:
    from imagesearch_stack import spark
    from imagesearch_stack.downloads import spark_kafka_jars
    from imagesearch_stack.provision import model_dims

    collection = f"embedder-{secrets.token_hex(4)}"
    settings = EmbedderSettings(
        kafka_bootstrap_servers=kafka_bootstrap_servers,
        elasticsearch_url=elasticsearch_url,
        mlflow_tracking_uri=mlflow_tracking_uri,
        topic=names.topic("tests", collection),
        index=names.index("tests", collection, *starter_model),
        model_name=starter_model.name,
        model_version=starter_model.version,
        checkpoint_location=str(tmp_path / "checkpoint"),
        spark_jars=tuple(map(str, spark_kafka_jars())),
        allowed_networks=("127.0.0.0/8",),
        fetch_timeout_seconds=4,
        fetch_max_bytes=2**20,
        max_pixels=2_000_000,
        trigger_seconds=0.2,
        batch_size=8,
    )
    meta = IndexMeta(
        namespace="tests",
        collection=collection,
        model_name=starter_model.name,
        model_version=starter_model.version,
        dims=model_dims(mlflow_tracking_uri, *starter_model),
        encoder_url="http://127.0.0.1:1",
    )
    made = Stage(settings, index_body(meta), spark.environment(), pictures, tmp_path / "embedder.log")
    made.create_index()
    create_topics(settings)
    pictures.served, pictures.delay, pictures.at, pictures.gone = 0, 0.0, {}, set()
    yield made
    made.close()


def create_topics(settings: EmbedderSettings) -> None:
    compacted = {"cleanup.policy": "compact"}
    topics = [
        NewTopic(settings.topic, num_partitions=PARTITIONS, replication_factor=1, config=compacted),
        NewTopic(settings.dead_letter_topic, num_partitions=2, replication_factor=1, config=compacted),
    ]
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
    for created in admin.create_topics(topics).values():
        created.result(30)


def test_pictures_are_indexed_poison_gets_a_letter_each_and_a_takedown_deletes(
    stage: Stage, picture_server: str, stamps_dir: Path
) -> None:
    stamps = sorted(path.relative_to(stamps_dir) for path in stamps_dir.rglob("*.png"))[:6]
    assert len(stamps) == 6
    good = {
        stage.publish_picture(f"stamp-{n}", f"{picture_server.rstrip('/')}/{path.as_posix()}")
        for n, path in enumerate(stamps)
    }
    url = stage.pictures.url
    expected: Counter[Reason] = Counter()

    def poison(reason: Reason, publish: Callable[[], object]) -> None:
        publish()
        expected[reason] += 1
        number = expected.total()
        good.add(stage.publish_picture(f"good-{number}", f"{url}/{number}.png"))

    poison(Reason.BAD_RECORD, lambda: stage.publish(b"test:bad", b"{"))
    poison(Reason.BAD_RECORD, lambda: stage.publish(b"test:huge", b"\x00" * 900_000))
    poison(Reason.KEY_MISMATCH, lambda: stage.publish(b"test:j", ImageRecord(id="test:k", url=url).to_bytes()))
    poison(Reason.KEY_MISMATCH, lambda: stage.publish(b"x" * 600, None))
    for name, path, reason in (
        ("metadata", "http://169.254.169.254/latest/", Reason.BLOCKED_URL),
        ("gone", f"{url}/gone", Reason.DEAD_LINK),
        ("silent", "http://127.0.0.1:9/a.png", Reason.UNREACHABLE),
        ("big", f"{url}/huge", Reason.TOO_LARGE),
        ("page", f"{url}/page", Reason.NOT_AN_IMAGE),
        ("empty", f"{url}/empty", Reason.NOT_AN_IMAGE),
        ("drawing", f"{url}/drawing", Reason.UNSUPPORTED_FORMAT),
        ("torn", f"{url}/torn", Reason.TRUNCATED),
        ("bomb", f"{url}/bomb", Reason.DECOMPRESSION_BOMB),
    ):
        poison(reason, functools.partial(stage.publish_picture, name, path))
    # Wider than Elasticsearch's integer: the index itself refuses it.
    poison(Reason.REJECTED_BY_INDEX, lambda: stage.publish_picture("wide", f"{url}/99.png", width=10**12))
    doomed = stage.publish_picture("doomed", f"{url}/50.png")

    process = stage.start()
    stage.wait_until(lambda: stage.indexed() == good | {doomed} and len(stage.letters()) >= expected.total(), process)
    letters = stage.letters()
    assert Counter(letter.reason for letter in letters) == expected
    assert len({(letter.partition, letter.offset) for letter in letters}) == len(letters)
    vectors = {vector for _, vector, _ in stage.documents().values()}
    assert len(vectors) == len(good) + 1, "every picture has a vector of its own"

    # Into the partition of its record, as Kafka's own partitioner would, which goes by the key.
    stage.send(doomed.encode(), None, (stage.published - 1) % PARTITIONS)
    stage.flush()
    stage.wait_until(lambda: stage.indexed() == good, process)
    stage.wait_until(lambda: stage.lag() == 0, process)
    assert stage.stop(process) == 0
    assert "batch=0 indexed=" in stage.log.read_text()
    assert len(stage.letters()) == expected.total()


def test_nothing_is_missing_and_nothing_is_twice_after_kill_9_and_a_replay_changes_nothing(stage: Stage) -> None:
    """The JVM is killed in the first micro-batch, after two of its four partitions are done; then the driver, later on."""
    url = stage.pictures.url
    good, poisoned = set(), 0
    for number in range(160):
        if number % 10 < 4:  # one in each partition of every micro-batch
            stage.publish_picture(f"page-{number}", f"{url}/page")
            poisoned += 1
        else:
            good.add(stage.publish_picture(f"good-{number}", f"{url}/{number}.png"))
    stage.pictures.delay = 0.02
    changes = {"max_records_per_trigger": 40, "fetch_concurrency": 2}

    def run_until(request: int, kill: Callable[[psutil.Process], psutil.Process]) -> None:
        """Kill when the server has been asked so often; the driver ends with an error and takes its workers along."""
        killed = threading.Event()
        stage.pictures.at[stage.pictures.served + request] = killed.set
        process = stage.start(**changes)
        stage.wait_until(killed.is_set, process)
        tree = psutil.Process(process.pid).children(recursive=True)
        kill(psutil.Process(process.pid)).kill()
        assert process.wait(60) != 0
        _, alive = psutil.wait_procs(tree, timeout=30)
        assert alive == [], "workers outlive their driver"

    run_until(32, jvm_of)
    assert stage.log.read_text().splitlines()[-1].startswith("imagesearch-embedder: the query failed, start it again")
    assert 0 < len(stage.letters()) < poisoned, "killed too early or too late to show anything"
    assert stage.indexed() < good
    run_until(70, lambda driver: driver)
    process = stage.start(**changes)
    stage.wait_until(lambda: stage.indexed() == good and len(stage.letters()) >= poisoned, process)
    assert stage.stop(process) == 0
    assert len(stage.letters()) == poisoned
    assert len({(letter.partition, letter.offset) for letter in stage.letters()}) == poisoned

    before, logged = stage.documents(), len(batches(stage.log))
    again = stage.start(checkpoint_location=stage.settings.checkpoint_location + "-new", max_records_per_trigger=1_000)
    stage.wait_until(lambda: len(batches(stage.log)) > logged, again)
    assert f"indexed={len(good)} deleted=0 stale=0 superseded=0 failed={poisoned}" in batches(stage.log)[-1]
    assert stage.stop(again) == 0
    assert stage.documents() == before
    assert len(stage.letters()) == poisoned


def test_the_lag_of_an_empty_topic_is_known_and_known_again_after_a_restart_without_news(stage: Stage) -> None:
    process = stage.start()
    stage.wait_until(lambda: stage.lag() == 0, process)
    assert stage.committed() == dict.fromkeys(range(PARTITIONS), 0)
    stage.publish_picture("one", f"{stage.pictures.url}/1.png")
    stage.flush()
    stage.wait_until(lambda: sum(stage.committed().values()) == 1, process)
    assert stage.indexed() == {"test:one"}
    assert stage.stop(process) == 0
    group = names.consumer_group(stage.settings.index)
    stage.admin.delete_consumer_groups([group])[group].result(30)  # as Kafka itself does after a quiet week

    again = stage.start()
    stage.wait_until(lambda: stage.lag() == 0, again)
    assert stage.stop(again) == 0


def test_over_tls_and_with_passwords_everything_works_and_no_password_is_told(
    stage: Stage, guarded_kafka: KafkaConnection, guarded_elasticsearch: ElasticsearchSettings
) -> None:
    passwords = {guarded_kafka.kafka_password, guarded_elasticsearch.elasticsearch_password}
    with Elasticsearch(**guarded_elasticsearch.elasticsearch_client) as client:
        client.indices.create(index=stage.settings.index, **stage.body)
        picture = stage.publish_picture("one", f"{stage.pictures.url}/1.png")
        stage.publish_picture("page", f"{stage.pictures.url}/page")
        process = stage.start(**dict(guarded_kafka), **dict(guarded_elasticsearch))
        stage.wait_until(lambda: len(stage.letters()) == 1 and stage.lag() == 0, process)
        assert stage.stop(process) == 0
        client.indices.refresh(index=stage.settings.index)
        assert [hit["_id"] for hit in client.search(index=stage.settings.index)["hits"]["hits"]] == [picture]
    assert not [each for each in passwords if each and each.get_secret_value() in stage.log.read_text()]


def jvm_of(driver: psutil.Process) -> psutil.Process:
    return next(child for child in driver.children(recursive=True) if child.name() == "java")


def batches(log: Path) -> list[str]:
    return [line for line in log.read_text().splitlines() if " batch=" in line]


def test_letters_of_a_batch_that_may_have_run_before_are_written_once(stage: Stage) -> None:
    def letter(offset: int) -> DeadLetter:
        return DeadLetter.of(
            reason=Reason.DEAD_LINK, detail="404", topic="t", partition=1, offset=offset, key=b"test:a", value=b"{}"
        )

    LetterBox(stage.settings, since=0, replay=False, last={}).write([letter(5), letter(7)])
    again = LetterBox(stage.settings, since=5, replay=True, last={})
    again.write([letter(7), letter(8)])
    again.write([letter(5)])
    assert sorted(each.offset for each in stage.letters()) == [5, 7, 8]
    assert last_letters(stage.settings) == {}, "letters of another topic"


def test_a_deleted_index_is_filled_from_the_topic_once_it_is_made_anew(stage: Stage) -> None:
    """By a running embedder that nobody touches: first at rest, then in the middle of a micro-batch."""
    good = {stage.publish_picture(f"good-{n}", f"{stage.pictures.url}/{n}.png") for n in range(30)}
    for n in range(PARTITIONS):
        stage.publish_picture(f"page-{n}", f"{stage.pictures.url}/page")
    # Many micro-batches, so that a rebuild is more than the first one after a start.
    process = stage.start(max_records_per_trigger=8)
    stage.wait_until(lambda: stage.lag() == 0, process)
    before = stage.documents()
    assert set(before) == good

    stage.client.indices.delete(index=stage.settings.index)
    stage.wait_until(lambda: "was deleted" in stage.log.read_text(), process)
    stage.create_index()
    stage.wait_until(lambda: stage.indexed() == good and stage.lag() == 0, process)
    assert stage.documents() == before

    again = {stage.publish_picture(f"again-{n}", f"{stage.pictures.url}/{n}.png") for n in range(30)}

    def make_anew() -> None:
        stage.client.indices.delete(index=stage.settings.index)
        stage.create_index()

    stage.pictures.delay = 0.05
    stage.pictures.at[stage.pictures.served + 12] = make_anew
    stage.flush()
    stage.wait_until(lambda: stage.indexed() == good | again and stage.lag() == 0, process)

    assert process.poll() is None
    assert len(stage.letters()) == PARTITIONS
    assert len(list(Path(stage.settings.checkpoint_location).iterdir())) == 1
    assert stage.stop(process) == 0


def test_an_index_that_is_made_anew_while_the_embedder_is_down_is_filled_when_it_starts(stage: Stage) -> None:
    good = {stage.publish_picture(f"good-{n}", f"{stage.pictures.url}/{n}.png") for n in range(30)}
    stage.publish_picture("page", f"{stage.pictures.url}/page")
    process = stage.start()
    stage.wait_until(lambda: stage.lag() == 0, process)
    assert stage.stop(process) == 0
    stage.client.indices.delete(index=stage.settings.index)
    stage.create_index()

    again = stage.start()
    stage.wait_until(lambda: stage.indexed() == good and stage.lag() == 0, again)
    assert stage.stop(again) == 0
    assert len(stage.letters()) == 1


def test_a_dead_picture_that_is_reported_goes_with_a_letter_stays_away_from_a_rebuild_and_comes_back_when_published(
    stage: Stage,
) -> None:
    url = stage.pictures.url
    alive = {stage.publish_picture(f"alive-{n}", f"{url}/{n}.png") for n in range(5)}
    number = stage.published
    dead = stage.publish_picture("dead", f"{url}/50.png", title="once")
    process = stage.start()
    stage.wait_until(lambda: stage.indexed() == alive | {dead}, process)
    stage.wait_until(lambda: (told := stage.told()) is not None and told.lag == 0, process)

    stage.pictures.gone = {"/50.png"}
    for image in ("test:alive-0", dead):
        stage.report(image)
    stage.wait_until(lambda: stage.verdict("test:alive-0") == "alive" and stage.verdict(dead) == "gone", process)
    assert stage.indexed() == alive
    [letter] = stage.letters()
    assert (letter.reason, letter.partition, letter.key) == (Reason.DEAD_LINK, number % PARTITIONS, dead)
    assert ImageRecord.from_bytes(letter.original_value()).title == "once"

    stage.client.indices.delete(index=stage.settings.index)
    stage.create_index()
    stage.wait_until(lambda: stage.indexed() == alive and stage.lag() == 0, process)
    assert [each.place for each in stage.letters()] == [letter.place]

    stage.pictures.gone = set()
    stage.send(dead.encode(), letter.original_value(), number % PARTITIONS)
    stage.flush()
    stage.wait_until(lambda: stage.indexed() == alive | {dead}, process)
    assert stage.stop(process) == 0
