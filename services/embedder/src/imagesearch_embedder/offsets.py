"""Tells Kafka how far the embedder is, under a consumer group, where the operator and every lag monitor look for it.

Spark keeps its own offsets in the checkpoint and never reads these, so nothing is lost where they cannot be written.
"""

import json
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
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
    """The offsets of one index's consumer group. Close it."""

    def __init__(self, settings: EmbedderSettings, *, now: Callable[[], float] = time.monotonic) -> None:
        """Set up; nothing connects yet."""
        self._client: dict[str, Any] = {**settings.kafka_client, "log_level": 0}  # we say it ourselves
        self._group, self._now = names.consumer_group(settings.index), now
        # A consumer that never joins the group, and no admin client: that one hears nothing more of the group's coordinator
        # once the broker was restarted.
        self._consumer = Consumer(
            {**self._client, "group.id": self._group, "enable.auto.commit": False, "on_commit": self._answered}
        )
        self._told: Ends = {}
        self._due = 0.0
        self._failing = False

    def tell(self, ends: Ends) -> None:
        """Write where the last finished micro-batch ended, unless Kafka knows; does not wait, and never fails.

        To be called often: the answer to one call is heard by a later one.
        """
        self._consumer.poll(0)
        if not ends or (ends == self._told and self._now() < self._due):
            return
        self._told, self._due = ends, self._now() + RETRY_SECONDS
        self._consumer.commit(offsets=[TopicPartition(*at, end) for at, end in ends.items()], asynchronous=True)

    def forget(self) -> None:
        """Take back what was told, because the index is made anew and nothing is in it; never fails.

        Waits for Kafka's answer: nothing that is told later may be forgotten.
        """
        try:
            admin = AdminClient(self._client)
            admin.delete_consumer_groups([self._group], request_timeout=RETRY_SECONDS)[self._group].result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                log.warning(
                    "the lag of an index that is no more stays, in group %s: %s", self._group, error.args[0].str()
                )

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()

    def _answered(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        fault = error or next((each.error for each in partitions if each.error), None)
        if fault is None:
            self._due = self._now() + REPEAT_SECONDS
        elif not self._failing:
            log.warning("the lag cannot be told to Kafka, in group %s: %s", self._group, fault.str())
        self._failing = fault is not None


def ends(offsets: str | None) -> Ends:
    """Read Spark's `{"topic": {"0": 17, ...}}`; nothing where there is none."""
    topics: dict[str, dict[str, int]] | None = json.loads(offsets or "null")
    return {
        (topic, int(partition)): offset
        for topic, partitions in (topics or {}).items()
        for partition, offset in partitions.items()
    }
