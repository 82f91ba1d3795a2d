"""The whole pipeline on this machine, from the downloads to a collection that can be searched.

    pictures ─► producer ─► Kafka ─► embedder (Spark) ─► Elasticsearch ◄─ search API ◄─ web page
                  MLflow ─► model ─► embedder, encoder (Ray Serve) ◄──────────┘

`demo` and `smoke` call it; they differ in ports, in where the data lives, and in what they do once it runs.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from imagesearch_contract import names
from imagesearch_contract.index import IndexMeta
from imagesearch_contract.settings import (
    EmbedderSettings,
    EncoderServiceSettings,
    FlickrSource,
    ManifestSource,
    ProducerSettings,
    SearchSettings,
    Source,
)
from rich.console import Console

from imagesearch_stack import StackError, census, downloads, pictures, provision, replicas, servers
from imagesearch_stack.census import Census
from imagesearch_stack.java import find_java
from imagesearch_stack.processes import Process, Processes, free_port, require_free
from imagesearch_stack.samples import SAMPLES, SourceName
from imagesearch_stack.servers import STARTER, answers_ok, script
from imagesearch_stack.steps import Step, step

WEB_DIR: Final = Path(__file__).parents[4] / "web" / "dist"
LOOPBACK: Final = ("127.0.0.0/8",)
FLICKR_KEY_VARIABLE: Final = "FLICKR_API_KEY"
FLICKR_ENDPOINT: Final = FlickrSource().endpoint
FLICKR_QUOTA: Final = 1_000
"""Photos of one run: enough to search in, and few enough to be fetched and embedded within minutes."""

ENCODER_SECONDS: Final = 180.0
STALLED_SECONDS: Final = 180.0
"""No picture for so long means that something is wrong. The first takes longest: Spark starts, the encoder is loaded."""


class Ports(NamedTuple):
    """Where each server of the pipeline listens, on 127.0.0.1."""

    kafka: int
    elasticsearch: int
    mlflow: int
    dashboard: int
    encoder: int
    search: int
    pictures: int

    @classmethod
    def fixed(cls) -> "Ports":
        """The ports under which each server is usually found."""
        return cls(
            kafka=9092, elasticsearch=9200, mlflow=5000, dashboard=8265, encoder=8000, search=8080, pictures=8090
        )

    @classmethod
    def free(cls) -> "Ports":
        """Ports that nobody uses."""
        return cls(*(free_port() for _ in cls._fields))


class Request(NamedTuple):
    """What is asked for: which pictures, through which model."""

    source: SourceName = "stamps"
    text: str = ""
    """What to search Flickr for."""
    flickr_endpoint: str = FLICKR_ENDPOINT
    """The address of Flickr's API, or of a stand-in on this machine."""
    model: str = STARTER
    """`starter`, or a Hugging Face id."""

    @property
    def allowed_networks(self) -> tuple[str, ...]:
        """The networks, public ones aside, from which pictures may be fetched: this machine, unless Flickr is asked."""
        return () if self.source == "flickr" and self.flickr_endpoint == FLICKR_ENDPOINT else LOOPBACK

    @property
    def label(self) -> str:
        """A name for the data of such requests: what can be shared between two of them has the same."""
        return f"{self.source}-{self.model.replace('/', '--')}"


class Pipeline(NamedTuple):
    """The running pipeline."""

    url: str
    """Of the search API and its web page."""
    collection: str
    examples: tuple[str, ...]
    census: Census
    processes: Processes
    pictures: Path | None
    """The folder of the sample pictures; None where the pictures are not on this machine."""


def check(request: Request) -> None:
    """Find what is missing before anything long begins.

    Raises:
        StackError: the request cannot be met; the message says what to give.
    """
    if request.source == "flickr":
        if not request.text:
            raise StackError('say what to search Flickr for: make demo SOURCE=flickr TEXT="playing dogs"')
        if not os.environ.get(FLICKR_KEY_VARIABLE):
            raise StackError(
                f"Flickr wants an API key: set {FLICKR_KEY_VARIABLE} (https://www.flickr.com/services/apps/create/ "
                "gives one), or run `make demo` for the sample pictures"
            )
    elif request.text:
        raise StackError(f"TEXT is what to search Flickr for; it means nothing with SOURCE={request.source}")


@contextmanager
def running(request: Request, ports: Ports, run_dir: Path, console: Console) -> Iterator[Pipeline]:
    """Start everything, fill the collection, and give the pipeline; everything is stopped when the block ends.

    Raises:
        StackError: something is missing, or did not start; the message says what to do.
    """
    check(request)
    servers.check_java()
    require_free(ports._asdict())
    if not run_dir.exists():
        # Run as root, Elasticsearch lives elsewhere (see `servers`): whoever deleted the run's data meant its index too.
        shutil.rmtree(servers.elasticsearch_dir(run_dir), ignore_errors=True)
    run_dir.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        _download(console)
        folder, base_url = _serve_samples(request, ports, console, stack)
        processes = stack.enter_context(Processes())
        kafka, elasticsearch, mlflow = _start_servers(ports, run_dir, processes, console)
        model_name, model_version = _register(request.model, run_dir, mlflow, processes, console)

        meta = IndexMeta(
            namespace=names.DEFAULT_NAMESPACE,
            collection=request.source,
            model_name=model_name,
            model_version=model_version,
            dims=provision.model_dims(mlflow, model_name, model_version),
            encoder_url=f"http://127.0.0.1:{ports.encoder}",
        )
        topic = names.topic(meta.namespace, meta.collection)
        with step(console, "Topics, index and alias") as shown:
            provision.create_topics(kafka, topic)
            index = provision.create_index(elasticsearch, meta)
            shown.say(f"{topic}, {index}")

        embedder = EmbedderSettings(
            kafka_bootstrap_servers=kafka,
            topic=topic,
            elasticsearch_url=elasticsearch,
            mlflow_tracking_uri=mlflow,
            model_name=model_name,
            model_version=model_version,
            index=index,
            checkpoint_location=str(run_dir / "checkpoints" / index),
            spark_jars=tuple(map(str, downloads.spark_kafka_jars())),
            trigger_seconds=1,
            allowed_networks=request.allowed_networks,
        )
        producer = ProducerSettings(
            kafka_bootstrap_servers=kafka,
            topic=topic,
            source=_source(request, folder, base_url, run_dir),
            quota=None if folder else FLICKR_QUOTA,
            allowed_networks=request.allowed_networks,
        )
        search = SearchSettings(
            elasticsearch_url=elasticsearch,
            port=ports.search,
            allowed_networks=request.allowed_networks,
            web_dir=WEB_DIR if WEB_DIR.is_dir() else None,
        )
        _start_services(embedder, search, ports, run_dir, processes, console)
        _produce(producer, run_dir, processes, console)
        counted = _wait_until_embedded(embedder, processes, console)
        examples = (request.text, "outdoors") if request.source == "flickr" else SAMPLES[request.source].examples
        yield Pipeline(f"http://127.0.0.1:{ports.search}", meta.collection, examples, counted, processes, folder)


def _download(console: Console) -> None:
    with step(console, "Kafka, Elasticsearch and Spark's Kafka source") as shown:
        downloads.kafka_jars(shown.receive)
        downloads.spark_kafka_jars(shown.receive)
        servers.elasticsearch_home(shown.receive)


def _serve_samples(request: Request, ports: Ports, console: Console, stack: ExitStack) -> tuple[Path | None, str]:
    """The folder of the sample pictures and the URL under which it is served; None and nothing for Flickr."""
    if request.source == "flickr":
        return None, ""
    folder = SAMPLES[request.source].fetch(console)
    return folder, stack.enter_context(pictures.serve(folder, ports.pictures))


def _start_servers(ports: Ports, run_dir: Path, processes: Processes, console: Console) -> tuple[str, str, str]:
    """Start Kafka, Elasticsearch and MLflow side by side; their addresses."""
    with step(console, "Kafka, Elasticsearch, MLflow") as shown:
        mlflow = processes.add(servers.start_mlflow(run_dir, ports.mlflow))
        elasticsearch = processes.add(servers.start_elasticsearch(run_dir, ports.elasticsearch))
        kafka = processes.add(servers.start_kafka(run_dir, ports.kafka))
        addresses = (
            servers.wait_for_kafka(kafka, ports.kafka),
            servers.wait_for_elasticsearch(elasticsearch, ports.elasticsearch),
            servers.wait_for_mlflow(mlflow, ports.mlflow),
        )
        shown.say(", ".join(addresses))
    return addresses


def _register(model: str, run_dir: Path, mlflow: str, processes: Processes, console: Console) -> tuple[str, str]:
    with step(console, f"Model: {model}") as shown:
        registration = servers.start_registration(run_dir, tracking_uri=mlflow, model=model)
        _finish(registration, processes, shown)
        name, version = servers.registered(registration)
        shown.say(f"registered as {name}, version {version}")
    return name, version


def _start_services(
    embedder: EmbedderSettings,
    search: SearchSettings,
    ports: Ports,
    run_dir: Path,
    processes: Processes,
    console: Console,
) -> None:
    encoder = EncoderServiceSettings(
        mlflow_tracking_uri=embedder.mlflow_tracking_uri,
        model_name=embedder.model_name,
        model_version=embedder.model_version,
    )
    logs = run_dir / "logs"
    with step(console, "Encoder (Ray Serve), embedder (Spark), search API") as shown:
        # Spark takes longest to start and nobody waits for it here, so it goes first.
        java = {"JAVA_HOME": str(find_java(17, "Spark"))}
        processes.add(
            Process(
                "the embedder",
                [script("imagesearch-embedder")],
                log=logs / "embedder.log",
                env=embedder.to_env() | java | servers.QUIET_MLFLOW,
            )
        )
        serving = processes.add(
            replicas.start(encoder, port=ports.encoder, log=logs / "encoder.log", dashboard_port=ports.dashboard)
        )
        api = processes.add(
            Process("the search API", [script("imagesearch-search")], log=logs / "search.log", env=search.to_env())
        )
        api.wait_until(lambda: answers_ok(f"http://127.0.0.1:{search.port}/healthz"), within_seconds=60)
        serving.wait_until(
            lambda: answers_ok(f"http://127.0.0.1:{ports.encoder}/healthz"), within_seconds=ENCODER_SECONDS
        )
        shown.say(f"logs in {logs}")


def _source(request: Request, folder: Path | None, base_url: str, run_dir: Path) -> Source:
    """The source of the producer; for sample pictures their manifest is written first, and their captions."""
    if folder is None or request.source == "flickr":
        return FlickrSource(text=request.text, endpoint=request.flickr_endpoint)
    found = pictures.stamps(folder)
    manifest = run_dir / "manifest.jsonl"
    pictures.write_manifest(found, manifest, base_url=base_url, credit=SAMPLES[request.source].credit)
    pictures.write_captions(found, folder, run_dir / "captions.jsonl")
    return ManifestSource(url=str(manifest))


def _produce(settings: ProducerSettings, run_dir: Path, processes: Processes, console: Console) -> None:
    with step(console, f"Producer: {settings.source.kind} to Kafka") as shown:
        run = Process(
            "the producer",
            [script("imagesearch-producer")],
            log=run_dir / "logs" / "producer.log",
            env=settings.to_env(),
        )
        _finish(run, processes, shown)
        shown.say(run.last_line)


def _finish(command: Process, processes: Processes, shown: Step) -> None:
    """Wait for a command that ends by itself, showing what it says; it is stopped if we are."""

    def watch() -> None:
        shown.say(command.last_line)
        processes.check()

    try:
        command.wait(watch)
    finally:
        command.stop()


def _wait_until_embedded(settings: EmbedderSettings, processes: Processes, console: Console) -> Census:
    """Wait until every picture of the topic is in the index or among the dead letters; the final count.

    Raises:
        StackError: nothing moved for long.
    """
    with step(console, "Embedder: Kafka to Elasticsearch") as shown:
        settled, moved = -1, time.monotonic()
        while True:
            counted = census.take(
                settings.kafka_bootstrap_servers, settings.topic, settings.elasticsearch_url, settings.index
            )
            shown.reach(counted.settled, counted.pictures)
            shown.say(str(counted))
            if counted.settled >= counted.pictures:
                return counted
            processes.check()
            if counted.settled > settled:
                settled, moved = counted.settled, time.monotonic()
            elif time.monotonic() - moved > STALLED_SECONDS:
                raise StackError(
                    f"no picture was embedded for {STALLED_SECONDS:.0f} s ({counted}). "
                    f"The log of the embedder may say why: {Path(settings.checkpoint_location).parents[1] / 'logs'}"
                )
            time.sleep(1)
