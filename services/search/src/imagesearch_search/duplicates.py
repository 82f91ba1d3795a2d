"""Which pictures of a ranking are copies of one before them, by their fingerprints. Pure.

Two are near duplicates when few bits differ and their colours are about the same. Each picture stands behind the best
ranked one that it is like, and behind no other: what is like a copy of a copy may look like something else by then.
`bench/duplicates.py` shows where the bounds come from.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
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
_AT_ONCE: Final = 64
"""Rows that are compared with all before them: what is in between stays in the processor's cache."""
_FIRST: Final = 2
"""Of the four words of 64 bits, those that tell nearly every pair apart: half of their bits differ where pictures do."""


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
    return [
        each._replace(duplicates=tuple(copies[each.id])) if each.id in copies else each
        for each in pictures
        if each.id not in hidden
    ]


def _behind(fingerprints: Sequence[str]) -> dict[int, int]:
    """The place of each near duplicate -> that of the picture it stands behind."""
    if not fingerprints:
        return {}
    numbers = np.frombuffer(bytes.fromhex("".join(fingerprints)), np.uint8).reshape(len(fingerprints), -1)
    places, before = _alike(numbers)
    first: dict[int, int] = {}
    for start, end in pairwise([*np.flatnonzero(np.diff(places, prepend=-1)), len(places)]):
        found = next((int(one) for one in before[start:end] if one not in first), None)
        if found is not None:
            first[int(places[start])] = found
    return first


def _alike(fingerprints: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The places of near duplicates, in order, and beside each that of a picture before it that it is like."""
    words = np.ascontiguousarray(np.ascontiguousarray(fingerprints[:, :-_COLOURS]).view(np.uint64).T)
    found = [_near(words[:_FIRST], start, start + _AT_ONCE) for start in range(0, len(fingerprints), _AT_ONCE)]
    places, before = np.concatenate(found, axis=1)  # few: the other words and the colours are looked at for them alone
    bits = np.bitwise_count(words[:, places] ^ words[:, before]).sum(axis=0)
    colours = fingerprints[:, -_COLOURS:].astype(np.int16)
    apart = np.abs(colours[places] - colours[before]).max(axis=1)
    alike = (bits <= MAX_BITS) & (apart <= MAX_COLOUR)
    return places[alike], before[alike]


def _near(words: NDArray[np.uint64], start: int, end: int) -> NDArray[np.intp]:
    """(2, pairs): places from `start` to `end`, and those before each that differ from it in few bits of these words."""
    bits = sum(np.bitwise_count(word[start:end, None] ^ word[:end]) for word in words)
    places, before = np.nonzero(bits <= MAX_BITS)
    places += start
    return np.stack([places, before])[:, before < places]
