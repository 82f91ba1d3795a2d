"""The Spark application of an index: a driver that stays, and executors that it starts as pods."""

import json
import math
from typing import Final

from imagesearch_contract import names
from imagesearch_contract.settings import EmbedderSettings

from imagesearch_operator import naming
from imagesearch_operator.facts import Manifest
from imagesearch_operator.plan import access
from imagesearch_operator.plan.objects import labels, owned
from imagesearch_operator.plan.pods import Json, container, field_value, pod, values
from imagesearch_operator.plan.versions import Version
from imagesearch_operator.quantity import quantity
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection, Embedding

COMPONENT: Final = "embedder"
CONF_DIRECTORY: Final = "/etc/spark/conf"
CHECKPOINT_DIRECTORY: Final = "/var/lib/imagesearch/checkpoint"
DRIVER_PORT: Final = 7078
BLOCK_MANAGER_PORT: Final = 7079
UI_PORT: Final = 4040
METRICS_PORT: Final = 9090
PROVEN_SECONDS: Final = 15
"""A driver that lasts for less does not count as available: else one that ends again and again would, in between."""

HEAP_MIB: Final = 512
"""Of each JVM: pictures and the model are in the Python processes beside it."""
_EXECUTOR_TEMPLATE: Final = "executor.json"
_POD_NAME: Final = "POD_NAME"


def account(collection: Collection) -> list[Manifest]:
    """Who the driver is to the Kubernetes API, and what it may do there: with pods, and with nothing else."""
    name = naming.embedder_account(collection.name)
    role: Json = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject: Json = {"kind": "ServiceAccount", "name": name, "namespace": collection.namespace}
    # `delete` and `deletecollection` clear executors away, `patch` labels those that are given up.
    verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "watch"]
    rbac = "rbac.authorization.k8s.io/v1"
    return [
        owned(collection, "v1", "ServiceAccount", name, COMPONENT, automountServiceAccountToken=False),
        owned(
            collection,
            rbac,
            "Role",
            name,
            COMPONENT,
            rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}],
        ),
        owned(collection, rbac, "RoleBinding", name, COMPONENT, roleRef=role, subjects=[subject]),
    ]


def application(collection: Collection, version: Version, settings: OperatorSettings) -> list[Manifest]:
    """The driver and what it needs, for the index of one model version."""
    name = naming.embedder(collection.name, *version)
    files = {
        "spark-defaults.conf": "".join(f"{key} {value}\n" for key, value in _conf(collection, name, settings).items()),
        _EXECUTOR_TEMPLATE: json.dumps(_executor(collection, settings), indent=2),
    }
    return [
        owned(collection, "v1", "ConfigMap", name, COMPONENT, data=files),
        owned(collection, "v1", "PersistentVolumeClaim", name, COMPONENT, spec=_claim(settings)),
        owned(collection, "v1", "Service", name, COMPONENT, spec=_service(name)),
        owned(
            collection,
            "apps/v1",
            "Deployment",
            name,
            COMPONENT,
            annotations={naming.MODEL: version.label},
            spec=_deployment(collection, version, name, files, settings),
        ),
    ]


def _deployment(
    collection: Collection, version: Version, name: str, files: dict[str, str], settings: OperatorSettings
) -> Json:
    return {
        "replicas": 1,
        "revisionHistoryLimit": 2,
        "minReadySeconds": PROVEN_SECONDS,
        # Two drivers must never write to one checkpoint.
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": {naming.INSTANCE: name}},
        "template": {
            "metadata": {
                "labels": labels(COMPONENT, collection=collection.name) | {naming.INSTANCE: name},
                # A driver reads its configuration when it starts: with another one it starts anew.
                "annotations": {"imagesearch.dev/configuration": naming.digest(*files.values())},
            },
            "spec": _driver(collection, version, name, settings),
        },
    }


def _driver(collection: Collection, version: Version, name: str, settings: OperatorSettings) -> Json:
    stores = (access.kafka(settings), access.elasticsearch(settings))
    main = container(
        settings,
        "driver",
        settings.embedder_image,
        env=[
            *values(_settings(collection, version, settings).to_env() | {"SPARK_CONF_DIR": CONF_DIRECTORY}),
            field_value(_POD_NAME, "metadata.name"),
            *access.passwords(collection, *stores),
        ],
        mounts=[
            {"name": "configuration", "mountPath": CONF_DIRECTORY, "readOnly": True},
            {"name": "checkpoint", "mountPath": CHECKPOINT_DIRECTORY},
            *access.mounts(*stores),
        ],
        ports=[
            {"name": "driver", "containerPort": DRIVER_PORT},
            {"name": "blocks", "containerPort": BLOCK_MANAGER_PORT},
            {"name": "ui", "containerPort": UI_PORT},
            {"name": "metrics", "containerPort": METRICS_PORT},
        ],
        # Spark's page opens with the session: before, the driver waits for topics and index.
        readinessProbe={"tcpSocket": {"port": "ui"}, "periodSeconds": 5},
        resources={"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "1536Mi"}},
    )
    return pod(
        settings,
        main,
        volumes=[
            {"name": "configuration", "configMap": {"name": name}},
            {"name": "checkpoint", "persistentVolumeClaim": {"claimName": name}},
            *access.volumes(collection, *stores),
        ],
        token=True,
        serviceAccountName=naming.embedder_account(collection.name),
        terminationGracePeriodSeconds=60,
    )


def _executor(collection: Collection, settings: OperatorSettings) -> Json:
    """The pod template of the executors; Spark adds image, resources and environment. Settings come with the work."""
    stores = (access.kafka(settings), access.elasticsearch(settings))
    main = container(settings, "executor", settings.embedder_image, mounts=access.mounts(*stores))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"labels": labels(COMPONENT, collection=collection.name)},
        "spec": pod(settings, main, volumes=access.volumes(collection, *stores)),
    }


def _settings(collection: Collection, version: Version, settings: OperatorSettings) -> EmbedderSettings:
    return EmbedderSettings(
        **access.kafka(settings).fields,
        **access.elasticsearch(settings).fields,
        topic=names.topic(collection.namespace, collection.name),
        index=names.index(collection.namespace, collection.name, *version),
        mlflow_tracking_uri=settings.mlflow_tracking_uri,
        model_name=version.name,
        model_version=version.number,
        allowed_hosts=settings.allowed_hosts,
        allowed_networks=settings.allowed_networks,
        checkpoint_location=f"file://{CHECKPOINT_DIRECTORY}/spark",
        spark_master="k8s://https://kubernetes.default.svc:443",
        spark_ui_port=UI_PORT,
        metrics_port=METRICS_PORT,
        trigger_seconds=collection.spec.embedding.trigger_seconds,
        batch_size=collection.spec.embedding.batch_size,
        encoder_threads=_cores(collection.spec.embedding),
    )


def _conf(collection: Collection, name: str, settings: OperatorSettings) -> dict[str, str]:
    return {
        "spark.driver.host": f"{name}.{collection.namespace}.svc",
        "spark.driver.bindAddress": "0.0.0.0",  # noqa: S104  in its own pod
        "spark.driver.port": str(DRIVER_PORT),
        "spark.driver.blockManager.port": str(BLOCK_MANAGER_PORT),
        "spark.driver.memory": f"{HEAP_MIB}m",
        "spark.kubernetes.namespace": collection.namespace,
        # Executors belong to the driver's pod, and go with it.
        "spark.kubernetes.driver.pod.name": f"${{env:{_POD_NAME}}}",
        # So that the driver needs no right but on pods.
        "spark.kubernetes.executor.disableConfigMap": "true",
        "spark.kubernetes.driver.service.deleteOnTermination": "false",
        "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
        "spark.kubernetes.container.image": settings.embedder_image,
        "spark.kubernetes.container.image.pullPolicy": settings.image_pull_policy,
        "spark.kubernetes.executor.podTemplateFile": f"file://{CONF_DIRECTORY}/{_EXECUTOR_TEMPLATE}",
        "spark.kubernetes.executor.podTemplateContainerName": "executor",
        **_executor_resources(collection.spec.embedding),
        **_executor_count(collection.spec.embedding),
        # Passwords travel to the executors with the work: nobody else may ask for it, or listen.
        "spark.authenticate": "true",
        "spark.network.crypto.enabled": "true",
        "spark.ui.prometheus.enabled": "true",
    }


def _executor_count(embedding: Embedding) -> dict[str, str]:
    executors = embedding.executors
    if executors.min == executors.max:
        return {"spark.executor.instances": str(executors.max)}
    return {
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",  # there is no shuffle service to ask
        "spark.dynamicAllocation.minExecutors": str(executors.min),
        "spark.dynamicAllocation.maxExecutors": str(executors.max),
    }


def _executor_resources(embedding: Embedding) -> dict[str, str]:
    """All memory beyond the JVM's heap is overhead to Spark, and there the Python process finds its own."""
    requests, limits = embedding.resources.requests, embedding.resources.limits
    conf = {"spark.executor.cores": str(_cores(embedding))}
    if cpu := requests.get("cpu"):
        conf["spark.kubernetes.executor.request.cores"] = cpu
    if cpu := limits.get("cpu"):
        conf["spark.kubernetes.executor.limit.cores"] = cpu
    if memory := limits.get("memory") or requests.get("memory"):
        overhead = int(quantity(memory) / 2**20) - HEAP_MIB
        conf |= {"spark.executor.memory": f"{HEAP_MIB}m", "spark.executor.memoryOverhead": f"{overhead}m"}
    return conf


def _cores(embedding: Embedding) -> int:
    cpu = embedding.resources.limits.get("cpu") or embedding.resources.requests.get("cpu") or "1"
    return math.ceil(quantity(cpu))


def _claim(settings: OperatorSettings) -> Json:
    storage_class = {"storageClassName": settings.storage_class} if settings.storage_class else {}
    return {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": settings.checkpoint_size}},
        **storage_class,
    }


def _service(name: str) -> Json:
    """A name for the driver: headless, and there before the driver is ready, because executors start before that."""
    ports = {"driver": DRIVER_PORT, "blocks": BLOCK_MANAGER_PORT, "ui": UI_PORT}
    return {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {naming.INSTANCE: name},
        "ports": [{"name": port, "port": number, "targetPort": port} for port, number in ports.items()],
    }
