"""What every source yields: an `ImageRecord` for a photo that can be used, a `Skip` for one that cannot.

`main` picks the source, `run` consumes it. A source that cannot be read at all raises `SourceError`.
"""

from dataclasses import dataclass

from imagesearch_contract.record import ImageRecord


class SourceError(Exception):
    """The source cannot be read; the message says why and what to do, on one line."""


@dataclass(frozen=True)
class Skip:
    """Photos that are left out: a reason that can be counted, and which ones or why in words."""

    reason: str
    detail: str
    count: int = 1


Item = ImageRecord | Skip
