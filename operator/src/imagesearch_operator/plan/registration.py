"""The Job that exports a Hugging Face model and registers it in MLflow."""

import json
from typing import Final

from imagesearch_contract import names

from imagesearch_operator import naming
from imagesearch_operator.facts import Facts, Manifest
from imagesearch_operator.plan.objects import labels, shared
from imagesearch_operator.plan.pods import Json, container, pod, values
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection

COMPONENT: Final = "model"


def job(collection: Collection, facts: Facts, settings: OperatorSettings) -> list[Manifest]:
    """The Job, as long as the model that the collection names is not registered."""
    model = collection.spec.model.name
    if model is None or facts.model is not None:
        return []
    spec = _spec(model, settings)
    name = naming.model_job(model, naming.digest(json.dumps(spec, sort_keys=True)))
    spec["template"] = {"metadata": {"labels": labels(COMPONENT, shared=name)}} | spec["template"]
    owners = [sibling for sibling in facts.siblings if sibling.spec.model.name == model]
    return [shared(owners, "batch/v1", "Job", name, COMPONENT, spec=spec)]


def _spec(model: str, settings: OperatorSettings) -> Json:
    main = container(
        settings,
        COMPONENT,
        settings.model_image,
        args=["register", names.registered_name(model), "--model", model],
        env=values(
            {
                "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "HF_HOME": "/tmp/huggingface",  # noqa: S108  a volume of the pod's own
                "HF_HUB_DISABLE_TELEMETRY": "1",
            }
        ),
        resources={"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "8Gi"}},
    )
    return {
        "backoffLimit": 2,
        "activeDeadlineSeconds": 2 * 60 * 60,
        # Removed when it has ended: after a failure it is planned again, after a success it is not.
        "ttlSecondsAfterFinished": 300,
        "template": {"spec": pod(settings, main, restartPolicy="Never")},
    }
