"""What is remembered of the cluster, whatever order events and answers come in."""

from typing import Any

from imagesearch_operator import naming
from imagesearch_operator.handlers import observe
from imagesearch_operator.kinds import BY_NAME, Id
from imagesearch_operator.live import Key, Live
from specs import body as collection_body

BIRDS = Key("pictures", "birds")
DOGS = Key("pictures", "dogs")
CRON_JOB = BY_NAME["CronJob"]


def child(kind: str = "CronJob", name: str = "birds-list", version: int = 5, **meta: Any) -> dict[str, Any]:
    return {
        "apiVersion": BY_NAME[kind].api_version,
        "kind": kind,
        "metadata": {
            "namespace": "pictures",
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            "labels": {naming.COLLECTION: "birds"},
            "managedFields": [{"manager": "somebody"}],
        }
        | meta,
    }


def shared(version: int = 5, owners: tuple[str, ...] = ("birds", "dogs")) -> dict[str, Any]:
    return child(
        "RayService",
        "encoder-1",
        version,
        labels={naming.SHARED: "encoder-1"},
        ownerReferences=[{"kind": "ImageCollection", "name": name, "uid": f"uid-pictures-{name}"} for name in owners],
    )


def collection(name: str = "birds", version: int = 3) -> dict[str, Any]:
    made = collection_body(name)
    made["metadata"]["resourceVersion"] = str(version)
    return made


def test_the_newer_version_wins_whichever_comes_first():
    live = Live()
    assert live.put(child(version=5))
    assert not live.put(child(version=5))
    assert not live.put(child(version=4))
    assert live.put(child(version=6))
    known = live.get(Id("CronJob", "pictures", "birds-list"))
    assert known is not None
    assert known["metadata"]["resourceVersion"] == "6"
    assert "managedFields" not in known["metadata"]


def test_an_answer_that_was_on_its_way_does_not_bring_back_what_was_deleted():
    live = Live()
    live.put(child(version=5))
    assert live.remove(child(version=7))
    assert not live.put(child(version=6))
    assert live.children(BIRDS) == ()
    assert live.put(child(version=8))


def test_a_deletion_of_the_object_before_does_not_remove_the_one_after():
    live = Live()
    live.put(child(version=9))
    assert not live.remove(child(version=7))
    assert len(live.children(BIRDS)) == 1


def test_a_listing_settles_what_no_event_told():
    live = Live()
    live.put(child(name="gone", version=5))
    live.put(child(name="newer-than-the-listing", version=20))
    changed = live.settle(CRON_JOB, None, [child(name="missed", version=8)], 10)
    assert [made["metadata"]["name"] for made in live.children(BIRDS)] == ["missed", "newer-than-the-listing"]
    assert changed == {BIRDS}
    assert live.settle(CRON_JOB, None, [child(name="missed", version=8)], 11) == set()


def test_a_listing_of_one_namespace_leaves_the_others_alone():
    live = Live()
    live.put(child(namespace="elsewhere"))
    live.settle(CRON_JOB, "pictures", [], 10)
    assert len(live.children(Key("elsewhere", "birds"))) == 1


def test_a_shared_object_and_its_pods_concern_all_its_owners():
    live = Live()
    live.put(shared())
    pod = child("Pod", "encoder-1-head", labels={naming.SHARED: "encoder-1"})
    assert live.concerned(shared()) == {BIRDS, DOGS}
    assert live.concerned(pod) == {BIRDS, DOGS}
    live.put(pod)
    assert [made["metadata"]["name"] for made in live.pods(DOGS)] == ["encoder-1-head"]
    live.put(shared(6, owners=("dogs",)))
    assert live.children(BIRDS) == ()
    assert live.pods(BIRDS) == ()
    assert live.concerned(pod) == {DOGS}


def test_an_event_asks_for_a_reconcile_only_if_it_is_news():
    live = Live()
    asked: list[Key] = []
    observe(live, asked.append, None, child(version=5))
    observe(live, asked.append, "MODIFIED", child(version=5))
    observe(live, asked.append, "DELETED", child(version=6))
    observe(live, asked.append, "DELETED", child(version=6))
    assert asked == [BIRDS, BIRDS]


def test_siblings_are_the_readable_ones_that_stay_and_the_oldest_comes_first():
    live = Live()
    unreadable = collection("cats")
    unreadable["spec"] = {"of": "another version"}
    leaving = collection("fish")
    leaving["metadata"]["deletionTimestamp"] = "2026-05-01T13:00:00Z"
    younger = collection("ants")
    younger["metadata"]["creationTimestamp"] = "2026-05-02T12:00:00Z"
    for made in (unreadable, leaving, younger, collection("dogs"), collection("birds")):
        live.put(made)
    assert [sibling.name for sibling in live.siblings("pictures")] == ["birds", "dogs", "ants"]
    assert live.siblings("elsewhere") == ()
    assert len(live.readable()) == 4


def test_a_collection_is_read_anew_when_it_changed():
    live = Live()
    live.put(collection(version=3))
    changed = collection(version=4)
    changed["spec"]["paused"] = True
    before = live.collection(BIRDS)
    live.put(changed)
    after = live.collection(BIRDS)
    assert before is not None
    assert after is not None
    assert (before.spec.paused, after.spec.paused) == (False, True)
