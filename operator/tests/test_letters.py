"""Dead letters counted by reason, message by message."""

import pytest
from imagesearch_contract.dead_letter import DeadLetter, Reason
from imagesearch_operator.stores.letters import Tally


def letter(tally: Tally, offset: int, reason: str = "dead_link") -> None:
    tally.take(offset, b"{}", {"reason": reason.encode()})


def tombstone(tally: Tally, offset: int, clears: int | None, reason: str = "dead_link") -> None:
    headers = {"reason": reason.encode()} | ({} if clears is None else {"clears": str(clears).encode()})
    tally.take(offset, None, headers)


def counts(tally: Tally) -> dict[str, int]:
    return {reason: count for reason, count in tally.counts.items() if count}


def test_letters_count_up_and_tombstones_down() -> None:
    tally = Tally(0)
    letter(tally, 0)
    letter(tally, 1)
    letter(tally, 2, "truncated")
    tombstone(tally, 3, clears=1)
    assert counts(tally) == {"dead_link": 1, "truncated": 1}
    assert tally.next == 4


def test_a_letter_without_a_header_is_read_and_what_is_none_counts_as_unreadable() -> None:
    tally = Tally(0)
    old = DeadLetter.of(reason=Reason.TOO_LARGE, detail="", topic="t", partition=0, offset=1, key=b"k", value=b"")
    tally.take(0, old.to_bytes(), {})
    tally.take(1, b"hello", {})
    assert counts(tally) == {"too_large": 1, "unreadable": 1}


def test_a_tombstone_whose_letter_compaction_has_taken_counts_nothing() -> None:
    tally = Tally(0)
    letter(tally, 0)
    tombstone(tally, 2, clears=1)  # offset 1 is missing
    assert counts(tally) == {"dead_link": 1}
    letter(tally, 3)
    tombstone(tally, 4, clears=3)
    assert counts(tally) == {"dead_link": 1}


def test_a_tombstone_that_comes_when_all_was_counted_is_about_one_of_them() -> None:
    tally = Tally(0)
    letter(tally, 0)
    letter(tally, 5)  # what was between is compacted away
    tally.reach_end(6)
    tombstone(tally, 6, clears=0)
    assert counts(tally) == {"dead_link": 1}


@pytest.mark.parametrize("clears", [None, 0])
def test_no_count_falls_below_none(clears: int | None) -> None:
    tally = Tally(0)
    letter(tally, 0)
    tombstone(tally, 1, clears)
    tombstone(tally, 2, clears)
    assert counts(tally) == {}
