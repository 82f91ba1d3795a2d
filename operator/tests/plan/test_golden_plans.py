"""Whole plans, to be read: one file in `golden/` for each case. `UPDATE_GOLDEN=1 pytest operator/tests/plan` writes them anew."""

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from cases import CASES, Case
from imagesearch_operator.plan import Plan, plan

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_plan_is_as_it_was_read_and_agreed_to(case: Callable[[], Case]) -> None:
    path = GOLDEN / f"{case.__name__}.yaml"
    text = _readable(plan(*case()))
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), f"the plan has changed: look at it with UPDATE_GOLDEN=1 and git diff {path}"


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {case.__name__ for case in CASES}


class _Dumper(yaml.SafeDumper):
    """Without anchors, and with the lines of a file one below the other."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


def _readable(planned: Plan) -> str:
    outside = asdict(planned)
    manifests = outside.pop("manifests")
    outside["topics"] = list(outside["topics"])
    return yaml.dump_all([*manifests, outside], Dumper=_Dumper, sort_keys=False, width=120)
