"""`imagesearch-replay` against a real Kafka: what goes back, what is cleared, and how it ends."""

import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from imagesearch_contract import names
from imagesearch_contract.dead_letter import DeadLetter, Reason
from imagesearch_contract.settings import ReplaySettings
from imagesearch_producer import replay
from imagesearch_producer.replay import Replay, Tally

pytestmark = pytest.mark.integration

PARTITIONS = 3


class Kept(NamedTuple):
    """A message as it is in a topic."""

    key: bytes
    value: bytes | None
    headers: dict[str, bytes]


class Bench:
    """A collection's two topics."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.address = bootstrap_servers
        self.topic = f"imagesearch.default.replay-{uuid.uuid4().hex[:12]}"
        self.letters = names.dead_letter_topic(self.topic)
        config = {"cleanup.policy": "compact"}
        new = [NewTopic(self.topic, PARTITIONS, 1, config=config), NewTopic(self.letters, 1, 1, config=config)]
        admin = AdminClient({"bootstrap.servers": bootstrap_servers})
        for created in admin.create_topics(new).values():
            created.result(timeout=30)
        self._producer = Producer({"bootstrap.servers": bootstrap_servers})

    def publish(self, key: bytes, value: bytes | None, topic: str | None = None, **options: Any) -> tuple[int, int]:
        """Publish one message; where it is."""
        places = []
        self._producer.produce(
            topic or self.topic,
            key=key,
            value=value,
            on_delivery=lambda error, message: places.append((error, message.partition(), message.offset())),
            **options,
        )
        assert self._producer.flush(30) == 0
        [(error, partition, offset)] = places
        assert error is None
        return partition, offset

    def fail(self, key: bytes, /, value: bytes = b"{}", reason: Reason = Reason.DEAD_LINK, **fields: Any) -> DeadLetter:
        """Publish a record and the letter about it."""
        partition, offset = self.publish(key, value, headers={"source": "list"})
        place = {"partition": partition, "offset": offset}
        given = {"reason": reason, "detail": "it was so", "topic": self.topic, "key": key, "value": value} | place
        letter = DeadLetter.of(**given | fields)
        self.publish(letter.message_key, letter.to_bytes(), self.letters, headers={"reason": letter.reason.value})
        return letter

    def settings(self, reason: Any = "all", **fields: Any) -> ReplaySettings:
        return ReplaySettings(kafka_bootstrap_servers=self.address, topic=self.topic, reason=reason, **fields)

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run the command as a pod would."""
        env = self.settings().to_env() | environment
        return subprocess.run(
            [Path(sys.executable).with_name("imagesearch-replay"), *arguments],
            env={"PATH": os.environ["PATH"], **env},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def kept(self, topic: str) -> list[Kept]:
        """Everything in a topic, in the order of each partition."""
        consumer = Consumer({"bootstrap.servers": self.address, "group.id": "test", "enable.partition.eof": True})
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        found, ends = [], 0
        while ends < len(partitions):
            message = consumer.poll(30)
            assert message is not None, "Kafka sent nothing for 30 s"
            if (error := message.error()) is not None:
                assert error.code() == KafkaError._PARTITION_EOF, error
                ends += 1
            else:
                found.append(Kept(message.key() or b"", message.value(), dict(message.headers() or [])))
        consumer.close()
        return found

    def standing(self) -> set[bytes]:
        """The keys whose letters are not cleared."""
        return {key for key, value in {each.key: each.value for each in self.kept(self.letters)}.items() if value}


@pytest.fixture
def bench(kafka_bootstrap_servers: str) -> Bench:
    return Bench(kafka_bootstrap_servers)


def test_letters_of_a_reason_go_back_once_and_are_cleared(bench: Bench) -> None:
    bench.fail(b"zoo:1", b'{"id": "zoo:1"}')
    bench.fail(b"zoo:2", b'{"id": "zoo:2"}')
    bench.fail(b"zoo:3", b"\xff", Reason.BAD_RECORD)

    first, second = bench.run("--reason", "dead_link"), bench.run("--reason", "dead_link")

    assert first.stdout == "replayed 2 cleared 2 outdated 0 not replayable 0 of 2 letters\n", first.stderr
    assert second.stdout == "replayed 0 cleared 0 outdated 0 not replayable 0 of 0 letters\n", second.stderr
    records = bench.kept(bench.topic)
    assert sorted(each.value or b"" for each in records if each.key != b"zoo:3") == [
        b'{"id": "zoo:1"}', b'{"id": "zoo:1"}', b'{"id": "zoo:2"}', b'{"id": "zoo:2"}',
    ]  # fmt: skip
    assert {each.headers["source"] for each in records} == {b"list"}
    assert bench.standing() == {b"zoo:3"}
    cleared = [each for each in bench.kept(bench.letters) if each.value is None]
    assert sorted((each.key, each.headers) for each in cleared) == [
        (b"zoo:1", {"reason": b"dead_link", "clears": b"0"}),
        (b"zoo:2", {"reason": b"dead_link", "clears": b"1"}),
    ]


def test_what_was_published_since_stays_the_newest_and_the_letter_is_only_cleared(bench: Bench) -> None:
    bench.fail(b"zoo:1", b"old")
    bench.fail(b"zoo:2", b"old")
    bench.publish(b"zoo:1", b"new")
    bench.publish(b"zoo:2", None)

    done = bench.run("--reason", "all")

    assert done.stdout == "replayed 0 cleared 2 outdated 2 not replayable 0 of 2 letters\n", done.stderr
    newest = {each.key: each.value for each in bench.kept(bench.topic)}
    assert newest == {b"zoo:1": b"new", b"zoo:2": None}
    assert bench.standing() == set()


def test_what_cannot_go_back_stays_and_that_is_said(bench: Bench) -> None:
    bench.fail(b"zoo:1", detail="not JSON (value cut from 1000000 to 112500 bytes)")
    bench.fail(b"zoo:2", partition=None, offset=None, source="list", line=7, key=None)
    bench.fail(b"zoo:3")

    done = bench.run("--reason", "all")

    assert done.returncode == 0
    assert done.stdout == "replayed 1 cleared 1 outdated 0 not replayable 2 of 3 letters\n"
    assert "2 letters stay" in done.stderr
    assert bench.standing() == {b"zoo:1", b"list/7"}


def test_a_replay_that_is_killed_loses_nothing_and_the_next_one_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {f"zoo:{number}".encode() for number in range(10)}
    for key in keys:
        bench.fail(key)
    sent = replay.Sender.send

    def dies_before_it_clears(self: replay.Sender, topic: str, messages: Any) -> Any:
        if topic == bench.letters and messages:
            raise KeyboardInterrupt
        return sent(self, topic, messages)

    with monkeypatch.context() as patch, Replay(bench.settings(), Tally()) as killed:
        patch.setattr(replay.Sender, "send", dies_before_it_clears)
        with pytest.raises(KeyboardInterrupt):
            killed.run()
    assert bench.standing() == keys
    assert len(bench.kept(bench.topic)) == 20

    tally = Tally()
    with Replay(bench.settings(), tally) as again:
        again.run()
    assert str(tally) == "replayed 0 cleared 10 outdated 10 not replayable 0 of 10 letters"
    assert bench.standing() == set()
    assert len(bench.kept(bench.topic)) == 20


def test_what_others_write_in_the_middle_has_the_last_word(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer record, and a newer letter, that get in between the look and the write are written again."""
    bench.fail(b"zoo:1", b"old")
    sent = replay.Sender.send

    def gets_in_between(self: replay.Sender, topic: str, messages: Any) -> Any:
        if topic == bench.topic and [message.value for message in messages] == [b"old"]:
            bench.publish(b"zoo:1", b"new")
        if topic == bench.letters and [message.value for message in messages] == [None]:
            bench.publish(b"zoo:1", b"newer letter", topic, headers={"reason": "truncated"})
        return sent(self, topic, messages)

    with Replay(bench.settings(), Tally()) as replayed:
        monkeypatch.setattr(replay.Sender, "send", gets_in_between)
        replayed.run()

    assert [each.value for each in bench.kept(bench.topic)] == [b"old", b"new", b"old", b"new"]
    *_, cleared, last = bench.kept(bench.letters)
    assert cleared.value is None
    assert last == Kept(b"zoo:1", b"newer letter", {"reason": b"truncated"})


def test_letters_are_listed_and_counted(bench: Bench) -> None:
    bench.fail(b"zoo:1")
    bench.fail(b"zoo:2", reason=Reason.TRUNCATED)
    bench.fail(b"zoo:2", reason=Reason.TOO_LARGE)

    *lines, summary = bench.run("--list", IMAGESEARCH_REASON="").stdout.splitlines()

    assert [line.split("\t")[1:] for line in lines] == [
        ["dead_link", "zoo:1", "it was so"],
        ["too_large", "zoo:2", "it was so"],
    ]
    assert summary == "2 letters: dead_link 1, too_large 1"
    assert bench.standing() == {b"zoo:1", b"zoo:2"}


def test_the_summary_is_where_kubernetes_looks_for_the_last_word(bench: Bench, tmp_path: Path) -> None:
    bench.fail(b"zoo:1")

    bench.run(IMAGESEARCH_SUMMARY_PATH=str(tmp_path / "word"))

    assert (tmp_path / "word").read_text() == "replayed 1 cleared 1 outdated 0 not replayable 0 of 1 letters\n"


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (["--reason", "bad_luck"], {}, "'dead_link'"),
        ([], {"IMAGESEARCH_REASON": ""}, "IMAGESEARCH_REASON: Field required"),
        ([], {"IMAGESEARCH_TOPIC": "nowhere"}, "topic nowhere.failed cannot be used"),
        ([], {"IMAGESEARCH_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, "Kafka cannot be reached at 127.0.0.1:1"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    bench: Bench, arguments: list[str], environment: dict[str, str], told: str
) -> None:
    done = bench.run(*arguments, **environment)

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("imagesearch-replay: ")
    assert told in line
