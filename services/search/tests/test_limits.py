"""How much one client may ask for, and how much is done at once."""

import asyncio

import httpx
import pytest
from imagesearch_contract.settings import SearchSettings
from imagesearch_search.limits import Gate, Place, RateLimiter, waiting_outside
from imagesearch_search.problems import Problem


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def taken(limiter, client, per_minute, times):
    return [limiter.take(client, per_minute).retry_seconds == 0 for _ in range(times)]


# -- one client


def test_a_minutes_requests_may_come_at_once_and_the_next_when_it_is_there_again():
    clock = Clock()
    limiter = RateLimiter(clock=clock)

    assert taken(limiter, "a", 30, 31) == [True] * 30 + [False]
    assert limiter.take("a", 30).retry_seconds == 2
    clock.now += 1.9
    assert taken(limiter, "a", 30, 1) == [False]
    clock.now += 0.1
    assert taken(limiter, "a", 30, 2) == [True, False]


def test_over_a_long_time_it_is_what_was_said():
    clock = Clock()
    limiter, allowed = RateLimiter(clock=clock), 0
    for _ in range(10 * 60 * 20):
        clock.now += 0.05
        allowed += limiter.take("a", 7).retry_seconds == 0

    assert 0 <= 7 * 10 + 7 - allowed <= 1  # with the bucket that was full; the last may be just about to come


def test_a_refusal_costs_nothing():
    clock = Clock()
    limiter = RateLimiter(clock=clock)
    taken(limiter, "a", 60, 1000)
    clock.now += 1

    assert taken(limiter, "a", 60, 1) == [True]


def test_clients_do_not_pay_for_each_other():
    limiter = RateLimiter(clock=Clock())
    taken(limiter, "a", 1, 5)

    assert taken(limiter, "b", 1, 1) == [True]


def test_what_is_left_is_told():
    clock = Clock()
    limiter = RateLimiter(clock=clock)
    first = limiter.take("a", 4)
    clock.now += 5
    second = limiter.take("a", 4)

    assert first.headers() == {"RateLimit-Policy": '"default";q=4;w=60', "RateLimit": '"default";r=3;t=15'}
    assert second.headers()["RateLimit"] == '"default";r=2;t=25'
    taken(limiter, "a", 4, 5)
    assert limiter.take("a", 4).headers()["RateLimit"] == '"default";r=0;t=55'


@pytest.mark.parametrize("per_minute", [1, 3, 7, 600, 60_000])
def test_exactly_so_many_are_allowed_whatever_their_number(per_minute):
    clock = Clock()
    clock.now = 1e7
    limiter = RateLimiter(clock=clock)
    many = min(per_minute, 1000)

    assert [limiter.take("a", per_minute).remaining for _ in range(many)] == [per_minute - n - 1 for n in range(many)]


def test_the_memory_is_bounded_and_the_least_recent_is_forgotten():
    limiter = RateLimiter(clients=2, clock=Clock())
    for client in ("a", "b", "a", "c"):
        limiter.take(client, 2)

    assert len(limiter._full_at) == 2
    assert taken(limiter, "a", 2, 1) == [False]
    assert taken(limiter, "b", 2, 1) == [True]


@pytest.fixture
def settings():
    return SearchSettings(requests_per_minute=2, trusted_proxies=("10.0.0.0/8",))


@pytest.fixture
async def api_from(app):
    """The API, asked from an address."""
    async with app.router.lifespan_context(app):

        async def get(address, **headers):
            transport = httpx.ASGITransport(app, client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
                return await client.get(headers.pop("path", "/collections"), headers=headers)

        yield get


async def test_who_asks_too_often_is_told_when_to_come_again(api_from):
    answers = [await api_from("192.0.2.1") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit"] == '"default";r=1;t=30'
    assert answers[2].json()["type"] == "urn:imagesearch:problem:rate-limited"
    assert answers[2].headers["retry-after"] == "30"
    assert answers[2].headers["ratelimit-policy"] == '"default";q=2;w=60'


async def test_each_address_has_its_own_and_probes_are_not_counted(api_from):
    for _ in range(5):
        await api_from("192.0.2.1")

    assert (await api_from("192.0.2.2")).status_code == 200
    assert (await api_from("192.0.2.1", path="/healthz")).status_code == 200
    assert (await api_from("192.0.2.1", path="/readyz")).status_code == 200


async def test_a_site_of_ipv6_addresses_is_one_client(api_from):
    answers = [await api_from(f"2001:db8:0:1::{number}") for number in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (await api_from("2001:db8:0:2::1")).status_code == 200


async def test_a_trusted_proxy_says_for_whom_it_asks_and_nobody_else_does(api_from):
    for _ in range(3):
        behind = await api_from("10.1.2.3", **{"X-Forwarded-For": "203.0.113.9, 192.0.2.1"})
        spoofed = await api_from("192.0.2.99", **{"X-Forwarded-For": "192.0.2.50"})

    assert (behind.status_code, spoofed.status_code) == (429, 429)
    assert (await api_from("10.1.2.3", **{"X-Forwarded-For": "192.0.2.2"})).status_code == 200
    assert (await api_from("192.0.2.50")).status_code == 200
    # Only what the proxy itself added counts.
    assert (await api_from("10.1.2.3", **{"X-Forwarded-For": "192.0.2.77, 192.0.2.1"})).status_code == 429


@pytest.mark.parametrize("settings", [SearchSettings()])
async def test_without_a_limit_nothing_is_counted_or_told(api_from, settings):
    answers = [await api_from("192.0.2.1") for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert not any(name.startswith("ratelimit") for name in answers[0].headers)


# -- all clients


async def test_as_many_as_there_are_places_wait_and_the_rest_is_refused_at_once():
    gate = Gate(2, patience_seconds=30)
    await gate.enter()
    await gate.enter()
    waiting = [asyncio.create_task(gate.enter()) for _ in range(2)]
    await asyncio.sleep(0)

    assert gate.full
    with pytest.raises(Problem) as refused:
        await gate.enter()
    assert (refused.value.status_code, refused.value.kind.code) == (429, "overloaded")
    assert refused.value.headers == {"Retry-After": "1"}

    gate.leave()
    await waiting[0]
    assert not waiting[1].done()
    gate.leave()
    await waiting[1]


async def test_a_wait_has_an_end_and_leaves_nothing_behind():
    gate = Gate(1, patience_seconds=0.001)
    await gate.enter()
    with pytest.raises(Problem):
        await gate.enter()

    gate.leave()
    await gate.enter()
    assert not gate.full  # somebody may wait again


async def test_only_those_wait_who_will_have_a_place_in_time():
    clock = Clock()
    gate = Gate(1, patience_seconds=1, clock=clock)

    async def keep_pace(seconds):
        for _ in range(60):
            await gate.enter()
            clock.now += seconds
            gate.leave()
            clock.now += 10  # nobody is there: that is no pace

    await keep_pace(0.4)
    await gate.enter()
    assert not gate.full
    gate.leave()

    await keep_pace(0.6)
    await gate.enter()
    assert gate.full
    with pytest.raises(Problem):
        await gate.enter()


async def test_who_gives_up_waiting_takes_no_place():
    gate = Gate(1, patience_seconds=30)
    await gate.enter()
    waiting = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})

    gate.leave()
    await asyncio.wait_for(gate.enter(), 1)


async def test_without_patience_nobody_waits():
    gate = Gate(1, patience_seconds=0)
    async with gate.place():
        assert gate.full
        with pytest.raises(Problem):
            await gate.enter()
    assert not gate.full


async def test_who_waits_for_a_stranger_leaves_the_place_to_others():
    gate = Gate(1, patience_seconds=0)
    place = Place(gate)
    await place.take()
    async with waiting_outside(), waiting_outside(), gate.place():
        pass
    assert gate.full

    place.give_back()
    place.give_back()
    async with gate.place():  # given back once
        assert gate.full


async def test_a_place_that_was_taken_meanwhile_is_waited_for_like_any_other():
    gate = Gate(1, patience_seconds=0)
    place = Place(gate)
    await place.take()

    async def wait_outside():
        async with waiting_outside():
            await gate.enter()

    with pytest.raises(Problem):
        await wait_outside()
    gate.leave()
    assert not gate.full


async def test_after_a_failure_outside_there_is_no_place_to_wait_for():
    gate = Gate(1, patience_seconds=0)
    place = Place(gate)
    await place.take()

    async def fail():
        async with waiting_outside():
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert not gate.full
    place.give_back()
    async with gate.place():
        assert gate.full
