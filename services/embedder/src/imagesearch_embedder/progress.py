"""One log line for each micro-batch: what became of its messages, how long it took, how far behind the topic we are."""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable

from imagesearch_contract.dead_letter import Reason
from pyspark.sql.streaming.listener import (
    QueryProgressEvent,
    QueryStartedEvent,
    QueryTerminatedEvent,
    StreamingQueryListener,
)

from imagesearch_embedder.embed import Outcome

log = logging.getLogger(__name__)


class Report(StreamingQueryListener):
    """Joins what the workers counted with what Spark knows of the micro-batch, and logs the line."""

    def __init__(self) -> None:
        self._tallies: dict[int, Counter[str]] = {}

    def add(self, batch: int, rows: Iterable[tuple[str, int]]) -> None:
        """Take the outcomes of a micro-batch, which may name an outcome more than once."""
        tally: Counter[str] = Counter()
        for outcome, messages in rows:
            tally[outcome] += messages
        self._tallies[batch] = tally

    def onQueryStarted(self, event: QueryStartedEvent) -> None:  # noqa: N802  Spark's name
        """Nothing to say."""

    def onQueryProgress(self, event: QueryProgressEvent) -> None:  # noqa: N802  Spark's name
        """Log the micro-batch that has ended."""
        progress = event.progress
        tally = self._tallies.pop(progress.batchId, None)
        if tally:
            behind = lag(progress.sources[0].endOffset, progress.sources[0].latestOffset)
            log.info("%s", line(progress.batchId, tally, progress.batchDuration / 1000, behind))

    def onQueryTerminated(self, event: QueryTerminatedEvent) -> None:  # noqa: N802  Spark's name
        """Nothing to say: `main` reports how the query ended."""


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
