"""The committed OpenAPI document, from which the web page's types are made."""

import json
from pathlib import Path

from imagesearch_search import openapi
from imagesearch_search.schema import (
    CollectionSummary,
    ImageSearchRequest,
    ProblemDetails,
    SearchResponse,
    TextSearchRequest,
)

COMMITTED = Path(__file__).parents[1] / "openapi.json"


def test_the_committed_document_is_that_of_the_code():
    assert COMMITTED.read_text() == openapi.text(), (
        "run `python -m imagesearch_search.openapi services/search/openapi.json`"
    )


def test_its_examples_are_valid():
    document = json.loads(COMMITTED.read_text())
    text = document["paths"]["/text_search"]["post"]["requestBody"]["content"]["application/json"]
    image = document["paths"]["/image_search"]["post"]["requestBody"]["content"]["application/json"]
    for model, examples in ((TextSearchRequest, text["examples"]), (ImageSearchRequest, image["examples"])):
        for example in examples.values():
            model.model_validate(example["value"])
    for model in (SearchResponse, CollectionSummary, ProblemDetails):
        model.model_validate(document["components"]["schemas"][model.__name__]["example"])


def test_every_error_is_documented_as_a_problem_document():
    document = json.loads(COMMITTED.read_text())
    for path in document["paths"].values():
        for operation in path.values():
            for status, answer in operation["responses"].items():
                media_type = "application/json" if status < "400" else "application/problem+json"
                assert list(answer["content"]) == [media_type]


async def test_the_api_serves_the_same_document(api):
    assert (await api.get("/openapi.json")).json() == json.loads(COMMITTED.read_text())
