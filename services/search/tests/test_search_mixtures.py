"""`POST /search`: words and pictures together, more and less of this, filters, counts, and what is left without an encoder.

Each test runs over the index in memory, and over a real Elasticsearch: so the one is known to answer as the other.
"""

import asyncio
import base64

import numpy as np
import pytest
from starlette.responses import Response


@pytest.fixture(
    params=["zoo_in_memory", pytest.param("zoo_on_elasticsearch", marks=pytest.mark.integration)],
    ids=["in memory", "elasticsearch"],
)
def index(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def put(index):
    """Puts a picture into the zoo: its id, how much it is dog, cat, boat and anything else, and other fields."""

    def add(image_id, *vector, **fields):
        array = np.array(vector, np.float32)
        index.put(index.alias["default.zoo"], image_id, array / np.linalg.norm(array), **fields)

    return add


async def search(api, *terms, **body):
    return await api.post("/search", json={"collection": "zoo", "terms": list(terms), **body})


async def found(api, *terms, **body):
    answer = await search(api, *terms, **body)
    assert answer.status_code == 200, answer.text
    return [hit["id"].removeprefix("test:") for hit in answer.json()["hits"]]


async def test_terms_are_looked_for_together(api, put):
    put("test:both", 1, 1, 0, 0)

    assert (await found(api, {"text": "dog"}, {"text": "cat"}, keyword_weight=0))[0] == "both"


async def test_a_term_against_pushes_away_what_is_like_it(api, put):
    put("test:catdog", 3, 2, 0, 0)
    put("test:boatdog", 3, 0, 2, 0)

    ids = await found(api, {"text": "dog"}, {"text": "cat", "weight": -0.5}, keyword_weight=0)

    assert ids.index("boatdog") < ids.index("catdog")


async def test_a_weight_says_how_much_a_term_counts(api):
    boat, dog = {"text": "boat"}, {"text": "dog", "weight": 0.1}

    assert (await found(api, boat, dog, keyword_weight=0))[:2] == ["boat", "dog"]


async def test_more_like_a_picture_of_the_collection_and_less_like_another_shows_neither(api, put):
    put("test:puppy", 9, 1, 0, 0)
    put("test:kitten", 1, 9, 0, 0)

    assert await found(api, {"id": "test:dog"}, {"id": "test:cat", "weight": -1}) == ["puppy", "boat", "kitten"]


async def test_words_and_a_picture_go_together(api, put, picture):
    put("test:both", 1, 0, 1, 0)
    red = base64.b64encode(picture("red")).decode()

    assert (await found(api, {"image_base64": red}, {"text": "boat"}, keyword_weight=0))[0] == "both"


async def test_captions_count_beside_what_pictures_show(api, put):
    put("test:tagged", 1, 0, 0, 1, tags=["boat"])

    by_meaning = await found(api, {"text": "boat"}, keyword_weight=0)
    by_words = await found(api, {"text": "boat"}, keyword_weight=1)

    assert by_meaning[0] == "boat"
    assert "tagged" in by_meaning[1:]
    assert sorted(by_words[:2]) == ["boat", "tagged"]


async def test_a_hit_tells_whether_it_has_the_words(api):
    hits = (await search(api, {"text": "boat"})).json()["hits"]

    assert {hit["id"]: hit["has_words"] for hit in hits} == {"test:boat": True, "test:cat": False, "test:dog": False}


async def test_only_what_passes_the_filters_is_found_and_counted_as_available(api, put):
    put("test:free", 1, 0, 0, 1, license="CC0-1.0", tags=["snow", "dog"], width=900)
    put("test:small", 1, 0, 0, 1, license="CC0-1.0", tags=["snow"], width=100)

    answer = (await search(api, {"text": "dog"}, filters={"license": ["CC0-1.0"], "tags": ["snow"]})).json()

    assert sorted(hit["id"] for hit in answer["hits"]) == ["test:free", "test:small"]
    assert (answer["total"], answer["available"]) == (2, 2)
    assert await found(api, {"text": "dog"}, filters={"tags": ["dog", "snow"]}) == ["free"]
    assert await found(api, {"text": "dog"}, filters={"min_width": 500}) == ["free"]
    assert await found(api, {"text": "dog"}, filters={"ids": ["test:cat"]}) == ["cat"]


async def test_a_facet_counts_what_was_found_and_what_else_could_be_chosen(api, put):
    put("test:1", 1, 0, 0, 1, license="CC0-1.0", tags=["snow"], uploaded_at="2023-01-02T00:00:00Z")
    put("test:2", 1, 0, 0, 2, license="CC0-1.0", tags=["rain"], uploaded_at="2024-01-02T00:00:00Z")
    put("test:3", 1, 0, 0, 3, license="CC-BY-2.0", tags=["snow"], uploaded_at="2024-01-02T00:00:00Z")

    body = {"filters": {"license": ["CC0-1.0"]}, "facets": ["license", "tags", "uploaded"]}
    facets = (await search(api, {"text": "dog"}, **body)).json()["facets"]

    assert facets == {
        "license": [{"value": "CC0-1.0", "count": 2}, {"value": "CC-BY-2.0", "count": 1}],
        "tags": [{"value": "rain", "count": 1}, {"value": "snow", "count": 1}],
        "uploaded": [{"value": "2024", "count": 1}, {"value": "2023", "count": 1}],
    }


async def test_pictures_are_told_by_their_shape_and_by_how_large_they_are(api, put):
    put("test:poster", 1, 0, 0, 1, width=600, height=900)
    put("test:icon", 1, 0, 0, 1, width=64, height=64)
    put("test:wallpaper", 1, 0, 0, 1, width=1920, height=1200)

    assert await found(api, {"text": "dog"}, filters={"orientation": ["portrait", "square"]}, sort="newest") == [
        "icon",
        "poster",
    ]
    assert await found(api, {"text": "dog"}, filters={"size": ["large"]}) == ["wallpaper"]
    counted = (await search(api, {"text": "dog"}, facets=["orientation", "size"])).json()["facets"]
    assert counted == {
        "orientation": [{"value": value, "count": 1} for value in ("landscape", "portrait", "square")],
        "size": [{"value": value, "count": 1} for value in ("large", "medium", "small")],
    }


async def test_without_terms_everything_comes_by_date(api, put):
    for day in (3, 1, 2):
        put(f"test:day-{day}", 0, 0, 0, 1, uploaded_at=f"2024-01-0{day}T00:00:00Z", license="CC0-1.0")
    free = {"license": ["CC0-1.0"]}

    assert await found(api, filters=free, sort="newest") == ["day-3", "day-2", "day-1"]
    assert await found(api, filters=free, sort="oldest") == ["day-1", "day-2", "day-3"]
    assert await found(api, filters=free) == ["day-3", "day-2", "day-1"]
    [hit] = (await search(api, filters=free, size=1)).json()["hits"]
    assert hit["score"] is None


async def test_what_was_found_can_be_ordered_by_date_page_by_page(api, put):
    for day in (3, 1, 2):
        put(f"test:day-{day}", 0, 0, day, 1, uploaded_at=f"2024-01-0{day}T00:00:00Z", license="CC0-1.0")
    body = {"filters": {"license": ["CC0-1.0"]}, "sort": "newest", "size": 2}

    assert await found(api, {"text": "boat"}, **body) == ["day-3", "day-2"]
    assert await found(api, {"text": "boat"}, **body | {"from": 2}) == ["day-1"]


async def test_the_pages_of_a_search_fit_together_while_pictures_come_and_are_calibrated(api, put, passing):
    for number in range(30):
        put(f"test:{number:02}", 1, 0, 0, number)
    first = await found(api, {"text": "dog"}, size=10, keyword_weight=0)
    put("test:new", 1, 0, 0, 0)
    await calibrated(api, {"text": "boat"})
    await passing.sleep(120)  # the reader takes their time

    second = await found(api, {"text": "dog"}, size=10, keyword_weight=0, **{"from": 10})
    third = await found(api, {"text": "dog"}, size=10, keyword_weight=0, **{"from": 20})

    assert len({*first, *second, *third}) == 30
    assert "new" in await found(api, {"text": "dog"}, size=10, keyword_weight=0)


async def calibrated(api, *terms, **body):
    """The answer once the collection is calibrated, which the first search begins."""
    for _ in range(200):
        answer = (await search(api, *terms, **body, keyword_weight=0)).json()
        if answer["strong"] is not None:
            return answer
        await asyncio.sleep(0.05)
    raise AssertionError("it was never calibrated")


@pytest.fixture
def anything(put):
    """Pictures of nothing in particular, and one dog more."""
    chance = np.random.default_rng(0)
    for number in range(30):
        put(f"test:any-{number}", *chance.normal(scale=0.2, size=3), 1)
    put("test:puppy", 9, 1, 0, 0)


@pytest.mark.usefixtures("anything")
async def test_what_matches_comes_first_and_is_told_from_what_is_near_by_chance(api):
    answer = await calibrated(api, {"text": "dog"})

    assert [hit["id"] for hit in answer["hits"] if hit["match"] == "strong"] == ["test:dog", "test:puppy"]
    assert answer["strong"] == 2
    assert await found(api, {"text": "dog"}, keyword_weight=0, matches="strong") == ["dog", "puppy"]


async def gone(request):
    return Response(status_code=500)


async def test_without_the_encoder_words_are_still_found_and_the_answer_says_so(api, encoder, put):
    put("test:tagged", 0, 0, 0, 1, tags=["boat"])
    encoder.fault = gone

    answer = (await search(api, {"text": "boat"})).json()

    assert answer["degraded"] is True
    assert sorted(hit["id"] for hit in answer["hits"]) == ["test:boat", "test:tagged"]
    assert {hit["score"] for hit in answer["hits"]} == {None}
    encoder.fault = None
    assert (await search(api, {"text": "boat"})).json()["degraded"] is False


async def test_without_the_encoder_more_like_this_goes_on_as_it_is(api, encoder):
    encoder.fault = gone

    answer = (await search(api, {"id": "test:dog"})).json()

    assert answer["degraded"] is False
    assert len(answer["hits"]) == 2


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({"terms": [{}]}, "#/terms/0", "exactly one"),
        ({"terms": [{"text": "a", "id": "b"}]}, "#/terms/0", "exactly one"),
        ({"terms": [{"text": "dog"}, {"text": " "}]}, "#/terms/1/text", "empty"),
        ({"terms": [{"image_base64": "!"}]}, "#/terms/0/image_base64", "not base64"),
        ({"terms": [{"id": "test:nobody"}]}, "#/terms/0/id", "no picture 'test:nobody'"),
        ({"terms": [{"text": "dog"}, {"text": "dog", "weight": -1}]}, "#/terms", "cancel each other out"),
        ({"terms": [{"text": "dog", "weight": 0}]}, "#/terms", "none counts"),
        ({"terms": [{"text": "dog", "weight": 11}]}, "#/terms/0/weight", "less than or equal to 10"),
        ({"terms": [{"text": "dog"}] * 17}, "#/terms", "at most 16"),
        ({"filters": {"colour": ["red"]}}, "#/filters/colour", "not permitted"),
        ({"filters": {"uploaded": {"from": "yesterday"}}}, "#/filters/uploaded/from", "give a day"),
        ({"filters": {"orientation": ["tall"]}}, "#/filters/orientation/0", "'landscape'"),
        ({"filters": {"size": ["huge"]}}, "#/filters/size/0", "'small'"),
        ({"filters": {"min_height": 2**31}}, "#/filters/min_height", "less than or equal to 2147483647"),
        ({"collapse": "some"}, "#/collapse", "boolean"),
        ({"facets": ["colour"]}, "#/facets/0", "'license'"),
        ({"sort": "best"}, "#/sort", "'relevance'"),
        ({"keyword_weight": 2}, "#/keyword_weight", "less than or equal to 1"),
    ],
)
async def test_a_faulty_request_is_told_which_field_and_why(api, body, pointer, words):
    answer = await api.post("/search", json={"collection": "zoo", **body})

    assert answer.status_code == 422
    faults = answer.json()["errors"]
    assert any(fault["pointer"].startswith(pointer) and words in fault["detail"] for fault in faults), faults
