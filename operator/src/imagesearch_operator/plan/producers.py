"""Sources: a CronJob for each, and a Job that runs a new or changed one at once."""

import json
from datetime import datetime, timedelta
from typing import Any, Final

from imagesearch_contract import names
from imagesearch_contract.settings import FlickrSource, ManifestSource, ProducerSettings

from imagesearch_operator import naming
from imagesearch_operator.facts import Facts, Manifest, TopicFacts
from imagesearch_operator.plan import access
from imagesearch_operator.plan.objects import labels, owned
from imagesearch_operator.plan.pods import Json, container, pod, secret_value, values
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection, Source

COMPONENT: Final = "producer"
MANIFEST_DIRECTORY: Final = "/etc/imagesearch/manifest"
RETRY_AFTER: Final = timedelta(minutes=5)


def cron_job(collection: Collection, source: Source, settings: OperatorSettings) -> Manifest:
    """The CronJob of a source."""
    name = naming.cron_job(collection.name, source.name)
    return _owned(
        collection,
        source,
        "CronJob",
        name,
        spec={
            "schedule": source.schedule,
            **({"timeZone": source.time_zone} if source.time_zone else {}),
            "suspend": source.suspend,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 300,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 2,
            "jobTemplate": {
                "metadata": {"labels": _labels(collection, source)},
                "spec": job_spec(collection, source, settings),
            },
        },
    )


def first_run(collection: Collection, source: Source, facts: Facts, settings: OperatorSettings) -> list[Manifest]:
    """The Job that runs a source as it now is, once: as soon as there is a topic, and again if it failed a while ago."""
    spec = job_spec(collection, source, settings)
    name = naming.first_run(collection.name, source.name, naming.digest(json.dumps(spec, sort_keys=True)))
    live = _live_job(facts, name)
    has_topic = isinstance(facts.topic, TopicFacts) and facts.topic.exists
    if source.suspend or (live is None and not has_topic) or (live is not None and failed_long_ago(live, facts.now)):
        return []
    return [_owned(collection, source, "Job", name, spec=spec)]


def failed_long_ago(job: Manifest, now: datetime) -> bool:
    """Whether a Job has given up for so long that it is to be made anew; left out of a plan it is removed first."""
    return any(
        condition["type"] == "Failed"
        and condition["status"] == "True"
        and now - datetime.fromisoformat(condition["lastTransitionTime"]) > RETRY_AFTER
        for condition in job.get("status", {}).get("conditions", ())
    )


def job_spec(collection: Collection, source: Source, settings: OperatorSettings) -> Json:
    """One run over a source, whoever starts it."""
    kafka = access.kafka(settings)
    main = container(
        settings,
        COMPONENT,
        settings.producer_image,
        env=[
            *values(_settings(collection, source, settings).to_env()),
            *access.passwords(collection, kafka),
            *_api_key(source),
        ],
        mounts=[*access.mounts(kafka), *_manifest_mounts(source)],
        resources={"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
    )
    return {
        "backoffLimit": 2,
        "activeDeadlineSeconds": 6 * 60 * 60,
        "template": {
            "metadata": {"labels": _labels(collection, source)},
            "spec": pod(
                settings,
                main,
                volumes=[*access.volumes(collection, kafka), *_manifest_volumes(source)],
                restartPolicy="Never",
            ),
        },
    }


def _settings(collection: Collection, source: Source, settings: OperatorSettings) -> ProducerSettings:
    return ProducerSettings(
        **access.kafka(settings).fields,
        topic=names.topic(collection.namespace, collection.name),
        allowed_hosts=settings.allowed_hosts,
        allowed_networks=settings.allowed_networks,
        source=_source(source, settings),
        source_name=source.name,
        quota=source.quota,
    )


def _source(source: Source, settings: OperatorSettings) -> FlickrSource | ManifestSource:
    if source.manifest:
        ref = source.manifest.config_map_ref
        url = f"{MANIFEST_DIRECTORY}/{ref.key}" if ref else source.manifest.url
        return ManifestSource(
            url=url or "",
            format=source.manifest.format,
            max_takedown_percent=source.manifest.max_takedown_percent,
        )
    asked = source.flickr.model_dump(exclude={"api_key_secret_ref"}, exclude_none=True) if source.flickr else {}
    return FlickrSource(**asked, endpoint=settings.flickr_endpoint)


def _api_key(source: Source) -> list[Json]:
    return [secret_value("FLICKR_API_KEY", source.flickr.api_key_secret_ref)] if source.flickr else []


def _manifest_volumes(source: Source) -> list[Json]:
    ref = source.manifest.config_map_ref if source.manifest else None
    if ref is None:
        return []
    return [{"name": "manifest", "configMap": {"name": ref.name, "items": [{"key": ref.key, "path": ref.key}]}}]


def _manifest_mounts(source: Source) -> list[Json]:
    mount = {"name": "manifest", "mountPath": MANIFEST_DIRECTORY, "readOnly": True}
    return [mount] if _manifest_volumes(source) else []


def _owned(collection: Collection, source: Source, kind: str, name: str, **body: Any) -> Manifest:
    return owned(collection, "batch/v1", kind, name, COMPONENT, more_labels={naming.SOURCE: source.name}, **body)


def _labels(collection: Collection, source: Source) -> dict[str, str]:
    return labels(COMPONENT, collection=collection.name) | {naming.SOURCE: source.name}


def _live_job(facts: Facts, name: str) -> Manifest | None:
    return next(
        (child for child in facts.children if child["kind"] == "Job" and child["metadata"]["name"] == name), None
    )
