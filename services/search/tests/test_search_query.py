"""What is asked, checked and made ready."""

import base64
import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagesearch_search import query
from imagesearch_search.problems import Problem
from imagesearch_search.query import Wanted
from imagesearch_search.schema import Page


@pytest.mark.parametrize(
    ("start", "size", "total", "next_from"),
    [
        (0, 20, 1000, 20),
        (980, 20, 1000, None),
        (960, 20, 1000, 980),
        (0, 20, 20, None),
        (0, 20, 21, 20),
        (950, 30, 1000, None),  # the page after it would end past the bound
    ],
)
def test_the_next_page_is_named_only_when_it_will_be_answered(start, size, total, next_from):
    assert query.next_from(Page(size=size, from_=start), total, max_depth=1000) == next_from


def packed(*numbers):
    return struct.pack(f"<{len(numbers)}f", *numbers)


def test_one_term_keeps_its_vector_whatever_its_weight():
    vector = packed(0.6, 0.8)

    assert query.mixture([vector], [0.25]) is vector
    assert query.floats(query.mixture([vector], [-1])) == pytest.approx((-0.6, -0.8))


@pytest.mark.parametrize(
    ("weights", "mixed"),
    [
        ([1, 1], (0.7071, 0.7071)),
        ([3, 4], (0.6, 0.8)),
        ([2, -2], (0.7071, -0.7071)),
    ],
)
def test_terms_are_mixed_by_weight_at_unit_length(weights, mixed):
    assert query.floats(query.mixture([packed(1, 0), packed(0, 1)], weights)) == pytest.approx(mixed, abs=1e-4)


def test_terms_that_cancel_each_other_out_are_refused():
    with pytest.raises(Problem, match="cancel each other out"):
        query.mixture([packed(0.6, 0.8), packed(0.6, 0.8)], [1, -1])


@pytest.mark.parametrize("weight", [0, -0.0, 1e-320])
def test_a_term_of_no_weight_is_refused(weight):
    with pytest.raises(Problem, match="none counts"):
        query.mixture([packed(1e-7, 0)], [weight * -1])


def test_only_texts_that_count_for_a_picture_are_looked_for_as_words():
    wanted = [Wanted(text="a boat"), Wanted(id="a:1"), Wanted(text="red", weight=0.1), Wanted(text="rain", weight=-1)]

    assert query.words_of(wanted) == "a boat red"


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
