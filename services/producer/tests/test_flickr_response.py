"""Flickr's answers as records: the documented fields, their absence, and everything odd in between."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagesearch_contract.record import ImageRecord
from imagesearch_producer.sources import Skip, SourceError
from imagesearch_producer.sources.flickr_licenses import LICENSES, ids_of
from imagesearch_producer.sources.flickr_response import (
    MalformedAnswerError,
    Page,
    RefusedError,
    page_of,
    parse,
    record_of,
    uploaded,
    why_gone,
)

PHOTO: dict[str, Any] = {
    "id": "21805173440",
    "owner": "37386863@N03",
    "secret": "9784d42b5f",
    "server": "729",
    "farm": 1,
    "title": "Dogs & a ball",
    "ispublic": 1,
    "isfriend": 0,
    "isfamily": 0,
    "license": "4",
    "description": {
        "_content": 'Two <b>dogs</b>, see <a href="https://x.example/" rel="nofollow">here</a> &amp; there.\n'
    },
    "o_width": "4000",
    "o_height": "3000",
    "dateupload": "1444136052",
    "datetaken": "2015-10-06 14:50:30",
    "datetakengranularity": 0,
    "datetakenunknown": "0",
    "ownername": "Ada",
    "pathalias": "ada_l",
    "tags": "dog beach dog",
    "latitude": "33.746663",
    "longitude": -116.711668,
    "accuracy": 15,
    "context": 0,
    "content_type": "0",
    "media": "photo",
    "media_status": "ready",
    "url_m": "https://live.staticflickr.com/729/21805173440_9784d42b5f.jpg",
    "height_m": "375",
    "width_m": 500,
    "url_n": "https://live.staticflickr.com/729/21805173440_9784d42b5f_n.jpg",
    "url_q": "https://live.staticflickr.com/729/21805173440_9784d42b5f_q.jpg",
    "url_o": "https://live.staticflickr.com/729/21805173440_deadbeef00_o.jpg",
}


def record(**changes: object) -> ImageRecord:
    made = record_of(PHOTO | changes, {"4", "9"})
    assert isinstance(made, ImageRecord), made
    return made


def test_every_field_finds_its_place() -> None:
    assert record() == ImageRecord(
        id="flickr:21805173440",
        url="https://live.staticflickr.com/729/21805173440_9784d42b5f.jpg",
        thumbnail_url="https://live.staticflickr.com/729/21805173440_9784d42b5f_n.jpg",
        page_url="https://www.flickr.com/photos/ada_l/21805173440",
        title="Dogs & a ball",
        description="Two dogs, see here & there.",
        tags=("dog", "beach"),
        author="Ada",
        author_id="37386863@N03",
        author_url="https://www.flickr.com/photos/ada_l/",
        license="CC-BY-2.0",
        license_url="https://creativecommons.org/licenses/by/2.0/",
        taken_at=datetime(2015, 10, 6, 14, 50, 30, tzinfo=UTC),
        uploaded_at=datetime(2015, 10, 6, 12, 54, 12, tzinfo=UTC),
        width=500,
        height=375,
        original_width=4000,
        original_height=3000,
        content_type="photo",
        location={"lat": 33.746663, "lon": -116.711668},
    )


def test_a_photo_with_only_what_is_needed_is_a_record() -> None:
    bare = {"id": "7", "owner": "1@N01", "license": 4, "url_s": "https://live.staticflickr.com/7_s.jpg"}

    made = record_of(bare, {"4"})

    assert isinstance(made, ImageRecord)
    assert json.loads(made.to_bytes()).keys() == {
        "schema_version", "id", "url", "thumbnail_url", "page_url", "title", "description", "tags", "author_id", "author_url",
        "license", "license_url",
    }  # fmt: skip
    assert made.page_url == "https://www.flickr.com/photos/1@N01/7"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"id": None}, "no id"),
        ({"id": "../etc"}, "no id"),
        ({"owner": ""}, "no owner"),
        ({"owner": "a/b"}, "no owner"),
        ({"license": ""}, "no licence"),
        ({"license": "0"}, "licence not permitted"),
        ({"license": "99"}, "licence not permitted"),
        ({"license": "2"}, "licence not permitted"),
        ({"media": "video"}, "not a photo"),
        ({"url_m": None, "url_n": None, "url_q": None}, "no url"),
        ({"url_m": "ftp://x/", "url_n": 5, "url_q": ["x"]}, "no url"),
    ],
)
def test_a_photo_that_cannot_be_used_is_skipped_with_a_reason(changes: dict[str, object], reason: str) -> None:
    made = record_of(PHOTO | changes, {"4", "9"})

    assert isinstance(made, Skip)
    assert made.reason == reason


@pytest.mark.parametrize("photo", [None, "photo", 7, [PHOTO]])
def test_what_is_no_photo_at_all_is_skipped(photo: object) -> None:
    assert isinstance(record_of(photo, {"4"}), Skip)


@pytest.mark.parametrize(
    "taken", ["0000-00-00 00:00:00", "2014-00-00 00:00:00", "2015-02-30 10:00:00", "", None, "soon", 12]
)
def test_a_date_that_is_none_is_left_out(taken: object) -> None:
    assert record(datetaken=taken).taken_at is None


def test_a_date_that_flickr_guessed_is_left_out() -> None:
    assert record(datetakenunknown="1").taken_at is None
    assert record(datetakenunknown=1).taken_at is None


@pytest.mark.parametrize("uploaded", ["0", "-5", "", None, "soon", "9" * 30, 1e400])
def test_an_upload_time_that_is_none_is_left_out(uploaded: object) -> None:
    assert record(dateupload=uploaded).uploaded_at is None


def test_a_photo_without_a_place_is_not_put_on_null_island() -> None:
    assert record(latitude=0, longitude=0, accuracy=0).location is None
    assert record(latitude="91").location is None
    assert record(latitude="nan").location is None
    assert record(latitude=None).location is None


def test_huge_texts_are_cut_to_what_a_record_holds() -> None:
    made = record(title="t" * 5_000, description="ü" * 100_000, tags=" ".join(f"{n:03}" * 100 for n in range(900)))

    assert len(made.title) == 1_000
    assert len(made.description) == 10_000
    assert (len(made.tags), len(made.tags[0])) == (500, 200)


def test_text_that_no_encoding_can_hold_does_not_stop_the_photo() -> None:
    assert record(title="dog \ud800", ownername="\udfff").to_bytes().decode()


def test_a_description_as_a_plain_string_is_taken_too() -> None:
    assert record(description="a < b &lt;3").description == "a < b <3"
    assert record(description=["?"]).description == ""


@pytest.mark.parametrize(
    ("number", "content_type"),
    [("0", "photo"), (1, "screenshot"), ("2", "illustration"), ("3", "virtual"), ("7", None), (None, None), ([], None)],
)
def test_what_a_picture_is_comes_from_its_content_type(number: object, content_type: str | None) -> None:
    assert record(content_type=number).content_type == content_type


def test_the_original_is_never_fetched() -> None:
    made = record_of({**PHOTO, "url_m": None, "url_n": None, "url_q": None}, {"4"})

    assert made == Skip("no url", PHOTO["id"])


def test_an_alias_that_would_lead_elsewhere_is_not_followed() -> None:
    assert record(pathalias="../login").page_url == "https://www.flickr.com/photos/37386863@N03/21805173440"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(PHOTO)), json_values))
def test_whatever_flickr_puts_into_a_field_gives_a_record_or_a_skip(changes: dict[str, object]) -> None:
    made = record_of(PHOTO | changes, {"4"})

    assert isinstance(made, Skip) or ImageRecord.from_bytes(made.to_bytes()) == made


@pytest.mark.parametrize(
    "counts", [{"page": 1, "pages": 3, "perpage": 500, "total": "1461"}, {"page": "1", "pages": "3", "total": 1461}]
)
def test_numbers_of_a_page_may_be_strings(counts: dict[str, object]) -> None:
    answer = parse(json.dumps({"photos": {**counts, "photo": [PHOTO]}, "stat": "ok"}).encode())

    assert page_of(answer) == Page([PHOTO], pages=3, total=1461)


def test_a_failure_keeps_its_code_and_words() -> None:
    with pytest.raises(RefusedError, match=r"Invalid API Key \(Key has invalid format\) \(code 100\)") as caught:
        parse(b'{"stat":"fail","code":100,"message":"Invalid API Key (Key has invalid format)"}')

    assert caught.value.code == 100


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html></html>", b'{"photos":{"page":1,"pages":2', b"[]", b"null", b"\xff\xfe", b'{"stat":"ok"}',
        b'{"stat":"ok","photos":[]}', b'{"stat":"ok","photos":{"photo":{},"pages":1,"total":1}}',
        b'{"stat":"ok","photos":{"photo":[],"pages":"many","total":1}}', b'{"stat":"fail"}', b"[" * 100_000,
    ],
)  # fmt: skip
def test_an_answer_of_another_shape_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        page_of(parse(body))


@pytest.mark.parametrize(
    ("photo", "second"),
    [({"dateupload": "1444136052"}, 1444136052), ({"dateupload": "soon"}, 7), ({}, 7), ("photo", 7)],
)
def test_the_second_of_an_upload_is_read_where_there_is_one(photo: object, second: int) -> None:
    assert uploaded(photo, default=7) == second


@pytest.mark.parametrize(
    ("photo", "why"),
    [
        ({"license": "4", "safety_level": "0"}, None),
        ({"license": 4, "safety_level": "1"}, None),
        ({"license": "4", "safety_level": "2"}, "it is not rated as safe enough any more"),
        ({"license": "2"}, "it is under another licence now (CC-BY-NC-2.0)"),
        ({"license": "0"}, "it is under another licence now (all rights reserved)"),
        ({}, None),
        ({"license": "", "safety_level": "odd"}, None),
        ("photo", None),
    ],
)
def test_a_photo_that_is_there_is_gone_only_for_a_reason(photo: object, why: str | None) -> None:
    assert why_gone({"photo": photo}, {"4"}, safety=1) == why


def test_licences_are_asked_for_by_flickrs_ids() -> None:
    assert ids_of(["CC0-1.0", "CC-BY-2.0", "CC-BY-4.0"]) == ("4", "9", "11")
    assert "0" not in LICENSES


def test_a_licence_that_flickr_does_not_have_is_named() -> None:
    with pytest.raises(SourceError, match=r"no licence GPL-3\.0; it has CC-BY-NC-SA-2.0, "):
        ids_of(["GPL-3.0", "CC0-1.0"])
