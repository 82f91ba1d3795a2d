"""Kafka: which topics there are, how much is in them, and how far each embedder has come."""

import asyncio
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeVar

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ClusterMetadata, NewTopic, OffsetSpec  # type: ignore[attr-defined]
from imagesearch_contract import names
from imagesearch_contract.settings import KafkaConnection

from imagesearch_operator import metrics
from imagesearch_operator.facts import TopicFacts, Unknown
from imagesearch_operator.plan import TopicPlan
from imagesearch_operator.stores.errors import StoreError
from imagesearch_operator.stores.letters import Letters, Partition
from imagesearch_operator.stores.memory import Memory

REQUEST_SECONDS: Final = 15.0
SETTLED_SECONDS: Final = 10.0
"""So long is waited for brokers to hear of a topic that the controller has created."""
RESULT_SECONDS: Final = REQUEST_SECONDS + 5
"""The client gives up first, and says why."""
_TOPIC: Final = re.compile(rf"imagesearch\.[^.]+\.[^.]+(\.failed|\.state)?|{re.escape(names.FLICKR_LEDGER_TOPIC)}")
_COUNTED: Final = re.compile(r"imagesearch\.[^.]+\.[^.]+(\.failed)?")
"""Topics of which it matters how much is in them."""
_LETTERS: Final = re.compile(r"imagesearch\.[^.]+\.[^.]+\.failed")
_GROUP_PREFIX: Final = names.consumer_group("")
_REFUSALS: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
T = TypeVar("T")

Offsets = dict[int, int]
"""Partition -> offset."""


@dataclass(frozen=True)
class View:
    """Kafka at one moment."""

    first: Mapping[str, Offsets] = field(default_factory=dict)
    """Topic -> where each partition begins."""
    end: Mapping[str, Offsets] = field(default_factory=dict)
    """Where each ends."""
    topics: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    """Topics of which not every partition answered; for one that has been silent before, there are no offsets."""
    groups: Mapping[str, Offsets] = field(default_factory=dict)
    """Index -> what its embedder has committed."""
    failed: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Dead-letter topic -> reason -> letters; missing until they have been counted."""

    def with_topics(self, created: Mapping[str, int]) -> "View":
        """The same, with new and empty topics of so many partitions."""
        empty = {topic: dict.fromkeys(range(partitions), 0) for topic, partitions in created.items()}
        return replace(
            self,
            first={**empty, **self.first},
            end={**empty, **self.end},
            topics=self.topics | created.keys(),
            failed={**{topic: {} for topic in created}, **self.failed},
        )


class Topics:
    """The topics and consumer groups of the collections."""

    def __init__(self, settings: KafkaConnection) -> None:
        """Nothing is asked yet."""
        self._address = settings.kafka_bootstrap_servers
        self._trouble: KafkaError | None = None
        self._options: dict[str, Any] = {
            **settings.kafka_client,
            "client.id": "imagesearch-operator",
            "log_level": 0,  # it writes past our logging; what matters comes as an error
            "error_cb": self._remember,
            "socket.timeout.ms": int(REQUEST_SECONDS * 1000),
            "reconnect.backoff.max.ms": 5_000,
        }
        self._admin = AdminClient(self._options)
        self._letters = Letters(settings.kafka_client)
        self._memory: Memory[View] = Memory(Unknown("KafkaNotAsked", "Kafka was not looked at yet."))

    async def look(self) -> None:
        """Look at Kafka anew."""
        before = self._memory.seen
        known = View() if isinstance(before, Unknown) else before
        if known.silent or isinstance(before, Unknown):
            # One that has seen a broker go may be refused by it for good, when it is back.
            self._admin = AdminClient(self._options)
        await self._memory.look(lambda: self._ask(partial(self._read, known)))

    def of(self, namespace: str, collection: str) -> TopicFacts | Unknown:
        """What was seen of a collection's topics."""
        seen = self._memory.seen
        if isinstance(seen, Unknown):
            return seen
        topic = names.topic(namespace, collection)
        failed = names.dead_letter_topic(topic)
        if not {topic, failed, names.state_topic(topic)} <= seen.topics:
            return TopicFacts()
        end = seen.end
        if topic not in end or failed not in end:
            return Unknown(
                "KafkaPartitionsOffline", f"Topic {topic} has partitions without a leader. Kafka has to be mended."
            )
        prefix = f"{names.alias(namespace, collection)}."
        return TopicFacts(
            exists=True,
            messages=_distance(seen.first[topic], end[topic]),
            failed=seen.failed.get(failed),
            lag={
                index: _distance({**seen.first[topic], **committed}, end[topic])
                for index, committed in seen.groups.items()
                if index.startswith(prefix)
            },
        )

    async def create(self, topics: Iterable[TopicPlan]) -> None:
        """Create those that are missing.

        Raises:
            StoreError: Kafka refused.
        """
        seen = self._memory.seen
        wanted = [topic for topic in topics if isinstance(seen, Unknown) or topic.name not in seen.topics]
        new = [
            NewTopic(
                topic.name,
                num_partitions=topic.partitions,
                replication_factor=topic.replication_factor,
                config=dict(topic.config),
            )
            for topic in wanted
        ]
        if new:
            await self._change(lambda: self._admin.create_topics(new), KafkaError.TOPIC_ALREADY_EXISTS)
            with suppress(KafkaException):
                await asyncio.to_thread(self._await_topics, {topic.name for topic in wanted})
            metrics.WRITES.labels("create", "Topic").inc(len(new))
            self._memory.note(lambda seen: seen.with_topics({topic.name: topic.partitions for topic in wanted}))

    async def drop(self, namespace: str, collection: str) -> None:
        """Delete a collection's topics, and none that others use as well.

        Raises:
            StoreError: Kafka refused.
        """
        topic = names.topic(namespace, collection)
        own = [topic, names.dead_letter_topic(topic), names.state_topic(topic)]
        await self._change(lambda: self._admin.delete_topics(own), KafkaError.UNKNOWN_TOPIC_OR_PART)
        metrics.WRITES.labels("delete", "Topic").inc(len(own))
        self._memory.note(lambda seen: replace(seen, topics=seen.topics - set(own)))

    async def drop_groups(self, indices: Iterable[str]) -> None:
        """Delete what is known of how far the embedders of these indices were: an index of the same name starts anew.

        Raises:
            StoreError: Kafka refused.
        """
        seen = self._memory.seen
        known = None if isinstance(seen, Unknown) else seen.groups
        groups = [names.consumer_group(index) for index in indices if known is None or index in known]
        if groups:
            await self._change(lambda: self._admin.delete_consumer_groups(groups), KafkaError.GROUP_ID_NOT_FOUND)
            metrics.WRITES.labels("delete", "ConsumerGroup").inc(len(groups))

    async def _change(self, ask: Callable[[], Mapping[Any, "Future[Any]"]], harmless: int) -> None:
        await self._ask(partial(_settle, ask, harmless))

    async def _ask(self, ask: Callable[[], T]) -> T:
        """Wait in a thread for what blocks.

        Raises:
            StoreError: Kafka refused, or does not answer.
        """
        try:
            return await asyncio.to_thread(ask)
        except KafkaException as error:
            raise self._error(error) from error
        except TimeoutError as error:
            raise self._error(KafkaException(KafkaError(KafkaError._TIMED_OUT))) from error

    def _await_topics(self, created: set[str]) -> None:
        """Wait until a look finds them, led; else the next one would take them for missing, or their broker for down."""
        deadline = time.monotonic() + SETTLED_SECONDS
        while not created <= _led(self._admin.list_topics(timeout=REQUEST_SECONDS)):
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)

    def _read(self, before: View) -> View:
        self._trouble = None
        metadata = self._admin.list_topics(timeout=REQUEST_SECONDS)
        topics = {name: topic for name, topic in metadata.topics.items() if _TOPIC.fullmatch(name)}
        counted = {name: topic for name, topic in topics.items() if _COUNTED.fullmatch(name)}
        partitions = [TopicPartition(name, number) for name, topic in counted.items() for number in topic.partitions]
        first = self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
        end = self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]
        silent = frozenset(topic for topic in counted if topic not in first or topic not in end)
        for topic in silent:
            first.pop(topic, None)
            end.pop(topic, None)
            if topic not in before.silent:  # a new one has no leader for a moment
                first[topic], end[topic] = before.first.get(topic, {}), before.end.get(topic, {})
        failed = self._letters.look(_of_letters(first), _of_letters(end))
        return View(first, end, frozenset(topics), silent, self._committed(end, before), failed)

    def _offsets(self, partitions: list[TopicPartition], which: OffsetSpec) -> dict[str, Offsets]:
        """Of the topics of which every partition answers."""
        if not partitions:
            return {}
        asked = self._admin.list_offsets(dict.fromkeys(partitions, which), request_timeout=REQUEST_SECONDS)
        offsets: defaultdict[str, Offsets] = defaultdict(dict)
        silent = set()
        for partition, answer in asked.items():
            try:
                offsets[partition.topic][partition.partition] = answer.result(RESULT_SECONDS).offset
            except KafkaException:
                silent.add(partition.topic)
        return {topic: found for topic, found in offsets.items() if topic not in silent}

    def _committed(self, end: Mapping[str, Offsets], before: View) -> dict[str, Offsets]:
        """What each group has committed. Only one group can be asked for at a time, so those at rest are not."""
        listed = self._admin.list_consumer_groups(request_timeout=REQUEST_SECONDS).result(RESULT_SECONDS)
        committed: dict[str, Offsets] = {}
        asked: dict[str, Future[Any]] = {}
        for group in (group.group_id for group in listed.valid):
            index = group.removeprefix(_GROUP_PREFIX)
            namespace, _, rest = index.partition(".")
            collection, _, _ = rest.rpartition(".")
            topic = f"{_GROUP_PREFIX}{namespace}.{collection}"
            if index == group or topic not in end:
                continue
            known = before.groups.get(index)
            if known is not None and before.end.get(topic) == end[topic] and not _distance(known, end[topic]):
                committed[index] = known
            else:
                request = ConsumerGroupTopicPartitions(group)
                asked |= self._admin.list_consumer_group_offsets([request], request_timeout=REQUEST_SECONDS)
        for group, answer in asked.items():
            found = answer.result(RESULT_SECONDS).topic_partitions
            committed[group.removeprefix(_GROUP_PREFIX)] = {
                partition.partition: partition.offset for partition in found if partition.offset >= 0
            }
        return committed

    def _remember(self, error: KafkaError) -> None:
        if self._trouble is None or error.code() in _REFUSALS:
            self._trouble = error

    def _error(self, error: KafkaException) -> StoreError:
        self._admin.poll(0)  # delivers what the client noticed by itself, which says more than a timeout does
        cause = error.args[0]
        if self._trouble is not None and self._trouble.code() in _REFUSALS:
            cause = self._trouble
        if cause.code() in _REFUSALS:
            return StoreError(
                "KafkaRefused",
                f"Kafka at {self._address} refuses the operator: {cause.str()}. Check the user name, the password and "
                "the rights in the values `kafka.*` of the Helm release.",
            )
        if cause.code() < 0:
            return StoreError(
                "KafkaUnreachable",
                f"Kafka does not answer at {self._address} ({cause.name()}). It is asked again by itself; if it runs, "
                "check `kafka.bootstrapServers` and the network policies.",
            )
        return StoreError("KafkaError", f"Kafka at {self._address} answered: {cause.str()}.")


def _settle(ask: Callable[[], Mapping[Any, "Future[Any]"]], harmless: int) -> None:
    for answer in ask().values():
        try:
            answer.result(RESULT_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != harmless:
                raise


def _of_letters(offsets: Mapping[str, Offsets]) -> dict[Partition, int]:
    """The same for dead-letter topics alone, by partition."""
    return {
        (topic, number): offset
        for topic, partitions in offsets.items()
        if _LETTERS.fullmatch(topic)
        for number, offset in partitions.items()
    }


def _led(metadata: ClusterMetadata) -> set[str]:
    """The topics of which every partition has a leader."""
    return {
        name
        for name, topic in metadata.topics.items()
        if topic.partitions and all(partition.leader >= 0 for partition in topic.partitions.values())
    }


def _distance(start: Offsets, end: Offsets) -> int:
    return sum(max(0, offset - start.get(partition, 0)) for partition, offset in end.items())
