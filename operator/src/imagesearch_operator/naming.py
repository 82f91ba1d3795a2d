"""Names and labels of the objects that a collection owns. Pure; `plan` writes them, `cluster` and `status` find objects by them."""

import hashlib
from typing import Final

from imagesearch_contract import names

FIELD_MANAGER: Final = "imagesearch-operator"

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
PART_OF: Final = "app.kubernetes.io/part-of"
COMPONENT: Final = "app.kubernetes.io/component"
"""producer, replay, model, embedder or encoder."""
COLLECTION: Final = "imagesearch.dev/collection"
"""On objects of one collection, pods included."""
SOURCE: Final = "imagesearch.dev/source"
SHARED: Final = "imagesearch.dev/shared"
"""On objects that the collections of a namespace share, pods included; its value is the object's name."""
INSTANCE: Final = "app.kubernetes.io/instance"
"""On the Spark driver's pod, and on it alone; its value is the Deployment's name."""
PLAN_HASH: Final = "imagesearch.dev/plan-hash"
"""Annotation: a digest of what was applied, so that a field which is no longer planned is noticed."""
MODEL: Final = "imagesearch.dev/model"
"""Annotation on the Spark driver's Deployment and the RayService: `<name>/<version>` of the model that it runs."""
REPLAY: Final = "imagesearch.dev/replay"
"""Annotation that a person sets on a collection, and that the Job of it keeps: the reason whose dead letters go back."""
REPLAYED: Final = "imagesearch.dev/replayed"
"""Annotation on a collection: the Job of the latest replay."""

SELECTOR: Final = {MANAGED_BY: FIELD_MANAGER}

_CRON_JOB_LIMIT: Final = 52  # the controller appends a dash and ten digits
_LABEL_LIMIT: Final = 63  # a Job's name is a label of its pods


def digest(*parts: str) -> str:
    """Eight hexadecimal digits that change with any of the parts."""
    return hashlib.blake2s("\0".join(parts).encode(), digest_size=4).hexdigest()


def cron_job(collection: str, source: str) -> str:
    """The CronJob of a source.

    With a digest where the name would be too long, or where another collection could come to the same name: `a` with
    the source `b-c`, and `a-b` with `c`.
    """
    name = f"{collection}-{source}"
    if "-" not in source and len(name) <= _CRON_JOB_LIMIT:
        return name
    return f"{name[: _CRON_JOB_LIMIT - 9]}-{digest(collection, source)}"


def first_run(collection: str, source: str, revision: str) -> str:
    """The Job that runs a source at once when it is new or was changed, rather than at its next scheduled time."""
    return f"{cron_job(collection, source)}-{revision}"


def replays(collection: str) -> str:
    """How the names of the Jobs begin that replay a collection's dead letters."""
    return f"{collection}-replay-"


def replay(collection: str, reason: str, revision: str) -> str:
    """The Job that replays the dead letters of a reason, for one request."""
    stem = f"{replays(collection)}{reason.replace('_', '-')}"
    return f"{stem[: _LABEL_LIMIT - 1 - len(revision)].rstrip('-')}-{revision}"


def embedder(collection: str, model: str, version: str) -> str:
    """The Spark driver's Deployment, Service, ConfigMap and volume claim, for one index of the collection."""
    return f"{collection}-embedder-{names.model_hash(model, version)}"


def embedder_account(collection: str) -> str:
    """ServiceAccount, Role and RoleBinding of the Spark driver."""
    return f"{collection}-embedder"


def credentials(collection: str) -> str:
    """The Secret by which the collection's pods reach Kafka and Elasticsearch, where those want credentials."""
    return f"{collection}-stores"


def network_policy(collection: str) -> str:
    """Who may connect to the collection's own pods; an encoder's policy is called as the encoder."""
    return f"{collection}-pods"


def model_job(model: str, revision: str) -> str:
    """The Job that registers a Hugging Face model; shared by the collections of a namespace.

    A Job's pods cannot be changed, so what is planned differently (another image) is another Job.
    """
    return f"model-{digest(model)}-{revision}"


def encoder(model: str, version: str) -> str:
    """The RayService of a model version; shared by the collections of a namespace."""
    return f"encoder-{names.model_hash(model, version)}"


def encoder_url(namespace: str, model: str, version: str) -> str:
    """Where the encoder of a model version answers, from anywhere in the cluster."""
    return f"http://{encoder(model, version)}-serve-svc.{namespace}.svc:8000"
