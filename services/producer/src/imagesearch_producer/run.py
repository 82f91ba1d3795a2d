"""One run: every item of a source is published, found unchanged, or skipped, and counted. No I/O; `main` calls it."""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass, field

from imagesearch_producer.sources import Item, Skip

log = logging.getLogger(__name__)

REPORTED_SKIPS = 20
"""Of each reason so many are logged one by one; all are counted."""


@dataclass
class Tally:
    """What became of the items so far."""

    published: int = 0
    unchanged: int = 0
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
            f"published {self.published - failed} unchanged {self.unchanged} "
            f"skipped {self.skipped.total()}{f' ({reasons})' if reasons else ''} failed {failed} in {seconds:.1f} s"
            + (" (quota reached)" if self.quota_reached else "")
        )


def digest(value: bytes) -> bytes:
    """16 bytes that stand for a record's value."""
    return hashlib.blake2b(value, digest_size=16).digest()


def run(
    items: Iterable[Item],
    known: MutableMapping[bytes, bytes],
    publish: Callable[[bytes, bytes], None],
    tally: Tally,
    *,
    quota: int | None = None,
) -> None:
    """Publish the records that the topic does not hold already.

    Args:
        items: what the source yields; no further item is asked for once the quota is reached.
        known: key -> digest of the value that the topic holds; what is published is added.
        publish: called with key and value.
        tally: filled as the run goes, so that it can be told even where the run ends early.
        quota: at most so many records are published.
    """
    seen: set[bytes] = set()
    for item in items:
        if isinstance(item, Skip):
            tally.skip(item)
            continue
        key, value = item.id.encode(), item.to_bytes()
        if key in seen:
            # The first one counts: with the last one, two lines of one id would be published anew by every run.
            tally.skip(Skip("seen before", item.id))
            continue
        seen.add(key)
        if known.get(key) == (fingerprint := digest(value)):
            tally.unchanged += 1
            continue
        if tally.published == quota:
            tally.quota_reached = True
            return
        publish(key, value)
        known[key] = fingerprint
        tally.published += 1
