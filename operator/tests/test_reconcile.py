"""The reconcile, with a cluster and stores in memory: what it writes, in which state, and what it leaves alone."""

from datetime import UTC, datetime
from typing import Any

import pytest
import specs
from fakes import FakeCluster, FakeStores
from imagesearch_operator import kinds, naming
from imagesearch_operator.cluster import ClusterError, ConflictError, InvalidError
from imagesearch_operator.facts import ModelVersion, Unknown
from imagesearch_operator.kinds import Id
from imagesearch_operator.live import Key, Live
from imagesearch_operator.queue import Retry
from imagesearch_operator.reconcile import Reconciler
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import FINALIZER

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
PICTURES = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"namespace": "pictures", "name": "pictures"},
    "data": {"manifest.jsonl": "{}"},
}
KAFKA_AWAY = Unknown("KafkaUnreachable", "Kafka does not answer.")


class World:
    """One operator and what it works with; what is written comes back as events at once."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.stores = FakeStores()
        self.live = Live()
        settings = OperatorSettings(
            **{f"{name}_image": f"{name}:1" for name in ("producer", "embedder", "encoder", "model")}
        )
        self.reconciler = Reconciler(self.live, self.cluster, self.stores, settings, now=lambda: NOW)
        self.cluster.put(PICTURES)

    def register(self, name: str = "birds") -> None:
        """Register the model that the collection names."""
        collection = self.live.collection(Key("pictures", name))
        assert collection is not None
        self.stores.models[collection.spec.model] = ModelVersion("starter", "1", 8)

    def add(self, name: str = "birds", **fields: Any) -> None:
        """Apply a collection whose model is registered."""
        self.live.put(self.cluster.put(specs.body(name, **fields)))
        self.register(name)

    def change(self, name: str = "birds", **meta: Any) -> None:
        """Change a collection's metadata."""
        body = self.cluster.objects[Id(kinds.COLLECTION.name, "pictures", name)]
        self.live.put(self.cluster.put({**body, "metadata": {**body["metadata"], **meta}}))

    def annotate(self, reason: str) -> None:
        """Ask for a replay, as a person with kubectl."""
        self.change(annotations={**self.annotations(), naming.REPLAY: reason})

    def annotations(self) -> dict[str, str]:
        """The collection's annotations."""
        body = self.cluster.objects[Id(kinds.COLLECTION.name, "pictures", "birds")]
        return dict(body["metadata"].get("annotations", {}))

    def replays(self) -> list[str]:
        """The Jobs that replay."""
        return [name for name in self.cluster.of_kind("Job") if name.startswith(naming.replays("birds"))]

    def end(self, job: str) -> None:
        """Have a Job be done."""
        live = self.cluster.objects[Id("Job", "pictures", job)]
        done = {"conditions": [{"type": "Complete", "status": "True"}]}
        self.live.put(self.cluster.put({**live, "status": done}))

    async def reconcile(self, name: str = "birds") -> list[str]:
        """Reconcile it; what was written."""
        self.cluster.written.clear()
        try:
            await self.reconciler.reconcile(Key("pictures", name))
        finally:
            await self.hear()
        return list(self.cluster.written)

    async def hear(self) -> None:
        """Let the operator know of everything that there is."""
        for kind in kinds.WATCHED:
            listed, version = await self.cluster.listing(kind, None)
            self.live.settle(kind, None, listed, version)

    def ready(self, name: str = "birds") -> dict[str, Any]:
        """The Ready condition."""
        status = self.cluster.objects[Id(kinds.COLLECTION.name, "pictures", name)]["status"]
        return next(one for one in status["conditions"] if one["type"] == "Ready")


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_pass_makes_everything_and_the_second_writes_nothing(world):
    world.add()
    written = await world.reconcile()
    assert written[0] == f"finalizers {[FINALIZER]}"
    assert written[-1] == "status"
    assert world.cluster.of_kind("CronJob") == ["birds-list"]
    assert len(world.cluster.of_kind("RayService")) == len(world.cluster.of_kind("Deployment")) == 1
    assert world.stores.topics == {f"imagesearch.pictures.birds{end}" for end in ("", ".failed", ".state")}
    assert world.stores.aliases == dict.fromkeys(["pictures.birds"], *world.stores.documents)
    assert await world.reconcile() == []


async def test_a_refused_child_is_told_and_does_not_stop_the_others(world):
    world.add()
    world.cluster.refusals["CronJob"] = [ClusterError("Forbidden", "the quota is used up")]
    with pytest.raises(Retry):
        await world.reconcile()
    assert world.cluster.of_kind("CronJob") == []
    assert len(world.cluster.of_kind("Deployment")) == 1
    assert "the quota is used up" in world.ready()["message"]
    await world.reconcile()
    assert world.cluster.of_kind("CronJob") == ["birds-list"]


async def test_a_field_that_somebody_else_holds_is_taken_back_and_that_is_told(world):
    world.add()
    world.cluster.refusals["CronJob"] = [ConflictError("Conflict", "held by kubectl-edit: .spec.schedule")]
    written = await world.reconcile()
    assert "force CronJob birds-list" in written
    assert ("Warning", "FieldsTakenBack") in [event[:2] for event in world.cluster.events]


async def test_what_cannot_be_changed_in_place_is_made_anew_but_not_a_volume(world):
    world.add()
    await world.reconcile()
    immutable = InvalidError("Invalid", "spec.template: field is immutable")
    for kind in ("Deployment", "PersistentVolumeClaim"):
        [name] = world.cluster.of_kind(kind)
        live = world.cluster.objects[Id(kind, "pictures", name)]
        world.live.put(world.cluster.put({**live, "spec": {}}))
        world.cluster.refusals[kind] = [immutable]
    with pytest.raises(Retry):
        await world.reconcile()
    assert world.cluster.of_kind("Deployment") == []
    assert len(world.cluster.of_kind("PersistentVolumeClaim")) == 1
    await world.reconcile()
    assert len(world.cluster.of_kind("Deployment")) == 1


async def test_nothing_goes_because_a_store_does_not_answer(world):
    world.add()
    await world.reconcile()
    before = set(world.cluster.objects)
    for store in ("kafka", "elasticsearch", "mlflow"):
        world.stores.away = {store: Unknown(f"{store.capitalize()}Unreachable", f"{store} does not answer.")}
        await world.reconcile()
        assert set(world.cluster.objects) == before
        assert world.ready()["status"] != "True"


async def test_the_former_index_goes_once_the_alias_has_moved(world):
    world.add()
    await world.reconcile()
    [first] = world.stores.documents
    world.stores.documents[first] = 5
    collection = world.live.collection(Key("pictures", "birds"))
    world.stores.models[collection.spec.model] = ModelVersion("starter", "2", 8)
    await world.reconcile()
    [second] = set(world.stores.documents) - {first}
    assert world.stores.aliases == {"pictures.birds": first}
    assert len(world.cluster.of_kind("Deployment")) == 2
    world.stores.documents[second] = 5
    world.stores.lag = {second: 0}
    await world.reconcile()
    await world.reconcile()
    assert world.stores.aliases == {"pictures.birds": second}
    assert set(world.stores.documents) == {second}
    assert len(world.cluster.of_kind("Deployment")) == len(world.cluster.of_kind("RayService")) == 1


async def test_a_deletion_waits_for_a_store_says_so_and_goes_on(world):
    world.add(deletionPolicy="Delete")
    await world.reconcile()
    world.change(deletionTimestamp="2026-05-01T12:30:00Z")
    world.stores.away = {"kafka": KAFKA_AWAY}
    await world.reconcile()
    assert world.cluster.of_kind("CronJob") == []
    with pytest.raises(Retry):
        await world.reconcile()
    assert world.ready()["reason"] == "KafkaUnreachable"
    assert "deletion waits" in world.ready()["message"]
    assert "Retain" in world.ready()["message"]
    world.stores.away = {}
    await world.reconcile()
    assert world.cluster.of_kind("ImageCollection") == []
    assert world.stores.topics == set()
    assert world.stores.documents == {}


async def test_the_stores_are_kept_as_the_policy_says_even_if_they_do_not_answer(world):
    world.add(deletionPolicy="Retain")
    await world.reconcile()
    world.stores.away = {"kafka": KAFKA_AWAY}
    world.change(deletionTimestamp="2026-05-01T12:30:00Z")
    await world.reconcile()
    await world.reconcile()
    assert world.cluster.of_kind("ImageCollection") == []
    assert len(world.stores.topics) == 3
    assert len(world.stores.documents) == 1


async def test_a_shared_encoder_is_left_to_those_who_still_use_it(world):
    for name in ("birds", "dogs"):
        world.add(name)
    for name in ("birds", "dogs"):
        await world.reconcile(name)
    [encoder] = world.cluster.of_kind("RayService")
    world.change("birds", deletionTimestamp="2026-05-01T12:30:00Z")
    written = await world.reconcile("birds")
    assert f"disown RayService {encoder}" in written
    assert await world.reconcile("dogs") != []
    assert world.cluster.of_kind("RayService") == [encoder]
    assert await world.reconcile("dogs") == []


async def test_a_paused_collection_gets_a_status_and_nothing_else(world):
    world.add(paused=True)
    assert await world.reconcile() == ["status"]
    assert world.stores.topics == set()


async def test_a_collection_of_another_version_is_told_so_once(world):
    body = specs.body()
    body["spec"]["serving"] = {"of": "another version"}
    world.live.put(world.cluster.put(body))
    assert await world.reconcile() == ["status"]
    assert world.ready()["reason"] == "SpecNotUnderstood"
    assert await world.reconcile() == []


async def test_a_replay_gets_its_job_and_leaves_the_job_s_name_behind_and_is_not_made_again(world):
    world.add()
    await world.reconcile()
    world.annotate("dead_link")
    written = await world.reconcile()
    [job] = world.replays()
    assert written[0] == f"apply Job {job}"
    assert world.annotations() == {naming.REPLAYED: job}
    assert await world.reconcile() == []

    world.end(job)
    await world.reconcile()
    assert await world.reconcile() == []
    assert world.replays() == [job]
    del world.cluster.objects[Id("Job", "pictures", job)]  # its time to live is over
    await world.hear()
    assert await world.reconcile() == []
    assert world.replays() == []
    assert [event[1] for event in world.cluster.events if "Replay" in event[1]] == ["ReplayStarted", "ReplayFinished"]


async def test_a_replay_whose_request_could_not_be_taken_off_is_still_one_replay(world):
    world.add()
    await world.reconcile()
    world.annotate("all")
    world.cluster.refusals["ImageCollection"] = [ConflictError("Conflict", "it was changed")]
    with pytest.raises(Retry):
        await world.reconcile()
    [job] = world.replays()
    assert world.annotations() == {naming.REPLAY: "all"}
    world.end(job)
    await world.reconcile()
    assert world.replays() == [job]
    assert world.annotations() == {naming.REPLAYED: job}


async def test_a_second_request_waits_for_the_first_and_then_runs(world):
    world.add()
    await world.reconcile()
    world.annotate("all")
    await world.reconcile()
    [first] = world.replays()
    world.annotate("all")
    await world.reconcile()
    assert world.replays() == [first]
    assert world.annotations() == {naming.REPLAYED: first, naming.REPLAY: "all"}
    world.end(first)
    await world.reconcile()
    assert len(world.replays()) == 2
    assert naming.REPLAY not in world.annotations()


async def test_a_replay_for_no_known_reason_is_refused_once_with_the_reasons_that_there_are(world):
    world.add()
    await world.reconcile()
    world.annotate("bad_luck")
    await world.reconcile()
    assert world.replays() == []
    assert world.annotations() == {}
    [(kind, _, message)] = [event for event in world.cluster.events if event[1] == "ReplayRefused"]
    assert kind == "Warning"
    assert "dead_link" in message
    assert await world.reconcile() == []


async def test_a_paused_collection_s_replay_waits(world):
    world.add(paused=True, annotations={naming.REPLAY: "all"})
    assert await world.reconcile() == ["status"]
    assert world.replays() == []
    assert world.annotations() == {naming.REPLAY: "all"}


async def test_a_collection_that_is_gone_needs_nothing(world):
    assert await world.reconcile("nobody") == []


async def test_an_object_that_is_being_deleted_is_waited_for(world):
    world.add()
    await world.reconcile()
    live = world.cluster.objects[Id("CronJob", "pictures", "birds-list")]
    live["metadata"]["deletionTimestamp"] = "2026-05-01T12:30:00Z"
    world.live.put(world.cluster.put({**live, "spec": {}}))
    assert "apply CronJob birds-list" not in await world.reconcile()
