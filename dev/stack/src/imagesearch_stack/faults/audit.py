"""Counts a collection after a scenario: what was published and is nowhere, what is there twice. Pure; `scenarios` calls it."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

from imagesearch_contract.dead_letter import DeadLetter, Reason


class Document(NamedTuple):
    """What matters of a document in the index."""

    image_id: str
    """The field `id`, which has to be the `_id` too."""
    version: int
    vector: bytes


class Books(NamedTuple):
    """What the stores hold."""

    records: Mapping[str, bytes | None]
    """Key -> its last value in the topic; None is a takedown."""
    documents: Mapping[str, Document]
    """By `_id`."""
    letters: Sequence[DeadLetter]
    """All of them, in no order."""

    @property
    def digest(self) -> str:
        """Stands for the index: any change of an id, a version or a vector changes it."""
        found = hashlib.sha256()
        for id_, document in sorted(self.documents.items()):
            found.update(f"{id_}\0{document.image_id}\0{document.version}\0".encode() + document.vector)
        return found.hexdigest()


class Audit(NamedTuple):
    """What came out; the first three are numbers of pictures."""

    published: int
    indexed: int
    dead_lettered: int
    missing: tuple[str, ...]
    """Ids that a source or the topic lists, and that neither the index nor a dead letter has."""
    duplicate: tuple[str, ...]
    """What is there twice, in words."""
    wrong: tuple[str, ...]
    """Dead letters that should not be, that should be and are not, or that give another reason; in words."""


def audit(books: Books, listed: Set[str], poison: Mapping[str, Reason]) -> Audit:
    """Compare what was published with what came of it.

    Args:
        books: what the stores hold.
        listed: the ids that had to be published.
        poison: the ids, or keys, of all that cannot be used, each with its reason.
    """
    published = {key for key, value in books.records.items() if value is not None}
    letters = {key_of(letter): letter.reason for letter in books.letters}
    return Audit(
        published=len(published),
        indexed=len(books.documents),
        dead_lettered=len(letters),
        missing=tuple(sorted((listed | published) - books.documents.keys() - letters.keys())),
        duplicate=(*_twice_indexed(books), *_indexed_and_dead(books, letters), *_twice_dead(books)),
        wrong=tuple(_wrong(letters, poison)),
    )


def key_of(letter: DeadLetter) -> str:
    """Under which key the letter was published."""
    return letter.message_key.decode()


def _twice_indexed(books: Books) -> list[str]:
    counted = Counter(document.image_id for document in books.documents.values())
    return [f"{image_id} is indexed {times} times" for image_id, times in counted.items() if times > 1]


def _indexed_and_dead(books: Books, letters: Mapping[str, Reason]) -> list[str]:
    both = books.documents.keys() & letters.keys()
    return [f"{key} is indexed, and dead ({letters[key]})" for key in sorted(both)]


def _twice_dead(books: Books) -> list[str]:
    counted = Counter((letter.partition, letter.offset, key_of(letter)) for letter in books.letters)
    return [
        f"{key} (partition {partition} offset {offset}) has {times} letters"
        for (partition, offset, key), times in counted.items()
        if times > 1
    ]


def _wrong(letters: Mapping[str, Reason], poison: Mapping[str, Reason]) -> list[str]:
    return [
        f"{key} is {letters.get(key, 'no dead letter')}, expected {poison.get(key, 'no dead letter')}"
        for key in sorted(letters.keys() | poison.keys())
        if letters.get(key) != poison.get(key)
    ]
