"""What the ingest benchmarks stand on: real servers, pictures over HTTP, collections, and the embedder as a command."""

import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka import Producer
from elasticsearch import Elasticsearch
from imagesearch_contract import names
from imagesearch_contract.index import IndexMeta
from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import EmbedderSettings
from imagesearch_operator.plan.embedder import HEAP_MIB
from imagesearch_stack import downloads, provision, servers
from imagesearch_stack.java import find_java
from imagesearch_stack.processes import Process, Processes, free_port
from PIL import Image

LIMIT_SECONDS = 1200.0


class Model(NamedTuple):
    """A registered model."""

    name: str
    version: str


class Grounds(NamedTuple):
    """The running servers."""

    run_dir: Path
    processes: Processes
    kafka: str
    elasticsearch: str
    mlflow: str

    def register(self, model: str) -> Model:
        """Register a model with `imagesearch-model`: `starter`, or a directory."""
        return Model(*servers.register_model(self.run_dir, tracking_uri=self.mlflow, model=model))


@contextmanager
def grounds(run_dir: Path) -> Iterator[Grounds]:
    """Kafka, Elasticsearch and MLflow on free ports; they end with the block."""
    with Processes() as processes:
        kafka, elasticsearch, mlflow = free_port(), free_port(), free_port()
        started = [
            processes.add(servers.start_kafka(run_dir, kafka)),
            processes.add(servers.start_elasticsearch(run_dir, elasticsearch)),
            processes.add(servers.start_mlflow(run_dir, mlflow)),
        ]
        yield Grounds(
            run_dir,
            processes,
            servers.wait_for_kafka(started[0], kafka),
            servers.wait_for_elasticsearch(started[1], elasticsearch),
            servers.wait_for_mlflow(started[2], mlflow),
        )


class Collection:
    """A new collection: its topics and index, what is published to it and what can be found in it."""

    def __init__(self, on: Grounds, model: Model, picture_urls: list[str]) -> None:
        name = f"bench-{secrets.token_hex(4)}"
        self.on, self.model, self._urls = on, model, picture_urls
        self.topic = names.topic("bench", name)
        self.published = 0
        provision.create_topics(on.kafka, self.topic)
        meta = IndexMeta(
            namespace="bench",
            collection=name,
            model_name=model.name,
            model_version=model.version,
            dims=provision.model_dims(on.mlflow, *model),
            encoder_url="http://127.0.0.1:1",
        )
        self.index = provision.create_index(on.elasticsearch, meta)
        self._client = Elasticsearch(on.elasticsearch, request_timeout=60)
        self._producer = Producer({"bootstrap.servers": on.kafka, "linger.ms": 5})

    def publish(self, count: int) -> None:
        """Publish so many records, each of a picture of its own (their URLs repeat)."""
        for number in range(self.published, self.published + count):
            record = ImageRecord(
                id=f"bench:{number}",
                url=f"{self._urls[number % len(self._urls)]}?{number}",
                title=f"Picture {number}",
                tags=("bench", f"t{number % 10}"),
            )
            self._producer.produce(self.topic, key=record.id.encode(), value=record.to_bytes())
            self._producer.poll(0)
        assert self._producer.flush(60) == 0
        self.published += count

    def written(self) -> int:
        """Documents that Elasticsearch has taken, whether they can be searched yet or not."""
        stats = self._client.indices.stats(index=self.index, metric="indexing")
        return int(stats["_all"]["primaries"]["indexing"]["index_total"])

    def searchable(self) -> int:
        """Documents that a search can find at this moment."""
        self._client.indices.refresh(index=self.index)
        return int(self._client.count(index=self.index)["count"])

    def fill(self, count: int) -> float:
        """Publish so many records; the seconds until every one of them can be found."""
        began = time.monotonic()
        self.publish(count)
        while self.written() < self.published or self.searchable() < self.published:
            self.on.processes.check()
            if time.monotonic() - began > LIMIT_SECONDS:
                raise SystemExit(f"{self.searchable()} of {self.published} after {LIMIT_SECONDS:.0f} s")
            time.sleep(0.25)
        return time.monotonic() - began

    def start_embedder(self, **settings: Any) -> Process:
        """Start `imagesearch-embedder` on this collection."""
        ours = EmbedderSettings(
            kafka_bootstrap_servers=self.on.kafka,
            topic=self.topic,
            elasticsearch_url=self.on.elasticsearch,
            mlflow_tracking_uri=self.on.mlflow,
            model_name=self.model.name,
            model_version=self.model.version,
            index=self.index,
            checkpoint_location=str(self.on.run_dir / "checkpoints" / self.index),
            spark_jars=tuple(map(str, downloads.spark_kafka_jars())),
            allowed_networks=("127.0.0.0/8",),
            **settings,
        )
        jvm = {"JAVA_HOME": str(find_java(17, "Spark")), "SPARK_DRIVER_MEMORY": f"{HEAP_MIB}m"}  # as on Kubernetes
        environment = ours.to_env() | jvm | servers.QUIET_MLFLOW
        log = self.on.run_dir / "logs" / "embedder.log"
        command = [servers.script("imagesearch-embedder")]
        return self.on.processes.add(Process("the embedder", command, log=log, env=environment))


def write_jpegs(folder: Path, sizes: Iterable[tuple[int, int]], *, seed: int = 0) -> list[str]:
    """Write photographs that nobody took: soft shapes under fine grain, about as many bytes a pixel as a camera's; their names."""
    random = np.random.default_rng(seed)
    names_ = []
    for number, (width, height) in enumerate(sizes):
        shapes = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        soft = np.asarray(Image.fromarray(shapes).resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
        grain = random.normal(0, 6, (height, width, 1)).astype(np.int16)
        pixels = np.clip(soft + grain, 0, 255).astype(np.uint8)
        names_.append(f"{number}.jpg")
        Image.fromarray(pixels).save(folder / names_[-1], quality=85)
    return names_
