"""How relevant a hit is, told by what other queries find in the same collection. Pure; `background` fetches what it needs.

A score by itself says little: pictures are nearer to pictures than to texts, one model's cosines lie about 0.2 and
another's about 0, and every query has a nearest picture. So each collection has a table of its own, for texts and for
pictures: what generic queries score on a random sample of it. From that come the centre and the spread of scores, and
how many spreads above the centre a typical query's best hit lies. That hit is the unit in which all others are measured.

What is taken, and why (`bench/relevance.py` compares):
  - Fisher's z (the inverse hyperbolic tangent) of the cosines, so that a step near 1 counts for more than one near 0.
  - Median and median absolute deviation: the sample has true matches, which must not move them.
  - Centre and spread are drawn towards the query's own, as in the z-norm of speaker verification, but only by a part:
    a query for what the whole collection shows scores high everywhere, and must not be told that nothing matches.
"""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float32]
"""(n, dims), unit length."""
Modality = Literal["text", "picture"]
"""What was asked with."""

STRONG: Final = 0.6
WEAK: Final = 0.25
"""The least relevance of a strong and of a weak hit."""
OWN_WEIGHT: Final = 0.3
"""The part that a query's own centre and spread have in those by which it is measured; the typical ones have the rest."""
STEEPNESS: Final = 4.0
"""Of the logistic curve: with it, relevance on the stamps is about the share of hits that show what was asked for."""
MIN_SAMPLE: Final = 5
"""Of fewer pictures nothing can be said, and nobody needs to have them cut off."""
PICTURES: Final = 200
"""Pictures of the sample that are tried as queries."""
COPY: Final = 0.99
"""Two pictures of at least this cosine are one: nobody's typical best hit."""

_GREATEST_COSINE: Final = 0.9999
_LEAST_SPREAD: Final = 1e-3
_LEAST_BEST: Final = 1.0
"""Where all pictures are alike the table has no spread, or nothing stands out: these keep it from being divided by."""

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
"""What people search for: the queries by whose best hits those of texts are measured. They are encoded once a model."""


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
    best: float
    """How many spreads above the centre the best hit of a typical query lies."""


class Scale(NamedTuple):
    """From the scores of one search, `(1 + cosine) / 2`, to how relevant they are. Both fields in Fisher's z."""

    zero: float
    """Where unrelated pictures lie."""
    unit: float
    """From there to the best hit of a typical query."""

    def relevance(self, score: float) -> float:
        """In [0, 1], greater for a greater score; 0.5 for what the best hit of a typical query scores.

        Args:
            score: `(1 + cosine) / 2`, as Elasticsearch gives it for unit vectors.
        """
        units = (float(_fisher_z(2 * score - 1)) - self.zero) / self.unit
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

    def count(self, scores: Sequence[float], relevance: float = STRONG) -> int:
        """How many of the scores, best first, are at least so relevant."""
        return bisect_right(scores, -relevance, key=lambda score: -self.relevance(score))


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
        row = _without_copies(self.sample @ query)
        if reference is None or not len(row):
            return None
        level = _level(_fisher_z(row), reference.typical)
        return Scale(level.centre, level.spread * reference.best)


def calibrate(sample: Vectors, texts: Vectors) -> Calibration | None:
    """What queries score in a collection; None where it has too few pictures to say.

    Args:
        sample: (n, dims), random pictures of the collection, about 1000 or all.
        texts: (m, dims), `GENERIC_TEXTS` as the collection's model encodes them.
    """
    if len(sample) < MIN_SAMPLE:
        return None
    references: dict[Modality, Reference | None] = {
        "text": _reference(list(texts @ sample.T)),
        "picture": _reference([_without_copies(row) for row in sample[:PICTURES] @ sample.T]),
    }
    return Calibration(sample, references)


def _reference(rows: Sequence[NDArray[np.float32]]) -> Reference | None:
    """The reference of queries with these cosines each; None where no query has any."""
    tables = [_fisher_z(row) for row in rows if len(row)]
    if not tables:
        return None
    typical = Level.of(np.concatenate(tables))
    bests = []
    for table in tables:
        level = _level(table, typical)
        bests.append((float(table.max()) - level.centre) / level.spread)
    return Reference(typical, max(_LEAST_BEST, float(np.median(bests))))


def _level(table: NDArray[np.float32], typical: Level) -> Level:
    """By what a query with these scores is measured."""
    return typical.towards(Level.of(table), OWN_WEIGHT)


def _fisher_z(cosines: NDArray[np.float32] | float) -> NDArray[np.float32]:
    # Rounding in the quantised index can leave a cosine at 1 or a hair above, where the tangent ends.
    return np.asarray(np.arctanh(np.clip(cosines, -_GREATEST_COSINE, _GREATEST_COSINE)))


def _without_copies(cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    return cosines[cosines < COPY]
