"""Names that more than one process derives: each is a pure function of what it names."""

import hashlib
import re

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
"""RFC 1123 label. Neither a namespace nor a collection can hold a dot, so `a.b` splits only one way."""

COLLECTION_NAME_LIMIT = 40
NAMESPACE_LIMIT = 63
DEFAULT_NAMESPACE = "default"

FLICKR_LEDGER_TOPIC = "imagesearch.flickr-requests"
"""The topic of the whole platform in which Flickr's requests are shared out among all sources; no collection's (two parts)."""

MODEL_DIMS_TAG = "imagesearch.dims"
"""Tag of a registered MLflow model version that gives the length of its vectors, so that an index can be created without loading the model."""


def collection_key(namespace: str, collection: str) -> str:
    """Return `<namespace>.<collection>`, checked; the stem of every other name.

    Raises:
        ValueError: one of the two is not a DNS label or is too long.
    """
    for what, name, limit in (
        ("namespace", namespace, NAMESPACE_LIMIT),
        ("collection", collection, COLLECTION_NAME_LIMIT),
    ):
        if not DNS_LABEL.fullmatch(name) or len(name) > limit:
            raise ValueError(
                f"{what} {name!r} is not a name: use at most {limit} lower-case letters, digits and '-', "
                "beginning and ending with a letter or digit"
            )
    return f"{namespace}.{collection}"


def topic(namespace: str, collection: str) -> str:
    """The compacted topic that holds a collection's records, keyed by image id."""
    return f"imagesearch.{collection_key(namespace, collection)}"


def dead_letter_topic(records_topic: str) -> str:
    """The topic beside `records_topic` for what could not be used."""
    return f"{records_topic}.failed"


def state_topic(records_topic: str) -> str:
    """The compacted topic beside `records_topic` in which each source keeps how far it is, keyed by the source's name."""
    return f"{records_topic}.state"


def alias(namespace: str, collection: str) -> str:
    """The alias through which a collection is searched."""
    return collection_key(namespace, collection)


def index(namespace: str, collection: str, model_name: str, model_version: str) -> str:
    """The index that holds a collection's vectors of one model version."""
    return f"{alias(namespace, collection)}.{model_hash(model_name, model_version)}"


def model_hash(model_name: str, model_version: str) -> str:
    """Eight hexadecimal digits that stand for a model version in names with a narrow alphabet."""
    return hashlib.blake2s(model_label(model_name, model_version).encode(), digest_size=4).hexdigest()


def model_label(model_name: str, model_version: str) -> str:
    """How documents, the encoder service and messages name a model version."""
    return f"{model_name}/{model_version}"


def model_uri(model_name: str, model_version: str) -> str:
    """The MLflow address of a registered model version."""
    return f"models:/{model_label(model_name, model_version)}"


def image_id(source_kind: str, native_id: str) -> str:
    """`<source kind>:<native id>`: the Kafka key and the Elasticsearch `_id` of a picture."""
    return f"{source_kind}:{native_id}"


def consumer_group(index: str) -> str:
    """The Kafka consumer group under which the embedder of an index says how far it is, for lag monitors of every kind.

    Spark keeps its own offsets and never reads these.
    """
    return f"imagesearch.{index}"


def registered_name(model: str) -> str:
    """The MLflow name of a Hugging Face id; a registered name must hold no slash."""
    return model.replace("/", "--")
