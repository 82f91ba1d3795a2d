"""Which dead letters go back, decided over messages in memory."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from imagesearch_contract.dead_letter import CLEARS_HEADER, DeadLetter, Reason
from imagesearch_contract.settings import ReplaySettings
from imagesearch_producer.replay import Current, Sent, Tally, batches, newest, overtaken, tombstone, written

TOPIC = "imagesearch.default.birds"


@dataclass
class Said:
    """A Kafka message, as far as it is asked."""

    at: int
    k: bytes | None
    v: bytes | None = b"{}"
    part: int = 0
    h: list[Any] = field(default_factory=list)

    def key(self) -> bytes | None:
        return self.k

    def value(self) -> bytes | None:
        return self.v

    def partition(self) -> int:
        return self.part

    def offset(self) -> int:
        return self.at

    def headers(self) -> list[Any]:
        return self.h


def content(record: int, key: bytes | None = b"zoo:1", reason: Reason = Reason.DEAD_LINK, **fields: Any) -> DeadLetter:
    place = {"partition": 0, "offset": record} | fields
    return DeadLetter.of(**{"reason": reason, "detail": "", "topic": TOPIC, "key": key, "value": b"old"} | place)


def letter(at: int, *args: Any, **fields: Any) -> Said:
    dead = content(*args, **fields)
    return Said(at, dead.message_key, dead.to_bytes())


def asked(reason: Any = "all") -> ReplaySettings:
    return ReplaySettings(topic=TOPIC, reason=reason)


def of(*messages: Said, reason: Any = "all") -> dict[bytes, Any]:
    return newest(messages, asked(reason))


def going_back(current: Current, letters: dict[bytes, Any]) -> list[bytes | None]:
    """The keys of the records that go back; None for those that do not."""
    records = [current.record(one, content(0)) for one in letters.values()]
    return [record and record.key for record in records]


def test_of_each_key_the_newest_letter_counts_and_a_tombstone_clears_it() -> None:
    found = of(letter(0, 4), letter(1, 7), letter(2, 5, b"zoo:2"), Said(3, b"zoo:2", None), Said(4, b"zoo:3", b"?"))
    assert {key: one.record for key, one in found.items()} == {b"zoo:1": (0, 7)}


def test_a_letter_that_a_letter_of_another_reason_replaced_is_not_selected() -> None:
    messages = letter(0, 4), letter(1, 7, reason=Reason.TRUNCATED)
    assert of(*messages, reason=Reason.DEAD_LINK) == {}
    assert set(of(*messages, reason=Reason.TRUNCATED)) == {b"zoo:1"}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"detail": "not JSON (value cut from 1000000 to 112500 bytes)"}, id="cut"),
        pytest.param({"partition": None, "offset": None, "source": "list", "line": 3}, id="line of a source"),
        pytest.param({"topic": "imagesearch.default.dogs"}, id="another topic"),
        pytest.param({"key": None}, id="no key"),
    ],
)
def test_what_cannot_go_back_has_no_record(fields: dict[str, Any]) -> None:
    [found] = of(letter(0, 4, **fields)).values()
    assert found.record is None


def test_only_a_letter_about_the_newest_record_of_its_key_goes_back() -> None:
    found = of(letter(0, 4), letter(1, 5, b"zoo:2"), letter(2, 6, b"zoo:3"), letter(3, 99, b"zoo:4"))
    current = Current(found.values())
    for message in (Said(4, b"zoo:1"), Said(5, b"zoo:2"), Said(6, b"zoo:3"), Said(7, b"zoo:2"), Said(8, None)):
        current.see(message)
    assert going_back(current, found) == [b"zoo:1", None, b"zoo:3", None]
    current.see(Said(9, b"zoo:3", None))
    assert going_back(current, found) == [b"zoo:1", None, None, None]


def test_another_record_at_the_place_of_one_that_failed_is_another_topic_s() -> None:
    found = of(letter(0, 4))
    current = Current(found.values())
    current.see(Said(4, b"zoo:2"))
    assert going_back(current, found) == [None]


def test_a_key_that_is_no_text_is_taken_from_the_record() -> None:
    found = of(letter(0, 4, b"\xffzoo"))
    current = Current(found.values())
    current.see(Said(4, b"\xffzoo"))
    assert going_back(current, found) == [b"\xffzoo"]


def test_a_record_goes_back_as_it_was() -> None:
    """Its headers too: they say whose it is. A takedown and an empty value are the same in a letter."""
    found = of(letter(0, 4, value=b""), letter(1, 5, b"zoo:2", value=b""))
    current = Current(found.values())
    current.see(Said(4, b"zoo:1", None, h=[("source", b"list")]))
    current.see(Said(5, b"zoo:2", b""))
    assert [current.record(one, content(0, value=b"")) for one in found.values()] == [
        Sent(b"zoo:1", None, [("source", b"list")]),
        Sent(b"zoo:2", b"", []),
    ]


def test_the_second_reading_gives_the_selected_letters_and_no_later_ones() -> None:
    messages = [letter(0, 4), letter(1, 5)]
    found = of(*messages)
    again = list(written(found, [*messages, letter(2, 6), letter(3, 1, b"zoo:9")]))
    assert [one.offset for _, one in again] == [5]


def test_what_ours_overtook_is_written_again_as_it_was() -> None:
    ours, seen = {b"zoo:1": (0, 7)}, []
    messages = [
        Said(5, b"zoo:1", b"new"),
        Said(6, b"zoo:1", None, h=[("a", b"b")]),
        Said(7, b"zoo:1"),
        Said(8, b"zoo:1"),
    ]
    again = overtaken([*messages, Said(9, b"zoo:2")], ours, seen.append)
    assert again == [Sent(b"zoo:1", None, [("a", b"b")])]
    assert [message.at for message in seen] == [7, 8, 9]


def test_a_batch_is_of_bounded_number_and_size() -> None:
    [one] = of(letter(0, 4)).values()
    small, large = (one, content(4)), (one, content(4, value=b"x" * 101))
    assert list(map(len, batches([small] * 5, at_most=2))) == [2, 2, 1]
    assert list(map(len, batches([large, large, small], about_bytes=100))) == [1, 1, 1]
    assert list(batches([])) == []


def test_a_tombstone_names_the_letter_that_it_clears() -> None:
    [one] = of(letter(17, 4)).values()
    sent = tombstone(one, content(4))
    assert (sent.key, sent.value, dict(sent.headers)) == (b"zoo:1", None, {"reason": "dead_link", CLEARS_HEADER: "17"})


def test_the_summary_is_one_line() -> None:
    tally = Tally(letters=6, replayed=3, cleared=4, outdated=1, not_replayable=2)
    assert str(tally) == "replayed 3 cleared 4 outdated 1 not replayable 2 of 6 letters"
