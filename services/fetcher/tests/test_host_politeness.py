"""All fetches together treat a host like one polite client: they heed its pauses, keep its pace, and let it lie while it is down."""

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagesearch_contract.dead_letter import Reason
from imagesearch_fetcher.errors import FetchError
from imagesearch_fetcher.fetch import Fetcher, FetchPolicy, resolve
from imagesearch_fetcher.hosts import (
    FAILING_SECONDS,
    FAILURES_TO_REST,
    LONGEST_PAUSE_SECONDS,
    REMEMBERED,
    REST_SECONDS,
    Host,
    Hosts,
)
from yarl import URL

from .conftest import Naps, Server, reply

BUSY = reply(b"", "429 Slow Down", Retry_After="20")


async def to_loopback(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


def fetcher(naps: Naps, **policy: object) -> Fetcher:
    return Fetcher(
        FetchPolicy(**{"allowed_networks": ("127.0.0.0/8",), **policy}),  # type: ignore[arg-type]
        resolve=to_loopback,
        sleep=naps,
        clock=naps.clock,
        jitter=lambda: 0.5,
    )


async def failure(it: Fetcher, url: str) -> FetchError:
    with pytest.raises(FetchError) as caught:
        await it.fetch(url)
    assert caught.value.reason is Reason.UNREACHABLE
    return caught.value


@pytest.mark.parametrize("status", ["429 Slow Down", "503 Busy"])
async def test_a_host_that_asks_for_a_pause_is_left_alone_by_every_fetch(
    server: Server, naps: Naps, status: str
) -> None:
    busy = server.at("/busy", reply(b"", status, Retry_After="20"))
    other = server.at("/other", reply(b"other"))
    async with fetcher(naps) as it:
        await failure(it, busy)  # twenty seconds do not fit into its own ten
        assert await it.fetch(other.replace("127.0.0.1", "elsewhere.example")) == b"other"
        assert naps.seconds == []
        assert await it.fetch(other) == b"other"
        assert naps.seconds == [20]


async def test_a_fetch_that_is_sent_to_a_busy_host_waits_for_it_too(server: Server, naps: Naps) -> None:
    busy = server.at("/busy", reply(b"", "429 Slow Down", Retry_After="3"), reply(b"there"))
    url = server.at("/a", reply(b"", "302 Found", Location=busy)).replace("127.0.0.1", "elsewhere.example")
    async with fetcher(naps, attempts=1) as it:
        await failure(it, busy)
    async with fetcher(naps) as it:
        server.at("/busy", reply(b"", "429 Slow Down", Retry_After="3"), reply(b"there"))
        assert await it.fetch(url) == b"there"
    assert naps.seconds == [3.25]


async def test_a_pause_that_is_too_long_is_not_waited_for_and_nobody_asks_meanwhile(server: Server, naps: Naps) -> None:
    url = server.at("/a", BUSY)
    async with fetcher(naps, host_wait_seconds=10) as it:
        for _ in range(20):
            error = await failure(it, url)
    assert "left alone for 20 s" in error.detail
    assert (len(server.requests), naps.seconds) == (1, [])


async def test_a_host_whose_pauses_do_not_help_is_left_alone_for_a_while(server: Server, naps: Naps) -> None:
    url = server.at("/a", BUSY)
    async with fetcher(naps) as it:
        for _ in range(100):
            error = await failure(it, url)
    assert "in a row" in error.detail
    assert len(server.requests) == FAILURES_TO_REST


async def test_fetches_of_one_host_begin_at_its_pace(server: Server, naps: Naps) -> None:
    url = server.at("/a", reply(b"a"))
    async with fetcher(naps, requests_per_second_per_host=2) as it:
        await asyncio.gather(*(it.fetch(url) for _ in range(5)))
        await it.fetch(url.replace("127.0.0.1", "elsewhere.example"))
    assert naps.seconds == [0.5] * 4


async def test_ten_thousand_dead_links_of_one_host_do_not_each_take_their_time(server: Server, naps: Naps) -> None:
    url = server.at("/a", b"")  # accepted, and closed without a word
    async with fetcher(naps) as it:
        for _ in range(10_000):
            error = await failure(it, url)
        assert "in a row" in error.detail
        assert server.connections < 30
        assert sum(naps.seconds) < 10

        tried = server.connections
        await naps(REST_SECONDS)
        for _ in range(100):
            await failure(it, url)
        # One fetch was enough to know (the client asks again by itself where a connection is closed on it).
        assert tried < server.connections <= tried + 2

        server.at("/a", reply(b"back"))
        await naps(REST_SECONDS)
        assert [await it.fetch(url) for _ in range(3)] == [b"back"] * 3


async def test_what_fails_under_one_scheme_or_port_does_not_take_the_others_down(server: Server, naps: Naps) -> None:
    url = server.at("/a", reply(b"a"))
    async with fetcher(naps, connect_timeout_seconds=0.05) as it:
        for _ in range(20):
            error = await failure(it, url.replace("http:", "https:"))  # no TLS there
        assert "in a row" in error.detail
        assert await it.fetch(url) == b"a"


def rests(host: Host, now: float) -> bool:
    try:
        host.wait(now)
    except FetchError:
        return True
    return False


def host() -> Host:
    return Host("https://pictures.example", concurrency=1, interval=0.0)


def test_a_hiccup_is_not_taken_for_the_end_however_many_notice_it() -> None:
    it = host()
    for _ in range(100):
        it.failed(asked_at=10.0, now=10.5)
    assert not rests(it, 10.5)
    it.failed(asked_at=15.0, now=10.0 + FAILING_SECONDS)
    assert rests(it, 15.0)


def test_a_host_that_answers_others_is_slow_and_not_down() -> None:
    it = host()
    for second in range(100):
        it.failed(asked_at=second, now=second + 7.0)
        it.answered(second + 7.5)
    assert not rests(it, 108.0)


def test_a_host_that_failed_is_asked_by_one_after_the_other_until_it_answers() -> None:
    it = host()
    it.begin(10.0, caution=0.5)
    assert it.wait(10.0) == 0
    it.failed(asked_at=10.0, now=11.0)
    it.begin(11.0, caution=0.5)
    assert it.wait(11.0) == 0.5
    it.answered(11.1)
    it.begin(11.5, caution=0.5)
    assert it.wait(11.5) == 0


_seconds = st.floats(0, 1e4)


@settings(derandomize=True, deadline=None)
@given(
    st.lists(
        st.tuples(st.just("failed"), _seconds)
        | st.tuples(st.just("answered"), _seconds)
        | st.tuples(st.just("refused"), _seconds, st.none() | st.floats(0, 1e12)),
        max_size=40,
    )
)
def test_whatever_a_host_does_it_is_asked_again_within_minutes(events: list[tuple[object, ...]]) -> None:
    it, now = host(), 0.0
    for what, passing, *more in events:
        asked_at, now = now, now + float(str(passing))
        match what:
            case "failed":
                it.failed(asked_at, now)
            case "answered":
                it.answered(now)
            case _:
                it.refused(asked_at, now, more[0])  # type: ignore[arg-type]
    assert it.wait(now + max(LONGEST_PAUSE_SECONDS, REST_SECONDS)) == 0


def test_the_hosts_of_a_month_do_not_pile_up_but_what_is_in_use_stays() -> None:
    hosts = Hosts(concurrency=1, interval=0.0)
    used = hosts.of(URL("https://used.example/a"))
    for number in range(3 * REMEMBERED):
        hosts.of(URL(f"https://{number}.example/"))
    assert len(hosts._known) <= REMEMBERED + 1
    assert hosts.of(URL("https://used.example/b?c")) is used


async def test_the_pictures_of_one_host_take_one_lookup(server: Server, naps: Naps) -> None:
    asked = []

    async def slowly(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        await asyncio.sleep(0)
        return ["127.0.0.1"]

    url = server.at("/a", reply(b"a")).replace("127.0.0.1", "pictures.example")
    async with Fetcher(FetchPolicy(allowed_networks=("127.0.0.0/8",)), resolve=slowly) as it:
        await asyncio.gather(*(it.fetch(url) for _ in range(50)))
    assert asked == ["pictures.example"]


@pytest.mark.parametrize(("code", "attempts"), [(socket.EAI_NONAME, 1), (socket.EAI_NODATA, 1), (socket.EAI_AGAIN, 3)])
async def test_a_name_that_does_not_exist_is_asked_for_once(naps: Naps, code: int, attempts: int) -> None:
    asked = []

    async def refuse(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        raise socket.gaierror(code, "no")

    async with Fetcher(resolve=refuse, sleep=naps, clock=naps.clock) as it:
        await failure(it, "http://nowhere.example/")
    assert len(asked) == attempts


async def test_lookups_that_nobody_answers_do_not_keep_the_others_waiting() -> None:
    answered = threading.Event()

    def getaddrinfo(name: str, *args: object, **more: object) -> list[tuple[object, ...]]:
        if name.startswith("silent"):
            answered.wait()
        return [(None, None, None, None, ("192.0.2.1", 80))]

    silent = [asyncio.create_task(resolve(f"silent{number}.example", 80, getaddrinfo)) for number in range(40)]
    await asyncio.sleep(0)
    try:
        assert await resolve("pictures.example", 80, getaddrinfo) == ["192.0.2.1"]
    finally:
        answered.set()
        await asyncio.gather(*silent)
