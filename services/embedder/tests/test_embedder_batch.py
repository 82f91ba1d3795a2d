"""One task, from Kafka's bytes to documents and dead letters, with small parts: an index in memory, an encoder of four numbers."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagesearch_contract.dead_letter import DeadLetter, Reason
from imagesearch_contract.record import ImageRecord
from imagesearch_embedder.embed import Batching, Outcome, Parts, Refused, Write, embed
from imagesearch_embedder.fingerprint import fingerprint
from imagesearch_embedder.plan import LETTER_LIMIT, Message
from imagesearch_fetcher.decode import decode
from imagesearch_fetcher.errors import FetchError
from PIL import Image

MAX_PIXELS = 10_000
FETCHES, DECODES = 8, 2


def picture(colour: str = "red", *, size: tuple[int, int] = (8, 8), form: str = "PNG") -> bytes:
    data = BytesIO()
    Image.new("RGB", size, colour).save(data, form)
    return data.getvalue()


def record(name: str, **fields: object) -> bytes:
    return ImageRecord.model_validate(
        {"id": f"test:{name}", "url": f"https://pictures.test/{name}", **fields}
    ).to_bytes()


@dataclass
class ColourEncoder:
    """The mean colour as a unit vector; black is a crash, blue gives NaN."""

    dims: int = 4
    batches: list[int] = field(default_factory=list)
    info: SimpleNamespace = field(default_factory=SimpleNamespace)

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        raise NotImplementedError

    def encode_image(self, images: Sequence[Image.Image]) -> np.ndarray:
        self.batches.append(len(images))
        colours = np.array([np.asarray(image).reshape(-1, 3).mean(axis=0) for image in images])
        if (colours == 0).all(axis=1).any():
            raise RuntimeError("no light")
        vectors = np.hstack([colours, np.ones((len(images), 1))]).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors[(colours == (0, 0, 255)).all(axis=1)] = np.nan
        return vectors


@dataclass
class MemoryIndex:
    """Documents by id, with Elasticsearch's external_gte versions; ids in `refuses` are refused for good."""

    refuses: frozenset[str] = frozenset()
    documents: dict[str, dict] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def write(self, writes: Sequence[Write]) -> list[Outcome | Refused]:
        return [self._write(each) for each in writes]

    def _write(self, each: Write) -> Outcome | Refused:
        if each.id in self.refuses:
            return Refused("400 mapper_parsing_exception")
        if each.version < self.versions.get(each.id, 0):
            return Outcome.STALE
        self.versions[each.id] = each.version
        if each.document is None:
            self.documents.pop(each.id, None)
            return Outcome.DELETED
        self.documents[each.id] = each.document
        return Outcome.INDEXED


@dataclass
class Bench:
    """All parts of a batch, and the partition that the messages come from."""

    index: MemoryIndex = field(default_factory=MemoryIndex)
    encoder: ColourEncoder = field(default_factory=ColourEncoder)
    letters: list[DeadLetter] = field(default_factory=list)
    web: dict[str, bytes | FetchError] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)

    def message(self, key: bytes | None, value: bytes | None, *, timestamp: int | None = None) -> Message:
        offset = len(self.messages)
        message = Message(2, offset, 1_000 + offset if timestamp is None else timestamp, key, value)
        self.messages.append(message)
        return message

    def publish(self, name: str, web: bytes | FetchError, *, timestamp: int | None = None, **fields: object) -> Message:
        """A good record whose URL answers with `web`."""
        self.web[f"https://pictures.test/{name}"] = web
        return self.message(f"test:{name}".encode(), record(name, **fields), timestamp=timestamp)

    def embed(
        self, messages: Sequence[Message] | None = None, *, batch_size: int = 4, frame_size: int = 100
    ) -> Counter[str]:
        parts = Parts(
            fetch=self.fetch,
            decode=lambda data: result_of(decode, data, max_pixels=MAX_PIXELS),
            encoder=self.encoder,
            write=self.index.write,
            reject=self.reject,
        )
        batching = Batching(
            topic="records",
            model="colour/1",
            batch_size=batch_size,
            max_pixels=MAX_PIXELS,
            fetches=FETCHES,
            decodes=DECODES,
        )
        wanted = iter(self.messages if messages is None else messages)
        return embed(iter(lambda: list(islice(wanted, frame_size)), []), parts, batching)

    def reject(self, letters: Sequence[DeadLetter]) -> None:
        self.letters.extend(letters)

    def fetch(self, url: str) -> "Future[bytes]":
        self.fetched.append(url)
        return result_of(self._answer, url)

    def _answer(self, url: str) -> bytes:
        answer = self.web[url]
        if isinstance(answer, FetchError):
            raise answer
        return answer


def result_of(function: Callable, *args: object, **kwargs: object) -> Future:
    """A future that is done: with what the function returns or raises."""
    future: Future = Future()
    try:
        future.set_result(function(*args, **kwargs))
    except Exception as error:  # noqa: BLE001  as an executor does
        future.set_exception(error)
    return future


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_batch_becomes_documents_with_their_vectors(bench: Bench) -> None:
    bench.publish("a", picture("red"), title="A red square", timestamp=1_700_000_000_000)
    assert bench.embed() == {Outcome.INDEXED: 1}
    document = bench.index.documents["test:a"]
    assert (document["title"], document["model"], document["source"]) == ("A red square", "colour/1", "test")
    assert np.allclose(document["embedding"], np.array([255, 0, 0, 1]) / np.hypot(255, 1))
    assert document["embedding"].dtype == np.float32
    assert bench.index.versions["test:a"] == 1_700_000_000_000
    assert "fingerprint" not in document  # there is nothing to see in it


def test_each_document_has_the_fingerprint_of_its_own_picture(bench: Bench) -> None:
    seen = {}
    for name, seed in {"a": 1, "b": 2, "copy": 1}.items():
        image = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (80, 80, 3), dtype=np.uint8))
        file = BytesIO()
        image.save(file, "PNG")
        bench.publish(name, file.getvalue())
        seen[f"test:{name}"] = fingerprint(image)
    bench.embed()
    assert {key: document["fingerprint"] for key, document in bench.index.documents.items()} == seen
    assert seen["test:copy"] == seen["test:a"] != seen["test:b"]


def test_every_kind_of_unusable_record_gets_its_reason_once_and_its_neighbours_are_indexed(bench: Bench) -> None:
    bench.index = MemoryIndex(refuses=frozenset({"test:refused"}))
    for number, poison in enumerate(POISON.values()):
        bench.publish(f"before-{number}", picture())
        poison(bench)
        bench.publish(f"after-{number}", picture("green"))
    tally = bench.embed()
    assert tally == {Outcome.INDEXED: 2 * len(Reason), **{str(reason): 1 for reason in Reason}}
    assert {letter.reason: 1 for letter in bench.letters} == dict.fromkeys(Reason, 1)
    assert len(bench.letters) == len(Reason)
    for letter in bench.letters:
        message = bench.messages[letter.offset]
        assert (letter.partition, letter.topic, letter.original_value()) == (2, "records", message.value)
        assert letter.detail


POISON = {
    Reason.BAD_RECORD: lambda bench: bench.message(b"test:bad", b'{"schema_version": 1, "id"'),
    Reason.KEY_MISMATCH: lambda bench: bench.message(b"test:other", record("mine")),
    Reason.BLOCKED_URL: lambda bench: bench.publish("blocked", FetchError(Reason.BLOCKED_URL, "10.0.0.1 is private")),
    Reason.DEAD_LINK: lambda bench: bench.publish("gone", FetchError(Reason.DEAD_LINK, "404")),
    Reason.UNREACHABLE: lambda bench: bench.publish("silent", FetchError(Reason.UNREACHABLE, "no answer in 10 s")),
    Reason.TOO_LARGE: lambda bench: bench.publish("huge", FetchError(Reason.TOO_LARGE, "more than 10 MiB")),
    Reason.NOT_AN_IMAGE: lambda bench: bench.publish("page", b"<!doctype html><title>404</title>"),
    Reason.UNSUPPORTED_FORMAT: lambda bench: bench.publish("drawing", b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
    Reason.TRUNCATED: lambda bench: bench.publish("torn", picture(size=(64, 64), form="JPEG")[:-200]),
    Reason.DECOMPRESSION_BOMB: lambda bench: bench.publish("bomb", picture(size=(200, 200))),
    Reason.ENCODE_FAILED: lambda bench: bench.publish("nan", picture("blue")),
    Reason.REJECTED_BY_INDEX: lambda bench: bench.publish("refused", picture()),
}


def test_there_is_a_poison_for_every_reason() -> None:
    assert set(POISON) == set(Reason)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (None, record("a"), Reason.KEY_MISMATCH),
        (b"", record("a"), Reason.KEY_MISMATCH),
        (b"\xff", record("a"), Reason.KEY_MISMATCH),
        (None, None, Reason.KEY_MISMATCH),
        (b"no-id", None, Reason.KEY_MISMATCH),
        (b"test:" + b"x" * 600, None, Reason.KEY_MISMATCH),
        (b"test:a\n", None, Reason.KEY_MISMATCH),
        (b"test:a", b"", Reason.BAD_RECORD),
        (b"test:a", b"[]", Reason.BAD_RECORD),
        (b"test:a", b"\xff\xfe", Reason.BAD_RECORD),
        (b"test:a", b'{"schema_version": 2, "id": "test:a", "url": "https://x.test/"}', Reason.BAD_RECORD),
        (b"test:a", b'{"schema_version": 1, "id": "test:a", "url": "file:///etc/passwd"}', Reason.BAD_RECORD),
        (
            b"test:a",
            b'{"schema_version": 1, "id": "test:a", "url": "https://x.test/", "title": "\\ud800"}',
            Reason.BAD_RECORD,
        ),
        (b"test:a", b'{"schema_version": %s}' % (b"[" * 900 + b"]" * 900), Reason.BAD_RECORD),
        (b"test:a", b"[" * 100_000, Reason.BAD_RECORD),
    ],
)
def test_a_broken_message_becomes_a_dead_letter(
    bench: Bench, key: bytes | None, value: bytes | None, reason: Reason
) -> None:
    bench.message(key, value)
    assert bench.embed() == {str(reason): 1}
    assert bench.letters[0].original_value() == (value or b"")


@pytest.mark.parametrize("value", [b"\x00" * 1_000_000, b"\xff" * 1_000_000, b"x" * 1_000_000])
def test_the_letter_of_a_huge_value_fits_into_a_kafka_message_and_says_that_it_was_cut(
    bench: Bench, value: bytes
) -> None:
    bench.message(b"k" * 1_000_000, value)
    bench.embed()
    (letter,) = bench.letters
    assert len(letter.message_key) + len(letter.to_bytes()) < LETTER_LIMIT + 1_000
    assert "cut from 1000000" in letter.detail
    assert letter.message_key == b"2/0"


def test_one_picture_that_crashes_the_encoder_does_not_take_its_batch_along(bench: Bench) -> None:
    for name, colour in (("a", "red"), ("dark", "black"), ("b", "green")):
        bench.publish(name, picture(colour))
    assert bench.embed() == {Outcome.INDEXED: 2, "encode_failed": 1}
    assert set(bench.index.documents) == {"test:a", "test:b"}
    assert "no light" in bench.letters[0].detail


def test_pictures_are_encoded_in_batches_of_the_size_asked_for(bench: Bench) -> None:
    for number in range(10):
        bench.publish(str(number), picture())
    bench.embed(batch_size=4)
    assert bench.encoder.batches == [4, 4, 2]


def test_huge_pictures_make_smaller_batches_so_that_memory_is_bounded(bench: Bench) -> None:
    for number in range(4):
        bench.publish(str(number), picture(size=(90, 60)))
    bench.embed(batch_size=4)
    assert bench.encoder.batches == [2, 2]


def test_only_the_newest_of_several_records_about_one_picture_is_fetched(bench: Bench) -> None:
    bench.publish("a", picture(), title="old")
    bench.publish("b", picture())
    bench.publish("a", picture(), title="new")
    assert bench.embed() == {Outcome.INDEXED: 2, Outcome.SUPERSEDED: 1}
    assert bench.index.documents["test:a"]["title"] == "new"
    assert len(bench.fetched) == 2


def test_what_is_newest_does_not_depend_on_where_the_batch_is_cut(bench: Bench) -> None:
    """A producer whose clock is behind wrote last: Elasticsearch would keep the other record, so the batch does too."""
    bench.publish("a", picture(), title="by the right clock", timestamp=2_000)
    bench.publish("a", picture(), title="by the slow clock", timestamp=1_000)
    bench.embed()
    apart = Bench(web=bench.web)
    for message in bench.messages:
        apart.embed([message])
    assert bench.index.versions == apart.index.versions
    assert bench.index.documents["test:a"]["title"] == apart.index.documents["test:a"]["title"] == "by the right clock"


def test_a_null_value_deletes_the_document(bench: Bench) -> None:
    bench.publish("a", picture())
    bench.embed()
    assert bench.embed([bench.message(b"test:a", None)]) == {Outcome.DELETED: 1}
    assert bench.index.documents == {}


def test_a_takedown_and_a_record_in_one_batch_leave_what_came_last(bench: Bench) -> None:
    bench.publish("gone", picture())
    bench.message(b"test:gone", None)
    bench.message(b"test:back", None)
    bench.publish("back", picture())
    assert bench.embed() == {Outcome.INDEXED: 1, Outcome.DELETED: 1, Outcome.SUPERSEDED: 2}
    assert set(bench.index.documents) == {"test:back"}


@pytest.mark.parametrize("frame_size", [1, 2, 3])
def test_what_came_last_does_not_depend_on_where_frames_are_cut(bench: Bench, frame_size: int) -> None:
    """A takedown waits for nothing, an upsert for its picture: neither may overtake the other."""
    for name in ("gone", "back", "twice"):
        bench.publish(name, picture("red"), title="old", timestamp=5_000)
    for name in ("gone", "back"):
        bench.message(f"test:{name}".encode(), None, timestamp=5_000)
    for name in ("back", "twice"):
        bench.publish(name, picture("green"), title="new", timestamp=5_000)
    tally = bench.embed(frame_size=frame_size, batch_size=2)
    assert tally.total() == len(bench.messages)
    assert {key: each["title"] for key, each in bench.index.documents.items()} == {
        "test:back": "new",
        "test:twice": "new",
    }


def test_a_batch_is_filled_across_frames(bench: Bench) -> None:
    for number in range(10):
        bench.publish(str(number), picture())
    bench.embed(batch_size=4, frame_size=3)
    assert bench.encoder.batches == [4, 4, 2]


def test_pictures_are_fetched_while_others_are_encoded_and_written(bench: Bench) -> None:
    """The index takes nothing before the encoder has had a second batch, the encoder nothing before a third is fetched."""
    third_fetched, second_encoded = Event(), Event()
    fetch, encode, write = bench.fetch, bench.encoder.encode_image, bench.index.write

    def fetching(url: str) -> Future:
        if len(bench.fetched) == 4:
            third_fetched.set()
        return fetch(url)

    def encoding(images: Sequence[Image.Image]) -> np.ndarray:
        assert third_fetched.wait(30)
        if len(bench.encoder.batches) == 1:
            second_encoded.set()
        return encode(images)

    def writing(writes: Sequence[Write]) -> list[Outcome | Refused]:
        assert second_encoded.wait(30)
        return write(writes)

    bench.fetch = fetching  # type: ignore[method-assign]
    bench.encoder.encode_image = encoding  # type: ignore[method-assign]
    bench.index.write = writing  # type: ignore[method-assign]
    for number in range(8):
        bench.publish(str(number), picture())
    assert bench.embed(batch_size=2) == {Outcome.INDEXED: 8}


def test_a_slow_index_holds_up_the_encoder_and_the_downloads(bench: Bench) -> None:
    """Two batches are written or wait for it, one is ready, and the windows of fetches and decodes are full."""
    write = bench.index.write
    most = 3 * 4 + FETCHES + DECODES

    def writing(writes: Sequence[Write]) -> list[Outcome | Refused]:
        time.sleep(0.02)  # for the others to run ahead, as far as they may
        assert len(bench.fetched) <= len(bench.index.documents) + most
        return write(writes)

    bench.index.write = writing  # type: ignore[method-assign]
    for number in range(100):
        bench.publish(str(number), picture())
    assert bench.embed(batch_size=4) == {Outcome.INDEXED: 100}


@pytest.mark.parametrize("part", ["fetch", "reject", "index"])
def test_what_breaks_in_a_part_breaks_the_task_and_leaves_no_thread(bench: Bench, part: str) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    for number in range(20):
        bench.publish(str(number), picture())
    match part:
        case "fetch":
            bench.fetch = broken  # type: ignore[method-assign]
        case "reject":
            bench.message(b"test:a", b"{")
            bench.reject = broken  # type: ignore[method-assign]
        case "index":
            bench.index.write = broken  # type: ignore[method-assign]
    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        bench.embed()
    assert threading.active_count() == before


def test_letters_do_not_pile_up_where_everything_fails(bench: Bench) -> None:
    batches: list[int] = []
    bench.reject = lambda letters: batches.append(len(letters))  # type: ignore[method-assign]
    for _ in range(600):
        bench.message(b"test:a", b"{")
    assert bench.embed() == {"bad_record": 600}
    assert batches == [256, 256, 88]


def test_a_replay_leaves_the_index_as_it_is(bench: Bench) -> None:
    bench.publish("a", picture("red"))
    old = list(bench.messages)
    bench.embed()
    bench.publish("a", picture("green"), title="new")
    bench.embed(bench.messages[1:])
    assert bench.embed(old) == {Outcome.STALE: 1}
    assert bench.index.documents["test:a"]["title"] == "new"


def test_a_record_without_a_timestamp_is_indexed(bench: Bench) -> None:
    bench.publish("a", picture(), timestamp=-1)
    assert bench.embed() == {Outcome.INDEXED: 1}


def test_an_empty_batch_does_nothing(bench: Bench) -> None:
    assert bench.embed() == {}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.none() | st.binary(max_size=30), st.none() | st.binary(max_size=60)), max_size=8))
def test_whatever_stands_in_the_topic_every_message_is_accounted_for(pairs: list) -> None:
    bench = Bench()
    for key, value in pairs:
        bench.message(key, value)
    bench.publish("good", picture())
    tally = bench.embed()
    assert tally.total() == len(bench.messages)
    assert "test:good" in bench.index.documents
