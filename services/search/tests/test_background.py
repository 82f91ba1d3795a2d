"""The calibrations that are kept of each index, over an Elasticsearch that answers what it is told to."""

import asyncio
import logging

import numpy as np
import pytest
from imagesearch_search import background
from imagesearch_search.background import Background, fetch_sample, sample_body
from imagesearch_search.calibration import GENERIC_TEXTS
from imagesearch_search.index_client import IndexMissingError, unavailable

DIMS = 16


class FakeElasticsearch:
    """Hands out its pictures in their order. `gate` holds every answer back until it is set."""

    def __init__(self, pictures=300):
        vectors = np.random.default_rng(0).normal(size=(pictures, DIMS))
        self.pictures = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        self.asked = 0
        self.error = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def search(self, index, bodies, *, preference):
        self.asked += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        [body] = bodies
        page = self.pictures[body["from"] : body["from"] + body["size"]]
        hits = [{"_id": str(row), "fields": {"embedding": vector.tolist()}} for row, vector in enumerate(page)]
        return [{"hits": {"total": {"value": len(self.pictures)}, "hits": hits}}]


class FakeEncoder:
    """A vector for every text."""

    def __init__(self):
        self.texts = []
        self.error = None

    async def __call__(self, text):
        self.texts.append(text)
        if self.error is not None:
            raise self.error
        vector = np.random.default_rng(len(text)).normal(size=DIMS)
        return (vector / np.linalg.norm(vector)).astype("<f4").tobytes()


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
async def elasticsearch():
    return FakeElasticsearch()


@pytest.fixture
def encoder():
    return FakeEncoder()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def kept(elasticsearch, clock):
    found = Background(elasticsearch, clock=clock)
    yield found
    await found.close()


async def test_the_first_search_of_an_index_has_no_calibration_and_a_later_one_has(kept, elasticsearch, encoder):
    assert kept.calibration("zoo", encoder) is None
    await kept.settled()
    found = kept.calibration("zoo", encoder)

    assert np.array_equal(found.sample, elasticsearch.pictures)
    assert encoder.texts == list(GENERIC_TEXTS)
    assert found.scale(elasticsearch.pictures[0], "picture") is not None


async def test_many_searches_at_once_fetch_one_sample(kept, elasticsearch, encoder):
    for _ in range(50):
        assert kept.calibration("zoo", encoder) is None
    await kept.settled()

    assert elasticsearch.asked == 300 / background.PART


async def test_an_old_calibration_is_used_until_the_new_one_is_there(kept, elasticsearch, encoder, clock):
    kept.calibration("zoo", encoder)
    await kept.settled()
    old = kept.calibration("zoo", encoder)
    elasticsearch.pictures = elasticsearch.pictures[:100]
    clock.now += background.SMALL_KEPT_SECONDS
    elasticsearch.gate.clear()

    assert kept.calibration("zoo", encoder) is old
    await asyncio.sleep(0)
    assert kept.calibration("zoo", encoder) is old
    elasticsearch.gate.set()
    await kept.settled()
    assert len(kept.calibration("zoo", encoder).sample) == 100


async def test_a_collection_larger_than_its_sample_is_sampled_less_often(kept, elasticsearch, encoder, clock):
    elasticsearch.pictures = np.tile(elasticsearch.pictures, (4, 1))
    kept.calibration("zoo", encoder)
    await kept.settled()
    assert len(kept.calibration("zoo", encoder).sample) == background.SAMPLE_SIZE
    asked = elasticsearch.asked

    clock.now += background.KEPT_SECONDS - 1
    kept.calibration("zoo", encoder)
    await kept.settled()
    assert elasticsearch.asked == asked
    clock.now += 1
    kept.calibration("zoo", encoder)
    await kept.settled()
    assert elasticsearch.asked == 2 * asked


@pytest.mark.parametrize("who", ["elasticsearch", "encoder"])
async def test_what_cannot_be_asked_is_told_to_the_log_and_asked_again_after_a_while(
    who, kept, elasticsearch, encoder, clock, caplog
):
    failing = elasticsearch if who == "elasticsearch" else encoder
    kept.calibration("zoo", encoder)
    await kept.settled()
    old = kept.calibration("zoo", encoder)
    failing.error = unavailable(ConnectionRefusedError())
    clock.now += background.SMALL_KEPT_SECONDS
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert kept.calibration("zoo", encoder) is old
            await kept.settled()
    failing.error = None
    assert [record.getMessage() for record in caplog.records] == [
        "The searches of zoo cannot be calibrated: The search index does not answer (ConnectionRefusedError). Try again."
    ]

    clock.now += background.RETRY_SECONDS
    kept.calibration("zoo", encoder)
    await kept.settled()
    assert kept.calibration("zoo", encoder) is not old


async def test_an_index_that_is_gone_is_no_trouble(kept, elasticsearch, encoder, caplog):
    elasticsearch.error = IndexMissingError("zoo")
    kept.calibration("zoo", encoder)
    await kept.settled()

    assert kept.calibration("zoo", encoder) is None
    assert not caplog.records


@pytest.mark.parametrize("pictures", [0, 1, 4])
async def test_an_index_of_a_few_pictures_has_no_calibration(pictures, elasticsearch, encoder, kept):
    elasticsearch.pictures = elasticsearch.pictures[:pictures]
    kept.calibration("zoo", encoder)
    await kept.settled()

    assert kept.calibration("zoo", encoder) is None


async def test_only_so_many_calibrations_are_kept(kept, elasticsearch, encoder):
    elasticsearch.pictures = elasticsearch.pictures[:10]
    for number in range(background.CAPACITY + 1):
        kept.calibration(f"index-{number}", encoder)
        await kept.settled()

    assert kept.calibration(f"index-{background.CAPACITY}", encoder) is not None
    assert kept.calibration("index-0", encoder) is None


async def test_closing_stops_what_is_under_way(kept, elasticsearch, encoder):
    elasticsearch.gate.clear()
    kept.calibration("zoo", encoder)
    await asyncio.sleep(0)
    await kept.close()
    elasticsearch.gate.set()
    await asyncio.sleep(0)

    assert elasticsearch.asked == 1
    assert encoder.texts == []


@pytest.mark.parametrize("pictures", [1, background.PART, background.PART + 1, background.SAMPLE_SIZE, 1100])
async def test_a_sample_has_each_picture_once(pictures):
    elasticsearch = FakeElasticsearch(pictures)
    vectors, population = await fetch_sample(elasticsearch, "zoo")

    assert population == pictures
    assert np.array_equal(vectors, elasticsearch.pictures[: background.SAMPLE_SIZE])


def test_every_part_of_a_sample_asks_for_the_same_order():
    first, second = sample_body(0), sample_body(50)

    assert first["query"] == second["query"]
    assert (second["from"], second["size"]) == (50, background.PART)
