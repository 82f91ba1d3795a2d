"""One task's messages, from Kafka's bytes to documents and dead letters. No I/O: the parts that do it are passed in.

    messages ─► fetch ─► decode ─► batches ─► encode ─► write ─► counts
                └─── ahead of the encoder ──┘  here     └─ behind it

All stages work at once, so that the encoder, which is what there is too little of, does not wait for the others. Each
holds a bounded number of pictures: where one is slow, those before it wait. `worker` calls `embed` with the real parts,
the tests with small ones.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast

import numpy as np
from imagesearch_contract.dead_letter import DeadLetter, Reason
from imagesearch_contract.index import document
from imagesearch_fetcher.errors import DecodeError, FetchError
from numpy.typing import NDArray
from PIL.Image import Image

from imagesearch_embedder.fingerprint import fingerprint
from imagesearch_embedder.overlap import ahead, done, in_window
from imagesearch_embedder.plan import Message, Newest, Superseded, Takedown, Unusable, Upsert, dead_letter, plan

if TYPE_CHECKING:  # the driver imports this module, and needs no model runtime
    from imagesearch_encoder import Encoder

Before = TypeVar("Before")
After = TypeVar("After")

UNIT_TOLERANCE: Final = 1e-3
"""How far from 1 a vector's length may be; `dot_product` fields take unit vectors only."""
WRITES_UNDER_WAY: Final = 2
"""Batches that are written, or wait for it, while the next one is encoded."""
LETTERS_AT_ONCE: Final = 256
"""Messages that failed and wait for their batch; each may be a megabyte."""


class Outcome(StrEnum):
    """What became of a usable message. The outcome of an unusable one is its reason code."""

    INDEXED = "indexed"
    DELETED = "deleted"
    STALE = "stale"
    """The index holds something newer: a replay, or a writer that lives on after its time."""
    SUPERSEDED = "superseded"
    """A newer message about the same picture was in the same task."""


class Write(NamedTuple):
    """One write to the index; without a document it is a deletion."""

    id: str
    version: int
    document: dict[str, Any] | None


class Refused(NamedTuple):
    """The index refused a write for good."""

    detail: str


Ended = Unusable | Superseded
"""A message that nothing is done with any more, except to count it and write its letter."""
Decoded = tuple[Upsert, Image]


@dataclass(frozen=True)
class Parts:
    """What a task is done with."""

    fetch: Callable[[str], "Future[bytes]"]
    """Starts a download; gives the bytes or raises `FetchError`."""
    decode: Callable[[bytes], "Future[Image]"]
    """Gives the picture or raises `DecodeError`."""
    encoder: "Encoder"
    write: Callable[[Sequence[Write]], Sequence[Outcome | Refused]]
    """Answers each write in its place; returns only when all are answered."""
    reject: Callable[[Sequence[DeadLetter]], None]
    """Returns when the letters are safe."""


@dataclass(frozen=True)
class Batching:
    """How much is done at once, and how documents and letters are labelled."""

    topic: str
    model: str
    batch_size: int
    max_pixels: int
    fetches: int
    decodes: int


@dataclass
class Batch:
    """Pictures that are encoded together, and what has ended among them."""

    pictures: list[Decoded] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)


class Step(NamedTuple):
    """What is written together: a write for each plan, and what has ended."""

    plans: Sequence[Upsert | Takedown]
    writes: Sequence[Write]
    ended: Sequence[Ended]


def embed(frames: Iterable[Sequence[Message]], parts: Parts, batching: Batching) -> Counter[str]:
    """Index, delete or reject every message; return how many had which outcome (`Outcome` or reason code).

    When this returns, everything is written. When it raises, it can be done again from the start.

    Args:
        frames: the messages of one partition, in runs that fit into memory.
        parts: what it is done with.
        batching: how much is done at once.
    """
    tally: Counter[str] = Counter()
    # One thread writes, so that what was encoded first is written first.
    with closing(_steps(frames, parts, batching)) as steps, ThreadPoolExecutor(1, "writes") as thread:
        for _, counts in in_window(
            steps, lambda step: thread.submit(_finish, step, parts, batching.topic), WRITES_UNDER_WAY
        ):
            tally.update(counts.result())
    return tally


def _steps(frames: Iterable[Sequence[Message]], parts: Parts, batching: Batching) -> Generator[Step, None, None]:
    newest, takedowns = Newest(), list[Takedown]()
    fetched = _stage(_planned(frames, newest, takedowns), parts.fetch, batching.fetches)
    decoded = _stage(fetched, parts.decode, batching.decodes)
    with closing(ahead(_batches(decoded, batching))) as batches:
        for batch in batches:
            yield _encoded(batch, newest, parts.encoder, batching.model)
    # Last, when nothing older is on its way any more: Elasticsearch remembers a deletion only for a while.
    current = [each for each in takedowns if newest.is_newest(each)]
    superseded = [Superseded(each.message) for each in takedowns if not newest.is_newest(each)]
    yield Step(current, [Write(each.id, each.message.version, None) for each in current], superseded)


def _planned(
    frames: Iterable[Sequence[Message]], newest: Newest, takedowns: list[Takedown]
) -> Iterator[tuple[Upsert, str] | Ended]:
    """What has to be fetched, with its URL; tells `newest` of everything, and puts the takedowns aside."""
    for frame in frames:
        plans = [plan(message) for message in frame]
        newest.tell(each for each in plans if not isinstance(each, Unusable))
        for each in plans:
            match each:
                case Unusable():
                    yield each
                case _ if not newest.is_newest(each):
                    yield Superseded(each.message)
                case Takedown():
                    takedowns.append(each)
                case Upsert():
                    yield each, each.record.url


def _stage(
    items: Iterable[tuple[Upsert, Before] | Ended], start: Callable[[Before], "Future[After]"], window: int
) -> Iterator[tuple[Upsert, After] | Ended]:
    """Take every upsert a step further, `window` at once; what fails has ended, and what has ended is passed on."""

    def begin(item: tuple[Upsert, Before] | Ended) -> "Future[Any]":
        return done(None) if isinstance(item, Ended) else start(item[1])

    for item, result in in_window(items, begin, window):
        yield item if isinstance(item, Ended) else _result(item[0], result)


def _result(each: Upsert, result: "Future[After]") -> tuple[Upsert, After] | Unusable:
    try:
        return each, result.result()
    except (FetchError, DecodeError) as error:
        return Unusable(each.message, error.reason, error.detail)


def _batches(items: Iterable[Decoded | Ended], batching: Batching) -> Iterator[Batch]:
    """Cut into batches of `batch_size` pictures, sooner where the pictures are huge: decoded ones take 3 bytes a pixel."""
    batch, pixels = Batch(), 0
    for item in items:
        if isinstance(item, Ended):
            batch.ended.append(item)
        else:
            batch.pictures.append(item)
            pixels += item[1].width * item[1].height
        full = len(batch.pictures) == batching.batch_size or len(batch.ended) == LETTERS_AT_ONCE
        if full or pixels >= batching.max_pixels:
            yield batch
            batch, pixels = Batch(), 0
    yield batch


def _encoded(batch: Batch, newest: Newest, encoder: "Encoder", model: str) -> Step:
    # Asked again, because newer messages may have come while the picture was fetched.
    current = [(each, image) for each, image in batch.pictures if newest.is_newest(each)]
    ended = [*batch.ended, *(Superseded(each.message) for each, _ in batch.pictures if not newest.is_newest(each))]
    embedded = _vectors(current, encoder, ended) if current else []
    return Step([each for each, _, _ in embedded], [_upsert(*each, model) for each in embedded], ended)


def _vectors(
    pictures: Sequence[Decoded], encoder: "Encoder", ended: list[Ended]
) -> list[tuple[Upsert, Image, NDArray[np.float32]]]:
    try:
        vectors = encoder.encode_image([image for _, image in pictures])
    except Exception as error:  # noqa: BLE001  any runtime may be behind the encoder, and one picture must not stop the others
        if len(pictures) == 1:
            ended.append(Unusable(pictures[0][0].message, Reason.ENCODE_FAILED, f"{type(error).__name__}: {error}"))
            return []
        return [encoded for each in pictures for encoded in _vectors([each], encoder, ended)]
    good = []
    for (each, image), vector in zip(pictures, vectors, strict=True):
        if fault := _fault(vector, encoder.dims):
            ended.append(Unusable(each.message, Reason.ENCODE_FAILED, fault))
        else:
            good.append((each, image, vector))
    return good


def _fault(vector: NDArray[np.float32], dims: int) -> str | None:
    if vector.shape != (dims,):
        return f"the vector has shape {vector.shape}, expected ({dims},)"
    length = float(np.linalg.norm(vector))
    if not abs(length - 1) <= UNIT_TOLERANCE:  # so put, NaN is a fault too
        return f"the vector has length {length:.4g}, expected 1"
    return None


def _upsert(each: Upsert, image: Image, vector: NDArray[np.float32], model: str) -> Write:
    # The vector stays float32: written as JSON it is half as long as the same numbers as Python floats.
    embedding = cast("Sequence[float]", vector)
    now = datetime.now(UTC)
    body = document(each.record, embedding, model=model, indexed_at=now, fingerprint=fingerprint(image))
    return Write(each.id, each.message.version, body)


def _finish(step: Step, parts: Parts, topic: str) -> Counter[str]:
    """Write the documents, then the letters; the outcome of each message."""
    answers = parts.write(step.writes) if step.writes else []
    refused = [
        Unusable(each.message, Reason.REJECTED_BY_INDEX, answer.detail)
        for each, answer in zip(step.plans, answers, strict=True)
        if isinstance(answer, Refused)
    ]
    failed = [*(each for each in step.ended if isinstance(each, Unusable)), *refused]
    if failed:
        parts.reject([dead_letter(each, topic=topic) for each in failed])
    tally: Counter[str] = Counter(answer for answer in answers if not isinstance(answer, Refused))
    tally.update(str(each.reason) for each in failed)
    if superseded := sum(isinstance(each, Superseded) for each in step.ended):
        tally[Outcome.SUPERSEDED] = superseded
    return tally
