"""Why a picture could not be had: the two errors this package raises, with the contract's reason codes."""

from imagesearch_contract.dead_letter import Reason


class _ReasonedError(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["_ReasonedError"], tuple[Reason, str]]:
        # The default would call the class with the message alone; Spark and decode pools pickle errors.
        return type(self), (self.reason, self.detail)


class FetchError(_ReasonedError):
    """A URL gave no bytes. `detail` is one sentence for operators; it may name internal addresses, so users never see it."""


class DecodeError(_ReasonedError):
    """Bytes gave no picture. `detail` is one sentence for people."""
