"""Tells Kafka how far the embedder is, under a consumer group, where the operator and every lag monitor look for it.

Spark keeps its own offsets in the checkpoint and never reads these, so nothing is lost where they cannot be written.
"""

import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from imagesearch_contract import names
from imagesearch_contract.settings import EmbedderSettings

log = logging.getLogger(__name__)

REPEAT_SECONDS: Final = 3600.0
"""Kafka forgets the offsets of a group without members after a week; a topic may be quiet for longer."""
RETRY_SECONDS: Final = 10.0


Ends = dict[tuple[str, int], int]
"""Topic and partition -> the offset after the last message that is done."""


class Offsets:
    """The offsets of one index's consumer group."""

    def __init__(self, settings: EmbedderSettings, *, now: Callable[[], float] = time.monotonic) -> None:
        """Set up; nothing connects yet."""
        self._admin = AdminClient({**settings.kafka_client, "log_level": 0})  # we say it ourselves
        self._group, self._now = names.consumer_group(settings.index), now
        self._told: Ends = {}
        self._due = 0.0
        self._failing = False

    def tell(self, ends: Ends) -> None:
        """Write where the last finished micro-batch ended, unless Kafka knows; does not wait, and never fails."""
        if not ends or (ends == self._told and self._now() < self._due):
            return
        self._told, self._due = ends, self._now() + REPEAT_SECONDS
        request = ConsumerGroupTopicPartitions(self._group, [TopicPartition(*at, end) for at, end in ends.items()])
        written = self._admin.alter_consumer_group_offsets([request], request_timeout=RETRY_SECONDS)
        written[self._group].add_done_callback(self._answered)

    def forget(self) -> None:
        """Take back what was told, because the index is made anew and nothing is in it; never fails.

        Waits for Kafka's answer: nothing that is told later may be forgotten.
        """
        try:
            self._admin.delete_consumer_groups([self._group], request_timeout=RETRY_SECONDS)[self._group].result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                log.warning(
                    "the lag of an index that is no more stays, in group %s: %s", self._group, error.args[0].str()
                )

    def _answered(self, written: "Future[ConsumerGroupTopicPartitions]") -> None:
        fault = _fault(written)
        if fault:
            self._due = self._now() + RETRY_SECONDS
            if not self._failing:
                log.warning("the lag cannot be told to Kafka, in group %s: %s", self._group, fault)
        self._failing = bool(fault)


def _fault(written: "Future[ConsumerGroupTopicPartitions]") -> str | None:
    try:
        partitions = written.result().topic_partitions or ()
    except KafkaException as error:
        return str(error.args[0].str())
    return next((str(each.error) for each in partitions if each.error), None)


def ends(offsets: str | None) -> Ends:
    """Read Spark's `{"topic": {"0": 17, ...}}`; nothing where there is none."""
    topics: dict[str, dict[str, int]] | None = json.loads(offsets or "null")
    return {
        (topic, int(partition)): offset
        for topic, partitions in (topics or {}).items()
        for partition, offset in partitions.items()
    }
