import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from imagesearch_contract.index import (
    FINGERPRINT_FIELD,
    VECTOR_FIELD,
    IndexMeta,
    IndexMetaError,
    document,
    index_body,
    orientation,
    size,
)
from imagesearch_contract.record import ImageRecord

GOLDEN = Path(__file__).parent / "golden"
META = IndexMeta(
    namespace="default",
    collection="dogs",
    model_name="starter",
    model_version="1",
    dims=512,
    encoder_url="http://127.0.0.1:8000",
)


def test_the_index_body_is_as_in_its_golden_file() -> None:
    assert index_body(META, shards=2, replicas=1) == json.loads((GOLDEN / "index.json").read_text())


def test_the_meta_of_a_mapping_is_read_back() -> None:
    assert IndexMeta.of_mapping(index_body(META)["mappings"]) == META


@pytest.mark.parametrize(
    ("mapping", "complaint"),
    [({}, "no _meta"), ({"_meta": {}}, "no _meta"), ({"_meta": {"imagesearch": {"dims": 0}}}, "dims")],
)
def test_a_mapping_of_somebody_else_is_refused(mapping: dict[str, object], complaint: str) -> None:
    with pytest.raises(IndexMetaError, match=complaint):
        IndexMeta.of_mapping(mapping)


def test_a_document_carries_the_record_its_vector_and_who_made_it() -> None:
    record = ImageRecord.from_bytes((GOLDEN / "record-full.json").read_bytes())
    made = document(
        record, [0.6, 0.8], model="starter/1", indexed_at=datetime(2026, 1, 2, tzinfo=UTC), fingerprint="00ff"
    )
    assert made == json.loads((GOLDEN / "document.json").read_text())


def test_every_field_of_a_document_is_in_the_mapping() -> None:
    properties = index_body(META)["mappings"]["properties"]
    assert set(ImageRecord.model_fields) - {"schema_version"} <= set(properties)
    assert {VECTOR_FIELD, FINGERPRINT_FIELD, "source", "model", "indexed_at", "orientation", "size"} <= set(properties)


@pytest.mark.parametrize(
    ("width", "height", "shape"),
    [
        (1000, 999, "square"),
        (1050, 1000, "square"),
        (1000, 1050, "square"),
        (1051, 1000, "landscape"),
        (1000, 1051, "portrait"),
        (1, 1, "square"),
        (9000, 1, "landscape"),
    ],
)
def test_a_picture_is_square_as_long_as_nobody_sees_which_side_is_longer(width: int, height: int, shape: str) -> None:
    assert orientation(width, height) == shape


@pytest.mark.parametrize(
    ("width", "height", "name"),
    [(640, 479, "small"), (640, 480, "medium"), (1599, 1200, "medium"), (1200, 1600, "large")],
)
def test_a_size_is_a_number_of_pixels(width: int, height: int, name: str) -> None:
    assert size(width, height) == name


@pytest.mark.parametrize(
    ("known", "shape"),
    [
        ({"width": 640, "height": 480}, ("landscape", "medium")),
        ({"width": 500, "height": 375, "original_width": 3000, "original_height": 4000}, ("portrait", "large")),
        ({"width": 500, "height": 375, "original_width": 4000}, ("landscape", "small")),
        ({"width": 640}, (None, None)),
    ],
)
def test_a_documents_shape_is_that_of_the_largest_size_that_is_known(
    known: dict[str, int], shape: tuple[str | None, str | None]
) -> None:
    record = ImageRecord(id="a:1", url="http://a.example/1", **known)
    made = document(record, [1.0], model="m/1", indexed_at=datetime(2026, 1, 2, tzinfo=UTC))
    assert (made.get("orientation"), made.get("size")) == shape
