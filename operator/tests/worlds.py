"""Observed worlds for tests: everything answers and is ready to go, but for what a test says."""

from datetime import UTC, datetime
from typing import Any

from imagesearch_operator.facts import Facts, IndexFacts, Manifest, ModelVersion, TopicFacts
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection

NOW = datetime(2026, 5, 1, 13, 0, tzinfo=UTC)
STARTER = ModelVersion("starter", "1", 512)
SIGLIP = ModelVersion("google--siglip2-base-patch16-224", "3", 768)


def settings(**given: Any) -> OperatorSettings:
    """An operator's settings."""
    images = {name: f"imagesearch/{name}:1.0" for name in ("producer", "embedder", "encoder", "model")}
    cuda = {"encoder_cuda_image": "imagesearch/encoder-cuda:1.0"}
    stores = {
        "kafka_bootstrap_servers": "kafka:9092",
        "elasticsearch_url": "http://elasticsearch:9200",
        "mlflow_tracking_uri": "http://mlflow:5000",
    }
    return OperatorSettings(**{f"{name}_image": image for name, image in images.items()} | cuda | stores | given)


def facts(*siblings: Collection, **given: Any) -> Facts:
    """What is observed for the first of the collections; all use the starter model where nothing else is said."""
    model = given.pop("model", STARTER)
    seen = {
        "now": NOW,
        "siblings": tuple(sorted(siblings, key=lambda each: (each.created_at, each.name))),
        "model": model,
        "models": {sibling.name: model for sibling in siblings},
        "topic": TopicFacts(exists=True),
        "index": IndexFacts(),
    }
    return Facts(**seen | given)


def live(manifest: Manifest, **status: Any) -> Manifest:
    """A planned object as it is when it has been applied, with a status."""
    return manifest | {"status": status}
