"""How well a model finds captioned pictures: recall@k and nDCG@10, both ways, for each language. `imagesearch-model evaluate` prints it."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from imagesearch_fetcher.decode import decode
from imagesearch_fetcher.errors import DecodeError
from numpy.typing import NDArray
from PIL import Image

from imagesearch_encoder.runtime.encoder import Encoder, Vectors

KS: Final = (1, 5, 10)
DEPTH: Final = max(KS)
"""How many answers of a query are looked at."""
BATCH: Final = 32
MAX_PIXELS: Final = 40_000_000


class CaptionsError(ValueError):
    """The captions file cannot be used; the message says which line and why."""


@dataclass(frozen=True)
class Captioned:
    """A picture and what it shows, by language."""

    image: Path
    captions: dict[str, str]


class Recall(NamedTuple):
    """One row of the result."""

    language: str
    direction: str
    """`text -> image` or `image -> text`."""
    n: int
    at: dict[int, float]
    """k -> the share of queries whose own picture (or caption) is among the first k."""
    ndcg: float
    """nDCG@10: as above, but what comes first counts more; 1 where nothing comes before the right ones."""
    chance: float
    """Recall at the largest k if the order were random."""


def read_captions(path: Path) -> list[Captioned]:
    """Read JSON Lines of `{"image": "relative/path.png", "captions": {"en": "...", "de": "..."}}`.

    Raises:
        CaptionsError: the file cannot be read, or a line is not of this form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CaptionsError(f"{path} cannot be read: {error}") from error
    pictures = [_captioned(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not pictures:
        raise CaptionsError(f"{path} has no captioned pictures")
    return pictures


def evaluate(encoder: Encoder, pictures: Sequence[Captioned], *, advance: Callable[[int], None]) -> list[Recall]:
    """Measure a model.

    Pictures that share a caption are each a right answer for it; equal captions count as one query.

    Args:
        encoder: the model.
        pictures: with captions; a language is measured on the pictures that have a caption in it.
        advance: is told how many pictures have been encoded since the last call.

    Raises:
        CaptionsError: a picture is missing or cannot be decoded.
    """
    images = _encode_pictures(encoder, pictures, advance)
    languages = sorted({language for picture in pictures for language in picture.captions}, key=_english_first)
    return [row for language in languages for row in _of_language(encoder, language, pictures, images)]


def recall(similarity: NDArray[np.float32], relevant: NDArray[np.bool_], k: int) -> float:
    """The share of rows with a relevant column among their k most similar ones.

    Args:
        similarity: (queries, items).
        relevant: (queries, items); each query has at least one relevant item.
        k: at least 1.
    """
    return float(first(similarity, relevant, k).any(axis=1).mean())


def first(similarity: NDArray[np.float32], relevant: NDArray[np.bool_], k: int) -> NDArray[np.bool_]:
    """(queries, k or all there are): whether the most similar item is relevant, the second, and so on; arguments as of `recall`."""
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(relevant, nearest, axis=1)


def ndcg(found: NDArray[np.bool_], relevant: NDArray[np.int_]) -> NDArray[np.float64]:
    """Normalised discounted cumulative gain of each query: a relevant answer at rank r gains 1 / log2(r + 1).

    Args:
        found: (queries, k), whether the answer at each rank is relevant, the best first.
        relevant: (queries,), how many relevant items there are, at least 1.

    Returns:
        (queries,), from 0 to 1, which is what the best order of all items gains.
    """
    gains = 1 / np.log2(np.arange(found.shape[1]) + 2)
    best = np.cumsum(gains)[np.minimum(relevant, found.shape[1]) - 1]
    return np.asarray(found @ gains / best)


def _of_language(encoder: Encoder, language: str, pictures: Sequence[Captioned], images: Vectors) -> Iterable[Recall]:
    rows = [row for row, picture in enumerate(pictures) if language in picture.captions]
    own = [pictures[row].captions[language] for row in rows]
    captions = list(dict.fromkeys(own))
    relevant = np.array([[caption == other for other in own] for caption in captions])
    similarity = encoder.encode_text(captions) @ images[rows].T
    for direction, scores, right in (
        ("text -> image", similarity, relevant),
        ("image -> text", similarity.T, relevant.T),
    ):
        at = {k: recall(scores, right, k) for k in KS}
        gain = float(ndcg(first(scores, right, DEPTH), right.sum(axis=1)).mean())
        yield Recall(language, direction, len(scores), at, gain, min(1.0, DEPTH / scores.shape[1]))


def _encode_pictures(encoder: Encoder, pictures: Sequence[Captioned], advance: Callable[[int], None]) -> Vectors:
    vectors = np.empty((len(pictures), encoder.dims), dtype=np.float32)
    for start in range(0, len(pictures), BATCH):
        batch = pictures[start : start + BATCH]
        vectors[start : start + BATCH] = encoder.encode_image([open_picture(picture.image) for picture in batch])
        advance(len(batch))
    return vectors


def open_picture(path: Path) -> Image.Image:
    """Read a picture.

    Raises:
        CaptionsError: it is missing or cannot be decoded.
    """
    try:
        return decode(path.read_bytes(), MAX_PIXELS)
    except OSError as error:
        raise CaptionsError(f"{path} cannot be read: {error.strerror}") from error
    except DecodeError as error:
        raise CaptionsError(f"{path} cannot be decoded: {error.detail}") from error


def _captioned(path: Path, number: int, line: str) -> Captioned:
    try:
        fields = json.loads(line)
        captions = {str(language): str(text).strip() for language, text in fields["captions"].items()}
        return Captioned(path.parent / fields["image"], {language: text for language, text in captions.items() if text})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        form = '{"image": "relative/path.png", "captions": {"en": "..."}}'
        raise CaptionsError(f"{path}, line {number}: expected {form}") from error


def _english_first(language: str) -> tuple[bool, str]:
    return language != "en", language
