"""How far a manifest is, as its source remembers it from one run to the next."""

from typing import Final, Self

from imagesearch_contract.settings import ManifestSource
from imagesearch_fetcher.fetch import Validators
from pydantic import BaseModel, ConfigDict, ValidationError

from imagesearch_producer.sources import Checkpoint, State
from imagesearch_producer.sources.manifest.content import Content

READER: Final = 1
"""Goes up when the same manifest would give other records than before, so that each is read again."""


class Progress(BaseModel):
    """One manifest, and how much of it is in Kafka."""

    model_config = ConfigDict(frozen=True)

    url: str
    format: str
    reader: int = READER
    digest: str = ""
    etag: str | None = None
    last_modified: str | None = None
    line: int = 0
    """All rows up to it are in Kafka."""
    known: int | None = None
    """Photos of the source that the topic held before the first row of this pass; None before a pass has begun."""
    records: int | None = None
    """How many the whole manifest has; None before its end was reached."""

    @classmethod
    def of(cls, state: State, source: ManifestSource) -> Self:
        """What is remembered, as far as it is of this very source; else the beginning."""
        fresh = cls(url=source.url, format=source.format)
        try:
            kept = cls.model_validate(state)
        except ValidationError:
            return fresh
        same = (kept.url, kept.format, kept.reader) == (fresh.url, fresh.format, fresh.reader)
        return kept if same else fresh

    @property
    def validators(self) -> Validators | None:
        """To ask the server with; None while rows are still to be read, changed or not."""
        return None if self.records is None else Validators(self.etag, self.last_modified)

    def at(self, content: Content) -> Self:
        """Where this content puts us: as far as before if it is the one that was read then, else at its first row."""
        same = content.digest == self.digest
        return self.model_copy(
            update={
                "digest": content.digest,
                "etag": content.validators.etag,
                "last_modified": content.validators.last_modified,
                "line": self.line if same else 0,
                "records": self.records if same else None,
            }
        )

    def begun(self, known: int) -> Self:
        """With the photos that the topic holds; those that a killed run found, and not what it added, where there was one."""
        return self if self.known is not None else self.model_copy(update={"known": known})

    def up_to(self, line: int) -> Checkpoint:
        """To be kept once the rows up to a line have arrived."""
        return Checkpoint(self.model_copy(update={"line": line}).state())

    def ended(self, records: int) -> Checkpoint:
        """To be kept once all has arrived."""
        return Checkpoint(self.model_copy(update={"line": 0, "known": None, "records": records}).state())

    def state(self) -> State:
        """As it is kept."""
        return self.model_dump(exclude_none=True)
