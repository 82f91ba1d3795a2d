"""Fetching from servers that are slow, endless, broken or busy."""

import asyncio
import gzip
import pickle
import re
import socket
import struct
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.settings import ProducerSettings
from imagesearch_fetcher.fetch import Fetcher, FetchError, FetchPolicy, Validators, _retry_after_seconds

from .conftest import Naps, Server, reply

LOOPBACK = FetchPolicy(allowed_networks=("127.0.0.0/8",))


def fetcher(naps: Naps | None = None, **policy: object) -> Fetcher:
    naps = naps or Naps()
    return Fetcher(
        FetchPolicy(**{"allowed_networks": ("127.0.0.0/8",), **policy}),  # type: ignore[arg-type]
        sleep=naps,
        clock=naps.clock,
        jitter=lambda: 0.5,
    )


async def failure(url: str, naps: Naps | None = None, **policy: object) -> FetchError:
    """Fetch, and return the error that it has to end in."""
    async with fetcher(naps, **policy) as it:
        with pytest.raises(FetchError) as caught:
            await it.fetch(url)
    return caught.value


async def test_the_body_comes_back_byte_for_byte(server: Server) -> None:
    body = bytes(range(256)) * 1000
    async with fetcher() as it:
        assert await it.fetch(server.at("/a", reply(body))) == body


async def test_a_request_says_who_asks_and_carries_nothing_else_along(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1/")
    url = server.at("/a", reply(b"a", Set_Cookie="session=1; Path=/"))
    async with fetcher() as it:
        await it.fetch(url)
        await it.fetch(url)
    for request in server.requests:
        headers = {line.partition(":")[0].lower() for line in request.splitlines()[1:] if line}
        assert headers == {"host", "user-agent", "accept", "accept-encoding"}
        assert "Accept-Encoding: identity" in request


@pytest.mark.parametrize(
    "status", ["400 Bad Request", "401 No", "403 No", "404 Not Found", "410 Gone", "304 Same", "300 Choose"]
)
async def test_a_permanent_answer_is_a_dead_link_at_the_first_attempt(server: Server, status: str) -> None:
    error = await failure(server.at("/a", reply(b"", status)))
    assert (error.reason, len(server.requests)) == (Reason.DEAD_LINK, 1)
    assert status[:3] in error.detail


@pytest.mark.parametrize(
    "status", ["408 Slow", "425 Early", "429 Slow Down", "500 Oops", "502 Bad", "503 Busy", "504 Late"]
)
async def test_a_passing_trouble_is_tried_again_after_a_growing_pause(server: Server, status: str) -> None:
    naps = Naps()
    async with fetcher(naps) as it:
        trouble = reply(b"", status)
        assert await it.fetch(server.at("/a", trouble, trouble, reply(b"done"))) == b"done"
    assert naps.seconds == [0.5, 1.0]


async def test_a_lasting_trouble_ends_as_unreachable(server: Server) -> None:
    error = await failure(server.at("/a", reply(b"", "503 Busy")), attempts=4)
    assert (error.reason, len(server.requests)) == (Reason.UNREACHABLE, 4)
    assert "503" in error.detail
    assert "4 attempts" in error.detail


async def test_a_connection_that_breaks_in_the_body_is_tried_again(server: Server) -> None:
    whole = reply(b"0123456789")
    async with fetcher() as it:
        assert await it.fetch(server.at("/a", whole[:-4], b"", whole)) == b"0123456789"


async def test_the_wait_that_a_server_asks_for_is_kept(server: Server) -> None:
    naps = Naps()
    async with fetcher(naps) as it:
        busy = reply(b"", "429 Slow Down", Retry_After="2")
        past = reply(b"", "503 Busy", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")
        assert await it.fetch(server.at("/a", busy, past, reply(b"done"))) == b"done"
    assert naps.seconds == [2.25, 0.25]


async def test_a_wait_that_does_not_fit_is_not_begun(server: Server) -> None:
    naps = Naps()
    error = await failure(server.at("/a", reply(b"", "429 Slow Down", Retry_After="3600")), naps)
    assert (error.reason, naps.seconds, len(server.requests)) == (Reason.UNREACHABLE, [], 1)


@given(
    st.text(max_size=40)
    | st.from_regex(r"[A-Z][a-z]{2}, [0-9]{1,3} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{4,9} [A-Z+0-9-]{1,6}")
)
def test_any_retry_after_is_seconds_or_nothing(value: str) -> None:
    seconds = _retry_after_seconds(value)
    assert seconds is None or seconds >= 0


async def test_nobody_listening_is_unreachable() -> None:
    error = await failure("http://127.0.0.1:1/")
    assert error.reason is Reason.UNREACHABLE


async def test_a_name_without_an_address_is_unreachable() -> None:
    async def nothing(host: str, port: int) -> Sequence[str]:
        raise OSError(f"{host}: name not known")

    async def empty(host: str, port: int) -> Sequence[str]:
        return []

    for resolve in (nothing, empty):
        async with Fetcher(resolve=resolve, sleep=Naps()) as it:
            with pytest.raises(FetchError, match=r"nowhere\.example") as caught:
                await it.fetch("http://nowhere.example/")
        assert caught.value.reason is Reason.UNREACHABLE


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


async def drip_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def say_nothing(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def go_on_forever(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        await writer.drain()


async def continue_forever(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0)


@pytest.mark.parametrize("slow", [drip, drip_headers, say_nothing, continue_forever])
async def test_however_a_server_stalls_the_total_time_is_kept(server: Server, slow: Callable[..., object]) -> None:
    # Every single read succeeds within the read timeout, so only the total can end this.
    error = await failure(server.at("/a", slow), timeout_seconds=0.3)  # type: ignore[arg-type]
    assert error.reason is Reason.UNREACHABLE


async def test_a_silent_server_is_given_up_by_the_read_timeout(server: Server) -> None:
    error = await failure(
        server.at("/a", say_nothing), connect_timeout_seconds=0.05, read_timeout_seconds=0.05, attempts=2
    )
    assert (error.reason, len(server.requests)) == (Reason.UNREACHABLE, 2)


async def test_an_endless_body_is_cut_at_the_cap(server: Server) -> None:
    error = await failure(server.at("/a", go_on_forever), max_bytes=100_000)
    assert (error.reason, len(server.requests)) == (Reason.TOO_LARGE, 1)


async def test_a_body_that_announces_too_much_is_not_read(server: Server) -> None:
    async def announce(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n")
        await asyncio.Event().wait()

    assert (await failure(server.at("/a", announce), max_bytes=100_000)).reason is Reason.TOO_LARGE


async def test_the_cap_itself_still_fits_and_a_call_may_set_its_own(server: Server) -> None:
    async with fetcher(max_bytes=10) as it:
        assert await it.fetch(server.at("/a", reply(b"0123456789"))) == b"0123456789"
        assert len(await it.fetch(server.at("/b", reply(bytes(1000))), max_bytes=1000)) == 1000
        with pytest.raises(FetchError, match="10 bytes"):
            await it.fetch(server.at("/c", reply(bytes(11))))


@pytest.mark.parametrize(
    "garbage",
    [
        *(
            b"",
            b"\x00" * 100,
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"220 mail ESMTP\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n",
        ),
        *(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
        *(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000),
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    ],
    ids=lambda garbage: str(garbage[:40]),
)
async def test_what_is_not_http_is_unreachable(server: Server, garbage: bytes) -> None:
    error = await failure(server.at("/a", garbage), timeout_seconds=2.0)
    assert error.reason is Reason.UNREACHABLE


async def test_a_compressed_body_that_nobody_asked_for_is_refused_unopened(server: Server) -> None:
    error = await failure(server.at("/a", reply(b"\x1f\x8b", Content_Encoding="gzip")))
    assert (error.reason, "gzip" in error.detail) == (Reason.DEAD_LINK, True)


async def test_a_bomb_is_never_unpacked(server: Server) -> None:
    bomb = gzip.compress(bytes(20_000_000))
    assert len(bomb) < 20_000
    error = await failure(server.at("/a", reply(bomb, Content_Encoding="gzip")), max_bytes=100_000)
    assert (error.reason, len(server.requests)) == (Reason.DEAD_LINK, 1)
    coded = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + bomb
    assert (await failure(server.at("/b", coded))).reason is Reason.UNREACHABLE
    async with fetcher(max_bytes=100_000) as it:
        assert await it.fetch(server.at("/c", reply(bomb, Content_Type="application/gzip"))) == bomb


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1000))
    await writer.drain()
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def flood_of_cookies(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"Set-Cookie: a=" + b"b" * 4000 + b"\r\n")
        await writer.drain()


async def endless_chunk_extension(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;")
    while True:
        writer.write(b"x" * 4096)
        await writer.drain()


async def trailers_forever(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
    while True:
        writer.write(b"X: y\r\n" * 100)
        await writer.drain()


@pytest.mark.parametrize("abuse", [reset, flood_of_cookies, endless_chunk_extension, trailers_forever])
async def test_a_server_that_breaks_off_or_never_comes_to_the_body_is_unreachable(
    server: Server, abuse: Callable[..., object]
) -> None:
    error = await failure(server.at("/a", abuse), timeout_seconds=2.0)  # type: ignore[arg-type]
    assert error.reason is Reason.UNREACHABLE


@pytest.mark.parametrize(
    "lengths",
    [
        *("Content-Length: 3\r\nContent-Length: 9", "Content-Length: 3, 9", "Content-Length: +3"),
        *("Content-Length: 9", "Content-Length: 0x3", "Content-Length: 99999999999999999999999"),
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
    ],
)
async def test_a_wrong_length_gives_no_bytes(server: Server, lengths: str) -> None:
    error = await failure(server.at("/a", f"HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nabc".encode()))
    assert error.reason in (Reason.UNREACHABLE, Reason.TOO_LARGE)


async def test_what_follows_a_body_is_not_part_of_it(server: Server) -> None:
    async with fetcher() as it:
        assert await it.fetch(server.at("/a", reply(b"abc") + b"HTTP/1.1 200 OK\r\n\r\n")) == b"abc"


async def test_redirects_are_followed_three_times(server: Server) -> None:
    for number in range(3):
        server.at(f"/{number}", reply(b"", "302 Found", Location=f"/{number + 1}"))
    server.at("/3", reply(b"there"))
    async with fetcher() as it:
        assert await it.fetch(f"http://127.0.0.1:{server.port}/0") == b"there"


async def test_a_redirect_loop_ends_as_a_dead_link(server: Server) -> None:
    error = await failure(server.at("/a", reply(b"", "301 Moved", Location="/a")))
    assert (error.reason, len(server.requests)) == (Reason.DEAD_LINK, 4)


@pytest.mark.parametrize(
    ("status", "gone"),
    [("404 Not Found", True), ("410 Gone", True), ("403 Forbidden", False), ("401 Unauthorized", False)],
)
async def test_a_dead_link_tells_whether_the_server_says_for_certain_that_it_is_gone(
    server: Server, status: str, gone: bool
) -> None:
    error = await failure(server.at("/a", reply(b"", status)))
    assert (error.reason, error.gone) == (Reason.DEAD_LINK, gone)


@pytest.mark.parametrize("name", ["photo_unavailable.png", "photo_unavailable_l.gif"])
async def test_a_redirect_to_flickr_s_placeholder_is_no_picture_but_a_photo_that_is_gone(
    server: Server, name: str
) -> None:
    placeholder = server.at(f"/images/en-us/{name}", reply(b"a picture that says so"))
    error = await failure(server.at("/a", reply(b"", "302 Found", Location=placeholder)))
    assert (error.reason, error.gone) == (Reason.DEAD_LINK, True)
    assert len(server.requests) == 1


async def test_a_redirect_without_a_target_is_a_dead_link(server: Server) -> None:
    assert (await failure(server.at("/a", reply(b"", "302 Found")))).reason is Reason.DEAD_LINK


async def test_one_host_gets_no_more_connections_than_its_share(server: Server) -> None:
    under_way = most = 0
    pair = asyncio.Barrier(2)

    async def answer(writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await pair.wait()  # nobody is answered unless two are there at the same time
        under_way -= 1
        writer.write(reply(b"x"))

    url = server.at("/a", answer)
    async with fetcher(concurrency_per_host=2) as it:
        assert await asyncio.gather(*(it.fetch(url) for _ in range(10))) == [b"x"] * 10
    assert most == 2


async def test_who_waits_for_a_slow_host_does_not_keep_the_others_waiting(server: Server) -> None:
    release = asyncio.Event()

    async def wait(writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(reply(b"slow"))

    slow = server.at("/slow", wait)
    quick = server.at("/quick", reply(b"quick")).replace("127.0.0.1", "localhost")

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with Fetcher(
        FetchPolicy(allowed_networks=("127.0.0.0/8",), concurrency=2, concurrency_per_host=1), resolve=resolve
    ) as it:
        waiting = [asyncio.create_task(it.fetch(slow)) for _ in range(5)]
        await asyncio.sleep(0)
        assert await it.fetch(quick) == b"quick"
        release.set()
        assert await asyncio.gather(*waiting) == [b"slow"] * 5


async def test_hundreds_at_once_all_come_back(server: Server) -> None:
    urls = [server.at(f"/{number}", reply(str(number).encode())) for number in range(300)]
    async with fetcher() as it:
        assert await asyncio.gather(*map(it.fetch, urls)) == [str(number).encode() for number in range(300)]


async def test_a_cancelled_fetch_gives_its_place_back(server: Server) -> None:
    async with fetcher(concurrency=1, concurrency_per_host=1) as it:
        task = asyncio.create_task(it.fetch(server.at("/a", say_nothing)))
        while not server.requests:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await it.fetch(server.at("/b", reply(b"b"))) == b"b"


async def streamed(it: Fetcher, url: str, **limits: Any) -> AsyncGenerator[bytes, None]:
    async with it.open(url, **limits) as download:
        async for piece in download.chunks:
            yield piece


async def test_a_stream_gives_the_body_in_pieces(server: Server) -> None:
    lines = b"".join(b'{"id": %d}\n' % number for number in range(100_000))
    async with fetcher() as it:
        pieces = [piece async for piece in streamed(it, server.at("/a", reply(lines)), max_bytes=len(lines))]
    assert b"".join(pieces) == lines
    assert len(pieces) > 1


async def test_the_readers_own_time_between_pieces_is_not_the_servers(server: Server) -> None:
    async def two_halves(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        await writer.drain()
        await first_read.wait()
        writer.write(b"other")

    first_read = asyncio.Event()
    pieces = []
    async with fetcher(timeout_seconds=0.2, read_timeout_seconds=0.1) as it:
        async for piece in streamed(it, server.at("/a", two_halves)):
            pieces.append(piece)
            await asyncio.sleep(0.3)
            first_read.set()
    assert pieces == [b"first", b"other"]


async def test_a_stream_that_breaks_off_drips_or_swells_says_so(server: Server) -> None:
    async def read(url: str) -> Reason:
        with pytest.raises(FetchError) as caught:
            async for _ in streamed(it, url, max_bytes=2_000_000, timeout_seconds=0.3):
                pass
        return caught.value.reason

    async with fetcher() as it:
        assert await read(server.at("/a", reply(b"0123456789")[:-4])) is Reason.UNREACHABLE
        assert await read(server.at("/b", drip)) is Reason.UNREACHABLE
        assert await read(server.at("/c", go_on_forever)) is Reason.TOO_LARGE
        assert await read(server.at("/d", reply(b"", "404 Gone"))) is Reason.DEAD_LINK
        assert await read("http://10.0.0.1/") is Reason.BLOCKED_URL


async def test_a_stream_that_is_left_early_gives_its_place_back(server: Server) -> None:
    async with fetcher(concurrency=1, concurrency_per_host=1) as it:
        async with aclosing(streamed(it, server.at("/a", go_on_forever))) as pieces:
            assert await anext(pieces)
        assert await it.fetch(server.at("/b", reply(b"b"))) == b"b"


DATE = "Wed, 21 Oct 2026 07:28:00 GMT"


async def test_a_body_is_not_fetched_again_while_the_server_says_that_it_is_the_same(server: Server) -> None:
    whole = reply(b"all of it", ETag='W/"1"', Last_Modified=DATE)
    url = server.at("/a", whole, reply(b"", "304 Not Modified", ETag='W/"1"'), reply(b"other", ETag='"2"'))
    async with fetcher() as it:
        async with it.open(url) as first:
            assert not first.not_modified
            assert first.validators == Validators('W/"1"', DATE)
            assert b"".join([chunk async for chunk in first.chunks]) == b"all of it"
        async with it.open(url, known=first.validators) as second:
            assert second.not_modified
            assert [chunk async for chunk in second.chunks] == []
        async with it.open(url, known=first.validators) as third:
            assert (third.not_modified, third.validators) == (False, Validators('"2"'))
            assert b"".join([chunk async for chunk in third.chunks]) == b"other"
    assert "If-" not in server.requests[0]
    assert f'If-None-Match: W/"1"\r\nIf-Modified-Since: {DATE}\r\n' in server.requests[1]


async def test_a_condition_is_kept_over_a_redirect_and_a_retry(server: Server) -> None:
    server.at("/b", reply(b"", "503 Busy"), reply(b"", "304 Not Modified"))
    url = server.at("/a", reply(b"", "302 Found", Location="/b"))
    async with fetcher() as it, it.open(url, known=Validators('"1"')) as download:
        assert download.not_modified
    assert ['If-None-Match: "1"' in request for request in server.requests] == [True] * 4


async def test_not_modified_is_no_answer_to_who_did_not_ask(server: Server) -> None:
    async with fetcher() as it:
        with pytest.raises(FetchError, match="304") as caught:
            async with it.open(server.at("/a", reply(b"", "304 Not Modified")), known=Validators()):
                pass
    assert caught.value.reason is Reason.DEAD_LINK


@pytest.mark.parametrize("value", ["", "a" * 1001, "caf\xe9", "a\tb", "a\r\nX-Injected: 1"])
def test_a_validator_that_could_not_be_sent_back_is_left_out(value: str) -> None:
    assert Validators.of({"ETag": value, "Last-Modified": DATE}) == Validators(None, DATE)


async def test_a_fetcher_that_is_not_open_says_how() -> None:
    it = Fetcher(LOOPBACK)
    with pytest.raises(RuntimeError, match="async with"):
        await it.fetch("http://127.0.0.1/")
    async with it:
        pass
    with pytest.raises(RuntimeError, match="async with"):
        await it.fetch("http://127.0.0.1/")


def test_the_policy_is_what_the_settings_say() -> None:
    settings = ProducerSettings(
        topic="t",
        source={"kind": "manifest", "url": "x"},
        allowed_hosts=("a.example",),
        allowed_networks=("10.0.0.0/8",),
        fetch_timeout_seconds=3,
        fetch_max_bytes=4,
        fetch_concurrency=5,
        fetch_concurrency_per_host=6,
        fetch_requests_per_second_per_host=7,
    )
    assert FetchPolicy.of(settings) == FetchPolicy(("a.example",), ("10.0.0.0/8",), 3, 4, 5, 6, 7)


def test_an_error_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(FetchError(Reason.TOO_LARGE, "more than 3 bytes")))
    assert not error.gone
    assert pickle.loads(pickle.dumps(FetchError(Reason.DEAD_LINK, "the server answered 404", gone=True))).gone
    assert (error.reason, error.detail) == (Reason.TOO_LARGE, "more than 3 bytes")
    assert re.search("too_large.*3 bytes", str(error))
