"""What runs in a Spark Python worker: the real parts, and frames of Kafka rows to a few counts. `main` hands it to `mapInPandas`."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache, partial
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from imagesearch_contract.settings import EmbedderSettings
from imagesearch_fetcher.decode import decode
from imagesearch_fetcher.fetch import FetchPolicy
from PIL import Image
from pyspark import TaskContext

from imagesearch_embedder.download import downloads, fetch_all
from imagesearch_embedder.embed import Batching, Parts, embed
from imagesearch_embedder.letters import LetterBox
from imagesearch_embedder.plan import Message
from imagesearch_embedder.sink import Sink, connect

if TYPE_CHECKING:
    from imagesearch_encoder import Encoder

LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(message)s"

MESSAGE_COLUMNS: Final = ("partition", "offset", "unix_millis(timestamp) AS timestamp", "key", "value")
"""Spark expressions, in the order of `Message`. Milliseconds, because a pandas timestamp would come in local time."""

OUTCOME_SCHEMA: Final = "outcome string, messages long"


def embed_frames(frames: Iterator[pd.DataFrame], *, settings: EmbedderSettings, replay: bool) -> Iterator[pd.DataFrame]:
    """Do all that one partition of a micro-batch asks for; yield how many messages had which outcome.

    Args:
        frames: of `MESSAGE_COLUMNS`.
        settings: the embedder's.
        replay: the micro-batch may have run before, in a driver that is no more.
    """
    logging.basicConfig(level=logging.WARNING, format=LOG_FORMAT)
    batching = Batching(settings.topic, settings.model_label, settings.batch_size, settings.max_pixels)
    with ExitStack() as stack:
        parts = None
        for frame in frames:
            messages = _messages(frame)
            if messages and parts is None:
                parts = _open_parts(settings, replay or _retried(), stack)
            if parts is not None:
                tally = embed(messages, parts, batching)
                yield pd.DataFrame({"outcome": list(tally), "messages": list(tally.values())})


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


def _open_parts(settings: EmbedderSettings, replay: bool, stack: ExitStack) -> Parts:
    encoder = _encoder(settings.model_uri, settings.mlflow_tracking_uri, settings.encoder_threads)
    submit = stack.enter_context(downloads(FetchPolicy.of(settings)))
    client = stack.enter_context(connect(settings))
    letters = LetterBox(settings, replay=replay)
    return Parts(
        fetch=partial(fetch_all, submit=submit, window=settings.fetch_concurrency),
        decode=partial(decode, max_pixels=settings.max_pixels, min_side=encoder.info.preprocessing.min_side),
        encoder=encoder,
        write=Sink(client, settings.index).write,
        reject=letters.write,
    )


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
