import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagesearch_contract.record import GeoPoint, ImageRecord, RecordError, json_schema

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = Path(__file__).parent.parent / "record.schema.json"

FULL = ImageRecord(
    id="flickr:53466812",
    url="https://live.staticflickr.com/65535/53466812_a1b2c3_z.jpg",
    thumbnail_url="https://live.staticflickr.com/65535/53466812_a1b2c3_n.jpg",
    page_url="https://www.flickr.com/photos/anna/53466812",
    title="Zwei spielende Hunde",
    description="At the lake, <b>early</b> morning.",
    tags=("dog", "hund", "日本"),
    author="Anna",
    author_id="12345678@N00",
    author_url="https://www.flickr.com/people/anna",
    license="CC-BY-2.0",
    license_url="https://creativecommons.org/licenses/by/2.0/",
    taken_at=datetime(2024, 5, 1, 6, 30, tzinfo=UTC),
    uploaded_at=datetime(2024, 5, 2, 18, 0, 5, tzinfo=UTC),
    width=640,
    height=427,
    original_width=6000,
    original_height=4000,
    content_type="photo",
    location=GeoPoint(lat=52.52, lon=13.405),
)
SMALLEST = ImageRecord(id="manifest:1", url="http://pictures.example/1.png")


@pytest.mark.parametrize(("name", "record"), [("record-full", FULL), ("record-smallest", SMALLEST)])
def test_a_record_is_written_as_its_golden_file_and_read_back(name: str, record: ImageRecord) -> None:
    golden = (GOLDEN / f"{name}.json").read_bytes().rstrip(b"\n")
    assert record.to_bytes() == golden
    assert ImageRecord.from_bytes(golden) == record


def test_the_committed_schema_is_the_models_and_accepts_the_golden_files() -> None:
    committed = json.loads(SCHEMA.read_text())
    assert committed == json_schema(), "run: make schema"
    for file in GOLDEN.glob("record-*.json"):
        jsonschema.validate(json.loads(file.read_text()), committed, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize("absent", ["schema_version", "id", "url"])
def test_the_schema_and_the_reader_both_refuse_a_record_without_a_required_field(absent: str) -> None:
    fields = json.loads(FULL.to_bytes())
    del fields[absent]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(fields, json_schema(), cls=jsonschema.Draft202012Validator)
    with pytest.raises(RecordError, match=absent):
        ImageRecord.from_bytes(json.dumps(fields).encode())


def test_a_reader_ignores_fields_that_a_newer_writer_added() -> None:
    newer = json.loads(SMALLEST.to_bytes()) | {"camera": "X100"}
    assert ImageRecord.from_bytes(json.dumps(newer).encode()) == SMALLEST


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "expected a JSON object, got list"),
        (b"null", "got NoneType"),
        (b'{"schema_version":2,"id":"a:1","url":"http://x"}', "schema_version is 2"),
        (b'{"schema_version":1,"id":"no kind","url":"http://x"}', "id:"),
        (b'{"schema_version":1,"id":"a:1","url":"file:///etc/passwd"}', "url:"),
        (b'{"schema_version":1,"id":"a:1","url":"http://x","taken_at":"2024-05-01T06:30:00"}', "taken_at:"),
        (b'{"schema_version":1,"id":"a:1","url":"http://x","width":0}', "width:"),
        (b'{"schema_version":1,"id":"a:1","url":"http://x","location":{"lat":91,"lon":0}}', "location.lat:"),
    ],
)
def test_a_value_that_is_no_record_is_refused_with_the_place_and_the_cause(value: bytes, complaint: str) -> None:
    with pytest.raises(RecordError, match=complaint.replace("[", r"\[")):
        ImageRecord.from_bytes(value)


@given(
    st.binary()
    | st.recursive(st.none() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s))
)
def test_whatever_stands_in_a_topic_the_reader_answers_with_a_record_or_a_record_error(junk: Any) -> None:
    value = junk if isinstance(junk, bytes) else json.dumps(junk).encode()
    with contextlib.suppress(RecordError):
        assert isinstance(ImageRecord.from_bytes(value), ImageRecord)
