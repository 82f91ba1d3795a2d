"""Queries and answers as data."""

import base64
import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagesearch_search import query
from imagesearch_search.problems import Problem
from imagesearch_search.schema import Page

GOLDEN = Path(__file__).parent / "golden"


def golden(name):
    return json.loads((GOLDEN / name).read_text())


def test_a_search_asks_for_the_same_candidates_on_every_page():
    first = query.nearest_body([0.6, 0.8], Page(size=2), 1000)
    deep = query.nearest_body([0.6, 0.8], Page(size=100, from_=900), 1000)

    assert first == golden("nearest-body.json")
    assert deep["knn"] == first["knn"]
    assert (deep["from"], deep["size"]) == (900, 100)


def test_an_answer_of_elasticsearch_becomes_a_page():
    answer = query.response_of(
        golden("elasticsearch-answer.json"),
        collection="zoo",
        model="tiny/1",
        page=Page(size=2),
        max_depth=1000,
        took_ms=12.345,
    )

    assert json.loads(answer.model_dump_json()) == golden("response.json")


@pytest.mark.parametrize(
    ("start", "size", "found", "total", "next_from"),
    [
        (0, 20, 1000, 1000, 20),
        (980, 20, 1000, 1000, None),
        (960, 20, 1000, 1000, 980),
        (0, 20, 20, 20, None),
        (0, 20, 21, 21, 20),
        (950, 30, 1000, 1000, None),  # the page after it would end past the bound
    ],
)
def test_the_next_page_is_named_only_when_it_will_be_answered(start, size, found, total, next_from):
    answer = {"hits": {"total": {"value": found}, "hits": []}}
    page = query.response_of(
        answer, collection="zoo", model="tiny/1", page=Page(size=size, from_=start), max_depth=1000, took_ms=1
    )

    assert (page.total, page.next_from) == (total, next_from)


def test_a_score_stays_within_its_range_whatever_quantisation_makes_of_it():
    hit = {"_id": "a:b", "_source": {"url": "http://x"}}

    assert [query.hit_of(hit | {"_score": score}).score for score in (1.0000002, -0.001, 0.5)] == [1.0, 0.0, 0.5]


@pytest.mark.parametrize(
    ("given_text", "clean"),
    [
        ("  two\n\twords ", "two words"),
        ("Vo\u0308gel", "Vögel"),
        ("a\0b", "a b"),
        ("\ud83dx", "x"),
        ("Été 🐕", "Été 🐕"),
    ],
)
def test_a_query_is_cleaned_before_it_is_encoded(given_text, clean):
    assert query.clean_text(given_text, 1000) == clean


@given(st.text(st.characters(codec=None), max_size=300))
def test_any_text_is_cleaned_or_refused_and_cleaning_is_final(text):
    try:
        clean = query.clean_text(text, 100)
    except Problem:
        return
    assert 0 < len(clean) <= 100
    assert query.clean_text(clean, 100) == clean
    clean.encode()  # what is sent is UTF-8


@given(st.binary(max_size=100))
def test_base64_gives_the_picture_back(data):
    text = base64.b64encode(data).decode()
    assert query.picture_of_base64(text, 100) == data


@given(st.text(max_size=200))
def test_any_text_is_base64_or_refused(text):
    with contextlib.suppress(Problem):
        assert len(query.picture_of_base64(text, 100)) <= 100


@pytest.mark.parametrize("name", ["zoo", "team-a/zoo"])
def test_a_collections_label_names_it(name):
    assert query.collection_label(*query.collection_of(name, "default"), "default") == name
