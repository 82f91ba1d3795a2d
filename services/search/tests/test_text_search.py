"""Searching by words, and what every page of hits has."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from imagesearch_contract.platform_indices import Progress
from imagesearch_contract.settings import SearchSettings
from imagesearch_search.index_client import unavailable


async def test_the_nearest_picture_comes_first_with_its_score_and_metadata(api):
    answer = await api.post("/text_search", json={"collection": "zoo", "query": "cat"})

    assert answer.status_code == 200
    found = answer.json()
    assert [hit["id"] for hit in found["hits"]] == ["test:cat", "test:boat", "test:dog"]
    assert [hit["score"] for hit in found["hits"]] == pytest.approx([1.0, 0.5, 0.5])
    assert found["hits"][0]["title"] == "A cat"
    assert found["hits"][0]["license"] is None
    assert (found["collection"], found["model"], found["total"]) == ("zoo", "tiny/1", 3)
    assert (found["from"], found["size"], found["next_from"]) == (0, 20, None)


async def test_pages_follow_each_other_without_repeats_or_gaps(api, index):
    zoo = index.alias["default.zoo"]
    for number in range(40):
        index.put(zoo, f"test:{number:02}", np.array([0, 0, 0, 1], np.float32))  # all alike: only ties

    seen, start = [], 0
    while start is not None:
        page = (
            await api.post("/text_search", json={"collection": "zoo", "query": "dog", "size": 7, "from": start})
        ).json()
        seen += [hit["id"] for hit in page["hits"]]
        start = page["next_from"]

    assert len(seen) == len(set(seen)) == page["total"] == 43


async def test_the_depth_bound_cuts_the_total_and_refuses_what_lies_past_it(api, index):
    zoo = index.alias["default.zoo"]
    for number in range(100):
        index.put(zoo, f"test:{number:03}", np.array([0, 0, 0, 1], np.float32))

    last = await api.post("/text_search", json={"collection": "zoo", "query": "dog", "size": 10, "from": 40})
    past = await api.post("/text_search", json={"collection": "zoo", "query": "dog", "size": 10, "from": 41})

    assert (last.json()["total"], len(last.json()["hits"]), last.json()["next_from"]) == (50, 10, None)
    assert past.status_code == 400
    assert past.json()["type"] == "urn:imagesearch:problem:too-deep"
    assert "best 50" in past.json()["detail"]


async def test_a_page_past_the_last_hit_is_empty(api):
    page = (await api.post("/text_search", json={"collection": "zoo", "query": "dog", "from": 20})).json()

    assert (page["hits"], page["total"], page["next_from"]) == ([], 3, None)


async def test_a_collection_of_another_namespace_is_named_with_it(api, index, encoder):
    other = index.add("zoo", encoder.url, namespace="team-a")
    index.put(other, "test:theirs", np.array([1, 0, 0, 0], np.float32))

    found = (await api.post("/text_search", json={"collection": "team-a/zoo", "query": "dog"})).json()

    assert [hit["id"] for hit in found["hits"]] == ["test:theirs"]
    assert found["collection"] == "team-a/zoo"


async def test_the_same_words_are_encoded_once_unless_asked_anew(api, encoder):
    for query in ("a  dog", " a dog\n", "a dog"):
        await api.post("/text_search", json={"collection": "zoo", "query": query})
    assert encoder.texts == ["a dog"]

    await api.post("/text_search", json={"collection": "zoo", "query": "a dog"}, headers={"Cache-Control": "no-cache"})
    assert encoder.texts == ["a dog", "a dog"]


async def test_the_time_of_each_stage_is_in_the_server_timing_header(api):
    answer = await api.post("/text_search", json={"collection": "zoo", "query": "dog"})

    assert [part.partition(";dur=")[0] for part in answer.headers["server-timing"].split(", ")] == [
        "encode",
        "knn",
        "documents",
        "total",
    ]


async def test_a_collection_that_moves_to_another_model_is_searched_with_that_model(api, index, encoder):
    before = await api.post("/text_search", json={"collection": "zoo", "query": "dog"})
    old = index.alias["default.zoo"]
    new = index.add("zoo", encoder.url, model=("tiny", "2"))
    del index.indices[old], index.documents[old]

    after = await api.post("/text_search", json={"collection": "zoo", "query": "dog"})

    # The old vector is not compared with the new index: the encoder is asked again, and it still serves the old model.
    assert before.status_code == 200
    assert after.json()["type"] == "urn:imagesearch:problem:model-mismatch"
    assert set(index.searched) == {old}
    assert index.alias["default.zoo"] == new


async def test_collections_are_listed_with_size_and_model(api, index, encoder):
    index.add("empty", encoder.url, namespace="team-a")
    index.indices["default.foreign.12345678"] = {"properties": {}}
    index.alias["default.foreign"] = "default.foreign.12345678"

    listed = (await api.get("/collections")).json()

    unknown = {"status": None, "lag": None, "images_per_second": None, "updated_at": None}
    zoo = {"collection": "zoo", "name": "zoo", "namespace": "default", "images": 3, "model": "tiny/1", "dims": 4}
    empty = zoo | {"collection": "team-a/empty", "name": "empty", "namespace": "team-a", "images": 0}
    assert listed == {"collections": [zoo | unknown, empty | unknown]}


@pytest.mark.parametrize(
    ("lag", "minutes_ago", "status"),
    [(0, 0, "up_to_date"), (171, 0, "indexing"), (None, 0, None), (0, 4, "silent"), (None, 4, "silent")],
)
async def test_collections_are_listed_with_how_far_their_embedders_are(api, index, lag, minutes_ago, status):
    zoo = index.alias["default.zoo"]
    moment = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    index.told[zoo] = Progress(index=zoo, lag=lag, images_per_second=2.5, updated_at=moment)

    [listed] = (await api.get("/collections")).json()["collections"]

    assert (listed["status"], listed["lag"], listed["images_per_second"]) == (status, lag, 2.5)
    assert datetime.fromisoformat(listed["updated_at"]) == moment


async def test_where_progress_cannot_be_asked_collections_are_listed_all_the_same(api, index, monkeypatch):
    async def refused(indices):
        raise unavailable(ConnectionRefusedError())

    monkeypatch.setattr(index, "progress", refused)

    [listed] = (await api.get("/collections")).json()["collections"]

    assert (listed["images"], listed["status"]) == (3, None)


async def test_alive_is_not_ready_and_an_encoder_that_is_away_is_told_but_not_judged(api, index, encoder):
    assert (await api.get("/readyz")).json() == {
        "status": "ready",
        "encoders": [{"model": "tiny/1", "reachable": True}],
        "faults": [],
    }

    index.add("zoo", "http://127.0.0.1:9")
    assert (await api.get("/readyz")).json()["encoders"] == [{"model": "tiny/1", "reachable": False}]

    index.down = True
    assert (await api.get("/readyz")).status_code == 503
    assert (await api.get("/healthz")).json() == {"status": "ok"}


@pytest.mark.parametrize("settings", [SearchSettings(default_namespace="team-a")])
async def test_the_default_namespace_is_a_setting(api, index, encoder, settings):
    index.add("zoo", encoder.url, namespace="team-a")

    listed = (await api.get("/collections")).json()["collections"]

    assert [found["collection"] for found in listed] == ["default/zoo", "zoo"]
