"""The ledger of Flickr's requests in a real Kafka: what one run reserves another one sees, and what is told where it cannot."""

import itertools
import uuid
from threading import Thread

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from imagesearch_contract.settings import KafkaConnection
from imagesearch_producer.ledger import LONGEST_WAIT_SECONDS, SECONDS_PER_REQUEST, KafkaLog, RequestsUsedUpError, Turns
from imagesearch_producer.topics import TopicError

pytestmark = pytest.mark.integration


@pytest.fixture
def connection(kafka_bootstrap_servers: str) -> KafkaConnection:
    return KafkaConnection(kafka_bootstrap_servers=kafka_bootstrap_servers)


def create_ledger(connection: KafkaConnection, timestamps: str = "LogAppendTime") -> str:
    name = f"imagesearch.flickr-requests-{uuid.uuid4().hex[:12]}"
    config = {"message.timestamp.type": timestamps, "retention.ms": "7200000"}
    admin = AdminClient({"bootstrap.servers": connection.kafka_bootstrap_servers})
    created = admin.create_topics([NewTopic(name, 1, 1, config=config)])
    created[name].result(timeout=30)
    return name


@pytest.fixture
def ledger(connection: KafkaConnection) -> str:
    """A ledger of this test's own."""
    return create_ledger(connection)


def test_runs_see_the_reservations_of_their_key_in_one_order_and_no_others(
    connection: KafkaConnection, ledger: str
) -> None:
    with (
        KafkaLog(connection, "key", run="a", topic=ledger) as first,
        KafkaLog(connection, "key", run="b", topic=ledger) as second,
        KafkaLog(connection, "other key", run="c", topic=ledger) as other,
    ):
        assert first.read() == second.read() == []
        offsets = [first.append(1, 0.0), other.append(9, 0.0), second.append(2, 12.5)]

        seen = first.read()
        assert [(each.offset, each.requests, each.after) for each in seen] == [(0, 1, 0.0), (2, 2, 12.5)]
        assert offsets == [0, 1, 2]
        assert 0 <= seen[1].at - seen[0].at < 60
        assert second.read() == seen
        assert first.read() == []
        assert [each.requests for each in other.read()] == [9]


def test_the_key_itself_is_not_written_down(connection: KafkaConnection, ledger: str) -> None:
    with KafkaLog(connection, "secret-key", run="a", topic=ledger) as log:
        log.append(1, 0.0)
        (message,) = log._news()

    assert b"secret" not in (message.key() or b"") + (message.value() or b"")


def test_what_is_no_reservation_is_passed_over(connection: KafkaConnection, ledger: str) -> None:
    with KafkaLog(connection, "key", run="a", topic=ledger) as log:
        producer = Producer(connection.kafka_client)
        for value in (b"", b"{}", b"[1]", b'{"requests": "many", "after": 0}', None):
            producer.produce(ledger, key=log._key, value=value)
        assert producer.flush(30) == 0
        offset = log.append(1, 0.0)

        assert [each.offset for each in log.read()] == [offset]


def test_runs_at_once_take_turns_of_their_own(connection: KafkaConnection, ledger: str) -> None:
    """Each waits for as long as all before it take; by a clock that stands still, so that the test does not."""
    waits: list[float] = []

    def run(name: int) -> None:
        with KafkaLog(connection, "key", run=str(name), topic=ledger) as log:
            Turns(log, clock=lambda: 0.0, sleep=waits.append)()

    threads = [Thread(target=run, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with KafkaLog(connection, "key", run="reader", topic=ledger) as log:
        entries = log.read()
    begins, free = [], 0.0
    for entry in entries:
        begins.append(entry.begins(free) - entry.at)
        free = entry.ends(free)
    assert len(entries) == 8
    assert sorted(waits) == pytest.approx(sorted(wait for wait in begins if wait > 0))
    assert all(later.begins(0) >= earlier.at for earlier, later in itertools.pairwise(entries))


def test_a_long_queue_ends_the_run(connection: KafkaConnection, ledger: str) -> None:
    with KafkaLog(connection, "key", run="a", topic=ledger) as log:
        log.append(int(LONGEST_WAIT_SECONDS / SECONDS_PER_REQUEST) + 60, 0.0)
        with pytest.raises(RequestsUsedUpError):
            Turns(log)()


def test_a_missing_ledger_is_told(connection: KafkaConnection) -> None:
    with pytest.raises(
        TopicError, match=r"topic imagesearch\.flickr-missing does not exist at .*; the operator or the local"
    ):
        KafkaLog(connection, "key", run="a", topic="imagesearch.flickr-missing")


def test_a_ledger_by_the_clocks_of_its_writers_is_refused(connection: KafkaConnection) -> None:
    topic = create_ledger(connection, "CreateTime")
    with KafkaLog(connection, "key", run="a", topic=topic) as log:
        log.append(1, 0.0)
        with pytest.raises(TopicError, match=f"topic {topic} needs message.timestamp.type=LogAppendTime"):
            log.read()


def test_a_kafka_that_is_gone_is_told() -> None:
    connection = KafkaConnection(kafka_bootstrap_servers="127.0.0.1:9")
    with pytest.raises(TopicError, match=r"Kafka cannot be reached at 127\.0\.0\.1:9: "):
        KafkaLog(connection, "key", run="a", connect_seconds=0.5)
