"""How relevant a hit is, told by what generic queries score in the same collection. Pure; `background` fetches the parts.

A score by itself says little: pictures are nearer to pictures than to texts, one model's cosines lie about 0.2 and
another's about 0, and every query has a nearest picture. So a random sample of the collection is asked generic queries,
once for texts and once for pictures, and a query's scores are measured by theirs:
  - Zero is where unrelated pictures lie: the median. It and the median absolute deviation, in which distances are
    counted, are robust, for the sample has true matches. They are drawn towards the query's own, as in the z-norm of
    speaker verification, but by a part only: of what the whole collection shows, every picture is a match.
  - One is a typical match: what a picture scores for the one of the generic queries that fits it best. Not what a query
    scores for the picture that fits it best: the collection may have nothing for it.
  - In between counts Fisher's z (the inverse hyperbolic tangent) of the cosine: a step near 1 is a long one.
A logistic curve makes relevance of it. `bench/relevance.py` compares this with other ways.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
"""(n, dims), unit length."""
Modality = Literal["text", "picture"]
"""What was asked with."""

STRONG: Final = 0.4
WEAK: Final = 0.25
"""The least relevance of a strong and of a weak hit. A typical match has 0.5, and some matches are a little weaker."""
OWN_WEIGHT: Final = 0.3
"""The part that a query's own centre and spread have in those by which it is measured; the typical ones have the rest."""
STEEPNESS: Final = 4.0
"""Of the logistic curve: with it, relevance is about the share of hits that show what was asked for, on the stamps."""
MIN_SAMPLE: Final = 5
"""Of fewer pictures nothing can be said, and nobody needs to have them cut off."""
FITTING: Final = 0.75
"""The quantile of the sample's pictures by what the generic query that fits each best scores for it: many show nothing
of what was asked for, and for the upper quarter the best of the queries does fit."""
PICTURES: Final = 200
"""Pictures of the sample that are tried as queries."""
COPY: Final = 0.99
"""Two pictures of at least this cosine are one: that one finds the other says nothing."""

_GREATEST_COSINE: Final = 0.9999
"""The tangent ends at 1, where rounding in a quantised index can leave a cosine, or a hair above."""
_LEAST_SPREAD: Final = 1e-3
"""Where all pictures are alike there is no other."""
LEAST_MATCH: Final = 1.0
GREATEST_MATCH: Final = 8.0
"""Bounds of what a typical match is taken for, in spreads: where nothing stands out nothing is a match, and what stands
out so far is one, however much farther others do."""

# fmt: off
GENERIC_TEXTS: Final = (
    "person", "child", "crowd", "portrait", "wedding", "dog", "cat", "horse", "cow", "bird", "fish", "butterfly",
    "snake", "tree", "forest", "flower", "fruit", "vegetables", "bread", "cake", "coffee", "bottle", "kitchen",
    "chair", "bed", "lamp", "window", "clock", "book", "scissors", "coin", "bag", "umbrella", "hat", "dress", "shoes",
    "computer", "telephone", "camera", "guitar", "painting", "church", "castle", "bridge", "house", "street", "car",
    "bicycle", "train", "ship", "airplane", "moon", "clouds", "snow", "fire", "sunset", "mountain", "beach", "river",
    "garden", "hammer", "ball", "flag", "map",
)
# fmt: on
"""What people search for and pictures show."""


class Verdict(StrEnum):
    """What a hit is called; a search whose best hit is `none` found nothing."""

    STRONG = "strong"
    WEAK = "weak"
    NONE = "none"


class Level(NamedTuple):
    """Where a set of scores lies, in Fisher's z."""

    centre: float
    spread: float

    @classmethod
    def of(cls, table: NDArray[np.floating]) -> "Level":
        """Median and median absolute deviation, the latter in standard deviations of a normal distribution."""
        centre = float(np.median(table))
        return cls(centre, max(_LEAST_SPREAD, 1.4826 * float(np.median(np.abs(table - centre)))))

    def towards(self, other: "Level", weight: float) -> "Level":
        """The average of the two, `weight` being that of the other."""
        return Level(*(mine + weight * (its - mine) for mine, its in zip(self, other, strict=True)))


class Reference(NamedTuple):
    """What the queries of one modality score in a collection."""

    typical: Level
    match: float
    """How many spreads above the centre a picture lies for a query that fits it."""


class Scale(NamedTuple):
    """From the scores of one search, `(1 + cosine) / 2`, to how relevant they are. Both fields in Fisher's z."""

    zero: float
    """Where unrelated pictures lie."""
    unit: float
    """From there to a typical match."""

    def relevance(self, score: float) -> float:
        """In [0, 1], greater for a greater score; 0.5 for what a typical match scores.

        Args:
            score: `(1 + cosine) / 2`, as Elasticsearch gives it for unit vectors.
        """
        cosine = min(max(2 * score - 1, -_GREATEST_COSINE), _GREATEST_COSINE)
        units = (math.atanh(cosine) - self.zero) / self.unit
        return (1 + math.tanh(STEEPNESS / 2 * (units - 1))) / 2

    def verdict(self, score: float) -> Verdict:
        """What to call a hit of this score."""
        relevance = self.relevance(score)
        if relevance >= STRONG:
            return Verdict.STRONG
        return Verdict.WEAK if relevance >= WEAK else Verdict.NONE

    def score(self, relevance: float) -> float:
        """The inverse of `relevance`, which is to lie between 0 and 1: the score at which to cut off."""
        units = 1 + math.atanh(2 * relevance - 1) * 2 / STEEPNESS
        return (1 + math.tanh(self.zero + self.unit * units)) / 2


@dataclass(frozen=True, eq=False)
class Calibration:
    """The sample of one collection, and what queries score on it."""

    sample: Vectors
    references: Mapping[Modality, Reference | None]

    def scale(self, query: NDArray[np.float32], modality: Modality) -> Scale | None:
        """The scale of one search; None where the collection is nothing but copies of one picture.

        Args:
            query: (dims,), unit length.
            modality: what the query is the vector of.
        """
        reference = self.references[modality]
        cosines = self.sample @ query
        counts = cosines < COPY
        if reference is None or not counts.any():
            return None
        level = _level(_fisher_z(cosines[counts]), reference.typical)
        return Scale(level.centre, level.spread * reference.match)


def calibrate(sample: Vectors, texts: Vectors) -> Calibration | None:
    """What queries score in a collection; None where it has too few pictures to say.

    Args:
        sample: (n, dims), random pictures of the collection, about 1000 or all.
        texts: (m, dims), `GENERIC_TEXTS` as the collection's model encodes them.
    """
    if len(sample) < MIN_SAMPLE:
        return None
    return Calibration(
        sample, {"text": _reference(texts @ sample.T), "picture": _reference(sample[:PICTURES] @ sample.T)}
    )


def _reference(cosines: NDArray[np.float32]) -> Reference | None:
    """What these queries say of the sample; None where it is nothing but their copies.

    Args:
        cosines: (queries, n).
    """
    table, counts = _fisher_z(cosines), cosines < COPY
    if not counts.any():
        return None
    typical = Level.of(table[counts])
    spreads = np.full(table.shape, -np.inf)
    for found, row, counted in zip(spreads, table, counts, strict=True):
        if counted.any():
            level = _level(row[counted], typical)
            found[counted] = (row[counted] - level.centre) / level.spread
    best = spreads.max(axis=0)
    match = np.quantile(best[np.isfinite(best)], FITTING)
    return Reference(typical, float(np.clip(match, LEAST_MATCH, GREATEST_MATCH)))


def _level(table: NDArray[np.float32], typical: Level) -> Level:
    """By what a query with these scores is measured."""
    return typical.towards(Level.of(table), OWN_WEIGHT)


def _fisher_z(cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.arctanh(np.clip(cosines, -_GREATEST_COSINE, _GREATEST_COSINE))
