"""The two things that stand between a query and the encoder."""

import asyncio

import pytest
from imagesearch_search.encoder_client import FAILURES_TO_OPEN, OPEN_SECONDS, Circuit
from imagesearch_search.recent import Recent


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def opened(clock):
    circuit = Circuit(clock)
    for _ in range(FAILURES_TO_OPEN):
        assert circuit.allows()
        circuit.failed(clock.now)
    return circuit


def test_a_circuit_opens_after_failures_in_a_row():
    assert not opened(Clock()).allows()


def test_a_success_in_between_keeps_it_closed():
    circuit = Circuit(Clock())
    for _ in range(3 * FAILURES_TO_OPEN):
        circuit.failed(circuit.now())
        circuit.succeeded()
    assert circuit.allows()


def test_who_answers_others_in_the_meantime_is_slow_and_not_gone():
    clock = Clock()
    circuit = Circuit(clock)
    for _ in range(3 * FAILURES_TO_OPEN):
        asked_at = circuit.now()
        clock.now += 5
        circuit.succeeded()
        clock.now += 1
        circuit.failed(asked_at)
    for _ in range(3 * FAILURES_TO_OPEN):
        circuit.failed(clock.now - 3)
    assert circuit.allows()


def test_an_open_circuit_lets_one_probe_through_after_a_pause():
    clock = Clock()
    circuit = opened(clock)
    clock.now += OPEN_SECONDS

    assert [circuit.allows() for _ in range(3)] == [True, False, False]
    circuit.succeeded()
    assert circuit.allows()


def test_a_probe_whose_caller_left_is_followed_by_another():
    clock = Clock()
    circuit = opened(clock)
    clock.now += OPEN_SECONDS
    assert circuit.allows()  # and nothing is heard of it

    clock.now += OPEN_SECONDS
    assert circuit.allows()


class Encoding:
    """Encodes when told to, and counts."""

    def __init__(self):
        self.calls = 0
        self.go = asyncio.Event()

    async def __call__(self):
        self.calls += 1
        await self.go.wait()
        return b"vector"


async def test_a_text_that_is_being_encoded_is_not_encoded_twice():
    cache, encode = Recent(10), Encoding()
    waiting = [asyncio.ensure_future(cache.get("dog", encode)) for _ in range(5)]
    await asyncio.sleep(0)
    encode.go.set()

    assert await asyncio.gather(*waiting) == [b"vector"] * 5
    assert encode.calls == 1


async def test_the_first_to_ask_may_leave_without_failing_the_others():
    cache, encode = Recent(10), Encoding()
    first, second = (asyncio.ensure_future(cache.get("dog", encode)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    encode.go.set()

    assert await second == b"vector"
    assert first.cancelled()


async def test_what_nobody_waits_for_any_more_is_stopped_and_begun_anew_for_the_next():
    cache, encode = Recent(10), Encoding()
    waiting = [asyncio.ensure_future(cache.get("dog", encode)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    encode.go.set()

    assert await cache.get("dog", encode) == b"vector"
    assert encode.calls == 2
    assert not cache._under_way
    assert not cache._waiting


async def test_whoever_comes_while_it_is_being_stopped_is_not_stopped_with_it():
    cache, encode = Recent(10), Encoding()
    first = asyncio.ensure_future(cache.get("dog", encode))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)  # it has left, and what it waited for has not ended yet
    second = asyncio.ensure_future(cache.get("dog", encode))
    await asyncio.sleep(0)
    encode.go.set()

    assert await second == b"vector"


async def test_the_least_recently_used_is_forgotten():
    cache, encode = Recent(2), Encoding()
    encode.go.set()
    for text in ("a", "b", "a", "c", "a"):
        await cache.get(text, encode)
    assert encode.calls == 3  # a, b, c
    await cache.get("b", encode)
    assert encode.calls == 4


async def test_a_failure_reaches_all_who_wait_and_is_forgotten():
    cache = Recent(10)

    async def fail():
        await asyncio.sleep(0)
        raise LookupError

    answers = await asyncio.gather(cache.get("dog", fail), cache.get("dog", fail), return_exceptions=True)

    assert [type(answer) for answer in answers] == [LookupError, LookupError]
    encode = Encoding()
    encode.go.set()
    assert await cache.get("dog", encode) == b"vector"


@pytest.mark.parametrize("fresh", [True, False])
async def test_a_known_vector_is_made_anew_only_on_demand(fresh):
    cache, encode = Recent(10), Encoding()
    encode.go.set()
    await cache.get("dog", encode)
    await cache.get("dog", encode, fresh=fresh)

    assert encode.calls == 1 + fresh
