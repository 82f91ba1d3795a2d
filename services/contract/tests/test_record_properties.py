"""What `make fuzz` looks for at length, briefly in every run, and always at the same places."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from imagesearch_contract.record import ImageRecord

from ..fuzz.record_properties import check_message, check_record

_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_values = st.recursive(
    _scalars | st.sampled_from(["2026-01-01T00:00:00Z", "2026-02-30T24:00:00+25:00", "http://a/", "-1e999"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["lat", "lon", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)
_fields = st.dictionaries(st.sampled_from([*ImageRecord.model_fields, "unknown"]), _values, max_size=6)


def _written(fields: dict[str, Any]) -> bytes:
    return json.dumps({"schema_version": 1, "id": "flickr:1", "url": "http://a", **fields}).encode()


_messages = st.binary(max_size=60) | _fields.map(_written)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(_messages)
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"1" * 5_000)
@example(_written({"title": "\ud800"}))
@example(_written({"width": float("nan"), "location": {"lat": float("inf"), "lon": 0}}))
def test_any_value_is_a_record_that_survives_being_written_or_is_refused_in_words(value: bytes) -> None:
    check_record(value)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.none() | st.just(b"flickr:1") | st.binary(max_size=20), st.none() | _messages)
@example(b"k" * 5_000, b"{}")
def test_any_message_is_used_or_becomes_a_letter_that_kafka_takes(key: bytes | None, value: bytes | None) -> None:
    check_message(key, value)
