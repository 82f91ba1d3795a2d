import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from imagesearch_contract.index import VECTOR_FIELD, IndexMeta, IndexMetaError, document, index_body
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
    made = document(record, [0.6, 0.8], model="starter/1", indexed_at=datetime(2026, 1, 2, tzinfo=UTC))
    assert made == json.loads((GOLDEN / "document.json").read_text())


def test_every_field_of_a_document_is_in_the_mapping() -> None:
    properties = index_body(META)["mappings"]["properties"]
    assert set(ImageRecord.model_fields) - {"schema_version"} <= set(properties)
    assert {VECTOR_FIELD, "source", "model", "indexed_at"} <= set(properties)
