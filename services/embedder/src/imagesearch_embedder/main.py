"""The driver: read Kafka, embed each micro-batch in Spark's Python workers, report. The command `imagesearch-embedder`.

    Kafka ──► micro-batch ──► per partition: fetch | decode | encode | write ──► counts ──► one log line, metrics
                              (`worker`, in as many processes as Spark has task slots)

The driver sees counts only, never a picture or a vector. It can be killed at any moment: Spark's checkpoint says which
micro-batch was under way, that one runs again, and neither the index nor the dead letters change by it. An index that
is deleted and made anew, while the driver runs or while it does not, is filled from the topic's start.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from elasticsearch import Elasticsearch
from imagesearch_contract.kafka import unreachable
from imagesearch_contract.settings import EmbedderSettings, SettingsError
from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from imagesearch_embedder.checkpoint import checkpoint
from imagesearch_embedder.letters import LettersNotDeliveredError, last_letters
from imagesearch_embedder.metrics import serving
from imagesearch_embedder.offsets import Offsets, ends
from imagesearch_embedder.progress import Bulletin, Report, cause, lag
from imagesearch_embedder.reports import looking
from imagesearch_embedder.session import JavaError, kafka_options, open_session, task_slots
from imagesearch_embedder.sink import IndexMismatchError, IndexMissing, Unavailable, check_index, connect
from imagesearch_embedder.worker import LOG_FORMAT, MESSAGE_COLUMNS, TASK_SCHEMA, embed_frames

log = logging.getLogger(__name__)

RECHECK_SECONDS: Final = 5.0
KAFKA_TIMEOUT: Final = 10.0


def main() -> None:
    """Run until SIGTERM or SIGINT (exit status 0), or until something fails for good (1, with one line that says what)."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, stream=sys.stderr)
    logging.getLogger("elastic_transport").setLevel(logging.WARNING)
    stop = threading.Event()
    stop_on_signals(stop)
    try:
        settings = EmbedderSettings.from_env()
        with serving(settings):
            run(settings, stop)
    except (SettingsError, JavaError, IndexMismatchError, LettersNotDeliveredError) as error:
        sys.exit(f"imagesearch-embedder: {error}")
    except (StreamingQueryException, Py4JError, ConnectionError) as error:
        if not stop.is_set():  # a signal to the whole process group takes the JVM first
            what = cause(str(error)) if isinstance(error, StreamingQueryException) else "its JVM died"
            sys.exit(f"imagesearch-embedder: the query failed, start it again to go on from the checkpoint: {what}")


def stop_on_signals(stop: threading.Event) -> None:
    """Let SIGTERM and SIGINT set `stop`."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())


def run(settings: EmbedderSettings, stop: threading.Event) -> None:
    """Embed what the topic holds and gets, until `stop`."""
    index_uuid = wait_until_ready(settings, stop)
    if index_uuid is None:
        return
    with spark(settings) as session:
        stop_on_signals(stop)  # Spark has put its own handler for SIGINT, which ends in a stack trace
        report = Report()
        session.streams.addListener(report)
        while index_uuid is not None:
            fill(index_uuid, session, settings, report, stop)
            index_uuid = wait_until_ready(settings, stop)


def fill(
    index_uuid: str, session: SparkSession, settings: EmbedderSettings, report: Report, stop: threading.Event
) -> None:
    """Embed into this index, until `stop` or until it is no more."""
    path, is_new = checkpoint(session, settings.checkpoint_location, index_uuid)
    with connect(settings) as client, closing(Offsets(settings)) as offsets, looking(settings):
        if is_new:
            offsets.forget()
        batch = embed_batch(settings, report, last_letters(settings))
        query = start(read(session, settings), batch, settings, path)
        log.info("embedding %s into %s with %s", settings.topic, settings.index, settings.model_label)
        is_there = every(RECHECK_SECONDS, lambda: exists(client, settings, index_uuid))
        bulletin = Bulletin(client, settings.index)
        while not stop.is_set() and is_there() and not query.awaitTermination(1):
            if (progress := query.lastProgress) is None:
                bulletin.tell(None, 0.0)
            else:
                done = progress.sources[0]
                offsets.tell(ends(done.endOffset))
                bulletin.tell(lag(done.endOffset, done.latestOffset), report.images_per_second(progress.batchId))
    query.stop()
    if stop.is_set():
        log.info("stopped; the next start goes on from %s", path)
    else:
        log.warning("index %s was deleted; once it is there again it is filled from the topic's start", settings.index)


def exists(client: Elasticsearch, settings: EmbedderSettings, index_uuid: str) -> bool:
    """Whether this very index is there still, as far as Elasticsearch can say.

    Raises:
        IndexMismatchError: there is another model's in its place.
    """
    try:
        return check_index(client, settings) == index_uuid
    except IndexMissing:
        return False
    except Unavailable:
        return True  # the workers say so, and wait


def every(seconds: float, look: Callable[[], bool]) -> Callable[[], bool]:
    """`look`, but no more often than so; in between it is taken to be true."""
    due = time.monotonic() + seconds

    def look_when_due() -> bool:
        nonlocal due
        if time.monotonic() < due:
            return True
        due = time.monotonic() + seconds
        return look()

    return look_when_due


def read(session: SparkSession, settings: EmbedderSettings) -> DataFrame:
    """The records topic, from where the checkpoint stands or else from its start."""
    return (
        session.readStream.format("kafka")
        .options(**kafka_options(settings))
        .option("subscribe", settings.topic)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", settings.max_records_per_trigger)
        # A topic of few partitions is cut finer, so that every executor gets a part and tasks that wait call for more of
        # them. Two parts may then hold messages about one picture; which one counts, their versions decide.
        .option("minPartitions", task_slots(session))
        # Compaction and retention remove offsets between checkpoint and start; Spark warns, and what is left is complete.
        .option("failOnDataLoss", "false")
        .load()
        .selectExpr(*MESSAGE_COLUMNS)
    )


def start(
    messages: DataFrame, embed: Callable[[DataFrame, int], None], settings: EmbedderSettings, checkpoint_path: str
) -> StreamingQuery:
    """Start the query that embeds every micro-batch."""
    return (
        messages.writeStream.foreachBatch(embed)
        .option("checkpointLocation", checkpoint_path)
        .trigger(processingTime=f"{round(settings.trigger_seconds * 1000)} milliseconds")
        .start()
    )


def embed_batch(
    settings: EmbedderSettings, report: Report, last: Mapping[int, int]
) -> Callable[[DataFrame, int], None]:
    """What is done with a micro-batch. The first one after a start may have run before, at least in part.

    Args:
        settings: the embedder's.
        report: is told what became of the messages.
        last: partition -> the last offset of which there is a dead letter.
    """
    first = True

    def embed(messages: DataFrame, batch: int) -> None:
        nonlocal first
        frames = partial(embed_frames, settings=settings, replay=first, last=last)
        report.add(batch, messages.mapInPandas(frames, TASK_SCHEMA).collect())
        first = False

    return embed


@contextmanager
def spark(settings: EmbedderSettings) -> Iterator[SparkSession]:
    """A Spark session; its JVM ends with it."""
    session = open_session(settings)
    logging.getLogger("py4j").setLevel(logging.CRITICAL)  # what it logs with a stack trace, it also raises
    try:
        yield session
    finally:
        with suppress(Py4JError, OSError):  # the JVM may be gone already
            session.stop()


def wait_until_ready(settings: EmbedderSettings, stop: threading.Event) -> str | None:
    """Wait until topics and index exist, saying what is missing; the index's UUID, or None when told to stop before.

    Raises:
        IndexMismatchError: the index is another model's.
    """
    while not stop.is_set():
        try:
            check_topics(settings)
            with connect(settings) as client:
                return check_index(client, settings)
        except Unavailable as error:
            log.warning("waiting: %s", error)
            stop.wait(RECHECK_SECONDS)
    return None


def check_topics(settings: EmbedderSettings) -> None:
    """Raise `Unavailable` where Kafka or one of the two topics is not there."""
    faults: list[KafkaError] = []
    options: dict[str, Any] = {**settings.kafka_client, "error_cb": faults.append, "log_level": 0}
    try:
        admin = AdminClient(options)
    except KafkaException as error:
        raise Unavailable(unreachable(settings, [error.args[0]])) from error
    try:
        # Asked for by name, a missing topic might be created by the broker, with its own defaults.
        known = admin.list_topics(timeout=KAFKA_TIMEOUT).topics
    except KafkaException as error:
        admin.poll(0)  # hands over what went wrong on the way
        raise Unavailable(unreachable(settings, [*faults, error.args[0]])) from error
    if missing := [topic for topic in (settings.topic, settings.dead_letter_topic) if topic not in known]:
        raise Unavailable(
            f"no topic {' and no topic '.join(missing)}; "
            "whoever owns the collection (operator, local stack) has to create it"
        )
