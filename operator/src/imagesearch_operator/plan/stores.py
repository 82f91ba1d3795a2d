"""What a collection needs outside the cluster's API: topics and an index. And the Secret by which its pods get there."""

from dataclasses import dataclass
from typing import Any, Final

from imagesearch_contract import names
from imagesearch_contract.index import IndexMeta, index_body

from imagesearch_operator import naming
from imagesearch_operator.facts import ModelVersion
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection

HOUR_MS: Final = 60 * 60 * 1000
WEEK_MS: Final = 7 * 24 * HOUR_MS
MESSAGE_BYTES: Final = 2**20


@dataclass(frozen=True)
class TopicPlan:
    """A Kafka topic that shall exist."""

    name: str
    partitions: int
    replication_factor: int
    """-1 is the broker's default."""
    config: dict[str, str]


@dataclass(frozen=True)
class IndexPlan:
    """An Elasticsearch index that shall exist."""

    name: str
    body: dict[str, Any]
    """`{"settings": ..., "mappings": ...}`."""


def topics(collection: Collection, settings: OperatorSettings) -> tuple[TopicPlan, ...]:
    """The records topic, which is the catalogue, and those for what could not be used and for what producers remember."""
    records = names.topic(collection.namespace, collection.name)
    ledger = (_flickr_ledger(settings),) if any(source.flickr for source in collection.spec.sources) else ()
    return (
        TopicPlan(
            records,
            settings.topic_partitions,
            settings.topic_replication_factor,
            {
                "cleanup.policy": "compact",
                # So long a takedown stays in the topic: an embedder that was down for less misses none, and no producer
                # brings back what a person has taken down.
                "delete.retention.ms": str(52 * WEEK_MS),
                "max.message.bytes": str(MESSAGE_BYTES),
            },
        ),
        TopicPlan(
            names.dead_letter_topic(records),
            1,
            settings.topic_replication_factor,
            {
                # A letter replaces the one of the same picture, and a tombstone clears it; nobody looks after a month.
                "cleanup.policy": "compact,delete",
                "retention.ms": str(4 * WEEK_MS),
                "max.message.bytes": str(MESSAGE_BYTES),
            },
        ),
        TopicPlan(names.state_topic(records), 1, settings.topic_replication_factor, {"cleanup.policy": "compact"}),
        *ledger,
    )


def _flickr_ledger(settings: OperatorSettings) -> TopicPlan:
    """One for the whole platform: Flickr counts the requests of a key, whichever collection makes them."""
    return TopicPlan(
        names.FLICKR_LEDGER_TOPIC,
        1,
        settings.topic_replication_factor,
        {
            "cleanup.policy": "delete",
            "retention.ms": str(2 * HOUR_MS),
            "segment.ms": str(HOUR_MS),  # only whole segments are deleted, and one would last a week
            "message.timestamp.type": "LogAppendTime",
        },
    )


def index(collection: Collection, model: ModelVersion) -> IndexPlan:
    """The index for the vectors of one model version."""
    wanted = collection.spec.index
    meta = IndexMeta(
        namespace=collection.namespace,
        collection=collection.name,
        model_name=model.name,
        model_version=model.version,
        dims=model.dims,
        encoder_url=naming.encoder_url(collection.namespace, model.name, model.version),
    )
    return IndexPlan(
        index_name(collection, model),
        index_body(meta, shards=wanted.shards, replicas=wanted.replicas, quantization=wanted.quantization),
    )


def index_name(collection: Collection, model: ModelVersion) -> str:
    """The index of a collection for one model version."""
    return names.index(collection.namespace, collection.name, model.name, model.version)
