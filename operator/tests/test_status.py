"""What a collection's status says, in a world made of what the plan plans: everything works, but for what a test breaks."""

import copy
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
import pytest
import specs
from imagesearch_operator import naming
from imagesearch_operator.facts import Facts, IndexFacts, Manifest, ModelVersion, TopicFacts, Unknown
from imagesearch_operator.plan import plan, replays
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import Collection
from imagesearch_operator.status import PARTS, ApplyError, Event, events, status, unknown_replay

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
MODEL = ModelVersion("starter", "1", 512)
OTHER_MODEL = ModelVersion("openai--clip", "2", 768)
SETTINGS = OperatorSettings(
    producer_image="producer", embedder_image="embedder", encoder_image="encoder", model_image="model"
)
INDEX = "pictures.birds." + naming.encoder("starter", "1").removeprefix("encoder-")
IMAGES = {"published": 12, "indexed": 7, "failed": 2, "failedByReason": {"dead_link": 2}, "lag": 3}
OTHER_INDEX = "pictures.birds." + naming.encoder("openai--clip", "2").removeprefix("encoder-")


def facts(collection: Collection, **changes: Any) -> Facts:
    """What is observed of a collection that works."""
    model = changes.get("model", MODEL)
    world = Facts(
        now=NOW,
        siblings=(collection,),
        model=model,
        models={collection.name: model},
        topic=TopicFacts(exists=True, messages=12, failed={"dead_link": 2}, lag={INDEX: 3}),
        index=IndexFacts({INDEX: 7}, INDEX),
    )
    world = replace(world, **{name: value for name, value in changes.items() if name not in ("children", "pods")})
    children = changes.get("children", tuple(live(collection, world)))
    return replace(world, children=children, pods=changes.get("pods", ()))


def live(collection: Collection, world: Facts) -> Iterator[Manifest]:
    """What is planned, as the cluster has it when all went well."""
    for manifest in plan(collection, world, SETTINGS).manifests:
        child = copy.deepcopy(manifest)
        child["metadata"] |= {"creationTimestamp": "2026-05-01T12:00:00Z", "generation": 1, "uid": manifest["kind"]}
        child["status"] = WORKING.get(manifest["kind"], {})
        yield child


WORKING: dict[str, dict[str, Any]] = {
    "CronJob": {"lastSuccessfulTime": "2026-05-01T12:10:00Z"},
    "Job": {"conditions": [{"type": "Complete", "status": "True"}]},
    "Deployment": {"observedGeneration": 1, "availableReplicas": 1},
    "RayService": {
        "observedGeneration": 1,
        "conditions": [{"type": "Ready", "status": "True", "reason": "NonZeroServeEndpoints", "observedGeneration": 1}],
    },
}


def status_of(collection: Collection, observed: Facts, *errors: ApplyError) -> dict[str, Any]:
    """The status, held to the CRD: what the CRD does not know would be dropped silently."""
    said = status(collection, observed, plan(collection, observed, SETTINGS), errors)
    jsonschema.validate(said, strict(specs.SCHEMA["properties"]["status"]))
    assert said == status(
        with_status(collection, said), replace(observed, now=LATER), plan(collection, observed, SETTINGS), errors
    )
    return said


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, which also refuses fields that it does not name."""
    closed = {name: strict(field) if isinstance(field, dict) else field for name, field in schema.items()}
    return {"additionalProperties": False, **closed} if schema.get("type") == "object" else closed


def with_status(collection: Collection, said: dict[str, Any]) -> Collection:
    """The collection, with a status that was written before."""
    return collection.model_copy(update={"status": said})


def condition(said: dict[str, Any], name: str) -> dict[str, Any]:
    """One condition of a status."""
    (found,) = (one for one in said["conditions"] if one["type"] == name)
    return found


def verdict(said: dict[str, Any], name: str) -> tuple[str, str]:
    """A condition's status and reason."""
    found = condition(said, name)
    return found["status"], found["reason"]


def changed(children: tuple[Manifest, ...], kind: str, new: dict[str, Any]) -> tuple[Manifest, ...]:
    """The children, those of a kind with another status."""
    return tuple({**child, "status": new} if child["kind"] == kind else child for child in children)


def without(children: tuple[Manifest, ...], *kinds: str) -> tuple[Manifest, ...]:
    """The children, but for some kinds."""
    return tuple(child for child in children if child["kind"] not in kinds)


def child_of(observed: Facts, kind: str) -> Manifest:
    """The one child of a kind."""
    (found,) = (child for child in observed.children if child["kind"] == kind)
    return found


def pod(name: str, labels: dict[str, str], **observed: Any) -> Manifest:
    """A pod with a status, and the labels that its planned template gives it."""
    return {
        "kind": "Pod",
        "metadata": {"name": name, "uid": name, "labels": labels, "creationTimestamp": "2026-05-01T12:20:00Z"},
        "spec": {"containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
        "status": observed,
    }


def failed(last_words: str) -> dict[str, Any]:
    """The status of a pod that has failed."""
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": last_words}}
    return {"phase": "Failed", "containerStatuses": [{"name": "main", "restartCount": 0, "state": ended}]}


def pulling(image: str) -> dict[str, Any]:
    """The status of a pod whose image is not to be had."""
    state = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    return {"containerStatuses": [{"name": "main", "image": image, "restartCount": 0, "state": state}]}


def unschedulable(what: str) -> dict[str, Any]:
    """The status of a pod that no node takes."""
    return {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": what}]}


def template_labels(child: Manifest) -> dict[str, str]:
    """The labels of the pods that a child makes."""
    match child["kind"]:
        case "RayService":
            return child["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["metadata"]["labels"]
        case "Job":
            name = child["metadata"]["name"]
            return {**child["spec"]["template"]["metadata"]["labels"], "batch.kubernetes.io/job-name": name}
        case _:
            return child["spec"]["template"]["metadata"]["labels"]


BIRDS = specs.collection()
DOGS = specs.collection(sources=[specs.FLICKR_SOURCE])


def test_a_collection_that_works_is_ready_in_every_part() -> None:
    said = status_of(BIRDS, facts(BIRDS))

    assert {name: condition(said, name)["status"] for name in ("Ready", *PARTS)} == dict.fromkeys(
        ("Ready", *PARTS), "True"
    )
    assert condition(said, "Ready")["message"] == "7 pictures can be searched in collection pictures/birds"
    assert verdict(said, "Progressing") == ("False", "Settled")
    assert verdict(said, "Paused") == ("False", "NotPaused")
    assert {name: value for name, value in said.items() if name != "conditions"} == {
        "observedGeneration": 1,
        "images": IMAGES,
        "activeIndex": INDEX,
        "activeModel": "starter/1",
        "endpoint": "pictures/birds",
    }


def test_a_new_collection_is_on_its_way_and_nobody_has_to_do_anything() -> None:
    said = status_of(BIRDS, facts(BIRDS, model=None, topic=TopicFacts(), index=IndexFacts(), children=()))

    assert {condition(said, name)["status"] for name in ("Ready", *PARTS)} == {"False"}
    assert verdict(said, "Progressing") == ("True", condition(said, "Ready")["reason"])
    assert said["images"] == {"published": 0, "indexed": 0, "failed": 0}
    assert "endpoint" not in said
    assert [event.type for event in events({}, said)] == ["Normal"]


def test_every_condition_is_about_the_generation_that_was_seen() -> None:
    edited = specs.collection(generation=4)

    said = status_of(edited, facts(edited))

    assert said["observedGeneration"] == 4
    assert {one["observedGeneration"] for one in said["conditions"]} == {4}


def test_a_transition_has_a_time_of_its_own_and_keeps_it() -> None:
    ready = status_of(BIRDS, facts(BIRDS))
    kafka_down = facts(BIRDS, topic=Unknown("KafkaUnreachable", "no answer"), now=LATER)

    unready = status_of(with_status(BIRDS, ready), kafka_down)

    assert condition(ready, "Ready")["lastTransitionTime"] == "2026-05-01T12:30:00Z"
    assert condition(unready, "TopicReady")["lastTransitionTime"] == "2026-05-01T12:35:00Z"
    assert condition(unready, "IndexReady")["lastTransitionTime"] == "2026-05-01T12:30:00Z"


def run_that_said(collection: Collection, last_words: str) -> Facts:
    """The world where the first run of the collection's source has failed."""
    world = facts(collection)
    pods = (pod("birds-dogs-x", template_labels(child_of(world, "Job")), **failed(last_words)),)
    reached = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    given_up = {"conditions": [{**reached, "lastTransitionTime": "2026-05-01T12:28:00Z"}]}
    return replace(world, pods=pods, children=changed(world.children, "Job", given_up))


def test_a_wrong_api_key_is_told_in_the_producers_own_words() -> None:
    said = status_of(DOGS, run_that_said(DOGS, "imagesearch-producer: Flickr refuses the API key (Invalid API Key)"))

    assert verdict(said, "ProducersReady") == verdict(said, "Ready") == ("False", "Failed")
    assert "source dogs: " in condition(said, "Ready")["message"]
    assert "Flickr refuses the API key" in condition(said, "Ready")["message"]


def test_a_missing_secret_is_told_with_the_command_that_makes_it() -> None:
    world = facts(DOGS, missing=frozenset({("Secret", "flickr", "api-key")}))

    said = status_of(DOGS, world)

    assert verdict(said, "Ready") == ("False", "SecretNotFound")
    assert (
        "kubectl --namespace pictures create secret generic flickr --from-literal=api-key="
        in condition(said, "Ready")["message"]
    )


def test_a_missing_list_is_told_with_the_command_that_makes_it() -> None:
    world = facts(BIRDS, missing=frozenset({("ConfigMap", "pictures", "manifest.jsonl")}))

    said = status_of(BIRDS, world)

    assert verdict(said, "Ready") == ("False", "ConfigMapNotFound")
    assert "create configmap pictures --from-file=manifest.jsonl=" in condition(said, "Ready")["message"]


def test_a_suspended_source_needs_nothing() -> None:
    resting = specs.collection(sources=[{**specs.FLICKR_SOURCE, "suspend": True}])

    said = status_of(resting, facts(resting, missing=frozenset({("Secret", "flickr", "api-key")})))

    assert verdict(said, "ProducersReady") == ("True", "Suspended")


def test_the_first_run_of_a_source_is_awaited_until_there_are_pictures() -> None:
    running = facts(BIRDS, topic=TopicFacts(exists=True))
    running = replace(running, children=changed(changed(running.children, "CronJob", {}), "Job", {"active": 1}))

    assert verdict(status_of(BIRDS, running), "ProducersReady") == ("False", "FirstRun")
    with_pictures = replace(running, topic=TopicFacts(exists=True, messages=1, lag={INDEX: 0}))
    assert verdict(status_of(BIRDS, with_pictures), "ProducersReady") == ("True", "Scheduled")


@pytest.mark.parametrize(
    ("store", "part"),
    [("topic", "TopicReady"), ("index", "IndexReady"), ("model", "ModelReady")],
)
def test_a_store_that_does_not_answer_makes_its_part_unknown_and_is_what_ready_tells(store: str, part: str) -> None:
    world = facts(BIRDS)
    silent = replace(world, **{store: Unknown("Unreachable", f"the {store}'s store does not answer at x:1")})

    said = status_of(with_status(BIRDS, status_of(BIRDS, world)), silent)

    assert verdict(said, part) == verdict(said, "Ready") == ("Unknown", "Unreachable")
    assert "does not answer at x:1" in condition(said, "Ready")["message"]
    assert said["images"] == IMAGES  # as last seen
    assert said["activeIndex"] == INDEX


def test_a_model_that_does_not_exist_is_told_in_the_jobs_words() -> None:
    typo = specs.collection(model={"name": "google/siglipp"})
    world = facts(typo, model=None, index=IndexFacts())
    model_job = next(
        child
        for child in world.children
        if naming.COMPONENT in child["metadata"]["labels"] and child["metadata"]["labels"][naming.COMPONENT] == "model"
    )
    words = "imagesearch-model: the hub has no model google/siglipp"
    trying = tuple({**child, "status": {"active": 1}} if child is model_job else child for child in world.children)

    said = status_of(
        typo, replace(world, children=trying, pods=(pod("model-x", template_labels(model_job), **failed(words)),))
    )

    assert verdict(said, "ModelReady") == verdict(said, "Ready") == ("False", "Failed")
    assert "the hub has no model google/siglipp" in condition(said, "Ready")["message"]


def test_a_registered_model_that_is_not_there_is_named() -> None:
    pinned = specs.collection(model={"registry": {"name": "clip", "version": "9"}})

    said = status_of(pinned, facts(pinned, model=None, index=IndexFacts()))

    assert verdict(said, "ModelReady") == ("False", "ModelNotFound")
    assert "no version 9 of a model clip" in condition(said, "Ready")["message"]


def test_a_model_being_registered_for_the_first_time_is_on_its_way() -> None:
    world = facts(BIRDS, model=None, index=IndexFacts())
    world = replace(world, children=changed(world.children, "Job", {"active": 1}))

    said = status_of(BIRDS, world)

    assert verdict(said, "Ready") == ("False", "Registering")
    assert verdict(said, "Progressing") == ("True", "Registering")
    assert verdict(said, "EmbedderReady") == ("False", "WaitingForModel")


def encoder_waits(collection: Collection, ready: str, **observed: Any) -> Facts:
    """The world where an encoder's worker pod has this status."""
    world = facts(collection)
    pods = (pod("encoder-worker", template_labels(child_of(world, "RayService")), **observed),)
    conditions = [{"type": "Ready", "status": ready, "reason": "Initializing", "observedGeneration": 1}]
    return replace(world, pods=pods, children=changed(world.children, "RayService", {"conditions": conditions}))


GPU = specs.collection(serving={"gpusPerReplica": 1})


def test_a_cluster_without_gpus_is_told() -> None:
    said = status_of(GPU, encoder_waits(GPU, "False", **unschedulable("0/1 nodes: 1 Insufficient nvidia.com/gpu.")))

    assert verdict(said, "ServingReady") == verdict(said, "Ready") == ("False", "InsufficientGpu")
    assert "gpusPerReplica" in condition(said, "Ready")["message"]


def test_a_replica_too_many_leaves_the_others_ready_and_is_told() -> None:
    said = status_of(GPU, encoder_waits(GPU, "True", **unschedulable("0/1 nodes: 1 Insufficient nvidia.com/gpu.")))

    assert verdict(said, "ServingReady") == ("True", "InsufficientGpu")
    assert "not with all its replicas" in condition(said, "ServingReady")["message"]
    assert verdict(said, "Ready") == ("True", "Ready")


def test_an_image_that_cannot_be_pulled_is_named() -> None:
    said = status_of(BIRDS, encoder_waits(BIRDS, "False", **pulling("localhost/imagesearch/encoder:nope")))

    assert verdict(said, "Ready") == ("False", "ImagePullFailed")
    assert "localhost/imagesearch/encoder:nope" in condition(said, "Ready")["message"]


def test_an_application_that_ray_cannot_deploy_is_told_in_its_words() -> None:
    world = facts(BIRDS)
    application = {"status": "DEPLOY_FAILED", "message": "Deploying app failed:\nRuntimeError: no such model"}
    observed = {
        "conditions": [{"type": "Ready", "status": "False", "reason": "ZeroServeEndpoints", "observedGeneration": 1}],
        "pendingServiceStatus": {"applicationStatuses": {"encoder": application}},
    }

    said = status_of(BIRDS, replace(world, children=changed(world.children, "RayService", observed)))

    assert verdict(said, "ServingReady") == ("False", "DeployFailed")
    assert "RuntimeError: no such model" in condition(said, "Ready")["message"]


def test_an_encoder_on_its_way_is_on_its_way() -> None:
    world = facts(BIRDS)
    starting = {"conditions": [{"type": "Ready", "status": "False", "reason": "Initializing", "observedGeneration": 1}]}

    said = status_of(BIRDS, replace(world, children=changed(world.children, "RayService", starting)))

    assert verdict(said, "ServingReady") == ("False", "Starting")
    assert verdict(said, "Progressing") == ("True", "Starting")


@pytest.mark.parametrize("kind", ["Deployment", "RayService"])
def test_a_status_of_an_older_generation_says_nothing(kind: str) -> None:
    world = facts(BIRDS)
    edited = tuple(
        {**child, "metadata": {**child["metadata"], "generation": 2}} if child["kind"] == kind else child
        for child in world.children
    )

    said = status_of(BIRDS, replace(world, children=edited))

    assert verdict(said, "Ready") == ("Unknown", "NotObserved")


def test_without_kuberay_it_is_said_what_to_install() -> None:
    world = facts(BIRDS, kuberay=False)

    said = status_of(BIRDS, world)

    assert verdict(said, "Ready") == ("False", "KubeRayMissing")
    assert "install the KubeRay operator" in condition(said, "Ready")["message"]


def embedder_with(*pods_observed: tuple[str, dict[str, Any]], available: int = 1, **changes: Any) -> Facts:
    """The world with these statuses of the Spark driver and its executors."""
    world = facts(BIRDS, **changes)
    driver = template_labels(child_of(world, "Deployment"))
    executor = {name: value for name, value in driver.items() if name != naming.INSTANCE}
    pods = [pod(name, driver if name == "driver" else executor, **observed) for name, observed in pods_observed]
    for one in pods:
        if one["metadata"]["name"] != "driver":
            one["metadata"]["ownerReferences"] = [{"kind": "Pod", "name": "driver", "uid": "driver"}]
    counted = {"observedGeneration": 1, "availableReplicas": available}
    return replace(world, pods=tuple(pods), children=changed(world.children, "Deployment", counted))


READY_POD = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def test_a_driver_without_a_volume_is_told() -> None:
    waits = unschedulable("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.")

    said = status_of(BIRDS, embedder_with(("driver", waits), available=0))

    assert verdict(said, "Ready") == ("False", "VolumeNotBound")


def test_executors_that_find_no_room_are_told() -> None:
    world = embedder_with(("driver", READY_POD), ("executor-1", unschedulable("0/1 nodes: 1 Insufficient memory.")))

    assert verdict(status_of(BIRDS, world), "EmbedderReady") == ("False", "InsufficientResources")


def test_one_executor_that_works_is_enough() -> None:
    world = embedder_with(
        ("driver", READY_POD),
        ("executor-1", READY_POD),
        ("executor-2", unschedulable("0/1 nodes: 1 Insufficient memory.")),
    )

    assert verdict(status_of(BIRDS, world), "EmbedderReady") == ("True", "Running")


def test_an_embedder_is_not_ready_before_its_first_batch_unless_there_is_nothing_to_do() -> None:
    unproven = embedder_with(("driver", READY_POD), topic=TopicFacts(exists=True, messages=12))
    idle = embedder_with(("driver", READY_POD), topic=TopicFacts(exists=True))

    assert verdict(status_of(BIRDS, unproven), "EmbedderReady") == ("False", "Starting")
    assert verdict(status_of(BIRDS, idle), "EmbedderReady") == ("True", "Running")


def test_a_driver_that_runs_again_without_a_batch_tells_how_it_ended() -> None:
    ended = {"terminated": {"exitCode": 1, "message": "imagesearch-embedder: Elasticsearch does not answer"}}
    again = {
        **READY_POD,
        "containerStatuses": [
            {"name": "main", "ready": True, "restartCount": 2, "state": {"running": {}}, "lastState": ended}
        ],
    }

    said = status_of(BIRDS, embedder_with(("driver", again), topic=TopicFacts(exists=True, messages=12)))

    assert verdict(said, "EmbedderReady") == ("False", "CrashLoop")
    assert "Elasticsearch does not answer" in condition(said, "Ready")["message"]


@pytest.mark.parametrize(
    ("kind", "name", "part"),
    [
        ("CronJob", "birds-list", "ProducersReady"),
        ("Job", "birds-list-0011aabb", "ProducersReady"),
        ("Job", "model-0011aabb-0011aabb", "ModelReady"),
        ("Topic", "imagesearch.pictures.birds", "TopicReady"),
        ("Index", INDEX, "IndexReady"),
        ("Deployment", "birds-embedder-x", "EmbedderReady"),
        ("RoleBinding", "birds-embedder", "EmbedderReady"),
        ("RayService", "encoder-x", "ServingReady"),
    ],
)
def test_what_could_not_be_applied_is_told_where_it_belongs(kind: str, name: str, part: str) -> None:
    error = ApplyError(kind, name, "Forbidden", "exceeded quota: team, requested: pods=1.")

    said = status_of(BIRDS, facts(BIRDS), error)

    assert verdict(said, part) == verdict(said, "Ready") == ("False", "Forbidden")
    assert (
        condition(said, "Ready")["message"]
        == f"{kind} {name} could not be applied: exceeded quota: team, requested: pods=1"
    )


def test_what_somebody_has_to_mend_is_told_before_what_comes_by_itself() -> None:
    world = facts(BIRDS, topic=TopicFacts(), kuberay=False)

    assert verdict(status_of(BIRDS, world), "Ready") == ("False", "KubeRayMissing")


def test_nothing_else_changes_while_paused() -> None:
    paused = specs.collection(paused=True)

    said = status_of(paused, facts(paused))

    assert verdict(said, "Paused") == ("True", "Paused")
    assert verdict(said, "Ready") == ("True", "Ready")


def candidate_world(
    *, lag: int | None = 4, documents: int = 5, before: dict[str, Any] | None = None
) -> tuple[Collection, Facts]:
    """A collection whose model was changed: another index is being built beside the one that is searched."""
    changed_model = specs.collection(
        model={"name": "openai/clip"}, status=before or {"activeIndex": INDEX, "activeModel": "starter/1"}
    )
    lags = {INDEX: 0} | ({} if lag is None else {OTHER_INDEX: lag})
    return changed_model, facts(
        changed_model,
        model=OTHER_MODEL,
        topic=TopicFacts(exists=True, messages=12, lag=lags),
        index=IndexFacts({INDEX: 7, OTHER_INDEX: documents}, INDEX),
    )


def test_a_candidate_is_built_while_the_active_index_is_searched_on() -> None:
    collection, world = candidate_world()

    said = status_of(collection, world)

    assert (said["candidate"], said["activeIndex"], said["activeModel"]) == (OTHER_INDEX, INDEX, "starter/1")
    assert verdict(said, "Ready") == ("True", "Ready")
    assert verdict(said, "Progressing") == ("True", "CandidateFilling")
    assert "it has 5 pictures, and 4 records to go" in condition(said, "Progressing")["message"]
    assert said["images"] == {"published": 12, "indexed": 7, "failed": 0, "lag": 0}


def test_a_candidate_that_cannot_start_says_why_and_leaves_the_collection_ready() -> None:
    collection, world = candidate_world()
    other = next(
        c
        for c in world.children
        if c["kind"] == "RayService" and c["metadata"]["annotations"][naming.MODEL] == "openai--clip/2"
    )
    waits = pod("encoder-worker", template_labels(other), **pulling("nope"))
    starting = {"conditions": [{"type": "Ready", "status": "False", "reason": "Initializing", "observedGeneration": 1}]}
    children = tuple({**child, "status": starting} if child is other else child for child in world.children)

    said = status_of(collection, replace(world, pods=(waits,), children=children))

    assert verdict(said, "Progressing") == ("True", "ImagePullFailed")
    assert verdict(said, "Ready") == ("True", "Ready")


def test_another_model_that_is_being_registered_leaves_the_collection_ready() -> None:
    collection, world = candidate_world()
    registering = replace(world, model=None, children=changed(world.children, "Job", {"active": 1}))

    said = status_of(collection, registering)

    assert verdict(said, "ModelReady") == ("False", "Creating")
    assert verdict(said, "Ready") == ("True", "Ready")
    assert said["activeModel"] == "starter/1"


def test_a_deletion_that_waits_for_a_store_says_how_to_get_out() -> None:
    leaving = specs.collection(deleted_at=NOW)
    error = ApplyError("Store", "birds", "KafkaUnreachable", "Kafka does not answer at kafka:9092.")

    said = status_of(leaving, facts(leaving, topic=Unknown("KafkaUnreachable", "Kafka does not answer.")), error)

    assert verdict(said, "Ready") == ("False", "KafkaUnreachable")
    assert "Kafka does not answer at kafka:9092. To let it go" in condition(said, "Ready")["message"]
    assert '{"spec": {"deletionPolicy": "Retain"}}' in condition(said, "Ready")["message"]
    assert "could not be applied" not in condition(said, "EmbedderReady")["message"]


def test_a_deletion_that_goes_on_says_so() -> None:
    leaving = specs.collection(deleted_at=NOW)

    said = status_of(leaving, facts(leaving))

    assert verdict(said, "Ready") == ("False", "Deleting")
    assert verdict(said, "Progressing") == ("True", "Deleting")


def reasons(told: list[Event]) -> list[tuple[str, str]]:
    """Types and reasons of events."""
    return [(event.type, event.reason) for event in told]


def test_nothing_is_an_event_while_nothing_happens_but_counting() -> None:
    before = status_of(BIRDS, facts(BIRDS))
    after = status_of(BIRDS, facts(BIRDS, index=IndexFacts({INDEX: 9}, INDEX)))

    assert before != after
    assert events(before, after) == []


def test_a_failure_is_a_warning_and_its_end_is_not() -> None:
    ready = status_of(BIRDS, facts(BIRDS))
    down = status_of(BIRDS, facts(BIRDS, topic=Unknown("KafkaUnreachable", "no answer")))

    assert reasons(events(ready, down)) == [("Warning", "KafkaUnreachable")]
    assert reasons(events(down, ready)) == [("Normal", "Ready")]


def test_the_first_picture_is_an_event() -> None:
    empty = status_of(BIRDS, facts(BIRDS, index=IndexFacts({INDEX: 0}, INDEX)))

    assert reasons(events(empty, status_of(BIRDS, facts(BIRDS)))) == [("Normal", "FirstImageSearchable")]


def test_a_candidates_beginning_and_its_taking_over_are_events() -> None:
    settled = status_of(BIRDS, facts(BIRDS))
    collection, world = candidate_world(before=settled)
    filling = status_of(collection, world)
    over = status_of(
        with_status(collection, filling), replace(world, index=IndexFacts({INDEX: 7, OTHER_INDEX: 12}, OTHER_INDEX))
    )

    assert reasons(events(settled, filling)) == [("Normal", "CandidateStarted")]
    assert events(filling, over) == [
        Event("Normal", "CutOver", f"searches go to index {OTHER_INDEX} now, with model openai--clip/2")
    ]


def test_pausing_and_going_on_are_events() -> None:
    paused = specs.collection(paused=True)
    before, after = status_of(BIRDS, facts(BIRDS)), status_of(paused, facts(paused))

    assert reasons(events(before, after)) == [("Normal", "Paused")]
    assert reasons(events(after, before)) == [("Normal", "Resumed")]


# -- dead letters


def test_what_failed_is_the_sum_of_its_reasons_and_stays_as_it_was_while_it_is_being_counted() -> None:
    counted = facts(BIRDS, topic=TopicFacts(exists=True, failed={"dead_link": 2, "truncated": 3}))
    said = status_of(BIRDS, counted)
    assert (said["images"]["failed"], said["images"]["failedByReason"]) == (5, {"dead_link": 2, "truncated": 3})

    counting = facts(BIRDS, topic=TopicFacts(exists=True, failed=None))
    assert status_of(with_status(BIRDS, said), counting)["images"]["failed"] == 5

    cleared = status_of(with_status(BIRDS, said), facts(BIRDS, topic=TopicFacts(exists=True, failed={})))
    assert cleared["images"]["failed"] == 0
    assert "failedByReason" not in cleared["images"]


def replay_job(at: str = "2026-05-01T12:10:00Z", **status: Any) -> Manifest:
    """The Job of a replay that was asked for."""
    asked = specs.collection(annotations={naming.REPLAY: "dead_link"})
    world = facts(asked, children=())
    [job] = replays.job(asked, world, SETTINGS)
    meta = job["metadata"] | {"creationTimestamp": at}
    return job | {"metadata": meta, "status": status}


def replay_pod(job: Manifest, state: dict[str, Any]) -> Manifest:
    """Its pod."""
    return {
        "kind": "Pod",
        "metadata": {"name": "replay", "labels": {"batch.kubernetes.io/job-name": job["metadata"]["name"]}},
        "status": {"containerStatuses": [{"name": "replay", "state": state}]},
    }


COMPLETE = {"conditions": [{"type": "Complete", "status": "True"}]}
SUMMARY = "replayed 2 cleared 2 outdated 0 not replayable 0 of 2 letters"


def test_a_replay_is_told_from_its_start_to_its_last_words_with_an_event_for_each() -> None:
    running, done = replay_job(), replay_job(**COMPLETE)
    ended = replay_pod(done, {"terminated": {"exitCode": 0, "message": SUMMARY + "\n"}})
    before = status_of(BIRDS, facts(BIRDS))
    started = status_of(with_status(BIRDS, before), facts(BIRDS, children=(running,)))
    finished = status_of(with_status(BIRDS, started), facts(BIRDS, children=(done,), pods=(ended,)))
    gone = status_of(with_status(BIRDS, finished), facts(BIRDS, children=()))

    assert "replay" not in before
    job = running["metadata"]["name"]
    assert started["replay"] | {"message": ""} == {
        "job": job, "reason": "dead_link", "state": "Running", "message": "",
    }  # fmt: skip
    assert finished["replay"] == {"job": job, "reason": "dead_link", "state": "Finished", "message": SUMMARY}
    assert gone["replay"] == finished["replay"]
    told = [events(*pair) for pair in ((before, started), (started, finished), (finished, gone))]
    assert [[(event.type, event.reason) for event in some if "Replay" in event.reason] for some in told] == [
        [("Normal", "ReplayStarted")],
        [("Normal", "ReplayFinished")],
        [],
    ]
    assert SUMMARY in told[1][-1].message


def test_a_replay_is_not_done_before_its_last_words_are_heard_nor_waits_for_those_of_a_pod_that_is_gone() -> None:
    done = replay_job(**COMPLETE)
    unheard = facts(BIRDS, children=(done,), pods=(replay_pod(done, {"running": {}}),))
    assert status_of(BIRDS, unheard)["replay"]["state"] == "Running"
    assert status_of(BIRDS, facts(BIRDS, children=(done,)))["replay"]["state"] == "Finished"


def test_a_replay_that_failed_says_why() -> None:
    failed = replay_job(conditions=[{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}])
    said = "imagesearch-replay: Kafka cannot be reached at kafka:9092"
    pod = replay_pod(failed, {"terminated": {"exitCode": 1, "message": f"INFO\n{said}"}})
    now = status_of(BIRDS, facts(BIRDS, children=(failed,), pods=(pod,)))

    assert now["replay"]["state"] == "Failed"
    assert said in now["replay"]["message"]
    [event] = [event for event in events({}, now) if event.reason == "ReplayFailed"]
    assert event.type == "Warning"


def test_of_several_replays_the_latest_is_told() -> None:
    earlier, later = replay_job("2026-05-01T12:10:00Z", **COMPLETE), replay_job("2026-05-01T12:20:00Z")
    later["metadata"]["name"] = "later"
    assert status_of(BIRDS, facts(BIRDS, children=(later, earlier)))["replay"]["job"] == "later"


def test_a_reason_that_there_is_not_is_answered_with_those_that_there_are() -> None:
    told = unknown_replay("bad_luck")
    assert told.type == "Warning"
    assert "imagesearch.dev/replay=bad_luck" in told.message
    assert all(reason in told.message for reason in ("all", "dead_link", "rejected_by_index"))
