from datetime import UTC, datetime
from pathlib import Path

import pytest
from imagesearch_contract.dead_letter import DeadLetter, Reason
from pydantic import ValidationError

GOLDEN = Path(__file__).parent / "golden"


def letter(key: bytes | None, value: bytes) -> DeadLetter:
    return DeadLetter.of(
        reason=Reason.DEAD_LINK,
        detail="the server answered 404",
        topic="imagesearch.default.dogs",
        partition=2,
        offset=17,
        key=key,
        value=value,
        failed_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    )


def test_a_dead_letter_is_written_as_its_golden_file_and_read_back() -> None:
    golden = (GOLDEN / "dead-letter.json").read_bytes().rstrip(b"\n")
    dead = letter(b"flickr:1", b'{"id":"flickr:1"}')
    assert dead.to_bytes() == golden
    assert DeadLetter.from_bytes(golden) == dead


@pytest.mark.parametrize("value", [b'{"id":"flickr:1"}', b"\xff\x00binary", b"", "größer".encode()])
def test_the_original_bytes_can_be_had_back_for_a_replay(value: bytes) -> None:
    assert DeadLetter.from_bytes(letter(b"k", value).to_bytes()).original_value() == value


def test_a_letter_is_keyed_by_the_image_and_by_its_place_where_there_is_no_key() -> None:
    assert letter(b"flickr:1", b"").message_key == b"flickr:1"
    assert letter(None, b"").message_key == b"2/17"


def test_what_never_got_into_a_topic_is_keyed_by_its_line() -> None:
    row = DeadLetter.of(
        reason=Reason.BAD_RECORD,
        detail="no url",
        topic="imagesearch.default.dogs",
        source="list",
        line=12,
        key=None,
        value=b"zoo:1,,",
    )
    assert row.message_key == b"list/12"
    assert DeadLetter.from_bytes(row.to_bytes()) == row


def test_letters_from_before_there_were_lines_are_read() -> None:
    text = letter(b"k", b"").to_bytes().replace(b'"source":null,"line":null,', b"")
    assert b"line" not in text
    assert DeadLetter.from_bytes(text) == letter(b"k", b"")


def test_a_reason_that_is_not_in_the_contract_is_refused() -> None:
    text = letter(b"k", b"").to_bytes().replace(b"dead_link", b"bad_luck")
    with pytest.raises(ValidationError, match="reason"):
        DeadLetter.from_bytes(text)
