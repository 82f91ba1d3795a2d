"""Which pictures of a ranking are copies of one before them, by their fingerprints. Pure.

Two are near duplicates when few bits differ and their colours are about the same. Each picture stands behind the best
ranked one that it is like, and behind no other: what is like a copy of a copy may look like something else by then.
`bench/duplicates.py` shows where the bounds come from.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from imagesearch_contract.index import FINGERPRINT_BYTES
from numpy.typing import NDArray

from imagesearch_search.ranking import Ranked

MAX_BITS: Final = 31
"""Of 256. Pictures that have nothing to do with each other differ in about 128."""
MAX_COLOUR: Final = 8
"""Of 0 to 255, in mean Cb and in mean Cr."""

_FORM: Final = re.compile(rf"[0-9a-f]{{{2 * FINGERPRINT_BYTES}}}")
_COLOURS: Final = 2
_AT_ONCE: Final = 128
"""Rows that are compared with all before them: what is in between stays in the processor's cache."""


def collapse(pictures: Sequence[Ranked], fingerprints: Mapping[str, str]) -> list[Ranked]:
    """The same order, near duplicates put behind the first of their kind.

    Args:
        pictures: best first.
        fingerprints: by id; a picture without one, or with one of another form, is like no other.
    """
    known = [each for each in pictures if _FORM.fullmatch(fingerprints.get(each.id, ""))]
    behind = _behind([fingerprints[each.id] for each in known])
    copies: dict[str, list[str]] = {}
    for place, first in behind.items():
        copies.setdefault(known[first].id, []).append(known[place].id)
    hidden = {known[place].id for place in behind}
    return [each._replace(duplicates=tuple(copies.get(each.id, ()))) for each in pictures if each.id not in hidden]


def _behind(fingerprints: Sequence[str]) -> dict[int, int]:
    """The place of each near duplicate -> that of the picture it stands behind."""
    if not fingerprints:
        return {}
    numbers = np.frombuffer(bytes.fromhex("".join(fingerprints)), np.uint8).reshape(len(fingerprints), -1)
    alike = _alike(numbers)
    first: dict[int, int] = {}
    for place in np.flatnonzero(alike.any(axis=1)):
        found = next((int(one) for one in np.flatnonzero(alike[place]) if one not in first), None)
        if found is not None:
            first[int(place)] = found
    return first


def _alike(fingerprints: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(n, n): whether a picture is a near duplicate of one before it."""
    words = np.ascontiguousarray(np.ascontiguousarray(fingerprints[:, :-_COLOURS]).view(np.uint64).T)
    alike = np.zeros((len(fingerprints), len(fingerprints)), np.bool_)
    for start in range(0, len(fingerprints), _AT_ONCE):
        end = start + _AT_ONCE
        pairs = (np.bitwise_count(word[start:end, None] ^ word[:end]) for word in words)
        alike[start:end, :end] = sum(pairs, np.uint16(0)) <= MAX_BITS
    alike = np.tril(alike, -1)
    one, other = np.nonzero(alike)  # few: colours are looked at where it is open yet
    colours = fingerprints[:, -_COLOURS:].astype(np.int16)
    apart = (np.abs(colours[one] - colours[other]) > MAX_COLOUR).any(axis=1)
    alike[one[apart], other[apart]] = False
    return alike
