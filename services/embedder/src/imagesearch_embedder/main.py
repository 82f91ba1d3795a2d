"""The driver: read Kafka, embed each micro-batch in Spark's Python workers, report. The command `imagesearch-embedder`.

    Kafka ──► micro-batch ──► per partition: fetch | decode | encode | write ──► counts ──► one log line
                              (`worker`, in as many processes as Spark has cores)

The driver sees counts only, never a picture or a vector. It can be killed at any moment: Spark's checkpoint says which
micro-batch was under way, that one runs again, and neither the index nor the dead letters change by it.
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from imagesearch_contract.kafka import unreachable
from imagesearch_contract.settings import EmbedderSettings, SettingsError
from py4j.protocol import Py4JError
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from imagesearch_embedder.offsets import Offsets, ends
from imagesearch_embedder.progress import Report, cause
from imagesearch_embedder.session import JavaError, kafka_options, open_session
from imagesearch_embedder.sink import IndexMismatchError, Unavailable, check_index, connect
from imagesearch_embedder.worker import LOG_FORMAT, MESSAGE_COLUMNS, OUTCOME_SCHEMA, embed_frames

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
        run(EmbedderSettings.from_env(), stop)
    except (SettingsError, JavaError, IndexMismatchError) as error:
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
    if not wait_until_ready(settings, stop):
        return
    with spark(settings) as session:
        stop_on_signals(stop)  # Spark has put its own handler for SIGINT, which ends in a stack trace
        report, offsets = Report(), Offsets(settings)
        session.streams.addListener(report)
        query = embed_stream(read(session, settings), settings, report)
        log.info("embedding %s into %s with %s", settings.topic, settings.index, settings.model_label)
        while not stop.is_set() and not query.awaitTermination(1):
            if (progress := query.lastProgress) is not None:
                offsets.tell(ends(progress.sources[0].endOffset))
        query.stop()
        log.info("stopped; the next start goes on from %s", settings.checkpoint_location)


def read(session: SparkSession, settings: EmbedderSettings) -> DataFrame:
    """The records topic, from where the checkpoint stands or else from its start."""
    return (
        session.readStream.format("kafka")
        .options(**kafka_options(settings))
        .option("subscribe", settings.topic)
        .option("startingOffsets", "earliest")
        .option("maxOffsetsPerTrigger", settings.max_records_per_trigger)
        # Compaction and retention remove offsets between checkpoint and start; Spark warns, and what is left is complete.
        .option("failOnDataLoss", "false")
        .load()
        .selectExpr(*MESSAGE_COLUMNS)
    )


def embed_stream(messages: DataFrame, settings: EmbedderSettings, report: "Report") -> StreamingQuery:
    """Start the query that embeds every micro-batch."""
    return (
        messages.writeStream.foreachBatch(embed_batch(settings, report))
        .option("checkpointLocation", settings.checkpoint_location)
        .trigger(processingTime=f"{round(settings.trigger_seconds * 1000)} milliseconds")
        .start()
    )


def embed_batch(settings: EmbedderSettings, report: "Report") -> Callable[[DataFrame, int], None]:
    """What is done with a micro-batch. The first one after a start may have run before, at least in part."""
    first = True

    def embed(messages: DataFrame, batch: int) -> None:
        nonlocal first
        frames = partial(embed_frames, settings=settings, replay=first)
        report.add(batch, messages.mapInPandas(frames, OUTCOME_SCHEMA).collect())
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


def wait_until_ready(settings: EmbedderSettings, stop: threading.Event) -> bool:
    """Wait until topics and index exist, saying what is missing; False when told to stop before.

    Raises:
        IndexMismatchError: the index is another model's.
    """
    while not stop.is_set():
        try:
            check_topics(settings)
            with connect(settings) as client:
                check_index(client, settings)
            return True
        except Unavailable as error:
            log.warning("waiting: %s", error)
            stop.wait(RECHECK_SECONDS)
    return False


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
