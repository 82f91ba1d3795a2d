"""The two small indices of the whole platform, beside those of the collections: how far embedders are, and what is reported.

    imagesearch-progress   the embedder writes, the search API reads: one document for each collection's index
    imagesearch-reports    the search API creates, the embedder looks into: one document for each picture reported

Whoever creates the collections' indices creates these too. What is about an index goes when the index is deleted.
Both are bookkeeping: where they are lost, nothing else is.
"""

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from imagesearch_contract.record import ImageId

PROGRESS_INDEX: Final = "imagesearch-progress"
"""No collection's index can have this name, or the other one: theirs have dots."""
REPORTS_INDEX: Final = "imagesearch-reports"
SIGN_OF_LIFE_SECONDS: Final = 60.0
"""An embedder writes its progress at least so often."""
MAX_REPORTS: Final = 1_000
"""Reports of one index that wait or were looked at lately; whoever reports more is refused."""

Verdict = Literal["gone", "alive", "unclear", "changed"]
"""Of a report: the picture is not there any more and was removed; it is there; nobody could say, however often it was
asked; it was published anew meanwhile, which is looked at in any case."""

_KEYWORD: Final = {"type": "keyword"}
_DATE: Final = {"type": "date"}


class _Document(BaseModel):
    # An older reader takes what a newer writer wrote.
    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_source(self) -> dict[str, Any]:
        """The document as it is written."""
        return self.model_dump(mode="json")


class Progress(_Document):
    """How far the embedder of an index is; the document's `_id` is the index's name."""

    index: str
    lag: Annotated[int, Field(ge=0)] | None = Field(description="Messages of the topic that are not done yet.")
    images_per_second: float = Field(ge=0, description="Pictures indexed in the last micro-batch; 0 at rest.")
    updated_at: AwareDatetime


class Report(_Document):
    """A picture of which somebody says that it is not there any more."""

    index: str
    """The concrete index, not the alias: each embedder looks at its own."""
    image: ImageId
    reason: Literal["dead"] = "dead"
    reported_at: AwareDatetime
    looks: int = Field(default=0, ge=0, description="How often the picture was asked for without a clear answer.")
    verdict: Verdict | None = Field(default=None, description="What was found; None while it is open.")
    due_at: AwareDatetime = Field(
        description="When it is looked at next; once there is a verdict, when it is forgotten."
    )

    @classmethod
    def of(cls, index: str, image: str, now: datetime | None = None) -> Self:
        """A new report, to be looked at at once."""
        moment = now or datetime.now(UTC)
        return cls(index=index, image=image, reported_at=moment, due_at=moment)

    @property
    def id(self) -> str:
        """The document's `_id`, one for each picture: as long as there is a report, another one is the same. (An image
        id and an index's name together may be longer than an `_id`.)"""
        return hashlib.sha256(f"{self.index}\n{self.image}".encode()).hexdigest()


def bodies() -> dict[str, dict[str, Any]]:
    """Name of each of the two indices -> the body with which it is created."""
    progress = {"index": _KEYWORD, "lag": {"type": "long"}, "images_per_second": {"type": "float"}, "updated_at": _DATE}
    report = {
        "index": _KEYWORD,
        "image": _KEYWORD,
        "reason": _KEYWORD,
        "verdict": _KEYWORD,
        "looks": {"type": "integer"},
        "reported_at": _DATE,
        "due_at": _DATE,
    }
    return {PROGRESS_INDEX: _body(progress), REPORTS_INDEX: _body(report)}


def _body(properties: dict[str, Any]) -> dict[str, Any]:
    # A copy wherever there is a second node: on a single one the index is whole all the same.
    settings = {"number_of_shards": 1, "auto_expand_replicas": "0-1", "hidden": True}
    return {"settings": settings, "mappings": {"dynamic": False, "properties": properties}}
