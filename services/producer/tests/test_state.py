"""How far a source is, in a real Kafka: what comes back in the next run."""

import logging

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from imagesearch_contract.settings import ManifestSource, ProducerSettings
from imagesearch_producer import state
from imagesearch_producer.main import KafkaOutlet
from imagesearch_producer.publish import Publisher
from imagesearch_producer.topics import TopicError

pytestmark = pytest.mark.integration


def settings(bootstrap_servers: str, collection: str) -> ProducerSettings:
    return ProducerSettings(
        kafka_bootstrap_servers=bootstrap_servers,
        topic=f"imagesearch.default.{collection}",
        source_name="zoo",
        source=ManifestSource(url="zoo.jsonl"),
    )


def write(of: ProducerSettings, *messages: tuple[str, bytes]) -> None:
    admin = AdminClient({"bootstrap.servers": of.kafka_bootstrap_servers})  # a name, or it would end before its request
    created = admin.create_topics([NewTopic(of.state_topic, 1, 1, config={"cleanup.policy": "compact"})])
    created[of.state_topic].result(timeout=30)
    producer = Producer({"bootstrap.servers": of.kafka_bootstrap_servers})
    for key, value in messages:
        producer.produce(of.state_topic, key=key, value=value)
    assert producer.flush(30) == 0


def test_the_last_state_of_this_source_comes_back(kafka_bootstrap_servers: str) -> None:
    mine = settings(kafka_bootstrap_servers, "state-last")
    write(mine, ("zoo", state.dump({"line": 1})), ("zoo", state.dump({"line": 2})), ("farm", state.dump({"line": 3})))

    assert state.load(mine) == {"line": 2}


def test_of_a_topic_that_was_deleted_and_made_anew_nothing_is_remembered(
    kafka_bootstrap_servers: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a manifest that has not changed would leave the new topic empty for good."""
    mine = settings(kafka_bootstrap_servers, "state-anew")
    write(mine)
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap_servers})
    admin.create_topics([NewTopic(mine.topic, 1, 1)])[mine.topic].result(timeout=30)
    with Publisher(mine) as publisher:
        KafkaOutlet(mine, publisher).save({"line": 1})
    assert state.load(mine) == {"line": 1}

    admin.delete_topics([mine.topic])[mine.topic].result(timeout=30)
    assert state.load(mine) == {}
    assert "was deleted and made anew" in caplog.text


def test_a_source_that_never_ran_remembers_nothing(kafka_bootstrap_servers: str) -> None:
    mine = settings(kafka_bootstrap_servers, "state-none")
    write(mine)

    assert state.load(mine) == {}


@pytest.mark.parametrize(("name", "value"), [("broken", b"{"), ("list", b"[]"), ("bytes", b"\xff")])
def test_a_state_that_cannot_be_read_is_told_and_the_source_starts_anew(
    kafka_bootstrap_servers: str, caplog: pytest.LogCaptureFixture, name: str, value: bytes
) -> None:
    mine = settings(kafka_bootstrap_servers, f"state-{name}")
    write(mine, ("zoo", value))

    with caplog.at_level(logging.WARNING):
        assert state.load(mine) == {}
    assert "what source zoo remembered cannot be read, it starts from the beginning" in caplog.text


def test_a_missing_state_topic_is_told(kafka_bootstrap_servers: str) -> None:
    with pytest.raises(TopicError, match=r"topic imagesearch\.default\.state-missing\.state does not exist at "):
        state.load(settings(kafka_bootstrap_servers, "state-missing"))
