"""Reports of dead pictures: what is taken, what is refused, and that whoever reports cannot make others work without end."""

import hashlib
import json

import numpy as np
import pytest
from elasticsearch import NotFoundError
from imagesearch_contract.platform_indices import MAX_REPORTS, Progress, Report
from imagesearch_contract.settings import SearchSettings
from imagesearch_search.problems import Problem
from imagesearch_search.routes import REPORTS_PER_MINUTE


async def report(api, image="test:dog", collection="zoo", **headers):
    return await api.post("/report", json={"collection": collection, "id": image}, headers=headers)


def kind(answer) -> str:
    return answer.json()["type"].removeprefix("urn:imagesearch:problem:")


async def test_a_report_is_noted_once_for_each_picture(api, index):
    answers = [await report(api), await report(api), await report(api, "test:cat")]

    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (202, {"known": False}),
        (202, {"known": True}),
        (202, {"known": False}),
    ]
    zoo = index.alias["default.zoo"]
    noted = [(each.index, each.image, each.verdict) for each in index.reported.values()]
    assert noted == [(zoo, "test:dog", None), (zoo, "test:cat", None)]


@pytest.mark.parametrize(
    ("image", "collection", "status", "problem"),
    [
        ("test:nobody", "zoo", 404, "unknown-picture"),
        ("test:dog", "nowhere", 404, "unknown-collection"),
        ("test:dog", "Not A Name", 422, "invalid-request"),
        ("no id", "zoo", 422, "invalid-request"),
        ("test:" + "x" * 500, "zoo", 422, "invalid-request"),
        ("https://internal.example/", "zoo", 404, "unknown-picture"),
    ],
)
async def test_only_pictures_of_the_collection_can_be_reported(api, index, image, collection, status, problem):
    answer = await report(api, image, collection)

    assert (answer.status_code, kind(answer)) == (status, problem)
    assert index.reported == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"collection": "zoo", "id": "test:dog", "reason": "ugly"}, 422),
        ({"collection": "zoo", "id": "test:dog", "url": "http://10.0.0.1/"}, 422),
        ({"collection": "zoo"}, 422),
        ({"collection": "zoo", "id": "test:dog", "padding": "x" * 5000}, 413),
    ],
)
async def test_a_body_that_is_none_is_refused(api, index, body, status):
    answer = await api.post("/report", json=body)

    assert answer.status_code == status
    assert index.reported == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"collection": "zoo", "id": "test:\\ud800"}',
        b'{"collection": "\\ud800", "id": "test:dog"}',
        b'{"collection": "zoo", "id": "test:\\u0000"}',
        b'{"collection": "zoo", "id": "test:*"}',
        b'{"collection": "*", "id": "test:dog"}',
        b'{"collection": "zoo", "id": {"terms": 1}}',
        b'{"collection": "zoo", "id": "test:dog", "id": ["test:cat"]}',
        b"[" * 2000,
        b"\xff\xfe",
    ],
)
async def test_whatever_is_sent_is_a_problem_of_whoever_sent_it(api, index, body):
    answer = await api.post("/report", content=body, headers={"Content-Type": "application/json"})

    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert index.reported == {}


async def test_a_client_may_report_only_so_many_pictures_a_minute(api):
    for _ in range(REPORTS_PER_MINUTE):
        assert (await report(api)).status_code == 202

    answer = await report(api)

    assert (answer.status_code, kind(answer)) == (429, "rate-limited")
    assert int(answer.headers["retry-after"]) == 60 / REPORTS_PER_MINUTE
    assert (await api.post("/text_search", json={"collection": "zoo", "query": "dog"})).status_code == 200


async def test_what_waits_to_be_looked_at_is_bounded_for_each_collection(api, index, encoder):
    zoo = index.alias["default.zoo"]
    for number in range(MAX_REPORTS):
        await index.report(Report.of(zoo, f"test:{number}"))

    answer = await report(api)

    assert (answer.status_code, kind(answer)) == (429, "too-many-reports")
    assert len(index.reported) == MAX_REPORTS
    index.put(index.add("other", encoder.url), "test:1", np.array([1, 0, 0, 0], np.float32))
    assert (await report(api, "test:1", "other")).status_code == 202


async def test_without_elasticsearch_it_is_a_clear_503(api, index):
    index.down = True

    assert (await report(api)).status_code == 503


async def test_an_index_that_is_replaced_under_the_report_is_asked_again_later(api, index):
    assert (await report(api)).status_code == 202
    del index.documents[index.alias["default.zoo"]]

    answer = await report(api)

    assert (answer.status_code, kind(answer), answer.headers["retry-after"]) == (503, "index-unavailable", "2")


class TestWithKeys:
    """What one may not read, one may not report."""

    @pytest.fixture
    def settings(self, tmp_path) -> SearchSettings:
        path = tmp_path / "keys.json"
        digest = hashlib.sha256(b"isk_other").hexdigest()
        path.write_text(json.dumps({"keys": [{"name": "other", "sha256": digest, "collections": ["other"]}]}))
        return SearchSettings(access_keys_path=path)

    async def test_a_collection_that_may_not_be_read_is_not_there(self, api, index):
        answers = [await report(api), await report(api, **{"X-API-Key": "isk_other"})]

        assert [answer.status_code for answer in answers] == [401, 404]
        assert index.reported == {}


@pytest.mark.integration
class TestOnElasticsearch:
    """The same on a real server."""

    @pytest.fixture
    def index(self, zoo_on_elasticsearch):
        return zoo_on_elasticsearch

    async def test_reports_are_written_once_and_progress_is_read(self, api, index):
        index.make_platform_indices()
        zoo = index.alias["default.zoo"]
        answers = [await report(api), await report(api), await report(api, "test:nobody")]
        assert [answer.status_code for answer in answers] == [202, 202, 404]
        [noted] = index.reported.values()
        assert (noted.index, noted.image) == (zoo, "test:dog")
        assert await index.reports(zoo) == 1

        assert await index.progress([zoo]) == {}
        told = Progress(index=zoo, lag=3, images_per_second=1.5, updated_at=noted.reported_at)
        index._filler.index(index="imagesearch-progress", id=zoo, document=told.to_source())
        index._filler.index(index="imagesearch-progress", id="strange", document={"index": "strange", "rate": 1})
        assert await index.progress([zoo, "strange", "unheard-of"]) == {zoo: told}

    async def test_of_an_older_installation_nothing_is_known_and_nothing_is_created(self, api, index):
        index._filler.indices.delete(index="imagesearch-progress,imagesearch-reports", ignore_unavailable=True)
        assert await index.progress([index.alias["default.zoo"]]) == {}
        with pytest.raises(Problem):
            await index.reports(index.alias["default.zoo"])
        assert (await report(api)).status_code == 503
        listed = (await api.get("/collections")).json()["collections"]
        assert [found["status"] for found in listed if found["name"] == "zoo"] == [None]
        with pytest.raises(NotFoundError):
            index._filler.indices.get(index="imagesearch-reports")
