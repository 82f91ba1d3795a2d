"""How a collection is counted after a fault: everything that could be wrong with it is found."""

from typing import Any

from imagesearch_contract.dead_letter import DeadLetter, Reason
from imagesearch_stack.faults.audit import Books, Document, audit

GOOD = {f"test:{n}": b"{}" for n in range(3)}


def letter(key: str | None, reason: Reason = Reason.DEAD_LINK, **place: Any) -> DeadLetter:
    at = {"partition": 0, "offset": 1, **place}
    return DeadLetter.of(reason=reason, detail="", topic="t", key=key.encode() if key else None, value=b"{}", **at)


def document(image_id: str, version: int = 1, vector: bytes = b"v") -> Document:
    return Document(image_id, version, vector)


def books(letters: tuple[DeadLetter, ...] = (), **changes: Any) -> Books:
    indexed = {key: document(key) for key in GOOD}
    return Books(**{"records": GOOD, "documents": indexed, "letters": letters, **changes})


def test_a_collection_that_adds_up_has_nothing_to_complain_of() -> None:
    dead = letter("test:dead")
    counted = audit(books((dead,), records={**GOOD, "test:dead": b"{"}), {*GOOD}, {"test:dead": Reason.DEAD_LINK})
    assert (counted.published, counted.indexed, counted.dead_lettered) == (4, 3, 1)
    assert (counted.missing, counted.duplicate, counted.wrong) == ((), (), ())


def test_missing_is_what_the_topic_or_a_source_lists_and_nobody_has() -> None:
    counted = audit(books(records={**GOOD, "test:lost": b"{}", "test:down": None}), {"test:unpublished"}, {})
    assert counted.missing == ("test:lost", "test:unpublished")
    assert counted.published == 4


def test_duplicate_is_one_id_in_two_documents_a_document_and_a_letter_and_two_letters_for_one_message() -> None:
    twice = {"test:0": document("test:0"), "other": document("test:0")}
    assert audit(books(documents=twice, records={"test:0": b"{}"}), set(), {}).duplicate == (
        "test:0 is indexed 2 times",
    )
    both = audit(books((letter("test:1"),)), set(), {"test:1": Reason.DEAD_LINK})
    assert both.duplicate == ("test:1 is indexed, and dead (dead_link)",)
    again = audit(books((letter("a"), letter("a"), letter("b", offset=2))), set(), {})
    assert again.duplicate == ("a (partition 0 offset 1) has 2 letters",)


def test_a_letter_for_something_good_a_missing_letter_and_another_reason_are_wrong() -> None:
    letters = (letter("test:good"), letter("test:page", Reason.UNREACHABLE, offset=2))
    expected = {"test:page": Reason.NOT_AN_IMAGE, "test:gone": Reason.DEAD_LINK}
    assert audit(books(letters), set(), expected).wrong == (
        "test:gone is no dead letter, expected dead_link",
        "test:good is dead_link, expected no dead letter",
        "test:page is unreachable, expected not_an_image",
    )


def test_the_digest_changes_with_every_id_version_and_vector_and_with_nothing_else() -> None:
    one = books()
    assert one.digest == books((letter("x"),), documents=dict(reversed(one.documents.items()))).digest
    changed = [document("test:0", version=2), document("test:0", vector=b"w"), document("test:9")]
    digests = {books(documents={**one.documents, "test:0": each}).digest for each in changed}
    assert len(digests | {one.digest}) == 4
