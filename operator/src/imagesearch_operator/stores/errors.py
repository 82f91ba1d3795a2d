"""What goes wrong with a store."""

from imagesearch_operator.facts import Unknown


class StoreError(Exception):
    """A store refused, or does not answer."""

    def __init__(self, reason: str, message: str) -> None:
        """Say why, in CamelCase and in words."""
        super().__init__(message)
        self.reason = reason
        self.message = message

    @property
    def unknown(self) -> Unknown:
        """The answer to a question that could not be asked."""
        return Unknown(self.reason, self.message)
