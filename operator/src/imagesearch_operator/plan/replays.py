"""Dead letters that go back on request: one Job for each time that somebody sets the annotation `imagesearch.dev/replay`.

The request is taken off the collection when its Job is there, and the Job's name is noted in its place. That name is
in the digest of the next one: so a request has one name for as long as it stands, and no two requests have the same.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from imagesearch_contract import names
from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.settings import ReplaySettings

from imagesearch_operator import naming
from imagesearch_operator.explain import has_ended, labels_of
from imagesearch_operator.facts import Facts, Manifest, TopicFacts
from imagesearch_operator.plan import access
from imagesearch_operator.plan.objects import labels, owned
from imagesearch_operator.plan.pods import Json, container, pod, values
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection

COMPONENT: Final = "replay"
REASONS: Final = ("all", *(reason.value for reason in Reason))
KEPT_SECONDS: Final = 24 * 60 * 60
"""So long a Job can be looked at after its end."""
_TERMINATION_LOG: Final = Path("/dev/termination-log")
"""What is written there, the pod's status tells."""


def job(collection: Collection, facts: Facts, settings: OperatorSettings) -> list[Manifest]:
    """The Job that was asked for, unless it is there: it runs once, whatever is planned later. One at a time."""
    if collection.replay not in REASONS or not (isinstance(facts.topic, TopicFacts) and facts.topic.exists):
        return []
    live = list(jobs(facts.children))
    if any(is_running(each) or each["metadata"]["name"] == name(collection) for each in live):
        return []
    spec = {
        "backoffLimit": 2,
        "activeDeadlineSeconds": 6 * 60 * 60,
        "ttlSecondsAfterFinished": KEPT_SECONDS,
        "template": {
            "metadata": {"labels": labels(COMPONENT, collection=collection.name)},
            "spec": _pod(collection, settings),
        },
    }
    return [
        owned(
            collection,
            "batch/v1",
            "Job",
            name(collection),
            COMPONENT,
            annotations={naming.REPLAY: collection.replay},
            spec=spec,
        )
    ]


def name(collection: Collection) -> str:
    """The name of the Job that the collection's request stands for."""
    reason = collection.replay or ""
    return naming.replay(collection.name, reason, naming.digest(collection.uid, collection.replayed or "", reason))


def jobs(children: Iterable[Manifest]) -> Iterator[Manifest]:
    """The Jobs among a collection's children that replay."""
    return (
        child for child in children if child["kind"] == "Job" and labels_of(child).get(naming.COMPONENT) == COMPONENT
    )


def is_running(job: Manifest) -> bool:
    """Whether it has not ended, in either way."""
    return not has_ended(job, "Complete") and not has_ended(job, "Failed")


def _pod(collection: Collection, settings: OperatorSettings) -> Json:
    kafka = access.kafka(settings)
    asked = ReplaySettings(
        **kafka.fields,
        topic=names.topic(collection.namespace, collection.name),
        reason=collection.replay,
        summary_path=_TERMINATION_LOG,
    )
    main = container(
        settings,
        COMPONENT,
        settings.producer_image,
        command=["imagesearch-replay"],
        env=[*values(asked.to_env()), *access.passwords(collection, kafka)],
        mounts=access.mounts(kafka),
        resources={"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}},
    )
    return pod(settings, main, volumes=access.volumes(collection, kafka), restartPolicy="Never")
