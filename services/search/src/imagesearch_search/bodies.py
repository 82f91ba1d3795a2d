"""What Elasticsearch is asked, as data. Pure; `engine` sends it, `ranking` reads the answers.

A search has two rounds. The first finds the candidates: the pictures nearest by meaning, those that have the words, and how
many there are at all. They are put in one order here (`ranking`), as Elasticsearch's own fusion is no part of its free
licence. The second brings the page of that order, and what is counted over it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from imagesearch_contract.index import FINGERPRINT_FIELD, VECTOR_FIELD

from imagesearch_search.schema import DateRange, FacetName, Filters, Hit

Body = dict[str, Any]

FACET_VALUES: Final = 20
"""Values that are counted of one facet."""
_DATES: Final[Mapping[str, str]] = {"uploaded": "uploaded_at", "taken": "taken_at"}
_ONE_OF: Final = ("license", "author", "source", "content_type", "orientation", "size")
_WORDS: Final = ("title^3", "tags.text^3", "description", "author.text")
"""Where words are looked for; titles and tags say what a picture shows, descriptions tell of much else."""
_ENOUGH_WORDS: Final = "2<-30%"
"""Of one or two words all have to be there, of more some may be missing."""
_OF_THE_SEARCH: Final = {"score", "match", "has_words", "duplicates", "duplicate_ids"}
_SOURCE_FIELDS: Final = sorted(Hit.model_fields.keys() - _OF_THE_SEARCH)


def nearest(vector: Sequence[float], filters: Filters, depth: int, *, fingerprints: bool = False) -> Body:
    """The `depth` pictures nearest to a vector, in any order.

    The same for every page of a search: approximate neighbours depend on how many are looked for, so a window that
    grew with the page would repeat some pictures and lose others.

    The graph is walked by quantised vectors, and what is found there gets its score from the whole ones.
    `bench/knn.py` shows what that is worth: without it 94 in 100 of the ten nearest of 100 000 are found, with it all.

    Args:
        vector: (dims,), unit length.
        filters: applied while the graph is walked, so that `depth` pictures pass them if there are so many.
        depth: how many candidates are ranked.
        fingerprints: whether they come with the pictures.
    """
    knn: Body = {
        "field": VECTOR_FIELD,
        "query_vector": list(vector),
        "k": depth,
        "num_candidates": depth,
        "rescore_vector": {"oversample": 1},
    }
    if clauses := filter_clauses(filters):
        knn["filter"] = clauses
    return {"knn": knn, "size": depth, "track_total_hits": False, **_columns(fingerprints)}


def worded(words: str, filters: Filters, depth: int, *, fingerprints: bool = False) -> Body:
    """The pictures whose title, tags, description and author have the words, best (BM25) first, equal ones by id."""
    match = {
        "query": words,
        "fields": list(_WORDS),
        "type": "cross_fields",
        "minimum_should_match": _ENOUGH_WORDS,
    }
    return {
        "query": {"bool": {"must": [{"multi_match": match}], "filter": filter_clauses(filters)}},
        "size": depth,
        "sort": [{"_score": "desc"}, {"id": "asc"}],
        "track_total_hits": False,
        **_columns(fingerprints),
    }


def all_of(filters: Filters, depth: int, *, oldest_first: bool, fingerprints: bool = False) -> Body:
    """The pictures that pass the filters, by date of upload."""
    return {
        "query": _passing(filters),
        "size": depth,
        **_by_date(oldest_first),
        "track_total_hits": False,
        **_columns(fingerprints),
    }


def _columns(fingerprints: bool) -> Body:
    """Ids from their column: to load a thousand `_id`s from stored fields takes longer than to find them."""
    columns = ["id", FINGERPRINT_FIELD] if fingerprints else ["id"]
    return {"_source": False, "stored_fields": "_none_", "docvalue_fields": columns}


def count(filters: Filters) -> Body:
    """How many pictures pass the filters."""
    return {"query": _passing(filters), "size": 0, "track_total_hits": True}


def pictures(ids: Sequence[str]) -> Body:
    """These pictures with all that is shown of them, in any order."""
    return {"query": {"ids": {"values": list(ids)}}, "size": len(ids), "_source": _SOURCE_FIELDS}


def existence(picture: str) -> Body:
    """Whether there is this picture; nothing of it."""
    return {"query": {"ids": {"values": [picture]}}, "size": 1, "_source": False}


def by_date(ids: Sequence[str], *, start: int, size: int, oldest_first: bool) -> Body:
    """A page of these pictures, ordered by date of upload."""
    ordered = _by_date(oldest_first)
    return {"query": {"ids": {"values": list(ids)}}, "from": start, "size": size, **ordered, "_source": _SOURCE_FIELDS}


def counts(ids: Sequence[str], facets: Iterable[FacetName]) -> Body:
    """How often each value of the facets is among these pictures."""
    return {
        "query": {"ids": {"values": list(ids)}},
        "size": 0,
        "track_total_hits": False,
        "aggs": {facet: _facet(facet) for facet in facets},
    }


def _facet(facet: FacetName) -> Body:
    if facet in _DATES:
        return {
            "date_histogram": {
                "field": _DATES[facet],
                "calendar_interval": "year",
                "format": "yyyy",
                "min_doc_count": 1,
            }
        }
    return {"terms": {"field": facet, "size": FACET_VALUES}}


def without(filters: Filters, facet: FacetName) -> Filters:
    """The filters but for a facet's own."""
    return filters.model_copy(update={facet: None if facet in _DATES else ()})


def is_filtered(filters: Filters, facet: FacetName) -> bool:
    """Whether there is a filter by this facet's field."""
    return bool(getattr(filters, facet))


def filter_clauses(filters: Filters) -> list[Body]:
    """The filters as clauses of Elasticsearch's query language, all of which have to hold; none where nothing is filtered."""
    clauses: list[Body] = [{"terms": {name: list(values)}} for name in _ONE_OF if (values := getattr(filters, name))]
    clauses += [{"term": {"tags": tag}} for tag in filters.tags]
    clauses += [
        {"range": {field: _between(span)}}
        for name, field in _DATES.items()
        if (span := getattr(filters, name)) is not None
    ]
    clauses += [
        {"range": {name: {"gte": least}}}
        for name, least in (("width", filters.min_width), ("height", filters.min_height))
        if least is not None
    ]
    if filters.ids:
        clauses.append({"ids": {"values": list(filters.ids)}})
    return clauses


def _between(span: DateRange) -> Body:
    bounds: Body = {}
    if span.from_ is not None:
        bounds["gte"] = span.from_.isoformat()
    if type(span.to) is not date:
        return bounds if span.to is None else bounds | {"lte": span.to.isoformat()}
    # After the last day that there is comes none that could end it.
    return bounds if span.to == date.max else bounds | {"lt": (span.to + timedelta(days=1)).isoformat()}


def _passing(filters: Filters) -> Body:
    return {"bool": {"filter": filter_clauses(filters)}}


def _by_date(oldest_first: bool) -> Body:
    order = "asc" if oldest_first else "desc"
    return {"sort": [{"uploaded_at": {"order": order, "missing": "_last"}}, {"id": "asc"}]}
