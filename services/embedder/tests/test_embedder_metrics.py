"""What Prometheus is told: every outcome and reason from the start, and each micro-batch once it has ended."""

import math
from collections import Counter

import httpx
import pytest
from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.settings import EmbedderSettings
from imagesearch_embedder import metrics
from imagesearch_embedder.embed import Outcome
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

SETTINGS = EmbedderSettings(topic="t", index="i", checkpoint_location="c", model_name="m", model_version="1")


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"imagesearch_embedder_{name}", labels)


def test_every_outcome_and_every_reason_is_there_before_it_occurs() -> None:
    with metrics.serving(SETTINGS):
        assert all(value("messages_total", outcome=outcome, reason="") is not None for outcome in Outcome)
        assert all(value("messages_total", outcome="failed", reason=reason) is not None for reason in Reason)
        lag = value("lag_messages")
    assert lag is not None
    assert math.isnan(lag)


def test_a_micro_batch_is_counted_by_outcome_and_reason() -> None:
    names = [("indexed", ""), ("stale", ""), ("failed", "dead_link")]
    before = [value("messages_total", outcome=outcome, reason=reason) or 0 for outcome, reason in names]
    batches = value("batch_seconds_count") or 0

    metrics.count(Counter({Outcome.INDEXED: 30, Outcome.STALE: 2, "dead_link": 3}), seconds=1.5, busy=0.9)

    after = [value("messages_total", outcome=outcome, reason=reason) for outcome, reason in names]
    assert after == [before[0] + 30, before[1] + 2, before[2] + 3]
    assert value("batch_seconds_count") == batches + 1
    assert value("images_per_second") == 20
    assert value("encoder_busy_ratio") == 0.9


def test_a_lag_that_is_not_known_leaves_the_last_one() -> None:
    metrics.show_lag(7)
    metrics.show_lag(None)
    assert value("lag_messages") == 7


def test_prometheus_is_answered_on_the_port_of_the_settings(unused_port: int) -> None:
    with metrics.serving(SETTINGS.model_copy(update={"metrics_port": unused_port})):
        text = httpx.get(f"http://127.0.0.1:{unused_port}/metrics", trust_env=False).text
    assert "imagesearch_embedder_messages" in {family.name for family in text_string_to_metric_families(text)}


@pytest.fixture
def unused_port() -> int:
    from imagesearch_stack.processes import free_port

    return free_port()
