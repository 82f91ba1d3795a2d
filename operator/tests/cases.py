"""The worlds whose plans are kept as golden files, and tried on a real API server: one for each thing a person would look up."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import specs
import worlds
from imagesearch_operator.facts import Facts, IndexFacts, TopicFacts
from imagesearch_operator.plan import plan
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection

Case = tuple[Collection, Facts, OperatorSettings]


def minimal() -> Case:
    birds = specs.collection()
    return birds, worlds.facts(birds), worlds.settings()


def nothing_is_there_yet() -> Case:
    birds = specs.collection(model={"name": "google/siglip2-base-patch16-224"})
    return birds, worlds.facts(birds, model=None, topic=TopicFacts()), worlds.settings()


def flickr_with_everything() -> Case:
    flickr = {
        "text": "playing dogs",
        "tags": ["dog", "beach"],
        "tagMode": "all",
        "userId": "66956608@N06",
        "groupId": "52240257802@N01",
        "licenses": ["CC0-1.0"],
        "safeSearch": "moderate",
        "minUploadDate": "2024-05-31",
        "sweepDays": 1,
        "apiKeySecretRef": {"name": "flickr", "key": "key"},
    }
    source = {"name": "dogs", "schedule": "*/10 * * * *", "timeZone": "Europe/Berlin", "quota": 500, "flickr": flickr}
    dogs = specs.collection(
        "dogs",
        sources=[source],
        embedding={
            "executors": {"min": 1, "max": 4},
            "resources": {"requests": {"cpu": "1500m", "memory": "4Gi"}, "limits": {"cpu": "2", "memory": "4Gi"}},
            "triggerSeconds": 30,
            "batchSize": 64,
        },
        serving={"minReplicas": 2, "maxReplicas": 6, "targetOngoingRequests": 16},
        index={"shards": 3, "replicas": 1, "quantization": "bbq"},
    )
    settings = worlds.settings(
        flickr_endpoint="http://flickr-standin.standins.svc:8091/services/rest/",
        allowed_networks=("198.18.0.0/15",),
        allowed_hosts=("*.staticflickr.com",),
        image_pull_secrets=("registry",),
        image_pull_policy="Always",
        storage_class="fast",
        checkpoint_size="5Gi",
        topic_partitions=8,
        topic_replication_factor=3,
    )
    return dogs, worlds.facts(dogs), settings


def two_sources_one_resting() -> Case:
    resting = specs.MANIFEST_SOURCE | {"suspend": True}
    listed = {
        "name": "web",
        "manifest": {"url": "https://example.org/pictures?all", "format": "csv", "maxTakedownPercent": 100},
    }
    birds = specs.collection(sources=[resting, listed])
    return birds, worlds.facts(birds), worlds.settings()


def shared_model() -> Case:
    older = specs.collection("birds", serving={"minReplicas": 1, "maxReplicas": 2, "targetOngoingRequests": 4})
    younger = specs.collection(
        "dogs",
        created_at=specs.CREATED + timedelta(hours=1),
        serving={"minReplicas": 2, "maxReplicas": 3, "targetOngoingRequests": 99},
    )
    return younger, worlds.facts(younger, older), worlds.settings()


def gpu() -> Case:
    limits = {"cpu": "4", "memory": "16Gi"}
    birds = specs.collection(serving={"gpusPerReplica": 1, "resources": {"limits": limits}})
    return birds, worlds.facts(birds), worlds.settings()


def registry_alias() -> Case:
    birds = specs.collection(model={"registry": {"name": "birdclip", "alias": "champion"}})
    return birds, worlds.facts(birds, model=worlds.SIGLIP._replace(name="birdclip")), worlds.settings()


def candidate_beside_the_searched_index() -> Case:
    before = specs.collection()
    old = plan(before, worlds.facts(before), worlds.settings())
    birds = specs.collection(
        model={"name": "google/siglip2-base-patch16-224"}, generation=2, status={"activeModel": "starter/1"}
    )
    index = IndexFacts({old.index.name: 500} if old.index else {}, old.index.name if old.index else None)
    seen = worlds.facts(birds, model=worlds.SIGLIP, index=index, children=old.manifests)
    return birds, replace(seen, topic=TopicFacts(exists=True, messages=500)), worlds.settings()


def replay_asked_for() -> Case:
    annotations = {
        "imagesearch.dev/replay": "decompression_bomb",
        "imagesearch.dev/replayed": "birds-replay-all-0123abcd",
    }
    birds = specs.collection(annotations=annotations)
    return birds, worlds.facts(birds), worlds.settings(kafka_username="imagesearch", kafka_password="secret")


def credentials_and_authorities() -> Case:
    birds = specs.collection(sources=[specs.FLICKR_SOURCE])
    settings = worlds.settings(
        kafka_security_protocol="SASL_SSL",
        kafka_username="imagesearch",
        kafka_password="kafka's secret",
        kafka_ca_path="/etc/operator/kafka/ca.crt",
        elasticsearch_url="https://elasticsearch:9200",
        elasticsearch_username="imagesearch",
        elasticsearch_password="elasticsearch's secret",
        elasticsearch_ca_path="/etc/operator/elasticsearch/ca.crt",
    )
    authorities = {"kafka-ca.crt": "kafka's authority", "elasticsearch-ca.crt": "elasticsearch's authority"}
    return birds, worlds.facts(birds, authorities=authorities), settings


def long_names() -> Case:
    source = specs.MANIFEST_SOURCE | {"name": "s" * 40}
    longest = specs.collection("c" * 40, "n" * 63, sources=[source])
    return longest, worlds.facts(longest), worlds.settings()


CASES: tuple[Callable[[], Case], ...] = (
    minimal,
    nothing_is_there_yet,
    flickr_with_everything,
    two_sources_one_resting,
    shared_model,
    gpu,
    registry_alias,
    candidate_beside_the_searched_index,
    replay_asked_for,
    credentials_and_authorities,
    long_names,
)
