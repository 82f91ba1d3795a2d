"""One order out of two: the pictures that are near by meaning, and those that have the words. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from imagesearch_contract.index import FINGERPRINT_FIELD
from pydantic import ValidationError

from imagesearch_search.calibration import STRONG, Scale
from imagesearch_search.problems import INDEX_UNREADABLE, Problem
from imagesearch_search.schema import MAX_DUPLICATE_IDS, FacetCount, FacetName, Hit

Scored = list[tuple[str, float]]
"""Ids with the scores that Elasticsearch gave them, best first."""

Match = Literal["strong", "weak"]
_YEARS: Final = ("uploaded", "taken")


class Ranked(NamedTuple):
    """A picture in the order of a search."""

    id: str
    score: float | None
    """`(1 + cosine) / 2`; None where it is not known."""
    has_words: bool = False
    match: Match | None = None
    """None where it cannot be told."""
    duplicates: tuple[str, ...] = ()
    """Its near duplicates, which are no answers of their own."""


def fuse(near: Scored, worded: Scored, keyword_weight: float, depth: int) -> list[Ranked]:
    """Put both lists in one order, by a weighted mean of their scores.

    The scores of each list are first spread over 0 to 1: likeness from the last candidate to the first, as only
    differences within a search mean anything; BM25 from nothing to the best. A picture that only has the words is less
    like the query than every candidate, so it counts as the last of them. This keeps how far apart pictures are, which
    a fusion of ranks forgets (Bruch et al., "An Analysis of Fusion Functions for Hybrid Retrieval", 2023).

    Args:
        near: by meaning.
        worded: by BM25.
        keyword_weight: of the words, 0 to 1.
        depth: how many are kept.
    """
    if not worded:
        return [Ranked(picture, score) for picture, score in near[:depth]]
    likeness, bm25 = dict(near), dict(worded)
    spread_likeness, spread_bm25 = _spread(likeness, floor=near[-1][1] if near else 0.0), _spread(bm25, floor=0.0)

    def place(picture: str) -> tuple[float, float, str]:
        meaning, words = spread_likeness.get(picture, 0.0), spread_bm25.get(picture, 0.0)
        return -((1 - keyword_weight) * meaning + keyword_weight * words), -meaning, picture

    ordered = sorted(likeness.keys() | bm25.keys(), key=place)[:depth]
    return [Ranked(picture, likeness.get(picture), picture in bm25) for picture in ordered]


def _spread(scores: Mapping[str, float], floor: float) -> dict[str, float]:
    """Scores -> 0 (at `floor`) to 1 (of the best)."""
    if not scores:
        return {}
    span = max(scores.values()) - floor
    return {picture: (score - floor) / span if span > 0 else 1.0 for picture, score in scores.items()}


def strong_first(pictures: Sequence[Ranked], scale: Scale) -> tuple[list[Ranked], int]:
    """The same, those that match first, and how many do: what is like the query, and what has its words.

    Args:
        pictures: best first; the order among those that match stays, and that among the others.
        scale: tells what is like the query from what is near to it by chance.
    """
    least = scale.score(STRONG)
    strong, weak = [], []
    for each in pictures:
        if each.has_words or (each.score is not None and each.score >= least):
            strong.append(each._replace(match="strong"))
        else:
            weak.append(each._replace(match="weak"))
    return strong + weak, len(strong)


def scored(answer: Mapping[str, Any]) -> Scored:
    """The candidates of an answer, best first, equal ones by id; rounding leaves some likenesses a hair above 1."""
    return sorted(
        ((_id(found), found["_score"]) for found in answer["hits"]["hits"]), key=lambda each: (-each[1], each[0])
    )


def listed(answer: Mapping[str, Any]) -> list[Ranked]:
    """The pictures of an answer that nothing was asked of but their order."""
    return [Ranked(_id(found), None) for found in answer["hits"]["hits"]]


def fingerprints(answer: Mapping[str, Any]) -> dict[str, str]:
    """Of the pictures of an answer that have one, by id."""
    return {
        _id(found): found["fields"][FINGERPRINT_FIELD][0]
        for found in answer["hits"]["hits"]
        if FINGERPRINT_FIELD in found["fields"]
    }


def _id(found: Mapping[str, Any]) -> str:
    [picture] = found["fields"]["id"]
    return str(picture)


def hits(answer: Mapping[str, Any], page: Sequence[Ranked]) -> tuple[Hit, ...]:
    """The pictures of a page, in its order; one that was deleted since it was ranked is left out.

    Raises:
        Problem: a document is not one that the embedder writes.
    """
    found = {document["_id"]: document.get("_source", {}) for document in answer["hits"]["hits"]}
    return tuple(_hit(found[ranked.id], ranked) for ranked in page if ranked.id in found)


def in_answers_order(answer: Mapping[str, Any], ranked: Sequence[Ranked]) -> tuple[Hit, ...]:
    """The pictures of an answer in the answer's own order, with what is known of them from the ranking."""
    known = {each.id: each for each in ranked}
    return tuple(_hit(found.get("_source", {}), known[found["_id"]]) for found in answer["hits"]["hits"])


def _hit(document: Mapping[str, Any], ranked: Ranked) -> Hit:
    try:
        return Hit.model_validate(
            {
                **document,
                "id": ranked.id,
                "score": None if ranked.score is None else min(max(ranked.score, 0.0), 1.0),
                "match": ranked.match,
                "has_words": ranked.has_words,
                "duplicates": len(ranked.duplicates),
                "duplicate_ids": ranked.duplicates[:MAX_DUPLICATE_IDS],
            }
        )
    except ValidationError as error:
        raise Problem(
            INDEX_UNREADABLE,
            f"The document {ranked.id!r} does not have the fields of a picture; was it written by the embedder?",
        ) from error


def facet_counts(answer: Mapping[str, Any]) -> dict[FacetName, tuple[FacetCount, ...]]:
    """What was counted, by facet: values by how many have them, years from the latest."""
    counted: dict[FacetName, tuple[FacetCount, ...]] = {}
    for facet, found in answer.get("aggregations", {}).items():
        counts = [
            FacetCount(value=str(bucket.get("key_as_string", bucket["key"])), count=bucket["doc_count"])
            for bucket in found["buckets"]
        ]
        counted[facet] = tuple(reversed(counts) if facet in _YEARS else counts)
    return counted
