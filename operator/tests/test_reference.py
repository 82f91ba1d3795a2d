"""The reference of the ImageCollection is the CRD's, and has not drifted from it."""

from pathlib import Path

import specs
from imagesearch_operator.reference import reference

PAGE = Path(__file__).parents[2] / "docs/imagecollection.md"


def test_the_page_is_what_the_crd_gives() -> None:
    assert PAGE.read_text() == reference(specs.CRD), "run `make schema`"


def test_a_field_is_told_with_its_type_and_default() -> None:
    page = reference(specs.CRD).splitlines()

    assert any(line.startswith("| `sources[].schedule` | string | `0 * * * *` | When ") for line in page)
    assert any(line.startswith("| `serving.maxReplicas` | integer, 1 to 100 | `2` | ") for line in page)
    assert any(line.startswith("| `model` | object | **required** | ") for line in page)


def test_every_cell_stays_in_its_row() -> None:
    rows = [line for line in reference(specs.CRD).splitlines() if line.startswith("| `")]

    assert len(rows) > 60
    assert {line.replace("\\|", "").count("|") for line in rows} == {4, 5}
