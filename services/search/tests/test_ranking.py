"""What Elasticsearch is asked, and one order out of its answers."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagesearch_search import bodies, ranking
from imagesearch_search.ranking import Ranked, fuse
from imagesearch_search.schema import DateRange, FacetCount, Filters

GOLDEN = Path(__file__).parent / "golden"


def golden(name):
    return json.loads((GOLDEN / name).read_text())


def test_the_nearest_pictures_are_asked_for_by_id_alone_and_to_the_full_depth():
    assert bodies.nearest([0.6, 0.8], Filters(), 1000) == golden("nearest-body.json")


def test_filters_are_applied_within_the_search_for_neighbours():
    filters = Filters(
        license=("CC0-1.0", "CC-BY-2.0"),
        tags=("dog", "snow"),
        orientation=("portrait",),
        size=("medium", "large"),
        uploaded=DateRange(from_=date(2024, 1, 1), to=date(2024, 12, 31)),
        taken=DateRange(to=datetime(2024, 5, 1, 12, tzinfo=UTC)),
        min_width=800,
        ids=("a:1",),
    )

    assert bodies.nearest([0.6, 0.8], filters, 10)["knn"]["filter"] == golden("filter-clauses.json")


def test_without_filters_nothing_is_filtered():
    assert "filter" not in bodies.nearest([0.6, 0.8], Filters(), 10)["knn"]


def test_to_the_last_day_that_there_is_has_no_end():
    forever = Filters(uploaded=DateRange(from_=date(2024, 1, 1), to=date.max))

    assert bodies.filter_clauses(forever) == [{"range": {"uploaded_at": {"gte": "2024-01-01"}}}]


def test_a_facet_is_counted_without_its_own_filter():
    filters = Filters(license=("CC0-1.0",), tags=("dog",), uploaded=DateRange(from_=date(2024, 1, 1)))

    assert bodies.without(filters, "license") == filters.model_copy(update={"license": ()})
    assert bodies.without(filters, "uploaded") == filters.model_copy(update={"uploaded": None})
    assert [name for name in ("license", "author", "uploaded") if bodies.is_filtered(filters, name)] == [
        "license",
        "uploaded",
    ]


NEAR = [("a", 0.70), ("b", 0.66), ("c", 0.60), ("d", 0.60)]
WORDED = [("c", 12.0), ("e", 6.0)]


@pytest.mark.parametrize(
    ("weight", "order"),
    [
        (0.0, "abcde"),
        (0.3, "abced"),  # c gains by its words what it lacks in likeness
        (0.6, "caebd"),
        (1.0, "ceabd"),  # those that have the words come first, the rest by likeness
    ],
)
def test_words_count_as_much_as_they_are_told_to(weight, order):
    assert "".join(ranked.id for ranked in fuse(NEAR, WORDED, weight, 10)) == order


def test_what_is_known_of_a_picture_is_told():
    ranked = {each.id: each for each in fuse(NEAR, WORDED, 0.3, 10)}

    assert ranked["a"] == Ranked("a", 0.70, has_words=False)
    assert ranked["c"] == Ranked("c", 0.60, has_words=True)
    assert ranked["e"] == Ranked("e", None, has_words=True)


SCORES = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 1, allow_subnormal=False), max_size=8)


def best_first(scores):
    return sorted(scores.items(), key=lambda each: (-each[1], each[0]))


@given(SCORES, SCORES, st.floats(0, 1), st.integers(1, 8))
def test_every_candidate_is_ranked_once_and_a_smaller_depth_is_the_beginning_of_a_larger(near, worded, weight, depth):
    everything = fuse(best_first(near), best_first(worded), weight, 100)

    assert sorted(ranked.id for ranked in everything) == sorted(near.keys() | worded.keys())
    assert fuse(best_first(near), best_first(worded), weight, depth) == everything[:depth]


@given(SCORES)
def test_meaning_alone_keeps_the_order_of_the_neighbours(near):
    assert [ranked.id for ranked in fuse(best_first(near), [], 0.3, 100)] == [key for key, _ in best_first(near)]


def test_documents_become_the_page_in_its_own_order():
    page = [
        Ranked("manifest:1", 0.5, has_words=True, duplicates=("a:1", "a:2")),
        Ranked("flickr:gone", 0.4),
        Ranked("flickr:53466812", 0.75),
    ]

    hits = ranking.hits(golden("elasticsearch-answer.json"), page)

    assert [json.loads(hit.model_dump_json()) for hit in hits] == golden("hits.json")


def test_a_score_stays_within_its_range_whatever_quantisation_makes_of_it():
    answer = {"hits": {"hits": [{"_id": "a:b", "_source": {"url": "http://x"}}]}}

    scores = [ranking.hits(answer, [Ranked("a:b", score)])[0].score for score in (1.0000002, -0.001, 0.5)]

    assert scores == [1.0, 0.0, 0.5]


def test_values_are_counted_by_how_many_have_them_and_years_from_the_latest():
    answer = {
        "aggregations": {
            "license": {"buckets": [{"key": "CC0-1.0", "doc_count": 5}, {"key": "CC-BY-2.0", "doc_count": 2}]},
            "taken": {
                "buckets": [
                    {"key": 1672531200000, "key_as_string": "2023", "doc_count": 1},
                    {"key": 1704067200000, "key_as_string": "2024", "doc_count": 6},
                ]
            },
        }
    }

    assert ranking.facet_counts(answer) == {
        "license": (FacetCount(value="CC0-1.0", count=5), FacetCount(value="CC-BY-2.0", count=2)),
        "taken": (FacetCount(value="2024", count=6), FacetCount(value="2023", count=1)),
    }
