"""Producer and embedder while something is killed or fails: nothing is missing, nothing is twice. `bench/faults.py` does it at length."""

from pathlib import Path
from threading import Event
from typing import Any

import pytest
from imagesearch_stack.faults.collection import Lab
from imagesearch_stack.faults.scenarios import play

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


@pytest.fixture
def lab(
    kafka_bootstrap_servers: str, elasticsearch_url: str, mlflow_tracking_uri: str, starter_model: Any, tmp_path: Path
) -> Lab:
    return Lab(
        kafka=kafka_bootstrap_servers,
        elasticsearch=elasticsearch_url,
        mlflow=mlflow_tracking_uri,
        model_name=starter_model.name,
        model_version=starter_model.version,
        directory=tmp_path,
        stop=Event(),
    )


@pytest.mark.parametrize("scenario", ["kill-worker", "broker-restart", "es-503"])
def test_nothing_is_missing_and_nothing_is_twice(lab: Lab, scenario: str) -> None:
    outcome = play(scenario, 1, lab, outage_seconds=0)
    assert outcome.broken == (), outcome
    assert (outcome.missing, outcome.duplicate) == (0, 0)
    assert outcome.indexed + outcome.dead_lettered == outcome.published > 0
