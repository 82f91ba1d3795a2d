"""Why a picture could not be had: the two errors this package raises, with the contract's reason codes."""

from functools import partial
from typing import Any

from imagesearch_contract.dead_letter import Reason


class _ReasonedError(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[Any, ...]:
        # The default would call the class with the message alone; Spark and decode pools pickle errors.
        return type(self), (self.reason, self.detail)


class FetchError(_ReasonedError):
    """A URL gave no bytes. `detail` is one sentence for operators; it may name internal addresses, so users never see it.

    `gone`: the server has said for certain that nothing is there (any more), of a DEAD_LINK.
    """

    def __init__(self, reason: Reason, detail: str, *, gone: bool = False) -> None:
        super().__init__(reason, detail)
        self.gone = gone

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), gone=self.gone), (self.reason, self.detail)


class DecodeError(_ReasonedError):
    """Bytes gave no picture. `detail` is one sentence for people."""
