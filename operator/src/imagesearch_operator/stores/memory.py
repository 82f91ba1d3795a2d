"""What a store was seen to hold: the last look, and what was written since."""

import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from imagesearch_operator.facts import Unknown
from imagesearch_operator.stores.errors import StoreError

_logger = logging.getLogger(__name__)
View = TypeVar("View")


class Memory(Generic[View]):
    """The latest view of a store; `Unknown` for as long as it cannot be looked at."""

    def __init__(self, unasked: Unknown) -> None:
        """Nothing was seen yet."""
        self.seen: View | Unknown = unasked
        self._since: list[Callable[[View], View]] = []
        """What was changed since the last look began, which that look may not have seen."""

    async def look(self, read: Callable[[], Awaitable[View]]) -> None:
        """Replace the view by what `read` finds, or by why it failed (it raises `StoreError`)."""
        before = self.seen
        self._since.clear()
        try:
            seen = await read()
        except StoreError as error:
            self.seen = error.unknown
            if self.seen != before:
                _logger.warning("%s", error.message)
            return
        for change in self._since:
            seen = change(seen)
        self.seen = seen

    def note(self, change: Callable[[View], View]) -> None:
        """Know of a change without looking again."""
        self._since.append(change)
        if not isinstance(self.seen, Unknown):
            self.seen = change(self.seen)
