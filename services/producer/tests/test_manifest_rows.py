"""A row of a manifest, and the formats that one is written in: what is written comes back, and what is broken is told."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import ManifestSource
from imagesearch_producer.sources import BadRow, SourceError
from imagesearch_producer.sources.manifest.formats import Format, format_of, rows_of
from imagesearch_producer.sources.manifest.json_lines import LINE_LIMIT
from imagesearch_producer.sources.manifest.row import VALUE_LIMIT, Row, record_of
from pyarrow import parquet

GOOD = {"id": "zoo:1", "url": "https://zoo.example/1.jpg", "title": "A zebra"}


def read(manifest: bytes, format: Format) -> list[ImageRecord | BadRow]:
    return list(reading(manifest, format))


def reading(manifest: bytes, format: Format) -> Iterator[ImageRecord | BadRow]:
    with closing(io.BytesIO(manifest)) as file:
        for row in rows_of(format, file, 2**30):
            yield record_of(row, None) if isinstance(row, Row) else row


def lines(*rows: object) -> bytes:
    return b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)


UNHURRIED = settings(deadline=None, max_examples=50)

# Anything that UTF-8 can say: quotes, delimiters, line ends of all kinds, zero bytes, emoji.
words = st.text(st.characters(codec="utf-8"), max_size=30)
urls = words.map("https://zoo.example/".__add__)


@st.composite
def many_records(draw: st.DrawFn) -> list[ImageRecord]:
    return [
        ImageRecord(
            id=f"zoo:{number}",
            url=draw(urls),
            page_url=draw(st.none() | urls),
            title=draw(words),
            description=draw(words),
            tags=tuple(draw(st.lists(words, max_size=3))),
            author=draw(st.none() | words.filter(bool)),
            taken_at=draw(st.none() | st.datetimes(timezones=st.just(UTC))),
            width=draw(st.none() | st.integers(1, 2**31)),
            location=draw(st.none() | st.fixed_dictionaries({"lat": st.floats(-90, 90), "lon": st.floats(-180, 180)})),
        )
        for number in range(draw(st.integers(1, 4)))
    ]


def as_cells(record: ImageRecord) -> dict[str, Any]:
    cells = record.model_dump(mode="json", exclude={"location"})
    point = record.location
    return {
        **cells,
        "tags": json.dumps(cells["tags"]) if cells["tags"] else "",
        "lat": repr(point.lat) if point else "",
        "location.lon": repr(point.lon) if point else "",
    }


@UNHURRIED
@given(many_records())
def test_json_lines_come_back_as_they_were_written(records: list[ImageRecord]) -> None:
    assert read(b"\r\n".join(record.to_bytes() for record in records), "jsonl") == records


@UNHURRIED
@given(
    many_records(),
    st.sampled_from(",;\t"),
    st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL)]),
    st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_csv_comes_back_as_it_was_written(
    records: list[ImageRecord], delimiter: str, style: tuple[str, int], encoding: str
) -> None:
    end, quoting = style
    text = io.StringIO(newline="")
    rows = [as_cells(record) for record in records]
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writeheader()
    writer.writerows(rows)

    assert read(text.getvalue().encode(encoding), "csv") == records


@UNHURRIED
@given(many_records(), st.integers(1, 3))
def test_parquet_comes_back_as_it_was_written(records: list[ImageRecord], group: int) -> None:
    assert (
        read(parquet_of([{**record.model_dump(), "taken_at": record.taken_at} for record in records], group), "parquet")
        == records
    )


PARQUET = pa.schema(
    {
        "id": pa.string(),
        "url": pa.large_string(),
        "page_url": pa.string(),
        "title": pa.string(),
        "description": pa.string(),
        "tags": pa.list_(pa.string()),
        "author": pa.dictionary(pa.int32(), pa.string()),
        "taken_at": pa.timestamp("us", "Europe/Berlin"),
        "width": pa.int64(),
        "location": pa.struct({"lat": pa.float64(), "lon": pa.float64()}),
        "embedding": pa.list_(pa.float32()),
    }
)


def parquet_of(rows: list[dict[str, Any]], group: int = 1000, schema: pa.Schema | None = PARQUET) -> bytes:
    file = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema), file, row_group_size=group)
    return file.getvalue()


def test_a_line_is_a_record_and_may_leave_out_the_version() -> None:
    assert read(lines(GOOD, {**GOOD, "id": "zoo:2", "schema_version": 1, "colour": "ignored"}), "jsonl") == [
        ImageRecord(**GOOD),
        ImageRecord(**{**GOOD, "id": "zoo:2"}),
    ]


def test_without_an_id_the_url_makes_one_that_stays() -> None:
    first, second = read(lines({"url": "https://zoo.example/1.jpg"}, {"url": "https://zoo.example/2.jpg"}), "jsonl")

    assert isinstance(first, ImageRecord)
    assert isinstance(second, ImageRecord)
    assert first.id == "manifest:8f07bb5f6d2afe611d1eec7aefc10043"
    assert first.id != second.id


def test_null_is_as_good_as_absent() -> None:
    assert read(lines({**GOOD, "tags": None, "width": None, "description": None}), "jsonl") == [ImageRecord(**GOOD)]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{", "Expecting property name"),
        (b'"text"', "expected a JSON object, got str"),
        (b"\xff\xfe\x00", "'utf-8' codec can't decode"),
        (b"[" * 100_000, ""),
        (b'{"id":"zoo:2"}', "url: Field required"),
        (b'{"url":"https://zoo.example/\\ud800"}', "url: "),
        (b'{"url":"photos/2.jpg"}', "'photos/2.jpg' is not an http(s) URL"),
        (b'{"url":"https://zoo.example/2.jpg","id":"no colon"}', "id: String should match"),
        (b'{"url":"https://zoo.example/2.jpg","schema_version":2}', "schema_version: Input should be 1"),
        (b'{"url":"https://zoo.example/2.jpg","taken_at":"2024-01-01T00:00:00"}', "taken_at: "),
        (b'{"url":"' + b"x" * LINE_LIMIT + b'"}', f"longer than {LINE_LIMIT} bytes"),
    ],
)
def test_a_bad_line_is_told_by_its_number_and_its_neighbours_go_on(line: bytes, fault: str) -> None:
    before, bad, after = read(lines(GOOD, line, {**GOOD, "id": "zoo:3"}), "jsonl")

    assert isinstance(before, ImageRecord)
    assert isinstance(bad, BadRow)
    assert bad.line == 2
    assert bad.detail.startswith(fault)
    assert len(bad.value) <= VALUE_LIMIT
    assert isinstance(after, ImageRecord)


def test_a_bad_row_tells_its_photo_where_it_can() -> None:
    (bad, other) = read(lines({**GOOD, "width": -1}, {"url": "https://zoo.example/1.jpg", "width": -1}), "jsonl")

    assert isinstance(bad, BadRow)
    assert isinstance(other, BadRow)
    assert bad.id == "zoo:1"
    assert json.loads(bad.value) == {**GOOD, "width": -1}
    assert other.id == "manifest:8f07bb5f6d2afe611d1eec7aefc10043"


def test_blank_lines_windows_line_ends_and_a_byte_order_mark_are_no_faults() -> None:
    record, bad = read(b"\xef\xbb\xbf" + json.dumps(GOOD).encode() + b"\r\n\r\n  \n" + b'{"url":"x"}', "jsonl")

    assert record == ImageRecord(**GOOD)
    assert isinstance(bad, BadRow)
    assert bad.line == 4


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (b'a,"b"c', "',' expected after '\"'"),
        (b"a", "1 cells, and the header has 3"),
        (b"a,b,c,d", "4 cells, and the header has 3"),
        (b"zoo:2,zoo.jpg,", "'zoo.jpg' is not an http(s) URL"),
        (b"zoo:2,https://zoo.example/\xff,", "url: "),
        (b"zoo:2,https://zoo.example/2.jpg,[1", "tags: begins with [ and is no JSON list: "),
    ],
)
def test_a_bad_row_of_csv_is_told_by_the_line_it_begins_on(row: bytes, fault: str) -> None:
    first, bad, after = read(
        b'id,url,tags\n"zoo:1",https://zoo.example/1.jpg,"a\nb;c"\n' + row + b"\nzoo:3,https://zoo.example/3.jpg,\n",
        "csv",
    )

    assert isinstance(first, ImageRecord)
    assert first.tags == ("a\nb", "c")
    assert isinstance(bad, BadRow)
    assert (bad.line, bad.detail[: len(fault)]) == (4, fault)
    assert isinstance(after, ImageRecord)
    assert after.tags == ()


@pytest.mark.parametrize(
    ("manifest", "format", "fault"),
    [
        (lines(GOOD, b'{"url":"https://zo'), "jsonl", "ends in the middle of line 2: Unterminated string"),
        (b"url,title\nhttps://zoo.example/1.jpg,a\nhttps://zo", "csv", "ends in the middle of line 3: 1 cells"),
        (b'url,title\nhttps://zoo.example/1.jpg,"a\n', "csv", "opens a quote on line 2 that nothing closes"),
        (b'url,title\nx,"' + b"long\n" * 100_000, "csv", "opens a quote on line 2 that nothing closes"),
        (b"url,title\n" + b"x" * (LINE_LIMIT + 1), "csv", "has a line of more than 1048576 characters, line 2"),
        (b"link,title\n", "csv", "names no column url in its header; is it CSV, in UTF-8? It begins 'link,title"),
        (b"url,title,title\n", "csv", "names a column twice in its header"),
        (b"PAR1PAR1", "parquet", "is not a whole Parquet file: "),
        (parquet_of([GOOD])[:-20], "parquet", "is not a whole Parquet file: "),
        (parquet_of([{"link": "x"}], schema=None), "parquet", "has no column url, but link"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_manifest_that_is_cut_off_or_of_another_kind_is_told(manifest: bytes, format: Format, fault: str) -> None:
    with pytest.raises(SourceError) as told:
        read(manifest, format)

    assert str(told.value).startswith(fault)


def test_a_parquet_file_is_refused_for_what_its_columns_unpack_to() -> None:
    file = io.BytesIO(parquet_of([{**GOOD, "id": f"zoo:{number}"} for number in range(1000)]))

    with pytest.raises(SourceError, match=r"unpacks to \d+ bytes, more than 1000"):
        list(rows_of("parquet", file, 1000))


def test_a_version_is_a_number_in_csv_too() -> None:
    good, bad, worse = read(b"url,schema_version\nhttps://a/,1\nhttps://a/,one\nhttps://a/," + b"1" * 5000, "csv")

    assert isinstance(good, ImageRecord)
    assert isinstance(bad, BadRow)
    assert isinstance(worse, BadRow)


def test_a_damaged_page_of_parquet_is_told() -> None:
    whole = bytearray(parquet_of([{**GOOD, "id": f"zoo:{number}"} for number in range(1000)]))
    whole[20:400] = bytes(380)

    with pytest.raises(SourceError, match="is not a whole Parquet file: "):
        read(bytes(whole), "parquet")


def test_a_table_as_pandas_writes_it_is_read() -> None:
    import pandas as pd

    file = io.BytesIO()
    moment = pd.Timestamp("2024-05-31T12:00:00.123456789Z")
    pd.DataFrame(
        {"url": [GOOD["url"], GOOD["url"]], "id": ["zoo:1", "zoo:2"], "taken_at": [moment, None], "width": [640, None]}
        | {"lat": [0.0, None], "lon": [13.4, None], "tags": ["a; b", None]}
    ).to_parquet(file)

    first, second = read(file.getvalue(), "parquet")

    assert isinstance(first, ImageRecord)
    assert first.model_dump(mode="json", exclude_defaults=True, exclude_none=True) == {
        "id": "zoo:1", "url": GOOD["url"], "tags": ["a", "b"], "taken_at": "2024-05-31T12:00:00.123456+00:00",
        "width": 640, "location": {"lat": 0.0, "lon": 13.4},
    }  # fmt: skip
    assert second == ImageRecord(id="zoo:2", url=GOOD["url"])


@pytest.mark.parametrize(
    ("name", "head", "format"),
    [
        ("a.csv", b"", "csv"),
        ("a.TSV.gz", b"", "csv"),
        ("a.jsonl", b"url,title", "jsonl"),
        ("a.parquet", b"", "parquet"),
        ("https://zoo.example/a.csv.gz?v=1.parquet", b"", "csv"),
        ("https://zoo.example/export?format=csv", b"\xef\xbb\xbfurl;title\n", "csv"),
        ("manifest", b'"title","url"\r\n', "csv"),
        ("manifest", b"PAR1", "parquet"),
        ("manifest", b' \n{"url":"x"}', "jsonl"),
        ("manifest", b"<html>", "jsonl"),
        ("manifest.gz", b"", "jsonl"),
    ],
)
def test_the_format_is_told_by_the_name_else_by_the_first_bytes(name: str, head: bytes, format: str) -> None:
    assert format_of(ManifestSource(url=name), io.BytesIO(head)) == format
    assert format_of(ManifestSource(url=name, format="csv"), io.BytesIO(head)) == "csv"


def test_without_pyarrow_parquet_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(SourceError, match=r"needs pyarrow: pip install 'imagesearch-producer\[parquet\]'"):
        read(b"PAR1", "parquet")


@UNHURRIED
@given(st.binary(max_size=300), st.sampled_from(["jsonl", "csv", "parquet"]))
def test_any_bytes_give_records_bad_rows_or_an_error_in_words(manifest: bytes, format: Format) -> None:
    with suppress(SourceError):
        assert all(isinstance(item, ImageRecord | BadRow) for item in read(manifest, format))
