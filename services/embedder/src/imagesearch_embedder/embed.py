"""One batch of messages, from Kafka's bytes to documents and dead letters. No I/O: the parts that do it are passed in.

`worker` calls `embed` with the real parts, the tests with small ones.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import numpy as np
from imagesearch_contract.dead_letter import DeadLetter, Reason
from imagesearch_contract.index import document
from imagesearch_fetcher.errors import DecodeError, FetchError
from numpy.typing import NDArray
from PIL.Image import Image

from imagesearch_embedder.plan import Message, Takedown, Unusable, Upsert, dead_letter, newest, plan

if TYPE_CHECKING:  # the driver imports this module, and needs no model runtime
    from imagesearch_encoder import Encoder

UNIT_TOLERANCE: Final = 1e-3
"""How far from 1 a vector's length may be; `dot_product` fields take unit vectors only."""


class Outcome(StrEnum):
    """What became of a usable message. The outcome of an unusable one is its reason code."""

    INDEXED = "indexed"
    DELETED = "deleted"
    STALE = "stale"
    """The index holds something newer: a replay, or a writer that lives on after its time."""
    SUPERSEDED = "superseded"
    """A newer message about the same picture was in the same batch."""


class Write(NamedTuple):
    """One write to the index; without a document it is a deletion."""

    id: str
    version: int
    document: dict[str, Any] | None


class Refused(NamedTuple):
    """The index refused a write for good."""

    detail: str


Fetched = tuple[Upsert, bytes | FetchError]
Decoded = tuple[Upsert, Image]


@dataclass(frozen=True)
class Parts:
    """What a batch is done with."""

    fetch: Callable[[Sequence[Upsert]], Iterator[Fetched]]
    """Yields each upsert once, in any order, as its picture arrives."""
    decode: Callable[[bytes], Image]
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


def embed(messages: Iterable[Message], parts: Parts, batching: Batching) -> Counter[str]:
    """Index, delete or reject every message; return how many had which outcome (`Outcome` or reason code).

    When this returns, everything is written. When it raises, it can be done again from the start.
    """
    plans = [plan(message) for message in messages]
    usable = [each for each in plans if not isinstance(each, Unusable)]
    failed = [each for each in plans if isinstance(each, Unusable)]
    current = newest(usable)
    tally: Counter[str] = Counter()
    if superseded := len(usable) - len(current):
        tally[Outcome.SUPERSEDED] = superseded

    takedowns = [each for each in current if isinstance(each, Takedown)]
    deletions = [Write(each.id, each.message.version, None) for each in takedowns]
    failed += _write(takedowns, deletions, parts, tally)

    upserts = [each for each in current if isinstance(each, Upsert)]
    pictures = _decoded(parts.fetch(upserts), parts, failed)
    for batch in _batches(pictures, batching):
        embedded = _encoded(batch, parts.encoder, failed)
        writes = [_upsert(each, vector, batching.model) for each, vector in embedded]
        failed += _write([each for each, _ in embedded], writes, parts, tally)

    parts.reject([dead_letter(each, topic=batching.topic) for each in failed])
    tally.update(str(each.reason) for each in failed)
    return tally


def _decoded(fetched: Iterable[Fetched], parts: Parts, failed: list[Unusable]) -> Iterator[Decoded]:
    for each, data in fetched:
        if isinstance(data, FetchError):
            failed.append(Unusable(each.message, data.reason, data.detail))
            continue
        try:
            yield each, parts.decode(data)
        except DecodeError as error:
            failed.append(Unusable(each.message, error.reason, error.detail))


def _batches(pictures: Iterable[Decoded], batching: Batching) -> Iterator[list[Decoded]]:
    """Cut into batches of `batch_size` pictures, sooner where the pictures are huge: decoded ones take 3 bytes a pixel."""
    batch: list[Decoded] = []
    pixels = 0
    for each, image in pictures:
        batch.append((each, image))
        pixels += image.width * image.height
        if len(batch) == batching.batch_size or pixels >= batching.max_pixels:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch


def _encoded(
    batch: Sequence[Decoded], encoder: "Encoder", failed: list[Unusable]
) -> list[tuple[Upsert, NDArray[np.float32]]]:
    try:
        vectors = encoder.encode_image([image for _, image in batch])
    except Exception as error:  # noqa: BLE001  any runtime may be behind the encoder, and one picture must not stop the others
        if len(batch) == 1:
            failed.append(Unusable(batch[0][0].message, Reason.ENCODE_FAILED, f"{type(error).__name__}: {error}"))
            return []
        return [pair for each in batch for pair in _encoded([each], encoder, failed)]
    good = []
    for (each, _), vector in zip(batch, vectors, strict=True):
        if fault := _fault(vector, encoder.dims):
            failed.append(Unusable(each.message, Reason.ENCODE_FAILED, fault))
        else:
            good.append((each, vector))
    return good


def _fault(vector: NDArray[np.float32], dims: int) -> str | None:
    if vector.shape != (dims,):
        return f"the vector has shape {vector.shape}, expected ({dims},)"
    length = float(np.linalg.norm(vector))
    if not abs(length - 1) <= UNIT_TOLERANCE:  # so put, NaN is a fault too
        return f"the vector has length {length:.4g}, expected 1"
    return None


def _upsert(each: Upsert, vector: NDArray[np.float32], model: str) -> Write:
    # The vector stays float32: written as JSON it is half as long as the same numbers as Python floats.
    embedding = cast("Sequence[float]", vector)
    body = document(each.record, embedding, model=model, indexed_at=datetime.now(UTC))
    return Write(each.id, each.message.version, body)


def _write(
    plans: Sequence[Upsert | Takedown], writes: Sequence[Write], parts: Parts, tally: Counter[str]
) -> list[Unusable]:
    if not writes:
        return []
    refused = []
    for each, answer in zip(plans, parts.write(writes), strict=True):
        if isinstance(answer, Refused):
            refused.append(Unusable(each.message, Reason.REJECTED_BY_INDEX, answer.detail))
        else:
            tally[answer] += 1
    return refused
