"""Relevance on a small world of its own: a space with topics, where texts lie apart from pictures as in real encoders."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagesearch_search.calibration import (
    GENERIC_TEXTS,
    MIN_SAMPLE,
    STRONG,
    WEAK,
    Calibration,
    Scale,
    Verdict,
    calibrate,
)

DIMS = 64
TOPICS = 40
OF_TEXTS, OF_PICTURES = DIMS - 2, DIMS - 1
"""Two axes that say of a vector only whether it is a text's or a picture's."""


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


class World:
    """Texts and pictures by topic; the cosine of a text and a picture of its topic is about 0.4, of two pictures 0.8."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.topics = np.zeros((TOPICS, DIMS))
        self.topics[:, :TOPICS] = np.eye(TOPICS)
        self.texts = self.text(*range(TOPICS))

    def noise(self, n, size):
        noise = self.random.normal(size=(n, DIMS)) * size / math.sqrt(DIMS)
        noise[:, [OF_TEXTS, OF_PICTURES]] = 0
        return noise

    def text(self, *topics):
        vectors = self.topics[list(topics)] + self.noise(len(topics), 0.3)
        vectors[:, OF_TEXTS] = 1.0
        return unit(vectors)

    def nonsense(self):
        vector = self.noise(1, 0.3)
        vector[:, OF_TEXTS] = 1.0
        return unit(vector)[0]

    def pictures(self, topic, n):
        vectors = self.topics[[topic] * n] + self.noise(n, 0.5)
        vectors[:, OF_PICTURES] = 1.0
        return unit(vectors)

    def collection(self, topics, n=30):
        return np.concatenate([self.pictures(topic, n) for topic in topics])


@pytest.fixture
def world():
    return World()


@pytest.fixture
def collection(world):
    """Thirty pictures of each of the first twenty topics."""
    return world.collection(range(20))


@pytest.fixture
def calibration(world, collection) -> Calibration:
    found = calibrate(collection, world.texts)
    assert found is not None
    return found


def best(calibration, pictures, query, modality="text") -> Verdict:
    """The verdict on the best hit."""
    return calibration.scale(query, modality).verdict((1 + float((pictures @ query).max())) / 2)


# -- one scale


scales = st.builds(Scale, zero=st.floats(-1, 1), unit=st.floats(0.01, 3))
scores = st.floats(-0.01, 1.01)


@given(scales, scores, scores)
def test_a_better_score_is_never_less_relevant(scale, one, other):
    low, high = sorted((one, other))
    assert 0 <= scale.relevance(low) <= scale.relevance(high) <= 1


@given(st.floats(-0.3, 0.3), st.floats(0.1, 0.5), st.floats(0.05, 0.95))
def test_a_cut_off_is_where_the_relevance_is_reached(zero, step, relevance):
    scale = Scale(zero, step)
    assert scale.relevance(scale.score(relevance)) == pytest.approx(relevance, abs=1e-6)


def test_a_typical_match_is_half_relevant_and_what_unrelated_pictures_score_hardly():
    scale = Scale(zero=0.1, unit=0.3)

    assert scale.relevance((1 + math.tanh(0.4)) / 2) == pytest.approx(0.5)
    assert scale.relevance((1 + math.tanh(0.1)) / 2) < 0.02


def test_verdicts_follow_relevance():
    scale = Scale(zero=0.0, unit=0.3)

    assert [scale.verdict(scale.score(relevance)) for relevance in (STRONG + 0.01, STRONG - 0.01, WEAK - 0.01)] == [
        Verdict.STRONG,
        Verdict.WEAK,
        Verdict.NONE,
    ]


# -- a collection


def test_a_text_for_what_is_there_is_strong_and_nonsense_finds_nothing(world, calibration, collection):
    there = [best(calibration, collection, world.text(topic)[0]) for topic in range(20)]
    nonsense = [best(calibration, collection, world.nonsense()) for _ in range(20)]

    assert set(there) == {Verdict.STRONG}
    assert set(nonsense) == {Verdict.NONE}


def test_what_is_not_in_the_collection_has_no_strong_hit(world, calibration, collection):
    assert Verdict.STRONG not in [best(calibration, collection, world.text(topic)[0]) for topic in range(20, TOPICS)]
    absent = [world.pictures(topic, 1)[0] for topic in range(20, TOPICS)]
    assert Verdict.STRONG not in [best(calibration, collection, picture, "picture") for picture in absent]


def test_the_strong_hits_of_a_text_are_the_pictures_of_its_topic(world, calibration, collection):
    query = world.text(7)[0]
    ranked = np.sort((1 + collection @ query) / 2)[::-1]

    assert 25 <= (ranked >= calibration.scale(query, "text").score(STRONG)).sum() <= 30


def test_texts_and_pictures_have_scales_of_their_own(world, calibration, collection):
    text, picture = world.text(3)[0], world.pictures(3, 1)[0]
    of_text, of_picture = calibration.scale(text, "text"), calibration.scale(picture, "picture")

    assert best(calibration, collection, text) == Verdict.STRONG
    unrelated = (1 + float(np.median(collection[300:] @ picture))) / 2
    assert of_text.verdict(unrelated) == Verdict.STRONG  # by a flat threshold it would be a match
    assert of_picture.verdict(unrelated) == Verdict.NONE


def test_it_separates_matches_from_the_rest_better_than_a_flat_threshold(world, calibration, collection):
    asked = [("text", world.text(topic)[0], topic) for topic in range(TOPICS)]
    asked += [("picture", world.pictures(topic, 1)[0], topic) for topic in range(TOPICS)]
    flat, judged, relevant = [], [], []
    for modality, query, topic in asked:
        scale = calibration.scale(query, modality)
        found = (1 + collection @ query) / 2
        flat += found.tolist()
        judged += [scale.relevance(score) for score in found]
        relevant += [row // 30 == topic for row in range(len(collection))]

    assert roc_auc(judged, relevant) > 0.99
    assert roc_auc(flat, relevant) < 0.95


def roc_auc(values, relevant):
    values, relevant = np.array(values), np.array(relevant)
    yes, no = values[relevant], np.sort(values[~relevant])
    return float(np.mean(np.searchsorted(no, yes) / len(no)))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_it_depends_on_nothing_but_the_cosines(seed):
    world = World(1)
    sample, query = world.collection(range(10), 6), world.text(2)[0]
    random = np.random.default_rng(seed)
    turn = np.linalg.qr(random.normal(size=(DIMS, DIMS)))[0].astype(np.float32)

    plain = calibrate(sample, world.texts).scale(query, "text")
    turned = calibrate(random.permutation(sample @ turn), world.texts @ turn).scale(query @ turn, "text")

    assert np.allclose(turned, plain, rtol=1e-3, atol=1e-4)


def test_matches_in_the_sample_do_not_hide_themselves(world):
    sample = np.concatenate([world.collection(range(1, 15), 20), world.pictures(0, 120)])

    assert best(calibrate(sample, world.texts), sample, world.text(0)[0]) == Verdict.STRONG


def test_a_query_for_what_every_picture_shows_finds_them_all(world):
    sample = world.pictures(0, 200)
    query = world.text(0)[0]
    scale = calibrate(sample, world.texts).scale(query, "text")

    assert ((1 + sample @ query) / 2 >= scale.score(STRONG)).sum() > 190
    assert best(calibrate(sample, world.texts), sample, world.text(1)[0]) != Verdict.STRONG


# -- few pictures, and odd ones


@pytest.mark.parametrize("n", range(MIN_SAMPLE))
def test_of_a_few_pictures_nothing_is_said(world, n):
    assert calibrate(world.pictures(0, n), world.texts) is None


@pytest.mark.parametrize("n", [MIN_SAMPLE, 8, 20])
def test_a_handful_of_pictures_is_judged_sensibly(world, n):
    sample = world.collection(range(n), 1)
    found = calibrate(sample, world.texts)

    assert [best(found, sample, world.text(topic)[0]) for topic in range(n)].count(Verdict.STRONG) >= 0.8 * n
    assert [best(found, sample, world.text(30 + i)[0]) for i in range(10)].count(Verdict.STRONG) <= 2


def test_a_picture_is_not_measured_by_its_own_copies(world, collection):
    picture = world.pictures(25, 1)[0]
    sample = world.random.permutation(np.concatenate([[picture] * 300, collection]))
    scale = calibrate(sample, world.texts).scale(picture, "picture")

    assert scale.verdict(1.0) == Verdict.STRONG
    assert scale.verdict((1 + float((collection @ picture).max())) / 2) != Verdict.STRONG


def test_a_collection_of_copies_is_judged_by_text_only(world):
    found = calibrate(np.repeat(world.pictures(0, 1), 10, axis=0), world.texts)

    assert found.scale(found.sample[0], "picture") is None
    assert found.scale(world.text(0)[0], "text").verdict(0.0) == Verdict.NONE


def test_the_generic_texts_differ():
    assert len(set(GENERIC_TEXTS)) == len(GENERIC_TEXTS)
