"""The collection that a scenario happens to: its topics and index, its producer runs, and the embedder as a Deployment keeps it."""

import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Final, Literal, NamedTuple, Self

import numpy as np
import psutil
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from elasticsearch import Elasticsearch
from imagesearch_contract import names
from imagesearch_contract.dead_letter import DeadLetter
from imagesearch_contract.index import VECTOR_FIELD, IndexMeta
from imagesearch_contract.settings import EmbedderSettings, ManifestSource, ProducerSettings

from imagesearch_stack import StackError, census, downloads, provision, servers, spark
from imagesearch_stack.faults.audit import Books, Document
from imagesearch_stack.processes import Process, own_memory
from imagesearch_stack.repeating import repeating

NAMESPACE: Final = "faults"
LOOPBACK: Final = ("127.0.0.0/8",)
KAFKA_SECONDS: Final = 10.0
SETTLE_SECONDS: Final = 900.0
"""Within so many seconds everything that was published has to be dealt with, once the fault is over."""
MOST_STARTS: Final = 10
"""Of one embedder; one that ends more often will never get anywhere."""
MOST_DOCUMENTS: Final = 10_000
POLL_SECONDS: Final = 0.1

Victim = Literal["python", "jvm", "worker"]


class Stopped(Exception):  # noqa: N818  it is no error
    """The run was told to stop."""


class Lab(NamedTuple):
    """The servers that all runs share, and where each run has its own folder."""

    kafka: str
    elasticsearch: str
    mlflow: str
    model_name: str
    model_version: str
    directory: Path
    stop: Event
    """Set, it ends every run at once."""

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            Stopped: the runs were told to stop.
        """
        if self.stop.wait(seconds):
            raise Stopped


class Memory(NamedTuple):
    """What an embedder takes at one moment; bytes."""

    at: float
    """Seconds, monotonic."""
    driver: int
    """Python and JVM."""
    workers: int
    """Spark's Python workers and the daemon that forks them."""


class Embedder:
    """The driver as a Deployment runs it: whenever it ends it is started again, and nothing of it lives on meanwhile."""

    def __init__(self, settings: EmbedderSettings, logs: Path) -> None:
        self.settings = settings
        self.starts = 0
        self._logs = logs
        self._process: Process | None = None

    def start(self) -> None:
        """Start the command."""
        self.starts += 1
        if self.starts > MOST_STARTS:
            raise StackError(f"the embedder ended {MOST_STARTS} times. The last log is in {self._logs}")
        self._process = Process(
            "the embedder",
            [servers.script("imagesearch-embedder")],
            log=self._logs / f"embedder-{self.starts}.log",
            env=self.settings.to_env() | spark.environment() | servers.QUIET_MLFLOW,
        )

    def tend(self) -> None:
        """Start the command again if it was started and has ended."""
        if self._process is not None and not self._process.running:
            self.stop()
            self.start()

    def stop(self) -> None:
        """End the command, as a pod is ended."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self, victim: Victim, chance: random.Random) -> bool:
        """SIGKILL one process of the embedder; False where there is none of that kind at the moment."""
        found = getattr(self._tree(), victim)
        try:
            chance.choice(found).kill()
        except (IndexError, psutil.NoSuchProcess):
            return False
        return True

    def memory(self) -> Memory:
        """What it takes at this moment."""
        tree = self._tree()
        driver, workers = (
            sum(map(own_memory, each)) for each in ([*tree.python, *tree.jvm], tree.daemon + tree.worker)
        )
        return Memory(time.monotonic(), driver, workers)

    def _tree(self) -> "_Tree":
        tree = _Tree([], [], [], [])
        if (process := self._process) is None:
            return tree
        try:
            tree.python.extend(psutil.Process(process.pid).children())
            below = [child for driver in tree.python for child in driver.children(recursive=True)]
        except psutil.NoSuchProcess:  # it is ending
            return tree
        daemons = {child.pid for child in below if "pyspark.daemon" in _command(child)}
        for child in below:
            with suppress(psutil.NoSuchProcess):
                if child.pid in daemons:
                    (tree.worker if child.ppid() in daemons else tree.daemon).append(child)
                elif child.name() == "java":
                    tree.jvm.append(child)
        return tree


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # a zombie too has none
        return []


class _Tree(NamedTuple):
    python: list[psutil.Process]
    jvm: list[psutil.Process]
    daemon: list[psutil.Process]
    worker: list[psutil.Process]


class Collection:
    """One collection, and what is done to it."""

    def __init__(self, lab: Lab, name: str, *, kafka: str | None = None, elasticsearch: str | None = None) -> None:
        """Create topics and index.

        Args:
            lab: the servers.
            name: of the collection, and of its folder.
            kafka: another Kafka than the lab's.
            elasticsearch: by which URL the embedder reaches the lab's Elasticsearch, where not directly.
        """
        self.lab, self.name, self.kafka = lab, name, kafka or lab.kafka
        self.directory = lab.directory / name
        self.directory.mkdir(parents=True)
        self.topic = names.topic(NAMESPACE, name)
        self.producer_runs = 0
        self._lag_known = "never asked for"
        dims = provision.model_dims(lab.mlflow, lab.model_name, lab.model_version)
        meta = IndexMeta(
            namespace=NAMESPACE,
            collection=name,
            model_name=lab.model_name,
            model_version=lab.model_version,
            dims=dims,
            encoder_url="http://127.0.0.1:1",
        )
        self._client = Elasticsearch(lab.elasticsearch)
        provision.create_topics(self.kafka, self.topic)
        settings = EmbedderSettings(
            kafka_bootstrap_servers=self.kafka,
            topic=self.topic,
            elasticsearch_url=elasticsearch or lab.elasticsearch,
            mlflow_tracking_uri=lab.mlflow,
            model_name=lab.model_name,
            model_version=lab.model_version,
            index=provision.create_index(lab.elasticsearch, meta),
            checkpoint_location=str(self.directory / "checkpoint"),
            spark_jars=tuple(map(str, downloads.spark_kafka_jars())),
            allowed_networks=LOOPBACK,
            # Small, so that there is something between two micro-batches, and between two writes, to be killed in.
            trigger_seconds=0.2,
            max_records_per_trigger=64,
            batch_size=8,
        )
        self.embedder = Embedder(settings, self.directory)
        # A consumer, not an admin client: after a restart of the broker those of librdkafka 2.16 give no offsets any more.
        self._consumer = Consumer(
            {
                "bootstrap.servers": self.kafka,
                "group.id": names.consumer_group(settings.index),
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        self._places = [TopicPartition(self.topic, partition) for partition in range(provision.PARTITIONS)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.embedder.stop()
        self._consumer.close()
        self._client.close()

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.kafka, "log_level": 0})

    def produce(self, *, quota: int | None = None) -> Process:
        """Start a run of the producer over `manifest`."""
        self.producer_runs += 1
        settings = ProducerSettings(
            kafka_bootstrap_servers=self.kafka,
            topic=self.topic,
            source=ManifestSource(url=str(self.manifest)),
            quota=quota,
            allowed_networks=LOOPBACK,
        )
        log = self.directory / f"producer-{self.producer_runs}.log"
        return Process("the producer", [servers.script("imagesearch-producer")], log=log, env=settings.to_env())

    def publish(self, *, quota: int | None = None, most_runs: int = 1) -> None:
        """Run the producer, as a CronJob would until a run succeeds, at most so often.

        Raises:
            StackError: no run succeeded.
        """
        for left in reversed(range(most_runs)):
            run = self.produce(quota=quota)
            try:
                run.wait(lambda: self.lab.pause(0))
                return
            except StackError:
                if not left:
                    raise
                self.lab.pause(1)
            finally:
                run.stop()

    @property
    def manifest(self) -> Path:
        """What the producer reads."""
        return self.directory / "manifest.jsonl"

    def send(self, key: str, value: bytes) -> None:
        """Publish what no producer of ours would."""
        producer = Producer({"bootstrap.servers": self.kafka})
        producer.produce(self.topic, key=key.encode(), value=value)
        if producer.flush(KAFKA_SECONDS):
            raise StackError(f"Kafka at {self.kafka} does not take a record")

    def wait_until(self, true: Callable[[], bool], *, within_seconds: float = SETTLE_SECONDS) -> None:
        """Wait, while the embedder is kept running.

        Raises:
            StackError: it did not come true in time.
            Stopped: the runs were told to stop.
        """
        deadline = time.monotonic() + within_seconds
        while not true():
            if time.monotonic() > deadline:
                raise StackError(f"not within {within_seconds:.0f} s, and the lag is {self._lag_known}")
            self.embedder.tend()
            self.lab.pause(POLL_SECONDS)

    def stay(self, until: float) -> None:
        """Let time pass until that monotonic second, while the embedder is kept running; raises as `wait_until`."""
        self.wait_until(lambda: time.monotonic() >= until)

    def wait_for_lag(self, lag: int = 0) -> None:
        """Wait until the embedder has told Kafka that no more than so many records are left; raises as `wait_until`."""
        self.wait_until(lambda: (found := self.lag()) is not None and found <= lag)

    def end(self) -> int:
        """How many messages were ever written to the topic."""
        return sum(self._ends().values())

    def lag(self) -> int | None:
        """Messages that the embedder has not dealt with, as an operator sees it; None while Kafka cannot say."""
        try:
            ends, done = self._ends(), self._committed()
        except KafkaException as error:
            self._lag_known = f"unknown: {error}"
            return None
        if missing := ends.keys() - done.keys():
            self._lag_known = f"unknown in partitions {sorted(missing)}"
            return None
        lag = sum(end - done[partition] for partition, end in ends.items())
        self._lag_known = str(lag)
        return lag

    def _ends(self) -> dict[int, int]:
        return {
            place.partition: self._consumer.get_watermark_offsets(place, timeout=KAFKA_SECONDS)[1]
            for place in self._places
        }

    def _committed(self) -> dict[int, int]:
        return {
            place.partition: place.offset
            for place in self._consumer.committed(self._places, timeout=KAFKA_SECONDS)
            if place.offset >= 0  # below are librdkafka's own codes, for "none" too
        }

    def forget(self) -> None:
        """Delete what the embedder knows of how far it is: its checkpoint, and what it told Kafka. It must not run."""
        checkpoint = Path(self.embedder.settings.checkpoint_location)
        checkpoint.rename(checkpoint.with_name("checkpoint-before"))
        group = names.consumer_group(self.embedder.settings.index)
        admin = self._admin()  # kept until it has answered: a client that is let go of never does
        admin.delete_consumer_groups([group])[group].result(KAFKA_SECONDS)

    def books(self) -> Books:
        """What topic, index and dead letters hold."""
        index = self.embedder.settings.index
        self._client.indices.refresh(index=index)
        found = self._client.search(
            index=index,
            size=MOST_DOCUMENTS,
            source_includes=["id"],
            fields=[{"field": VECTOR_FIELD}],
            version=True,
            query={"match_all": {}},
        )
        documents = {
            hit["_id"]: Document(
                hit["_source"]["id"],
                hit["_version"],
                np.array(hit["fields"][VECTOR_FIELD], dtype=np.float32).tobytes(),
            )
            for hit in found["hits"]["hits"]
        }
        letters = census.messages(self.kafka, names.dead_letter_topic(self.topic))
        return Books(
            records=census.latest(self.kafka, self.topic),
            documents=documents,
            letters=[DeadLetter.from_bytes(value) for letter in letters if (value := letter.value()) is not None],
        )

    def delete(self) -> None:
        """Remove topics and index; the embedder must not run."""
        self._client.indices.delete(index=self.embedder.settings.index)
        admin = self._admin()
        ours = [topic for topic in admin.list_topics(timeout=KAFKA_SECONDS).topics if topic.startswith(self.topic)]
        for deleted in admin.delete_topics(ours).values():
            deleted.result(KAFKA_SECONDS)


def kill(command: Process) -> None:
    """SIGKILL a command itself, under its guard; harmless where it has ended."""
    try:
        for child in psutil.Process(command.pid).children():
            child.kill()
    except psutil.NoSuchProcess:
        pass


class Broker:
    """A Kafka of one scenario's own, which can be killed and started again on what it had written."""

    def __init__(self, directory: Path, port: int) -> None:
        self._directory, self._port = directory, port
        self._process: Process | None = None

    def start(self) -> str:
        """Start it and wait until it answers; its address."""
        self._process = servers.start_kafka(self._directory, self._port)
        return servers.wait_for_kafka(self._process, self._port)

    def kill(self) -> None:
        """SIGKILL; returns when nothing of it is left."""
        if self._process is None:
            raise StackError("this Kafka does not run")
        kill(self._process)
        self.stop()

    def stop(self) -> None:
        """End it; harmless where it does not run."""
        if self._process is not None:
            self._process.stop()
            self._process = None


@contextmanager
def broker(directory: Path, port: int) -> Iterator[tuple[Broker, str]]:
    """A Kafka that runs, and its address; its data is removed."""
    made = Broker(directory, port)
    try:
        yield made, made.start()
    finally:
        made.stop()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def watched(embedder: Embedder, every_seconds: float = 1.0) -> Iterator[list[Memory]]:
    """What the embedder takes, noted again and again while the block runs."""
    noted: list[Memory] = []
    with repeating(lambda: noted.append(embedder.memory()), every_seconds):
        yield noted
