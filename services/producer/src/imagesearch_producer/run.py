"""One run: every item of a source is published, found unchanged, taken down or skipped, and counted. No I/O of its own."""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from imagesearch_contract.record import ImageRecord

from imagesearch_producer.catalogue import TAKEN_DOWN, Catalogue, digest
from imagesearch_producer.sources import BadRow, Checkpoint, Item, Mended, Skip, State, Takedown, Unchanged

log = logging.getLogger(__name__)

REPORTED_SKIPS = 20
"""Of each reason so many are logged one by one; all are counted."""


class Outlet(Protocol):
    """Where a run's items go. Any of these may raise where Kafka takes no more."""

    def publish(self, key: bytes, value: bytes | None) -> None:
        """Hand over a record, or without a value a takedown."""
        ...

    def reject(self, row: BadRow) -> None:
        """Hand over a dead letter."""
        ...

    def withdraw(self, line: int) -> None:
        """Take back the dead letter of a row."""
        ...

    def save(self, state: State) -> bool:
        """Keep the state once all that was handed over has arrived; False, and nothing is kept, where some has not."""
        ...


@dataclass
class Tally:
    """What became of the items so far."""

    published: int = 0
    unchanged: int = 0
    taken_down: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    quota_reached: bool = False

    def skip(self, skip: Skip) -> None:
        """Count a skip, and log it while there are few of its kind."""
        self.skipped[skip.reason] += skip.count
        if self.skipped[skip.reason] - skip.count < REPORTED_SKIPS:
            log.warning("skipped: %s: %s", skip.reason, skip.detail)
        elif self.skipped[skip.reason] - skip.count == REPORTED_SKIPS:
            log.warning("skipped: %s: more of these are counted only", skip.reason)

    def summary(self, *, failed: int, seconds: float) -> str:
        """One line; `failed` of those published did not arrive."""
        reasons = ", ".join(f"{reason} {number}" for reason, number in self.skipped.most_common())
        return (
            f"published {self.published - failed} unchanged {self.unchanged} taken down {self.taken_down} "
            f"skipped {self.skipped.total()}{f' ({reasons})' if reasons else ''} failed {failed} in {seconds:.1f} s"
            + (" (quota reached)" if self.quota_reached else "")
        )


def run(
    items: Iterable[Item],
    catalogue: Catalogue,
    outlet: Outlet,
    tally: Tally,
    *,
    source: str,
    quota: int | None = None,
) -> None:
    """Publish the records that the topic does not hold already, and take down what is to go.

    Args:
        items: what the source yields; no further item is asked for once the quota is reached.
        catalogue: what the topic holds; what is published is added, what is met is marked as seen.
        outlet: where it all goes.
        tally: filled as the run goes, so that it can be told even where the run ends early.
        source: the source's name.
        quota: at most so many records are published; takedowns do not count.
    """
    for item in items:
        match item:
            case Skip():
                tally.skip(item)
            case Checkpoint():
                if not outlet.save(item.state):
                    return  # what did not arrive is counted, and comes again with the next run
            case BadRow():
                tally.skip(Skip("bad line", f"line {item.line}: {item.detail}"))
                outlet.reject(item)
            case Mended():
                outlet.withdraw(item.line)
            case Unchanged():
                tally.unchanged += item.count
            case Takedown():
                _take_down(item, catalogue, outlet, tally)
            case ImageRecord():
                if not _publish(item, catalogue, outlet, tally, source=source, quota=quota):
                    tally.quota_reached = True
                    return


def _publish(
    record: ImageRecord, catalogue: Catalogue, outlet: Outlet, tally: Tally, *, source: str, quota: int | None
) -> bool:
    """Publish it unless it is known; False where the quota forbids it."""
    key, value = record.id.encode(), record.to_bytes()
    fingerprint = digest(value)
    known = catalogue.digest(key)
    if not catalogue.see(key):
        # The first one counts: with the last one, two lines of one id would be published anew by every run.
        tally.skip(Skip("seen before", record.id))
    elif known == fingerprint:
        tally.unchanged += 1
    elif known == TAKEN_DOWN:
        tally.skip(Skip("taken down by hand", f"{record.id}; publish it by hand to have it back"))
    elif tally.published == quota:
        return False
    else:
        outlet.publish(key, value)
        catalogue.put(key, fingerprint, source)
        tally.published += 1
    return True


def _take_down(item: Takedown, catalogue: Catalogue, outlet: Outlet, tally: Tally) -> None:
    key = item.id.encode()
    log.info("taken down: %s: %s", item.id, item.detail)
    outlet.publish(key, None)
    catalogue.remove(key)
    tally.taken_down += 1
