"""The client and its command, against the API's own description: what is sent is valid by it, what is answered is its example."""

import json
from dataclasses import fields
from io import StringIO
from pathlib import Path

import httpx
import imagesearch_client
import pytest
from imagesearch_client import (
    Client,
    Collection,
    FacetCount,
    Hit,
    Page,
    SearchError,
    UnreachableError,
    like,
    picture,
    text,
    unlike,
)
from imagesearch_client.main import main, only_collection, parser, run, summary
from jsonschema import Draft202012Validator
from rich.console import Console

OPENAPI = json.loads((Path(__file__).parents[2] / "search" / "openapi.json").read_text())
SCHEMAS = OPENAPI["components"]["schemas"]
PNG = b"\x89PNG"


class Api:
    """Judges requests by the description, and answers with its examples, or with what it is told to."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        self.requests: list[httpx.Request] = []
        self.answers: list[httpx.Response] = []
        self.slept: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        operation = OPENAPI["paths"][request.url.path][request.method.lower()]
        if request.method == "POST":
            self.bodies.append(json.loads(request.content))
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            Draft202012Validator({**schema, "components": OPENAPI["components"]}).validate(self.bodies[-1])
        self.requests.append(request)
        if self.answers:
            return self.answers.pop(0)
        answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rsplit("/")[-1]
        return httpx.Response(200, json=SCHEMAS[answer].get("example") or COLLECTIONS)

    def client(self, **options) -> Client:
        return Client(transport=httpx.MockTransport(self), sleep=self.slept.append, **options)


COLLECTIONS = {"collections": [SCHEMAS["CollectionSummary"]["example"]]}


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def client(api: Api) -> Client:
    return api.client()


@pytest.mark.parametrize(
    ("result", "schema"),
    [(Hit, "Hit"), (FacetCount, "FacetCount"), (Collection, "CollectionSummary"), (Page, "SearchResponse")],
)
def test_results_have_the_fields_that_the_api_answers(result, schema):
    assert {field.name for field in fields(result)} | {"from"} == set(SCHEMAS[schema]["properties"]) | {"from"}


def test_a_query_of_words_pictures_and_judgements_is_sent_as_the_api_takes_it(api, client, tmp_path):
    (tmp_path / "a.png").write_bytes(PNG)

    page = client.search(
        "stamps",
        "a boat",
        text("rain", -0.3),
        picture(tmp_path / "a.png"),
        picture(PNG),
        picture("https://pictures.example/a.jpg", 2),
        like("flickr:1"),
        unlike("flickr:2"),
        size=5,
        start=10,
        filters={"license": ["CC0-1.0"], "uploaded": {"from": "2024-01-01"}},
        facets=["license"],
        sort="newest",
        collapse=False,
        keyword_weight=0.1,
    )

    assert api.bodies == [
        {
            "collection": "stamps",
            "terms": [
                {"text": "a boat", "weight": 1.0},
                {"text": "rain", "weight": -0.3},
                {"image_base64": "iVBORw==", "weight": 1.0},
                {"image_base64": "iVBORw==", "weight": 1.0},
                {"image_url": "https://pictures.example/a.jpg", "weight": 2},
                {"id": "flickr:1", "weight": 1.0},
                {"id": "flickr:2", "weight": -0.5},
            ],
            "size": 5,
            "from": 10,
            "filters": {"license": ["CC0-1.0"], "uploaded": {"from": "2024-01-01"}},
            "facets": ["license"],
            "sort": "newest",
            "matches": "all",
            "collapse": False,
            "keyword_weight": 0.1,
        }
    ]
    assert page.hits[0].title == "First snow"
    assert page.hits[0].duplicate_ids == ("flickr:53466813",)
    assert page.hits[0].taken_at.year == 2024
    assert page.facets["license"][0] == FacetCount("CC-BY-2.0", 712)


def answer(*ids: str, next_from: int | None = None) -> httpx.Response:
    hits = [{"id": image_id, "url": "https://pictures.example"} for image_id in ids]
    return httpx.Response(200, json=SCHEMAS["SearchResponse"]["example"] | {"hits": hits, "next_from": next_from})


def test_hits_come_page_after_page_up_to_the_limit(api, client):
    api.answers = [answer("a:1", "a:2", next_from=2), answer("a:3", "a:4", next_from=4)]

    assert [hit.id for hit in client.hits("stamps", "dog", limit=3, size=2)] == ["a:1", "a:2", "a:3"]
    assert [body["from"] for body in api.bodies] == [0, 2]

    api.answers = [answer("a:1", next_from=None)]
    assert [hit.id for hit in client.hits("stamps", "dog")] == ["a:1"]


def test_an_api_key_is_sent(api):
    api.client(api_key="secret").collections()

    assert api.requests[0].headers["authorization"] == "Bearer secret"


PROBLEM = SCHEMAS["ProblemDetails"]["example"]


def test_a_problem_is_an_error_that_says_what_to_do(api, client):
    api.answers = [httpx.Response(404, json=PROBLEM)]

    with pytest.raises(SearchError, match="Collections: stamps") as caught:
        client.search("stamp")

    assert (caught.value.status, caught.value.kind) == (404, PROBLEM["type"])


def test_what_is_to_be_tried_again_is_after_the_pause_that_is_asked_for(api, client):
    api.answers = [httpx.Response(429, headers={"Retry-After": "2"}), httpx.Response(503, headers={"Retry-After": "x"})]

    assert client.search("stamps").collection == "stamps"
    assert api.slept == [2.0, 1.0]


def test_trying_again_has_an_end(api, client):
    api.answers = [httpx.Response(503, json=PROBLEM | {"detail": "away"})] * 3

    with pytest.raises(SearchError, match="away"):
        client.search("stamps")


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'{"type": 1}'])
def test_an_answer_that_is_no_problem_document_is_still_an_error(api, client, content):
    api.answers = [httpx.Response(502, content=content)]

    with pytest.raises(SearchError, match="answered 502"):
        client.search("stamps")


def test_nobody_at_the_address_is_said():
    with Client("http://127.0.0.1:9") as client, pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9"):
        client.collections()


def test_a_page_that_is_no_api_is_said(api, client):
    api.answers = [httpx.Response(200, content=b"<html>")]

    with pytest.raises(UnreachableError, match="no search API"):
        client.search("stamps")


def ran(api: Api, *argv: str) -> str:
    console = Console(width=200, record=True, file=StringIO())
    run(api.client(), parser().parse_args(argv), console)
    return console.export_text()


def test_the_command_shows_hits_and_what_they_are_a_part_of(api):
    shown = ran(api, "search", "playing dogs", "--collection", "stamps", "--unlike", "a:1", "--without", "cats")

    assert "First snow" in shown
    assert "1 of the best 993 of 84,213 pictures" in shown
    assert "1 near duplicates behind them" in shown
    assert [term.get("text") or term["id"] for term in api.bodies[0]["terms"]] == ["playing dogs", "a:1", "cats"]


def test_the_command_finds_the_only_collection_by_itself(api):
    ran(api, "search", "dogs")

    assert api.bodies[0]["collection"] == "stamps"


def test_with_several_collections_one_has_to_be_named(api, client):
    other = COLLECTIONS["collections"][0] | {"collection": "team-a/zoo"}
    api.answers = [httpx.Response(200, json={"collections": [*COLLECTIONS["collections"], other]})]

    with pytest.raises(SearchError, match="--collection: stamps, team-a/zoo"):
        only_collection(client)


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        ({}, "829      171  indexing, 24.5/s"),
        ({"images_per_second": 0.0}, "829      171  indexing "),
        ({"status": "up_to_date", "lag": 0}, "829        0  up to date"),
        ({"status": "silent"}, "829      171  silent since 2026-01-31 12:00 UTC"),
        (dict.fromkeys(("status", "lag", "images_per_second", "updated_at")), "829           unknown"),
    ],
)
def test_collections_are_listed_with_how_far_they_are(api, known, shown):
    api.answers = [httpx.Response(200, json={"collections": [COLLECTIONS["collections"][0] | known]})]

    assert shown in ran(api, "collections")


@pytest.mark.parametrize(
    ("given", "term"),
    [
        ("flickr:53466812", {"id": "flickr:53466812", "weight": 1.0}),
        ("https://pictures.example/a.jpg", {"image_url": "https://pictures.example/a.jpg", "weight": 1.0}),
    ],
)
def test_similar_takes_an_id_or_an_address(api, given, term):
    ran(api, "similar", given, "-c", "stamps")

    assert api.bodies[0]["terms"] == [term]


def test_filters_are_written_as_field_and_value(api):
    given = ["license=CC0-1.0", "license=CC-BY-2.0", "uploaded=2024-01-01..", "taken=2023-05-01", "min_width=800"]

    ran(api, "search", "-c", "stamps", *(part for each in given for part in ("--filter", each)))

    assert api.bodies[0]["filters"] == {
        "license": ["CC0-1.0", "CC-BY-2.0"],
        "uploaded": {"from": "2024-01-01"},
        "taken": {"from": "2023-05-01", "to": "2023-05-01"},
        "min_width": 800,
    }


def test_near_duplicates_are_listed_where_that_is_asked_for(api):
    ran(api, "search", "dogs", "-c", "stamps")
    ran(api, "search", "dogs", "-c", "stamps", "--duplicates", "-f", "size=large", "-f", "orientation=square")

    assert [body["collapse"] for body in api.bodies] == [True, False]
    assert api.bodies[1]["filters"] == {"size": ["large"], "orientation": ["square"]}


def test_a_faulty_filter_or_file_is_told_in_a_line(api, capsys, monkeypatch):
    for argv in (["search", "-c", "x", "-f", "license"], ["similar", "-c", "x", "/nowhere.png"], ["collections"]):
        with pytest.raises(SystemExit) as ended:
            main(["--url", "http://127.0.0.1:9", *argv])
        assert str(ended.value).startswith("imagesearch: ")


def test_json_is_one_object_a_line(api, capsys):
    run(api.client(), parser().parse_args(["search", "-c", "stamps", "--json"]), Console())

    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line)["id"] == "flickr:53466812"


def test_the_summary_says_when_nothing_matches_and_when_words_alone_were_found(api):
    example = SCHEMAS["SearchResponse"]["example"] | {"strong": 0, "degraded": True}

    said = summary(Page.of(example))

    assert "nothing matches" in said
    assert "words alone" in said


def test_everything_that_is_named_public_is_there():
    assert all(hasattr(imagesearch_client, name) for name in imagesearch_client.__all__)
