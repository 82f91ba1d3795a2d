"""What the API answers. Fields that it gains later are ignored, so that an older client goes on working."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True)
class _Result:
    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """The result of an object of the API's JSON."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in answer.items() if name in known})


@dataclass(frozen=True)
class Hit(_Result):
    """A picture that was found, with what its source says about it; see the API's schema `Hit`."""

    id: str
    url: str
    score: float | None = None
    match: str | None = None
    has_words: bool = False
    duplicates: int = 0
    duplicate_ids: tuple[str, ...] = ()
    thumbnail_url: str | None = None
    page_url: str | None = None
    title: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    author: str | None = None
    author_url: str | None = None
    license: str | None = None
    license_url: str | None = None
    taken_at: datetime | None = None
    uploaded_at: datetime | None = None
    width: int | None = None
    height: int | None = None
    location: Mapping[str, float] | None = None
    source: str | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """The hit of an object of the API's JSON."""
        moments = {
            name: datetime.fromisoformat(answer[name]) for name in ("taken_at", "uploaded_at") if answer.get(name)
        }
        lists = {name: tuple(answer.get(name, ())) for name in ("tags", "duplicate_ids")}
        return super().of({**answer, **moments, **lists})


@dataclass(frozen=True)
class FacetCount(_Result):
    """How many of the pictures that were found have a value."""

    value: str
    count: int


@dataclass(frozen=True)
class Page(_Result):
    """One page of hits, best first; see the API's schema `SearchResponse`."""

    collection: str
    model: str
    took_ms: float
    size: int
    total: int
    available: int
    next_from: int | None
    hits: tuple[Hit, ...]
    strong: int | None = None
    collapsed: int = 0
    degraded: bool = False
    facets: Mapping[str, tuple[FacetCount, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """The page of an object of the API's JSON."""
        facets = {name: tuple(map(FacetCount.of, counts)) for name, counts in answer.get("facets", {}).items()}
        return super().of({**answer, "hits": tuple(map(Hit.of, answer["hits"])), "facets": facets})


@dataclass(frozen=True)
class Collection(_Result):
    """A collection that can be searched; see the API's schema `CollectionSummary`."""

    collection: str
    name: str
    namespace: str
    images: int
    model: str
    dims: int
    status: str | None = None
    """`up_to_date`, `indexing` or `silent`; None where nothing is known."""
    lag: int | None = None
    images_per_second: float | None = None
    updated_at: datetime | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """The collection of an object of the API's JSON."""
        moment = answer.get("updated_at")
        return super().of({**answer, "updated_at": datetime.fromisoformat(moment) if moment else None})
