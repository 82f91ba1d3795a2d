"""That the search finds what it found: figures of the real API over a real Elasticsearch, beside those that were kept."""

import json
from pathlib import Path

import pytest
from imagesearch_encoder import load_encoder
from imagesearch_stack import judged, quality

KEPT = json.loads(Path(__file__).with_name("search_quality.json").read_text(encoding="utf-8"))
MARGIN = 1
"""Standard errors, of another sample of queries. These are the same each time: two runs differ by far less, and pictures whose red
and blue are swapped find less than this lets pass."""


@pytest.mark.integration
def test_no_kind_of_query_finds_less_than_it_did(elasticsearch_url, mlflow_tracking_uri, starter_model, run_dir):
    encoder = load_encoder(f"models:/{starter_model.name}/{starter_model.version}", tracking_uri=mlflow_tracking_uri)
    measured = quality.measure(encoder, judged.test_set(), elasticsearch_url=elasticsearch_url, run_dir=run_dir)
    now = judged.kept(encoder.info, measured)

    again = "measure anew with `bench/quality.py --write`, and say in the commit why it differs"
    assert {**now, "figures": None} == {**KEPT, "figures": None}, again
    assert falls(KEPT["figures"], now["figures"]) == [], again


def falls(before: dict, now: dict) -> list[str]:
    return [
        f"{name}, {label}: {metric} was {was[metric]}, is {now[name][label][metric]}"
        for name, rows in before.items()
        for label, was in rows.items()
        for metric, noise in was["noise"].items()
        if now[name][label][metric] < was[metric] - MARGIN * noise
    ]


def test_a_fall_beyond_the_noise_is_told_and_one_within_it_is_not():
    def figures(value: float) -> dict:
        return {"stamps": {"mixed en": {"ndcg@10": value, "noise": {"ndcg@10": 0.02}}}}

    assert falls(figures(0.5), figures(0.49)) == []
    assert falls(figures(0.5), figures(0.47)) == ["stamps, mixed en: ndcg@10 was 0.5, is 0.47"]
