"""The calibration of each index that is searched: made in the background from a random sample, and kept for minutes.

A search takes what there is and never waits: until the first calibration of its index is there, it has no verdicts.
"""

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import numpy as np
from imagesearch_contract.index import VECTOR_FIELD
from numpy.typing import NDArray

from imagesearch_search.calibration import GENERIC_TEXTS, MIN_SAMPLE, Calibration, Vectors, calibrate
from imagesearch_search.index_client import Index, IndexMissingError
from imagesearch_search.problems import Problem

SAMPLE_SIZE: Final = 1000
PART: Final = 50
"""Pictures a request: to read 50 vectors from JSON keeps the event loop from other searches for some milliseconds."""
KEPT_SECONDS: Final = 600.0
SMALL_KEPT_SECONDS: Final = 60.0
"""For a collection that is no larger than its sample: it may grow out of it soon, and is read in no time."""
RETRY_SECONDS: Final = 10.0
CAPACITY: Final = 32
"""Calibrations; 1000 vectors of 512 dims take 2 MiB."""

_NOTHING: Final = np.empty((0, 0), dtype=np.float32)

log = logging.getLogger(__name__)

EncodeText = Callable[[str], Awaitable[bytes]]
"""The vector of a text, as little-endian float32; raises `Problem`."""


class Kept(NamedTuple):
    """What is known of one index, and when to look anew."""

    calibration: Calibration | None
    until: float


class Background:
    """The calibrations of the indices that are searched, least recently used out. Close it before the index's client."""

    def __init__(self, index: Index, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._index = index
        self._clock = clock
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def calibration(self, index: str, encode: EncodeText) -> Calibration | None:
        """What is known now: None the first time, and for a collection of a few pictures. Never waits.

        What is missing or old is made anew in the background, once for all who ask.

        Args:
            index: the concrete index, not its alias: another model's scores would say nothing.
            encode: encodes a text with the index's model. It is asked for the same few texts each time and may know
                their vectors.
        """
        kept = self._kept.get(index, Kept(None, -math.inf))
        if self._clock() >= kept.until and index not in self._under_way:
            # A try that fails leaves this as it is: the old calibration, and a while until the next try.
            kept = Kept(kept.calibration, self._clock() + RETRY_SECONDS)
            self._under_way[index] = task = asyncio.create_task(self._renew(index, encode))
            task.add_done_callback(lambda _: self._under_way.pop(index))
        self._keep(index, kept)
        return kept.calibration

    async def settled(self) -> None:
        """Return when nothing is under way."""
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    async def close(self) -> None:
        """Stop what is under way."""
        for task in self._under_way.values():
            task.cancel()
        await self.settled()

    async def _renew(self, index: str, encode: EncodeText) -> None:
        try:
            sample, population = await fetch_sample(self._index, index)
            texts = await self._texts(encode) if len(sample) >= MIN_SAMPLE else []
        except IndexMissingError:
            return  # its collection moved to another
        except Problem as problem:
            log.warning("The searches of %s cannot be calibrated: %s", index, problem.detail)
            return
        calibration = await asyncio.to_thread(calibrate, sample, np.stack(texts)) if texts else None
        seconds = KEPT_SECONDS if population > len(sample) else SMALL_KEPT_SECONDS
        self._keep(index, Kept(calibration, self._clock() + seconds))

    async def _texts(self, encode: EncodeText) -> list[NDArray[np.float32]]:
        """One after the other: people who search go first."""
        return [np.frombuffer(await encode(text), dtype="<f4") for text in GENERIC_TEXTS]

    def _keep(self, index: str, kept: Kept) -> None:
        self._kept[index] = kept
        self._kept.move_to_end(index)
        while len(self._kept) > CAPACITY:
            self._kept.popitem(last=False)


async def fetch_sample(elasticsearch: Index, index: str) -> tuple[Vectors, int]:
    """Random pictures of an index, at most `SAMPLE_SIZE`, and how many it has.

    They are the same for whoever asks, as long as the index does not change: the replicas of the API agree.

    Returns:
        (n, dims), unit length, and the number of pictures.

    Raises:
        IndexMissingError: there is no such index.
        Problem: Elasticsearch does not answer.
    """
    parts: list[Vectors] = []
    population = 0
    for start in range(0, SAMPLE_SIZE, PART):
        [answer] = await elasticsearch.search(index, [sample_body(start)], preference="background")
        population = answer["hits"]["total"]["value"]
        parts.append(np.array([hit["fields"][VECTOR_FIELD] for hit in answer["hits"]["hits"]], dtype=np.float32))
        if start + PART >= population:
            break
    return np.concatenate([part for part in parts if len(part)] or [_NOTHING]), population


def sample_body(start: int) -> dict[str, Any]:
    """The body of one part of a sample. The vectors come as `fields`: new indices leave them out of `_source`."""
    return {
        "query": {
            "function_score": {
                "query": {"exists": {"field": VECTOR_FIELD}},
                "random_score": {"seed": 0, "field": "_seq_no"},
                "boost_mode": "replace",
            }
        },
        "from": start,
        "size": PART,
        "track_total_hits": True,
        "_source": False,
        "fields": [VECTOR_FIELD],
    }
