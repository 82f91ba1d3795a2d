"""Near duplicates: which pictures are, and how a search shows them. Those over HTTP run as in `test_search_mixtures`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagesearch_search.duplicates import MAX_BITS, MAX_COLOUR, collapse
from imagesearch_search.ranking import Ranked

GREY = (128, 128)


def looks(count: int, *, start: int = 0, colours: tuple[int, int] = GREY) -> str:
    """A fingerprint with so many bits set, from `start` on."""
    bits = np.zeros(256, np.uint8)
    bits[start : start + count] = 1
    return np.packbits(bits).tobytes().hex() + bytes(colours).hex()


def collapsed(fingerprints: list[str]) -> dict[str, str]:
    """Pictures a, b, c, ... -> their near duplicates."""
    ids = [chr(ord("a") + place) for place in range(len(fingerprints))]
    ranked = collapse([Ranked(each, 0.5) for each in ids], dict(zip(ids, fingerprints, strict=True)))
    return {each.id: "".join(each.duplicates) for each in ranked}


@pytest.mark.parametrize(
    ("fingerprints", "shown"),
    [
        ([looks(0), looks(MAX_BITS)], {"a": "b"}),
        ([looks(0), looks(MAX_BITS + 1)], {"a": "", "b": ""}),
        ([looks(0), looks(0, colours=(128 + MAX_COLOUR, 128 - MAX_COLOUR))], {"a": "b"}),
        ([looks(0), looks(0, colours=(128, 128 + MAX_COLOUR + 1))], {"a": "", "b": ""}),
        ([looks(0), looks(0, colours=(128 - MAX_COLOUR - 1, 128))], {"a": "", "b": ""}),
        # c is like b, which is like a; what is behind a stands behind no other, so c is shown.
        ([looks(0), looks(20), looks(40)], {"a": "b", "c": ""}),
        # c is like both; it stands behind the better one.
        ([looks(0), looks(40), looks(20)], {"a": "c", "b": ""}),
        ([looks(40), looks(0), looks(20), looks(41)], {"a": "cd", "b": ""}),
        (["", "", looks(0)], {"a": "", "b": "", "c": ""}),
        (["00", "00"], {"a": "", "b": ""}),
        (["x" * 68, "x" * 68], {"a": "", "b": ""}),
        # the negative of a picture: every bit differs
        ([looks(0), looks(256)], {"a": "", "b": ""}),
        ([], {}),
    ],
)
def test_near_duplicates_stand_behind_the_first_that_they_are_like(fingerprints, shown):
    assert collapsed(fingerprints) == shown


FINGERPRINTS = st.lists(
    st.builds(lambda count, start: looks(count, start=start), st.integers(0, 60), st.sampled_from([0, 100])),
    max_size=12,
)


@given(FINGERPRINTS)
def test_every_picture_is_shown_or_stands_behind_one_that_is_and_the_order_stays(fingerprints):
    shown = collapsed(fingerprints)

    assert sorted([*shown, *"".join(shown.values())]) == [chr(ord("a") + place) for place in range(len(fingerprints))]
    assert list(shown) == sorted(shown)
    assert all(behind > first for first, copies in shown.items() for behind in copies)


@pytest.fixture(
    params=["zoo_in_memory", pytest.param("zoo_on_elasticsearch", marks=pytest.mark.integration)],
    ids=["in memory", "elasticsearch"],
)
def index(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def copies(index):
    """Ten pictures, each less like a dog than the one before, every second a copy of that."""
    for number in range(10):
        vector = np.array([10, number, 0, 1], np.float32)
        index.put(
            index.alias["default.zoo"],
            f"copy:{number}",
            vector / np.linalg.norm(vector),
            fingerprint=looks(40 + number % 2, start=50 * (number // 2)),
            license=["CC0-1.0", "CC-BY-2.0"][number % 2],
            uploaded_at=f"2024-01-{number + 1:02}T00:00:00Z",
        )


async def asked(api, **body):
    answer = await api.post(
        "/search", json={"collection": "zoo", "terms": [{"text": "dog"}], "keyword_weight": 0, **body}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(answer):
    return {hit["id"]: hit["duplicate_ids"] for hit in answer["hits"]}


PAIRS = {f"copy:{number}": [f"copy:{number + 1}"] for number in range(0, 10, 2)}


@pytest.mark.usefixtures("copies")
async def test_near_duplicates_stand_behind_the_best_of_them(api):
    answer = await asked(api)

    assert shown(answer).items() >= PAIRS.items()
    assert len(answer["hits"]) == answer["total"] == 3 + 5
    assert (answer["collapsed"], answer["available"]) == (5, 13)
    assert {hit["duplicates"] for hit in answer["hits"] if hit["id"].startswith("copy:")} == {1}
    assert shown(answer)["test:dog"] == []  # written without a fingerprint


@pytest.mark.usefixtures("copies")
async def test_every_picture_is_listed_where_that_is_asked_for(api):
    answer = await asked(api, collapse=False)

    assert [hit["id"] for hit in answer["hits"][1:11]] == [f"copy:{number}" for number in range(10)]
    assert (answer["total"], answer["collapsed"], answer["available"]) == (13, 0, 13)
    assert {hit["duplicates"] for hit in answer["hits"]} == {0}


@pytest.mark.usefixtures("copies")
async def test_those_behind_a_picture_are_had_by_their_ids(api):
    [first, *_] = [hit for hit in (await asked(api))["hits"] if hit["duplicates"]]

    behind = await asked(api, terms=[], filters={"ids": [first["id"], *first["duplicate_ids"]]}, collapse=False)

    assert {hit["id"] for hit in behind["hits"]} == {"copy:0", "copy:1"}


@pytest.mark.parametrize("sort", ["relevance", "newest", "oldest"])
@pytest.mark.usefixtures("copies")
async def test_pages_have_neither_gaps_nor_repeats(api, sort):
    seen, start = [], 0
    while start is not None:
        page = await asked(api, sort=sort, size=3, **{"from": start})
        seen += [key for hit in page["hits"] for key in (hit["id"], *hit["duplicate_ids"])]
        start = page["next_from"]

    assert sorted(seen) == sorted([f"copy:{number}" for number in range(10)] + ["test:dog", "test:cat", "test:boat"])


@pytest.mark.usefixtures("copies")
async def test_what_stands_behind_others_is_counted_and_found_by_its_own_filter(api):
    answer = await asked(api, facets=["license"])
    free = await asked(api, filters={"license": ["CC-BY-2.0"]}, facets=["license"])

    assert {each["value"]: each["count"] for each in answer["facets"]["license"]} == {"CC0-1.0": 5, "CC-BY-2.0": 5}
    assert [hit["id"] for hit in free["hits"]] == [f"copy:{number}" for number in range(1, 10, 2)]
    assert free["collapsed"] == 0
    assert free["facets"] == answer["facets"]


@pytest.mark.usefixtures("copies")
async def test_of_a_list_by_date_the_newest_copy_is_shown(api):
    answer = await asked(api, terms=[], filters={"license": ["CC0-1.0", "CC-BY-2.0"]})

    assert shown(answer) == {f"copy:{number}": [f"copy:{number - 1}"] for number in range(9, 0, -2)}
