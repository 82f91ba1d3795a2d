"""Pictures that are reported as dead: each is asked for anew, and leaves the index where its server says that it is gone.

    report ─► the picture's addresses ─► all gone ──► dead letter, then its document is deleted
                                     ├─► one answers ─► it stays
                                     └─► unclear ─────► asked again, later and later, a few times

What a report says is never believed; it only says where to look. The deletion has the version of the document that was
looked at, so it does nothing to a newer one, and a rebuild of the index ends alike: the record is still in the topic,
its picture cannot be fetched, and the same letter is there already. The letter goes first: whatever stops in between,
nothing is removed without a word, and what was not removed yet is reported still.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Event, Thread
from typing import Final, NamedTuple, Protocol

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition
from elastic_transport import TransportError
from elasticsearch import ApiError, ConflictError, Elasticsearch, NotFoundError
from imagesearch_contract.dead_letter import DeadLetter, Reason
from imagesearch_contract.platform_indices import REPORTS_INDEX, Report, Verdict
from imagesearch_contract.settings import EmbedderSettings, KafkaSettings
from imagesearch_fetcher.errors import FetchError
from imagesearch_fetcher.fetch import FetchPolicy
from pydantic import ValidationError

from imagesearch_embedder import metrics
from imagesearch_embedder.download import Ask, questions
from imagesearch_embedder.letters import READ_TIMEOUT, LetterBox, LettersNotDeliveredError
from imagesearch_embedder.plan import Message, Unusable, dead_letter
from imagesearch_embedder.sink import connect

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 10.0
AT_ONCE: Final = 20
"""Reports of one look: with the pause after it, no more than two pictures a second are asked for."""
REQUEST_SECONDS: Final = 10.0
HOUR: Final = timedelta(hours=1)
"""A picture is asked for once in an hour at most, however often it is reported."""
MOST_LOOKS: Final = 5
"""Without a clear answer: after 1, 2, 4 and 8 hours more."""
OUT_OF_ORDER_MS: Final = 5 * 60 * 1000
"""So much may the clocks of those who publish differ."""
STOP_SECONDS: Final = 5.0
"""So long the end waits for a look that is under way; what it has begun is done again later."""


class Shown(NamedTuple):
    """A picture as the index has it."""

    version: int
    urls: tuple[str, ...]
    """Where it is, and where its thumbnail is."""


class Book(Protocol):
    """The reports of an index, and its pictures."""

    def due(self, now: datetime) -> Iterable[Report]:
        """Those that are to be looked at, or to be forgotten, the oldest first; some, where there are many."""
        ...

    def write(self, report: Report) -> None:
        """Keep what is known of a report."""
        ...

    def forget(self, report: Report) -> None:
        """From now on it can be reported anew."""
        ...

    def picture(self, image: str) -> Shown | None:
        """The picture; None where the index has it not."""
        ...

    def remove(self, image: str, version: int) -> bool:
        """Delete the picture, unless it is newer than that; whether it is gone."""
        ...


class Caretaker:
    """Looks into the reports of one index. All I/O is passed in."""

    def __init__(
        self,
        book: Book,
        *,
        ask: Ask,
        record: Callable[[str, int], Message | None],
        reject: Callable[[list[DeadLetter]], None],
        topic: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Set up.

        Args:
            book: the reports and the pictures.
            ask: whether there is something at a URL.
            record: image id and version -> the message of the topic whose document that is; None where it is not there.
            reject: returns when the letters are safe.
            topic: of the records.
            now: the time.
        """
        self._book, self._ask, self._record, self._reject = book, ask, record, reject
        self._topic, self._now = topic, now

    def look(self, stop: Event) -> None:
        """Look at what is due, until `stop`."""
        for report in self._book.due(self._now()):
            if stop.is_set():
                return
            shown = None if report.verdict else self._book.picture(report.image)
            if shown is None:
                self._book.forget(report)
                continue
            looked = after(report, self._verdict(report, shown), self._now())
            metrics.REPORTS.labels(looked.verdict or "none").inc()
            self._book.write(looked)

    def _verdict(self, report: Report, shown: Shown) -> Verdict | None:
        fault = None
        for url in shown.urls:
            try:
                self._ask(url)
            except FetchError as error:
                if not error.gone:
                    return None
                fault = error
            else:
                return "alive"
        if fault is None:
            return "alive"
        message = self._record(report.image, shown.version)
        if message is None:
            return "changed"
        detail = f"reported as dead, and asked for again: {fault.detail}"
        self._reject([dead_letter(Unusable(message, Reason.DEAD_LINK, detail), topic=self._topic)])
        if not self._book.remove(report.image, shown.version):
            return "changed"
        log.info("removed %s from %s: %s", report.image, report.index, detail)
        return "gone"


def after(report: Report, verdict: Verdict | None, now: datetime) -> Report:
    """The report after a look: with its verdict for an hour, so long as another one would be the same; or else due again."""
    looks = report.looks + 1
    if verdict is None and looks == MOST_LOOKS:
        verdict = "unclear"
    pause = HOUR if verdict else HOUR * 2 ** (looks - 1)
    return report.model_copy(update={"looks": looks, "verdict": verdict, "due_at": now + pause})


class ElasticsearchBook:
    """The real one."""

    def __init__(self, client: Elasticsearch, index: str) -> None:
        """Set up; nothing connects yet."""
        self._client, self._index = client.options(request_timeout=REQUEST_SECONDS), index

    def due(self, now: datetime) -> Iterator[Report]:
        """See `Book`."""
        due = [{"term": {"index": self._index}}, {"range": {"due_at": {"lte": now.isoformat()}}}]
        found = self._client.search(
            index=REPORTS_INDEX,
            query={"bool": {"filter": due}},
            sort=["due_at"],
            size=AT_ONCE,
            ignore_unavailable=True,
        )
        for hit in found["hits"]["hits"]:
            try:
                yield Report.model_validate(hit["_source"])
            except ValidationError as error:  # it would be the first that is due for good
                log.warning("report %s is none, and is deleted: %s", hit["_id"], error)
                self._delete(hit["_id"])

    def write(self, report: Report) -> None:
        """See `Book`."""
        self._client.index(index=REPORTS_INDEX, id=report.id, document=report.to_source())

    def forget(self, report: Report) -> None:
        """See `Book`."""
        self._delete(report.id)

    def _delete(self, report: str) -> None:
        self._client.options(ignore_status=404).delete(index=REPORTS_INDEX, id=report)

    def picture(self, image: str) -> Shown | None:
        """See `Book`."""
        try:
            found = self._client.get(index=self._index, id=image, source_includes=["url", "thumbnail_url"])
        except NotFoundError:
            return None
        urls = (found["_source"].get(name) for name in ("url", "thumbnail_url"))
        return Shown(found["_version"], tuple(filter(None, urls)))

    def remove(self, image: str, version: int) -> bool:
        """See `Book`."""
        try:
            self._client.delete(index=self._index, id=image, version=version, version_type="external_gte")
        except ConflictError:
            return False
        except NotFoundError:
            pass  # somebody was quicker
        return True


def find_record(settings: KafkaSettings, image: str, timestamp: int) -> Message | None:
    """The message about a picture that has this timestamp, in milliseconds; None where the topic has it not (any more).

    Kafka finds the place in each partition, and little is read from there on: no telling which partition it is in, as
    that is up to whoever published it.

    Raises:
        KafkaException: the topic cannot be read.
    """
    options = {
        **settings.kafka_client,
        "group.id": f"{settings.topic}.reports",  # librdkafka wants one; nothing is committed under it
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "log_level": 0,
    }
    key = image.encode()
    with closing(Consumer(options)) as consumer:
        partitions = consumer.list_topics(settings.topic, timeout=READ_TIMEOUT).topics[settings.topic].partitions
        moment = [TopicPartition(settings.topic, partition, timestamp) for partition in partitions]
        starts = [at for at in consumer.offsets_for_times(moment, timeout=READ_TIMEOUT) if at.offset != OFFSET_END]
        consumer.assign(starts)
        unread = {at.partition for at in starts}
        while unread:
            message = consumer.poll(READ_TIMEOUT)
            if message is None:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
            partition, error = message.partition() or 0, message.error()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            found_at = message.timestamp()[1]
            if error is None and message.key() == key and found_at == timestamp and message.value() is not None:
                return Message(partition, message.offset() or 0, timestamp, key, message.value())
            if error is not None or found_at > timestamp + OUT_OF_ORDER_MS:
                unread.discard(partition)
                consumer.incremental_unassign([TopicPartition(settings.topic, partition)])
    return None


@contextmanager
def looking(settings: EmbedderSettings) -> Iterator[None]:
    """Look into the reports of the settings' index, now and then during the block, on a thread of its own."""
    stop = Event()
    thread = Thread(target=_look_on, args=(settings, stop), name="reports", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(STOP_SECONDS)


def _look_on(settings: EmbedderSettings, stop: Event) -> None:
    with caretaking(settings) as caretaker:
        while not stop.wait(EVERY_SECONDS):
            try:
                caretaker.look(stop)
            except (ApiError, TransportError, KafkaException, LettersNotDeliveredError) as error:
                log.warning("reports of dead pictures cannot be looked into now: %s", error)


@contextmanager
def caretaking(settings: EmbedderSettings) -> Iterator[Caretaker]:
    """A caretaker with the real parts."""
    # One try, and no waiting for a host that asks to be left alone: there is time for another look.
    policy = replace(FetchPolicy.of(settings), attempts=1, host_wait_seconds=0.0, concurrency=1, concurrency_per_host=1)
    with connect(settings) as client, questions(policy) as ask:
        yield Caretaker(
            ElasticsearchBook(client, settings.index),
            ask=ask,
            record=partial(find_record, settings),
            reject=LetterBox(settings, since=0, replay=False, last={}).write,
            topic=settings.topic,
        )
