"""The RayService that encodes queries with one model version, for all collections of the namespace that use it."""

import json
import math
from collections.abc import Sequence
from typing import Final

from imagesearch_contract.encoder import SERVE_ENVIRONMENT
from imagesearch_contract.settings import EncoderServiceSettings

from imagesearch_operator import naming
from imagesearch_operator.facts import Manifest
from imagesearch_operator.plan.objects import labels, shared
from imagesearch_operator.plan.pods import CONTAINER_SECURITY, TMP, Json, container, pod, values
from imagesearch_operator.plan.versions import Version
from imagesearch_operator.quantity import quantity
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection, Serving

COMPONENT: Final = "encoder"
SERVE_PORT: Final = 8000
GPU: Final = "nvidia.com/gpu"

_ENVIRONMENT: Final = SERVE_ENVIRONMENT | {
    # Requests go by HAProxy (it comes with Ray) straight to the replicas, which saves a third of the processor time of a
    # query that is a picture. It listens on all addresses: `isolation` lets nobody but Ray's own pods reach more than Serve's port.
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
}
_OBJECT_STORE: Final = str(100 * 2**20)  # requests and vectors are small, and what is set aside counts as used


def encoder(users: Sequence[Collection], version: Version, settings: OperatorSettings) -> Manifest:
    """The RayService. The most generous replica counts of its users hold, and of the rest what the oldest says.

    Changed arguments and replica counts are taken up in place; anything else that changes makes KubeRay build a second
    Ray cluster beside the first.
    """
    name = naming.encoder(version.name, version.number)
    serving = users[0].spec.serving.model_copy(
        update={
            "min_replicas": max(user.spec.serving.min_replicas for user in users),
            "max_replicas": max(user.spec.serving.max_replicas for user in users),
        }
    )
    return shared(
        users,
        "ray.io/v1",
        "RayService",
        name,
        COMPONENT,
        annotations={naming.MODEL: version.label},
        spec={
            "serveConfigV2": json.dumps(_application(serving, version, settings), indent=2),
            # The head holds no replica: a request that came there would take a second hop.
            "excludeHeadPodFromServeSvc": True,
            "rayClusterConfig": {
                "rayVersion": settings.ray_version,
                "enableInTreeAutoscaling": True,
                "autoscalerOptions": {
                    "version": "v2",
                    "idleTimeoutSeconds": 60,
                    # Serve asks for replicas within seconds (`autoscaling` in the application); Ray's autoscaler would look
                    # only every five whether a pod is needed for them. Each look is a call or two to the API server.
                    "env": values({"AUTOSCALER_UPDATE_INTERVAL_S": "2"}),
                    "imagePullPolicy": settings.image_pull_policy,
                    "securityContext": CONTAINER_SECURITY,
                    "volumeMounts": [TMP],
                    "resources": {"requests": {"cpu": "25m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
                },
                # KubeRay makes a token for each Ray cluster; without it nobody can submit work to it.
                "authOptions": {"mode": "token"},
                "headGroupSpec": _head(name, serving, settings),
                "workerGroupSpecs": [_workers(name, serving, settings)],
            },
        },
    )


def _application(serving: Serving, version: Version, settings: OperatorSettings) -> Json:
    arguments = EncoderServiceSettings(
        mlflow_tracking_uri=settings.mlflow_tracking_uri,
        model_name=version.name,
        model_version=version.number,
        min_replicas=serving.min_replicas,
        max_replicas=serving.max_replicas,
        target_ongoing_requests=serving.target_ongoing_requests,
        gpus_per_replica=serving.gpus_per_replica,
        cpus_per_replica=_cores(serving),
    )
    return {
        "proxy_location": "EveryNode",
        "applications": [
            {
                "name": "encoder",
                "import_path": "imagesearch_search.serving:application",
                "route_prefix": "/",
                "args": arguments.to_env(),
            }
        ],
    }


def _head(name: str, serving: Serving, settings: OperatorSettings) -> Json:
    main = container(
        settings,
        "ray-head",
        _image(serving, settings),
        env=values(_ENVIRONMENT),
        resources={"requests": {"cpu": "150m", "memory": "1536Mi"}, "limits": {"memory": "2Gi"}},
    )
    return {
        # No processors to give away, so that no replica lands here.
        "rayStartParams": {"num-cpus": "0", "object-store-memory": _OBJECT_STORE},
        "template": _template(name, pod(settings, main, token=True)),  # the autoscaler asks for worker pods
    }


def _workers(name: str, serving: Serving, settings: OperatorSettings) -> Json:
    """One replica on each pod, so that the autoscalers of Serve (replicas) and of Ray (pods) count alike."""
    gpus = {GPU: str(serving.gpus_per_replica)} if serving.gpus_per_replica else {}
    main = container(
        settings,
        "ray-worker",
        _image(serving, settings),
        env=values(_ENVIRONMENT),
        resources={"requests": serving.resources.requests, "limits": serving.resources.limits | gpus},
        readinessProbe={
            "httpGet": {"path": "/-/healthz", "port": SERVE_PORT},
            "periodSeconds": 5,
            "timeoutSeconds": 2,
            "failureThreshold": 1,  # a proxy without replicas, or one that drains, gets no more requests
        },
    )
    more: Json = {"tolerations": [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]} if gpus else {}
    return {
        "groupName": COMPONENT,
        "minReplicas": serving.min_replicas,
        "maxReplicas": serving.max_replicas,
        "rayStartParams": {"num-cpus": str(_cores(serving)), "object-store-memory": _OBJECT_STORE},
        "template": _template(name, pod(settings, main, **more)),
    }


def _template(name: str, spec: Json) -> Json:
    return {"metadata": {"labels": labels(COMPONENT, shared=name)}, "spec": spec}


def _image(serving: Serving, settings: OperatorSettings) -> str:
    return (settings.encoder_cuda_image if serving.gpus_per_replica else None) or settings.encoder_image


def _cores(serving: Serving) -> int:
    """Whole processors, as Ray counts them: those that a replica takes are those that a pod has."""
    cpu = serving.resources.limits.get("cpu") or serving.resources.requests.get("cpu") or "1"
    return math.ceil(quantity(cpu))
