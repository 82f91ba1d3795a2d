"""What the operator does on Kubernetes, done here for one collection: topics, index and alias. Doing it again is harmless."""

from typing import Any, Final

import httpx
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from elasticsearch import BadRequestError, Elasticsearch
from imagesearch_contract import names, platform_indices
from imagesearch_contract.index import IndexMeta, Quantization, addable_fields, index_body

from imagesearch_stack import StackError

PARTITIONS: Final = 4
KAFKA_SECONDS: Final = 30.0
ELASTICSEARCH_SECONDS: Final = 60.0
HOUR_MS: Final = 60 * 60 * 1000
COMPACTED: Final = {"cleanup.policy": "compact"}
LETTERS: Final = {"cleanup.policy": "compact,delete", "retention.ms": str(4 * 7 * 24 * HOUR_MS)}
LEDGER: Final = {
    "cleanup.policy": "delete",
    "retention.ms": str(2 * HOUR_MS),
    "segment.ms": str(HOUR_MS),
    "message.timestamp.type": "LogAppendTime",
}


def create_topics(bootstrap_servers: str, topic: str) -> None:
    """Create a collection's compacted topic, those beside it, and the ledger of Flickr requests, where they do not exist.

    Raises:
        StackError: Kafka refused.
    """
    wanted = [
        NewTopic(topic, num_partitions=PARTITIONS, replication_factor=1, config=COMPACTED),
        NewTopic(names.dead_letter_topic(topic), num_partitions=1, replication_factor=1, config=LETTERS),
        NewTopic(names.state_topic(topic), num_partitions=1, replication_factor=1, config=COMPACTED),
        NewTopic(names.FLICKR_LEDGER_TOPIC, num_partitions=1, replication_factor=1, config=LEDGER),
    ]
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for name, created in admin.create_topics(wanted, operation_timeout=KAFKA_SECONDS).items():
        try:
            created.result(timeout=KAFKA_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise StackError(f"cannot create topic {name}: {error.args[0].str()}") from error


def model_dims(tracking_uri: str, name: str, version: str) -> int:
    """The length of a registered model version's vectors, from its tag. (By HTTP: importing mlflow takes seconds.)

    Raises:
        StackError: it has no such tag.
    """
    answer = httpx.get(
        f"{tracking_uri}/api/2.0/mlflow/model-versions/get",
        params={"name": name, "version": version},
        trust_env=False,
        timeout=30,
    )
    version_of_model = answer.json().get("model_version", {})
    tags = {tag["key"]: tag["value"] for tag in version_of_model.get("tags", [])}
    try:
        return int(tags[names.MODEL_DIMS_TAG])
    except (KeyError, ValueError) as error:
        raise StackError(
            f"model {name}/{version} in {tracking_uri} has no tag {names.MODEL_DIMS_TAG}: "
            "register it with `imagesearch-model register`"
        ) from error


def _create_once(client: Elasticsearch, name: str, body: dict[str, Any]) -> None:
    """Create an index that several may create at the same time."""
    try:
        client.indices.create(index=name, settings=body["settings"], mappings=body["mappings"])
    except BadRequestError as error:
        if error.error != "resource_already_exists_exception":
            raise


def create_index(elasticsearch_url: str, meta: IndexMeta, *, quantization: Quantization = "int8") -> str:
    """Create the index of a collection and model, and point the collection's alias at it alone; the index's name.

    The platform's own indices are created, too. Indices that the alias pointed at before held another model's vectors; they are deleted.
    """
    index = names.index(meta.namespace, meta.collection, meta.model_name, meta.model_version)
    alias = names.alias(meta.namespace, meta.collection)
    body = index_body(meta, quantization=quantization)
    with Elasticsearch(elasticsearch_url, request_timeout=ELASTICSEARCH_SECONDS) as client:
        for name, its_body in platform_indices.bodies().items():
            _create_once(client, name, its_body)
        if client.indices.exists(index=index):
            # The encoder may have moved to another port since, and fields may have been added.
            client.indices.put_mapping(index=index, meta=body["mappings"]["_meta"], properties=addable_fields(body))
        else:
            client.indices.create(index=index, settings=body["settings"], mappings=body["mappings"])
        before = client.indices.get_alias(name=alias).body if client.indices.exists_alias(name=alias) else {}
        actions: list[dict[str, Any]] = [{"remove_index": {"index": old}} for old in before if old != index]
        client.indices.update_aliases(actions=[{"add": {"index": index, "alias": alias}}, *actions])
    return index
