from datetime import UTC, datetime

import pytest
from imagesearch_contract import names
from imagesearch_contract.platform_indices import PROGRESS_INDEX, REPORTS_INDEX, Progress, Report, bodies
from pydantic import ValidationError

NOW = datetime(2026, 1, 2, tzinfo=UTC)
REPORT = Report.of("default.dogs.0a1b2c3d", "flickr:7", NOW)
PROGRESS = Progress(index="default.dogs.0a1b2c3d", lag=3, images_per_second=2.5, updated_at=NOW)


@pytest.mark.parametrize(("index", "document"), [(PROGRESS_INDEX, PROGRESS), (REPORTS_INDEX, REPORT)])
def test_every_field_of_a_document_is_in_the_mapping_and_is_read_back(index: str, document: Progress | Report) -> None:
    assert set(document.to_source()) == set(bodies()[index]["mappings"]["properties"])
    assert type(document).model_validate(document.to_source()) == document


def test_an_older_reader_ignores_what_a_newer_writer_added() -> None:
    assert Progress.model_validate({**PROGRESS.to_source(), "heat": 3}) == PROGRESS


def test_there_is_one_report_for_each_picture_of_an_index() -> None:
    later = Report.of(REPORT.index, REPORT.image, datetime(2026, 1, 3, tzinfo=UTC))
    others = [Report.of(REPORT.index, "flickr:8"), Report.of("default.dogs.ffffffff", REPORT.image)]
    assert later.id == REPORT.id
    assert len({REPORT.id, *(other.id for other in others)}) == 3


def test_an_id_fits_elasticsearch_however_long_the_names_are() -> None:
    index = names.index("n" * 63, "c" * 40, "m", "1")
    assert len(Report.of(index, "flickr:" + "9" * 493).id) <= 512


def test_what_is_no_image_id_cannot_be_reported() -> None:
    with pytest.raises(ValidationError):
        Report.of(REPORT.index, "not an id")


def test_no_collection_can_have_an_index_of_these_names() -> None:
    assert not any("." in name for name in bodies())
