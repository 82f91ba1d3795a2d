"""Topics, index, alias and the count of a collection, against the real servers of the stack."""

from datetime import UTC, datetime

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]
from elasticsearch import Elasticsearch
from imagesearch_contract import names
from imagesearch_contract.dead_letter import DeadLetter, Reason
from imagesearch_contract.index import IndexMeta, document
from imagesearch_contract.record import ImageRecord
from imagesearch_stack import StackError, census, provision
from imagesearch_stack.census import Census

pytestmark = pytest.mark.integration


def meta(collection: str, version: str = "1") -> IndexMeta:
    return IndexMeta(
        namespace="default",
        collection=collection,
        model_name="m",
        model_version=version,
        dims=2,
        encoder_url="http://127.0.0.1:8000",
    )


def test_topics_are_cleaned_as_they_are_read_and_creating_them_again_changes_nothing(
    kafka_bootstrap_servers: str,
) -> None:
    topic = names.topic("default", "provisioned")
    provision.create_topics(kafka_bootstrap_servers, topic)
    provision.create_topics(kafka_bootstrap_servers, topic)
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap_servers})
    policies = {
        topic: "compact",
        names.dead_letter_topic(topic): "compact,delete",
        names.state_topic(topic): "compact",
        names.FLICKR_LEDGER_TOPIC: "delete",
    }
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in policies]
    configs = {of.name: answer.result() for of, answer in admin.describe_configs(resources).items()}
    assert {name: config["cleanup.policy"].value for name, config in configs.items()} == policies
    assert configs[names.FLICKR_LEDGER_TOPIC]["message.timestamp.type"].value == "LogAppendTime"
    assert len(admin.list_topics(topic).topics[topic].partitions) == provision.PARTITIONS


def test_the_alias_leads_to_the_index_of_the_latest_model_alone(elasticsearch_url: str) -> None:
    first = provision.create_index(elasticsearch_url, meta("moving"))
    assert provision.create_index(elasticsearch_url, meta("moving")) == first
    second = provision.create_index(elasticsearch_url, meta("moving", version="2"))
    with Elasticsearch(elasticsearch_url) as client:
        assert list(client.indices.get_alias(name="default.moving")) == [second]
        assert not client.indices.exists(index=first)
        mapping = client.indices.get_mapping(index="default.moving")[second]["mappings"]
    assert IndexMeta.of_mapping(mapping) == meta("moving", version="2")


def test_an_encoder_that_moved_is_noted_in_the_index(elasticsearch_url: str) -> None:
    provision.create_index(elasticsearch_url, meta("moved"))
    elsewhere = meta("moved").model_copy(update={"encoder_url": "http://127.0.0.1:8001"})
    index = provision.create_index(elasticsearch_url, elsewhere)
    with Elasticsearch(elasticsearch_url) as client:
        mapping = client.indices.get_mapping(index=index)[index]["mappings"]
    assert IndexMeta.of_mapping(mapping) == elsewhere
    assert "embedding" in mapping["properties"]


def test_the_census_counts_each_picture_once_and_takedowns_not_at_all(
    kafka_bootstrap_servers: str, elasticsearch_url: str
) -> None:
    topic = names.topic("default", "counted")
    provision.create_topics(kafka_bootstrap_servers, topic)
    index = provision.create_index(elasticsearch_url, meta("counted"))
    records = {key: ImageRecord(id=f"manifest:{key}", url=f"http://127.0.0.1/{key}") for key in "abcd"}
    producer = Producer({"bootstrap.servers": kafka_bootstrap_servers})
    for record in [*records.values(), records["a"]]:
        producer.produce(topic, key=record.id, value=record.to_bytes())
    producer.produce(topic, key=records["d"].id, value=None)
    for key, reason in {"b": Reason.DEAD_LINK, "c": Reason.UNSUPPORTED_FORMAT}.items():
        letter = DeadLetter.of(
            reason=reason, detail="", topic=topic, partition=0, offset=0, key=records[key].id.encode(), value=b""
        )
        producer.produce(names.dead_letter_topic(topic), key=letter.message_key, value=letter.to_bytes())
    assert producer.flush(10) == 0
    with Elasticsearch(elasticsearch_url) as client:
        for key in "ab":  # b failed once and was indexed later
            body = document(records[key], [1.0, 0.0], model="m/1", indexed_at=datetime.now(UTC))
            client.index(index=index, id=records[key].id, document=body)

    counted = census.take(kafka_bootstrap_servers, topic, elasticsearch_url, index)

    assert counted == Census(pictures=3, searchable=2, dead_letters={"unsupported_format": 1})


def test_a_model_that_is_not_registered_is_an_error_that_says_how_to_register_it(mlflow_tracking_uri: str) -> None:
    with pytest.raises(StackError, match="imagesearch-model register"):
        provision.model_dims(mlflow_tracking_uri, "unheard-of", "1")
