"""What runs in a Spark Python worker: the real parts, and frames of Kafka rows to a row of counts. `main` hands it to `mapInPandas`."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from imagesearch_contract.settings import EmbedderSettings
from imagesearch_fetcher.decode import decode
from imagesearch_fetcher.decoders import decoders
from imagesearch_fetcher.fetch import FetchPolicy
from PIL import Image
from pyspark import TaskContext

from imagesearch_embedder.download import downloads
from imagesearch_embedder.embed import Batching, Parts, embed
from imagesearch_embedder.letters import LetterBox
from imagesearch_embedder.plan import Message
from imagesearch_embedder.sink import Sink, connect, takes_packed_vectors

if TYPE_CHECKING:
    from imagesearch_encoder import Encoder
    from imagesearch_encoder.runtime.encoder import Vectors

LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(message)s"

_KEPT: Final = ExitStack()
"""What a worker process keeps from one task to the next."""

MESSAGE_COLUMNS: Final = ("partition", "offset", "unix_millis(timestamp) AS timestamp", "key", "value")
"""Spark expressions, in the order of `Message`. Milliseconds, because a pandas timestamp would come in local time."""

TASK_SCHEMA: Final = "outcomes map<string, bigint>, encoding double, seconds double"
"""One row a task: how many messages had which outcome, and how long the encoder worked while the task lasted."""


def embed_frames(
    frames: Iterator[pd.DataFrame], *, settings: EmbedderSettings, replay: bool, last: Mapping[int, int]
) -> Iterator[pd.DataFrame]:
    """Do all that one partition of a micro-batch asks for; yield one row of `TASK_SCHEMA`, none where there was nothing.

    Args:
        frames: of `MESSAGE_COLUMNS`.
        settings: the embedder's.
        replay: the micro-batch may have run before, in a driver that is no more.
        last: partition -> the last offset of which there is a dead letter.
    """
    logging.basicConfig(level=logging.WARNING, format=LOG_FORMAT)
    runs = filter(None, map(_messages, frames))
    first = next(runs, None)
    if first is None:
        return
    began = time.perf_counter()
    letters = LetterBox(settings, since=first[0].offset, replay=replay or _retried(), last=last)
    with ExitStack() as stack:
        encoder = Stopwatch(_encoder(settings.model_uri, settings.mlflow_tracking_uri, settings.encoder_threads))
        outcomes = embed(chain([first], runs), _parts(settings, encoder, letters, stack), _batching(settings))
    yield pd.DataFrame(
        {"outcomes": [outcomes], "encoding": [encoder.seconds], "seconds": [time.perf_counter() - began]}
    )


def _batching(settings: EmbedderSettings) -> Batching:
    return Batching(
        settings.topic,
        settings.model_label,
        batch_size=settings.batch_size,
        max_pixels=settings.max_pixels,
        # Beyond those that are downloaded, as many as the encoder takes next may wait for it.
        fetches=settings.fetch_concurrency + settings.batch_size,
        decodes=2 * settings.encoder_threads,
    )


def _messages(frame: pd.DataFrame) -> list[Message]:
    return [
        Message(partition, offset, timestamp, _bytes(key), _bytes(value))
        for partition, offset, timestamp, key, value in frame.itertuples(index=False, name=None)
    ]


def _bytes(value: object) -> bytes | None:
    # Arrow's nulls are None in an object column; what is there may be bytes or bytearray.
    return bytes(value) if isinstance(value, bytes | bytearray) else None


def _retried() -> bool:
    task = TaskContext.get()
    return task is not None and task.attemptNumber() > 0


def _parts(settings: EmbedderSettings, encoder: "Encoder", letters: LetterBox, stack: ExitStack) -> Parts:
    fetch = stack.enter_context(downloads(FetchPolicy.of(settings)))
    client = stack.enter_context(connect(settings))
    return Parts(
        fetch=fetch,
        decode=_decoders(settings.max_pixels, encoder.info.preprocessing.min_side, settings.encoder_threads),
        encoder=encoder,
        write=Sink(client, settings.index, packed=takes_packed_vectors(client)).write,
        reject=letters.write,
    )


class Stopwatch:
    """An encoder that knows for how long it has encoded pictures."""

    def __init__(self, encoder: "Encoder") -> None:
        self._encoder, self.info, self.dims = encoder, encoder.info, encoder.dims
        self.seconds = 0.0

    def encode_text(self, texts: Sequence[str]) -> "Vectors":
        """See `Encoder`."""
        return self._encoder.encode_text(texts)

    def encode_image(self, images: Sequence[Image.Image]) -> "Vectors":
        """See `Encoder`."""
        began = time.perf_counter()
        try:
            return self._encoder.encode_image(images)
        finally:
            self.seconds += time.perf_counter() - began


@cache
def _decoders(max_pixels: int, min_side: int, processes: int) -> "Callable[[bytes], Future[Image.Image]]":
    """Start them once per worker process, as long as which they live."""
    return _KEPT.enter_context(decoders(partial(decode, max_pixels=max_pixels, min_side=min_side), workers=processes))


@cache
def _encoder(model_uri: str, tracking_uri: str, threads: int) -> "Encoder":
    """Load once per worker process; Spark uses the process again for later tasks.

    A model that cannot encode a plain grey picture fails the task: it must not turn every record into a dead letter.
    """
    from imagesearch_encoder import load_encoder  # here, because the driver imports this module and loads no model

    encoder = load_encoder(model_uri, tracking_uri=tracking_uri, threads=threads)
    vectors = encoder.encode_image([Image.new("RGB", (64, 64), "grey")])
    if vectors.shape != (1, encoder.dims) or not np.isfinite(vectors).all():
        raise RuntimeError(
            f"{model_uri} does not encode: a grey picture gave {vectors.shape}, expected (1, {encoder.dims})"
        )
    return encoder
