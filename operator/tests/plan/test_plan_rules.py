"""What a plan says in the cases that matter: retries, candidates, sharing, stores that do not answer."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import specs
import worlds
from imagesearch_contract import names
from imagesearch_operator import naming
from imagesearch_operator.facts import Facts, IndexFacts, Manifest, ModelVersion, TopicFacts, Unknown
from imagesearch_operator.plan import Plan, active_model, plan

SETTINGS = worlds.settings()
DOWN = Unknown("Unreachable", "it does not answer")
OLD = names.index("pictures", "birds", worlds.STARTER.name, worlds.STARTER.version)
NEW = names.index("pictures", "birds", worlds.SIGLIP.name, worlds.SIGLIP.version)


def of_kind(planned: Plan, kind: str) -> list[Manifest]:
    return [manifest for manifest in planned.manifests if manifest["kind"] == kind]


def named(planned: Plan, kind: str) -> list[str]:
    return [manifest["metadata"]["name"] for manifest in of_kind(planned, kind)]


def models(planned: Plan, kind: str) -> list[str]:
    return [manifest["metadata"]["annotations"][naming.MODEL] for manifest in of_kind(planned, kind)]


def owners(manifest: Manifest) -> list[str]:
    return [owner["name"] for owner in manifest["metadata"]["ownerReferences"]]


# -- sources


def test_a_source_runs_for_the_first_time_as_soon_as_there_is_a_topic() -> None:
    birds = specs.collection()
    without = plan(birds, worlds.facts(birds, topic=TopicFacts(exists=False)), SETTINGS)
    with_topic = plan(birds, worlds.facts(birds, topic=TopicFacts(exists=True)), SETTINGS)
    assert (len(of_kind(without, "Job")), len(of_kind(with_topic, "Job"))) == (0, 1)


def test_a_first_run_stays_when_kafka_stops_answering() -> None:
    birds = specs.collection()
    [job] = of_kind(plan(birds, worlds.facts(birds), SETTINGS), "Job")
    later = plan(birds, worlds.facts(birds, topic=DOWN, children=(worlds.live(job),)), SETTINGS)
    assert named(later, "Job") == [job["metadata"]["name"]]


def test_a_changed_source_runs_anew_and_the_others_do_not() -> None:
    other = specs.MANIFEST_SOURCE | {"name": "other"}
    before = specs.collection(sources=[specs.FLICKR_SOURCE, other])
    cats = {"tags": ["cat"], "apiKeySecretRef": {"name": "flickr"}}
    after = specs.collection(sources=[specs.FLICKR_SOURCE | {"flickr": cats}, other])
    runs = [named(plan(each, worlds.facts(each), SETTINGS), "Job") for each in (before, after)]
    assert runs[0][0] != runs[1][0]
    assert runs[0][1] == runs[1][1]


def test_a_new_schedule_alone_runs_nothing() -> None:
    before, after = specs.collection(), specs.collection(sources=[specs.MANIFEST_SOURCE | {"schedule": "@daily"}])
    runs = [named(plan(each, worlds.facts(each), SETTINGS), "Job") for each in (before, after)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize(("minutes", "planned"), [(4, True), (6, False)])
def test_a_run_that_failed_is_left_out_after_five_minutes_so_that_it_is_made_again(minutes: int, planned: bool) -> None:
    birds = specs.collection()
    [job] = of_kind(plan(birds, worlds.facts(birds), SETTINGS), "Job")
    at = (worlds.NOW - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
    failed = worlds.live(job, conditions=[{"type": "Failed", "status": "True", "lastTransitionTime": at}])
    assert bool(of_kind(plan(birds, worlds.facts(birds, children=(failed,)), SETTINGS), "Job")) is planned


def test_a_run_that_succeeded_long_ago_stays_as_the_sign_that_it_ran() -> None:
    birds = specs.collection()
    [job] = of_kind(plan(birds, worlds.facts(birds), SETTINGS), "Job")
    done = worlds.live(
        job, conditions=[{"type": "Complete", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}]
    )
    assert of_kind(plan(birds, worlds.facts(birds, children=(done,)), SETTINGS), "Job") == [job]


def test_no_two_collections_come_to_the_same_cron_job() -> None:
    assert naming.cron_job("a", "b-c") != naming.cron_job("a-b", "c")


def test_a_list_in_a_config_map_keeps_its_name_which_tells_its_format() -> None:
    ref = {"name": "pictures", "key": "pictures.csv"}
    birds = specs.collection(sources=[{"name": "list", "manifest": {"configMapRef": ref}}])
    [job] = of_kind(plan(birds, worlds.facts(birds), SETTINGS), "Job")
    pod = job["spec"]["template"]["spec"]
    variables = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    [mount] = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "manifest"]
    assert json.loads(variables["IMAGESEARCH_SOURCE"])["url"] == f"{mount['mountPath']}/pictures.csv"
    assert pod["volumes"][1]["configMap"]["items"] == [{"key": "pictures.csv", "path": "pictures.csv"}]


# -- replays

ASKED = {naming.REPLAY: "dead_link"}


def replay_jobs(asked: dict[str, str], **world: Any) -> list[Manifest]:
    birds = specs.collection(annotations=asked)
    jobs = of_kind(plan(birds, worlds.facts(birds, **world), SETTINGS), "Job")
    return [job for job in jobs if job["metadata"]["labels"][naming.COMPONENT] == "replay"]


def test_a_replay_is_planned_when_it_is_asked_for_and_there_is_a_topic() -> None:
    assert replay_jobs({}) == []
    assert replay_jobs(ASKED, topic=TopicFacts(exists=False)) == replay_jobs(ASKED, topic=DOWN) == []
    [job] = replay_jobs(ASKED)
    [container] = job["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    assert container["command"] == ["imagesearch-replay"]
    assert variables["IMAGESEARCH_REASON"] == "dead_link"
    assert variables["IMAGESEARCH_TOPIC"] == "imagesearch.pictures.birds"
    assert job["spec"]["ttlSecondsAfterFinished"] > 0


def test_a_reason_that_there_is_not_is_not_replayed() -> None:
    assert replay_jobs({naming.REPLAY: "bad_luck"}) == replay_jobs({naming.REPLAY: ""}) == []


def test_a_request_has_one_job_and_the_next_one_has_another() -> None:
    [first] = replay_jobs(ASKED)
    assert replay_jobs(ASKED) == [first]
    [next_one] = replay_jobs(ASKED | {naming.REPLAYED: first["metadata"]["name"]})
    [of_another_reason] = replay_jobs({naming.REPLAY: "all"})
    assert len({job["metadata"]["name"] for job in (first, next_one, of_another_reason)}) == 3


@pytest.mark.parametrize("end", ["Complete", "Failed"])
def test_replays_come_one_after_the_other_and_each_once(end: str) -> None:
    [job] = replay_jobs(ASKED)
    running, ended = worlds.live(job), worlds.live(job, conditions=[{"type": end, "status": "True"}])
    later = {naming.REPLAY: "truncated", naming.REPLAYED: job["metadata"]["name"]}
    assert replay_jobs(later, children=(running,)) == []
    assert len(replay_jobs(later, children=(ended,))) == 1
    assert replay_jobs(ASKED, children=(running,)) == replay_jobs(ASKED, children=(ended,)) == []


def test_a_replay_s_name_is_no_longer_than_a_label() -> None:
    name = naming.replay("c" * 40, "decompression_bomb", "0123abcd")
    assert len(name) <= 63
    assert name.startswith(naming.replays("c" * 40))
    assert name.endswith("-0123abcd")


# -- models


def test_a_model_is_registered_by_name_only_where_it_is_missing() -> None:
    for_model = {"model": {"name": "openai/clip-vit-base-patch32"}}
    birds = specs.collection(**for_model)
    assert len(of_kind(plan(birds, worlds.facts(birds, model=None), SETTINGS), "Job")) == 2
    for model in (worlds.SIGLIP, DOWN):
        planned = plan(birds, worlds.facts(birds, model=model), SETTINGS)
        assert not any(name.startswith("model-") for name in named(planned, "Job"))


def test_what_should_be_registered_already_is_never_registered_by_us() -> None:
    birds = specs.collection(model={"registry": {"name": "birdclip", "version": "7"}})
    planned = plan(birds, worlds.facts(birds, model=None), SETTINGS)
    assert not any(name.startswith("model-") for name in named(planned, "Job"))


def test_a_corrected_image_makes_another_model_job_because_a_job_cannot_be_changed() -> None:
    birds = specs.collection()
    facts = worlds.facts(birds, model=None, topic=TopicFacts())
    jobs = [named(plan(birds, facts, worlds.settings(model_image=image)), "Job") for image in ("wrong:1", "right:1")]
    assert jobs[0] != jobs[1]


def test_a_model_job_belongs_to_every_collection_that_waits_for_the_model() -> None:
    birds, dogs = specs.collection("birds"), specs.collection("dogs")
    cats = specs.collection("cats", model={"name": "openai/clip-vit-base-patch32"})
    planned = plan(dogs, worlds.facts(dogs, birds, cats, model=None, topic=TopicFacts()), SETTINGS)
    [job] = of_kind(planned, "Job")
    assert owners(job) == ["birds", "dogs"]


# -- one model after another


def changed_model(**given: Any) -> Facts:
    """The collection has asked for another model; the old one is searched and its objects are there."""
    before = specs.collection()
    children = plan(before, worlds.facts(before), SETTINGS).manifests
    birds = specs.collection(model={"name": "google/siglip2-base-patch16-224"}, status={"activeModel": "starter/1"})
    seen: dict[str, Any] = {
        "model": worlds.SIGLIP,
        "children": children,
        "index": IndexFacts({OLD: 500}, OLD),
        "topic": TopicFacts(exists=True, messages=500),
    }
    return worlds.facts(birds, **seen | given)


BOTH = ["starter/1", "google--siglip2-base-patch16-224/3"]


def test_a_changed_model_is_built_beside_the_one_that_is_searched() -> None:
    facts = changed_model()
    planned = plan(facts.siblings[0], facts, SETTINGS)
    assert models(planned, "Deployment") == models(planned, "RayService") == BOTH
    assert (planned.index.name if planned.index else None, planned.alias) == (NEW, None)


@pytest.mark.parametrize(
    ("documents", "topic", "moves"),
    [
        pytest.param({OLD: 500}, TopicFacts(True, 500, lag={NEW: 0}), False, id="no index yet"),
        pytest.param({OLD: 500, NEW: 0}, TopicFacts(True, 500), False, id="nothing committed"),
        pytest.param({OLD: 500, NEW: 400}, TopicFacts(True, 500, lag={NEW: 100}), False, id="behind"),
        pytest.param({OLD: 500, NEW: 0}, TopicFacts(True, 500, lag={NEW: 0}), False, id="caught up and found nothing"),
        pytest.param({OLD: 500, NEW: 500}, DOWN, False, id="Kafka is down"),
        pytest.param({OLD: 500, NEW: 499}, TopicFacts(True, 500, lag={NEW: 0, OLD: 3}), True, id="caught up"),
        pytest.param({OLD: 0, NEW: 0}, TopicFacts(True, 5, lag={NEW: 0}), True, id="nothing usable in either"),
        pytest.param({OLD: 0, NEW: 0}, TopicFacts(True, 0, lag={NEW: 0}), True, id="empty topic"),
    ],
)
def test_searches_move_when_the_new_index_has_caught_up(
    documents: dict[str, int], topic: TopicFacts | Unknown, moves: bool
) -> None:
    facts = changed_model(index=IndexFacts(documents, OLD), topic=topic)
    assert plan(facts.siblings[0], facts, SETTINGS).alias == (NEW if moves else None)


def test_what_was_searched_goes_once_searches_have_moved() -> None:
    facts = changed_model(index=IndexFacts({OLD: 500, NEW: 500}, NEW))
    planned = plan(facts.siblings[0], facts, SETTINGS)
    assert models(planned, "Deployment") == models(planned, "RayService") == BOTH[1:]
    assert planned.alias == NEW


def test_a_first_index_is_searched_from_the_beginning() -> None:
    birds = specs.collection()
    assert plan(birds, worlds.facts(birds), SETTINGS).alias == OLD


def test_a_change_taken_back_leaves_what_is_searched_and_nothing_else() -> None:
    facts = changed_model(model=worlds.STARTER, index=IndexFacts({OLD: 500, NEW: 300}, OLD))
    planned = plan(facts.siblings[0], facts, SETTINGS)
    assert models(planned, "Deployment") == ["starter/1"]
    assert planned.alias == OLD


def test_a_model_that_does_not_exist_leaves_the_searched_one_running() -> None:
    facts = changed_model(model=None)
    planned = plan(facts.siblings[0], facts, SETTINGS)
    assert models(planned, "Deployment") == models(planned, "RayService") == ["starter/1"]
    assert (planned.index, planned.alias) == (None, None)


@pytest.mark.parametrize("down", [{"model": DOWN}, {"index": DOWN}, {"topic": DOWN}, {"model": DOWN, "index": DOWN}])
def test_nothing_goes_because_a_store_does_not_answer(down: dict[str, Unknown]) -> None:
    facts = changed_model()
    birds = facts.siblings[0]
    running = plan(birds, facts, SETTINGS)
    blind = replace(facts, children=running.manifests, **down)
    blind = replace(blind, models={birds.name: blind.model})
    planned = plan(birds, blind, SETTINGS)
    assert {json.dumps(each) for each in running.manifests} == {json.dumps(each) for each in planned.manifests}


def test_the_searched_model_is_known_from_the_driver_where_the_status_is_lost() -> None:
    facts = changed_model()
    forgotten = facts.siblings[0].model_copy(update={"status": {}})
    assert active_model(forgotten, facts) == "starter/1"


def test_an_index_of_nobody_knows_which_model_is_no_reason_to_fail() -> None:
    birds = specs.collection()
    facts = worlds.facts(birds, index=IndexFacts({"pictures.birds.00000000": 1}, "pictures.birds.00000000"))
    assert active_model(birds, facts) is None
    assert models(plan(birds, facts, SETTINGS), "Deployment") == ["starter/1"]


# -- sharing


def test_collections_with_one_model_share_one_encoder() -> None:
    birds, dogs = specs.collection("birds"), specs.collection("dogs")
    encoders = [of_kind(plan(each, worlds.facts(birds, dogs), SETTINGS), "RayService") for each in (birds, dogs)]
    assert encoders[0] == encoders[1]
    assert owners(encoders[0][0]) == ["birds", "dogs"]
    assert not any(owner.get("controller") for owner in encoders[0][0]["metadata"]["ownerReferences"])


def test_an_encoder_is_kept_for_the_collection_that_is_still_searched_with_it() -> None:
    moving = specs.collection("moving", status={"activeModel": "starter/1"})
    birds = specs.collection("birds")
    facts = worlds.facts(birds, moving, models={"birds": worlds.STARTER, "moving": worlds.SIGLIP})
    [encoder] = of_kind(plan(birds, facts, SETTINGS), "RayService")
    assert owners(encoder) == ["birds", "moving"]


def test_an_encoder_keeps_its_owners_while_the_registry_does_not_answer() -> None:
    birds, dogs = specs.collection("birds"), specs.collection("dogs")
    children = plan(birds, worlds.facts(birds, dogs), SETTINGS).manifests
    [encoder] = of_kind(plan(birds, worlds.facts(birds, dogs, model=DOWN, children=children), SETTINGS), "RayService")
    assert owners(encoder) == ["birds", "dogs"]


def test_without_kuberay_everything_else_is_planned() -> None:
    birds = specs.collection()
    planned = plan(birds, worlds.facts(birds, kuberay=False), SETTINGS)
    assert not of_kind(planned, "RayService")
    assert of_kind(planned, "Deployment")


def test_ray_counts_the_processors_and_gpus_that_a_replica_takes() -> None:
    limits = {"cpu": "2500m", "memory": "8Gi"}
    birds = specs.collection(serving={"gpusPerReplica": 2, "resources": {"limits": limits}})
    [service] = of_kind(plan(birds, worlds.facts(birds), SETTINGS), "RayService")
    [workers] = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    [application] = json.loads(service["spec"]["serveConfigV2"])["applications"]
    assert workers["rayStartParams"]["num-cpus"] == "3"
    assert workers["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "2"
    assert application["args"]["IMAGESEARCH_CPUS_PER_REPLICA"] == "3.0"
    assert application["args"]["IMAGESEARCH_GPUS_PER_REPLICA"] == "2.0"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"serving": {"maxReplicas": 9}}, id="replicas"),
        pytest.param({"serving": {"targetOngoingRequests": 2}}, id="arguments"),
        pytest.param({"embedding": {"triggerSeconds": 1}}, id="embedding"),
        pytest.param({"sources": [specs.FLICKR_SOURCE]}, id="sources"),
    ],
)
def test_no_change_but_of_resources_makes_a_second_ray_cluster(change: dict[str, Any]) -> None:
    def cluster(**fields: Any) -> dict[str, Any]:
        birds = specs.collection(**fields)
        [service] = of_kind(plan(birds, worlds.facts(birds), SETTINGS), "RayService")
        config: dict[str, Any] = service["spec"]["rayClusterConfig"]
        for group in config["workerGroupSpecs"]:
            del group["minReplicas"], group["maxReplicas"]  # KubeRay takes these up in place
        return config

    assert cluster() == cluster(**change)


# -- Spark


def spark_conf(**embedding: Any) -> dict[str, str]:
    birds = specs.collection(embedding=embedding)
    [files] = of_kind(plan(birds, worlds.facts(birds), SETTINGS), "ConfigMap")
    lines = files["data"]["spark-defaults.conf"].splitlines()
    return dict(line.split(" ", 1) for line in lines)


def test_executors_get_exactly_the_memory_that_was_asked_for() -> None:
    conf = spark_conf(resources={"requests": {"memory": "3Gi"}, "limits": {"memory": "3Gi"}})
    megabytes = [int(conf[key].removesuffix("m")) for key in ("spark.executor.memory", "spark.executor.memoryOverhead")]
    assert sum(megabytes) == 3 * 1024


def test_a_driver_starts_anew_when_its_configuration_changes() -> None:
    def annotation(**embedding: Any) -> str:
        birds = specs.collection(embedding=embedding)
        [driver] = of_kind(plan(birds, worlds.facts(birds), SETTINGS), "Deployment")
        value: str = driver["spec"]["template"]["metadata"]["annotations"]["imagesearch.dev/configuration"]
        return value

    assert annotation() == annotation()
    assert annotation() != annotation(executors={"min": 2, "max": 2})


def test_executors_are_fixed_in_number_or_follow_the_work() -> None:
    assert spark_conf(executors={"min": 3, "max": 3})["spark.executor.instances"] == "3"
    dynamic = spark_conf(executors={"min": 1, "max": 3})
    assert "spark.executor.instances" not in dynamic
    assert dynamic["spark.dynamicAllocation.maxExecutors"] == "3"


def test_a_driver_has_to_last_before_it_counts_and_shows_its_figures_to_all() -> None:
    birds = specs.collection()
    planned = plan(birds, worlds.facts(birds), SETTINGS)
    [driver] = of_kind(planned, "Deployment")
    [container] = driver["spec"]["template"]["spec"]["containers"]
    [port] = [each["containerPort"] for each in container["ports"] if each["name"] == "metrics"]
    assert driver["spec"]["minReadySeconds"] > 0
    assert {"name": "IMAGESEARCH_METRICS_PORT", "value": str(port)} in container["env"]
    [policy] = [each for each in of_kind(planned, "NetworkPolicy") if each["metadata"]["name"] == "birds-pods"]
    assert {"ports": [{"port": port}]} in policy["spec"]["ingress"]


# -- stores


def test_the_ledger_of_flickr_requests_is_needed_where_flickr_is_asked_and_is_everybody_s() -> None:
    listed, dogs = specs.collection(), specs.collection("dogs", sources=[specs.FLICKR_SOURCE])
    topics = [[each.name for each in plan(of, worlds.facts(of), SETTINGS).topics] for of in (listed, dogs)]
    assert topics == [
        [f"imagesearch.pictures.birds{end}" for end in ("", ".failed", ".state")],
        [*(f"imagesearch.pictures.dogs{end}" for end in ("", ".failed", ".state")), "imagesearch.flickr-requests"],
    ]


def test_where_nothing_is_secret_there_is_no_secret() -> None:
    birds = specs.collection()
    assert not of_kind(plan(birds, worlds.facts(birds), SETTINGS), "Secret")


def test_an_encoder_is_where_the_index_says_it_is() -> None:
    birds = specs.collection()
    planned = plan(birds, worlds.facts(birds), SETTINGS)
    assert planned.index is not None
    meta = planned.index.body["mappings"]["_meta"]["imagesearch"]
    [service] = named(planned, "RayService")
    assert meta["encoder_url"] == f"http://{service}-serve-svc.pictures.svc:8000"


def test_an_unusual_registered_name_is_no_trouble() -> None:
    birds = specs.collection(model={"registry": {"name": "Bird CLIP (large)", "version": "12"}})
    planned = plan(birds, worlds.facts(birds, model=ModelVersion("Bird CLIP (large)", "12", 64)), SETTINGS)
    assert models(planned, "Deployment") == ["Bird CLIP (large)/12"]
