"""One log line for each micro-batch: what became of its messages, how long it took, how far behind the topic we are.

`metrics` gets the same numbers, and `Bulletin` writes those that people wait for where the search API finds them.
"""

import json
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from elastic_transport import TransportError
from elasticsearch import ApiError, Elasticsearch
from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.platform_indices import PROGRESS_INDEX, SIGN_OF_LIFE_SECONDS, Progress
from pyspark.sql.streaming.listener import (
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from imagesearch_embedder import metrics
from imagesearch_embedder.embed import Outcome

log = logging.getLogger(__name__)

TELL_SECONDS: Final = 5.0
"""Changes are told no more often."""
REQUEST_SECONDS: Final = 5.0


class Done(NamedTuple):
    """What the workers say of a micro-batch."""

    tally: Counter[str]
    busy: float
    """The share of the tasks' time in which their encoders worked, 0 to 1."""


class Report(StreamingQueryListener):
    """Joins what the workers counted with what Spark knows of the micro-batch, logs the line and sets the metrics."""

    def __init__(self) -> None:
        self._done: dict[int, Done] = {}
        self._last = (-1, 0.0)

    def images_per_second(self, batch: int) -> float:
        """Pictures indexed per second in a micro-batch, if it is the last one that had any; else 0."""
        number, rate = self._last
        return rate if number == batch else 0.0

    def add(self, batch: int, tasks: Iterable[tuple[Mapping[str, int], float, float]]) -> None:
        """Take the outcomes of a micro-batch's tasks, the seconds that their encoders worked, and those that they lasted."""
        tally: Counter[str] = Counter()
        encoding = lasted = 0.0
        for outcomes, task_encoding, task_seconds in tasks:
            tally.update(outcomes)
            encoding += task_encoding
            lasted += task_seconds
        self._done[batch] = Done(tally, encoding / lasted if lasted else 0.0)

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802  Spark's name
        """Nothing to say."""

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802  Spark's name
        """Log the micro-batch that has ended."""
        progress = event.progress
        behind = lag(progress.sources[0].endOffset, progress.sources[0].latestOffset)
        metrics.show_lag(behind)
        done = self._done.pop(progress.batchId, None)
        if done and done.tally:
            seconds = progress.batchDuration / 1000
            metrics.count(done.tally, seconds=seconds, busy=done.busy)
            self._last = progress.batchId, done.tally[Outcome.INDEXED] / seconds if seconds else 0.0
            log.info("%s", line(progress.batchId, done.tally, seconds, behind))

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802  Spark's name
        """Nothing to say: `main` reports how the query ended."""


class Bulletin:
    """Writes how far the embedder of an index is, for the search API to show; where it cannot, that is no fault."""

    def __init__(self, client: Elasticsearch, index: str, *, now: Callable[[], float] = time.monotonic) -> None:
        """Set up; nothing connects yet."""
        self._client, self._index, self._now = client.options(request_timeout=REQUEST_SECONDS), index, now
        self._told: tuple[int | None, float] | None = None
        self._told_at = float("-inf")
        self._failing = False

    def tell(self, behind: int | None, images_per_second: float) -> None:
        """Write what is so now, if it is news or a sign of life is due. To be called often."""
        standing = behind, round(images_per_second, 2)
        pause = SIGN_OF_LIFE_SECONDS if standing == self._told else TELL_SECONDS
        if self._now() < self._told_at + pause:
            return
        self._told_at = self._now()
        fault = self._write(
            Progress(index=self._index, lag=behind, images_per_second=standing[1], updated_at=datetime.now(UTC))
        )
        self._told = None if fault else standing
        if fault and not self._failing:
            log.warning("the search API cannot be told how far this is: %s", fault)
        self._failing = fault is not None

    def _write(self, progress: Progress) -> str | None:
        """Write; what went wrong, if anything."""
        try:
            # Writing would create a missing index, without its mapping; creating it is not ours to do.
            if not self._client.indices.exists(index=PROGRESS_INDEX):
                return f"there is no index {PROGRESS_INDEX}"
            self._client.index(index=PROGRESS_INDEX, id=progress.index, document=progress.to_source())
        except (ApiError, TransportError) as error:
            return f"{type(error).__name__}: {error}"
        return None


def line(batch: int, tally: Counter[str], seconds: float, behind: int | None) -> str:
    """The log line: `key=value`, all outcomes always, reason codes where there are failures."""
    failed = {f"failed.{reason}": tally[reason] for reason in Reason if tally[reason]}
    fields: dict[str, object] = {"batch": batch}
    fields |= {str(outcome): tally[outcome] for outcome in Outcome}
    fields |= {"failed": sum(failed.values())} | failed
    fields |= {"seconds": f"{seconds:.1f}", "lag": "unknown" if behind is None else behind}
    return " ".join(f"{key}={value}" for key, value in fields.items())


def lag(end: str | None, latest: str | None) -> int | None:
    """Messages between where the micro-batch ended and where the topic ended; those that compaction removed count too.

    Args:
        end: where the batch ended, as Spark's JSON `{"topic": {"0": 17, ...}}`.
        latest: likewise where the topic ended; Spark does not know it of a batch that it runs again after a restart.
    """
    ends: dict[str, dict[str, int]] | None
    latests: dict[str, dict[str, int]] | None
    try:
        ends, latests = json.loads(end or ""), json.loads(latest or "")
    except ValueError:
        return None
    if not ends or not latests:
        return None
    return sum(
        max(0, offset - ends.get(topic, {}).get(partition, 0))
        for topic, partitions in latests.items()
        for partition, offset in partitions.items()
    )


def cause(message: str) -> str:
    """The line that says what went wrong, from the text of a Spark error with its stack traces."""
    named = re.findall(r"^(?:\w+\.)*(\w+(?:Error|Exception): (?!Traceback).+)$", message, re.MULTILINE)
    return str(named[-1]) if named else message.strip().partition("\n")[0]
