"""Everything that goes wrong is a problem document that says what to do."""

import asyncio
import json

import pytest
from starlette.responses import JSONResponse, Response


async def search(api, **body):
    return await api.post("/text_search", json={"collection": "zoo", "query": "dog"} | body)


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"query": ""}, "#/query", "empty"),
        ({"query": " \t\n\u00a0"}, "#/query", "empty"),
        ({"query": "\0\0"}, "#/query", "empty"),
        ({"query": "a" * 1001}, "#/query", "at most 1000"),
        ({"query": "a" * 60_000}, "#/query", "at most 1000"),
        ({"query": 5}, "#/query", "string"),
        ({"query": None}, "#/query", "string"),
        ({"size": 0}, "#/size", "greater than or equal to 1"),
        ({"size": 101}, "#/size", "less than or equal to 100"),
        ({"size": "ten"}, "#/size", "number"),
        ({"size": "10"}, "#/size", "number"),
        ({"size": True}, "#/size", "number"),
        ({"keyword_weight": "0.5"}, "#/keyword_weight", "number"),
        ({"filters": {"uploaded": {"from": 1700000000}}}, "#/filters/uploaded/from", "give a day"),
        ({"filters": {"uploaded": {"to": "1700000000"}}}, "#/filters/uploaded/to", "give a day"),
        ({"size": 10**30}, "#/size", "less than"),
        ({"from": -1}, "#/from", "greater than or equal to 0"),
        ({"from": 1.5}, "#/from", "integer"),
        ({"collection": ""}, "#/collection", "at least 1"),
        ({"collection": "Not A Name"}, "#/collection", "lower-case"),
        ({"collection": "a/b/c"}, "#/collection", "lower-case"),
        ({"collection": "zoo,secrets"}, "#/collection", "lower-case"),
        ({"collection": "*"}, "#/collection", "lower-case"),
        ({"colection": "zoo"}, "#/colection", "not permitted"),
    ],
)
async def test_a_faulty_request_is_told_which_field_and_why(api, body, pointer, words):
    answer = await search(api, **body)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "urn:imagesearch:problem:invalid-request"
    assert (problem["status"], problem["instance"]) == (422, "/text_search")
    assert [fault["pointer"] for fault in problem["errors"]] == [pointer]
    assert words in problem["errors"][0]["detail"]


@pytest.mark.parametrize("query", ["a dog\0", "\ud800 a dog", "a\u0007dog", "a dog \U0001f415"])
async def test_odd_characters_do_no_harm(api, query):
    body = json.dumps({"collection": "zoo", "query": query})

    answer = await api.post("/text_search", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == 200


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"dog"', b"null", b"\xff", b"[" * 50_000])
async def test_a_body_that_is_no_json_object_is_refused(api, body):
    answer = await api.post("/text_search", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in (400, 422)
    assert answer.json()["status"] == answer.status_code
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_unknown_collection_is_answered_with_those_there_are(api):
    answer = await search(api, collection="zooo")

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:imagesearch:problem:unknown-collection"
    assert answer.json()["detail"] == "There is no collection 'zooo'. Collections: zoo."


async def test_without_any_collection_that_is_said(api, index):
    index.indices.clear()

    assert (await search(api)).json()["detail"] == "There is no collection 'zoo'. There are no collections yet."


async def test_an_index_of_somebody_else_is_not_searched(api, index):
    index.indices[index.alias["default.zoo"]] = {"properties": {}}

    answer = await search(api)

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:imagesearch:problem:index-unreadable")
    assert "_meta.imagesearch" in answer.json()["detail"]


async def test_a_document_that_is_no_picture_is_named(api, index):
    index.documents[index.alias["default.zoo"]]["test:dog"]["source"] = {"id": "test:dog"}

    answer = await search(api)

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:imagesearch:problem:index-unreadable")
    assert "test:dog" in answer.json()["detail"]


async def test_without_elasticsearch_every_question_is_a_clear_503(api, index):
    index.down = True

    for answer in (await search(api), await api.get("/collections")):
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:imagesearch:problem:index-unavailable")
        assert answer.headers["retry-after"]


async def test_a_path_or_method_that_does_not_exist_is_a_problem_too(api):
    nowhere = await api.get("/nowhere")
    method = await api.get("/text_search")

    assert (nowhere.status_code, nowhere.json()["type"]) == (404, "about:blank")
    assert (method.status_code, method.json()["detail"]) == (405, "/text_search does not answer GET; use POST.")
    assert {a.headers["content-type"] for a in (nowhere, method)} == {"application/problem+json"}


async def test_an_error_of_our_own_shows_nothing_of_itself(api, index):
    index.alias = None  # a programming error

    answer = await search(api)

    assert (answer.status_code, answer.json()["type"]) == (500, "urn:imagesearch:problem:internal")
    assert "NoneType" not in answer.text


async def test_every_answer_is_hardened(api):
    for answer in (await search(api), await search(api, query=""), await api.get("/nowhere")):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in answer.headers


def _faults(status, body=b"", **headers):
    async def fault(request):
        await request.body()
        return Response(body, status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return fault


async def _hang(request):
    await asyncio.sleep(10)
    return Response()


async def by_meaning(api, **fields):
    """A search that cannot do without the encoder."""
    return await search(api, keyword_weight=0, **fields)


async def test_an_encoder_that_is_gone_is_a_clear_503(api, index):
    index.add("zoo", "http://127.0.0.1:9")

    answer = await by_meaning(api)

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:imagesearch:problem:encoder-unavailable")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("fault", [_hang, _faults(500), _faults(502, b"<html>"), _faults(404, b"not found")])
async def test_an_encoder_that_fails_or_hangs_is_a_clear_503(api, encoder, fault):
    encoder.fault = fault

    answer = await by_meaning(api)

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:imagesearch:problem:encoder-unavailable")


async def test_what_a_replica_was_doing_when_it_died_is_asked_of_another(api, encoder):
    async def die(_):
        encoder.fault = None
        return Response(status_code=500)

    encoder.fault = die

    answer = await by_meaning(api)

    assert answer.status_code == 200
    assert encoder.asked == ["/encode_text"] * 2


async def test_an_encoder_that_hangs_is_soon_not_asked_any_more(api, encoder):
    encoder.fault = _hang
    for number in range(3):
        await by_meaning(api, query=f"dog {number}")
    asked = len(encoder.asked)

    answers = [await by_meaning(api, query=f"cat {number}") for number in range(5)]

    assert {answer.status_code for answer in answers} == {503}
    assert len(encoder.asked) - asked <= 1  # at most a probe


async def test_an_overloaded_encoder_is_told_apart(api, encoder):
    encoder.fault = _faults(503)

    answers = [await by_meaning(api, query=f"dog {number}") for number in range(5)]

    assert {answer.json()["type"] for answer in answers} == {"urn:imagesearch:problem:encoder-overloaded"}
    encoder.fault = None
    assert (await by_meaning(api)).status_code == 200  # it is asked again at once


VECTOR = b"\0\0\x80?" + b"\0" * 12


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (_faults(200, VECTOR, X_Imagesearch_Model="tiny/2", X_Imagesearch_Dims="4"), "model-mismatch"),
        (_faults(200, VECTOR), "model-mismatch"),
        (_faults(200, VECTOR[:-4], X_Imagesearch_Model="tiny/1", X_Imagesearch_Dims="4"), "model-mismatch"),
        (_faults(200, VECTOR, X_Imagesearch_Model="tiny/1", X_Imagesearch_Dims="8"), "model-mismatch"),
        (_faults(200, b"\xff" * 16, X_Imagesearch_Model="tiny/1", X_Imagesearch_Dims="4"), "encoder-unavailable"),
    ],
)
async def test_a_vector_that_is_not_of_the_collections_model_is_never_used(api, encoder, index, fault, kind):
    encoder.fault = fault

    answer = await by_meaning(api)

    assert (answer.status_code, answer.json()["type"]) == (503, f"urn:imagesearch:problem:{kind}")
    assert index.searched == []


async def test_a_failure_is_not_remembered_as_an_answer(api, encoder):
    async def refuse(request):
        return JSONResponse({"reason": "encode_failed", "detail": "no"}, 422)

    encoder.fault = refuse
    assert (await by_meaning(api)).status_code == 422
    encoder.fault = None
    assert (await by_meaning(api)).status_code == 200
