"""Two dozen kinds of forged requests, straight and by redirect, against listeners that hear every connection; and 200 URLs of good people."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from itertools import product

import pytest
from imagesearch_contract.dead_letter import Reason
from imagesearch_fetcher import guard
from imagesearch_fetcher.fetch import Fetcher, FetchError, FetchPolicy
from imagesearch_fetcher.guard import UrlGuard

from .conftest import Naps, Server, reply

# `{port}` is the canary's. The names resolve as in ZONES, to loopback where nothing is said.
CORPUS = {
    "dotted IPv4": ["http://127.0.0.1:{port}/", "http://127.0.0.2:{port}/", "http://0.0.0.0:{port}/"],
    "decimal IPv4": ["http://2130706433:{port}/", "http://2130706434:{port}/", "http://0:{port}/"],
    "hexadecimal IPv4": ["http://0x7f000001:{port}/", "http://0x7f.0.0.1:{port}/", "http://0X7F.1:{port}/"],
    "octal IPv4": ["http://0177.0.0.1:{port}/", "http://017700000001:{port}/", "http://00000177.0.0.01:{port}/"],
    "short IPv4": ["http://127.1:{port}/", "http://127.0.1:{port}/", "http://127.0x1:{port}/"],
    "IPv6 loopback": ["http://[::1]:{port}/", "http://[::]:{port}/", "http://[0:0:0:0:0:0:0:1]:{port}/"],
    "IPv4-mapped IPv6": ["http://[::ffff:127.0.0.1]:{port}/", "http://[::ffff:7f00:1]:{port}/"],
    "IPv4-compatible IPv6": ["http://[::127.0.0.1]:{port}/", "http://[::7f00:1]:{port}/"],
    "NAT64": ["http://[64:ff9b::127.0.0.1]:{port}/", "http://[64:ff9b:1::7f00:1]:{port}/"],
    "6to4": ["http://[2002:7f00:1::]:{port}/", "http://[2002:7f00:1::1]:{port}/"],
    "Teredo": ["http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:{port}/"],
    "zones and local IPv6": ["http://[::1%25lo]:{port}/", "http://[fe80::1%25lo]:{port}/", "http://[fec0::1]:{port}/"],
    "user information": [
        *("http://example.com@127.0.0.1:{port}/", "http://example.com:80@127.0.0.1:{port}/"),
        *("http://@127.0.0.1:{port}/", "http://127.0.0.1:{port}\\@example.com/", "http://a:b@private.example:{port}/"),
    ],
    "fragments": ["http://127.0.0.1:{port}#@example.com/", "http://private.example:{port}#.example.com"],
    "unicode digits and dots": [
        *("http://①②⑦.⓪.⓪.①:{port}/", "http://１２７.０.０.１:{port}/", "http://127。0。0。1:{port}/"),
        *("http://١٢٧.0.0.1:{port}/", "http://127.0.0.1\u200b:{port}/", "http://ⓛocalhost:{port}/"),
    ],
    "percent signs": ["http://127%2e0.0.1:{port}/", "http://%31%32%37.0.0.1:{port}/", "http://%6cocalhost:{port}/"],
    "trailing dots": ["http://127.0.0.1.:{port}/", "http://private.example.:{port}/", "http://localhost.:{port}/"],
    "names of loopback": ["http://localhost:{port}/", "http://LocalHost:{port}/", "http://x.localhost:{port}/"],
    "names of a cluster": [
        *("http://kubernetes:{port}/", "http://kubernetes.default:{port}/", "http://kubernetes.default.svc:{port}/"),
        *("http://kubernetes.default.svc.cluster.local:{port}/", "http://a.b.pod.cluster.local:{port}/"),
    ],
    "metadata of the clouds": [
        *("http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/latest/", "http://169.254.170.2/v2/"),
        *("http://[fd00:ec2::23]/v1/", "http://metadata.google.internal:{port}/", "http://[fd20:ce::254]/"),
        *("http://168.63.129.16/", "http://100.100.100.200/", "http://192.0.0.192/opc/v2/", "http://169.254.0.23/"),
        *("http://[fe80::a9fe:a9fe]/", "http://[::ffff:a9fe:a9fe]/", "http://[64:ff9b::a9fe:a9fe]/"),
        *("http://2852039166/latest/", "http://metadata.example/latest/meta-data/", "http://metadata6.example/latest/"),
    ],
    "names that resolve inside": [
        *("http://private.example:{port}/", "http://private6.example:{port}/", "http://127.0.0.1.nip.io:{port}/"),
        *("http://mapped.example:{port}/", "http://zero.example:{port}/", "https://private.example:{port}/"),
    ],
    "mixed answers": ["http://mixed.example:{port}/", "http://mixed6.example:{port}/"],
    "other schemes": [
        *("file:///etc/passwd", "gopher://127.0.0.1:{port}/_FLUSHALL", "ftp://127.0.0.1:{port}/", "dict://127.0.0.1:{port}/"),
        *("ws://127.0.0.1:{port}/", "unix:///var/run/docker.sock", "jar:http://127.0.0.1:{port}!/", "//127.0.0.1:{port}/"),
    ],
    "control characters": [
        *("http://127.0.0.1:{port}/\r\nX-Injected: 1", "http://private.example:{port}/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        *("http://example.com\r\n@127.0.0.1:{port}/", "http://example.com\t@127.0.0.1:{port}/", "http://127.0.0.1\x00:{port}/"),
    ],
    "other ports": ["http://private.example:22/", "http://127.0.0.1:6379/", "http://[::1]:9200/", "http://127.0.0.1:0/"],
}  # fmt: skip
FORGED = [pytest.param(url, id=f"{kind}-{url!a}") for kind, urls in CORPUS.items() for url in urls]

PUBLIC, PUBLIC6 = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"
ZONES = {
    "private6.example": ["::1"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "zero.example": ["0.0.0.0"],
    "metadata.example": ["169.254.169.254"],
    "metadata6.example": ["fd00:ec2::254"],
    "mixed.example": [PUBLIC, "127.0.0.1"],
    "mixed6.example": [PUBLIC6, "::1"],
}


async def hostile_zone(host: str, port: int) -> Sequence[str]:
    return ZONES.get(host.rstrip("."), ["127.0.0.1"])


class Canaries:
    """Sockets that listen at one port of several inside addresses. The kernel keeps each connection until it is counted."""

    def __init__(self, listeners: Sequence[socket.socket]) -> None:
        self._listeners = listeners
        self.port = int(listeners[0].getsockname()[1])

    def heard(self) -> int:
        """How many connections have come since the last time."""
        return sum(self._accept_all(listener) for listener in self._listeners)

    @staticmethod
    def _accept_all(listener: socket.socket) -> int:
        for number in range(1_000):
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                return number
        raise AssertionError("connections without end")


@pytest.fixture
def canaries(monkeypatch: pytest.MonkeyPatch) -> Iterator[Canaries]:
    """Canaries at a port that the guard lets pass, as it does 80 and 443: nothing but the address must keep a request away."""
    with ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = first.getsockname()[1]
        listeners = [first, stack.enter_context(socket.create_server(("127.0.0.2", port)))]
        if socket.has_ipv6:
            listeners.append(stack.enter_context(socket.create_server(("::1", port), family=socket.AF_INET6)))
        for listener in listeners:
            listener.setblocking(False)
        monkeypatch.setattr(guard, "PORTS", (*guard.PORTS, port))
        yield Canaries(listeners)


@pytest.fixture
async def front() -> AsyncIterator[Server]:
    """The one server that may be reached."""
    it = Server()
    listener = await asyncio.start_server(it.handle, "127.0.0.9", 0)
    it.port = listener.sockets[0].getsockname()[1]
    yield it
    listener.close()


FRONT_ONLY = FetchPolicy(allowed_networks=("127.0.0.9/32",))


async def refused(it: Fetcher, url: str) -> None:
    with pytest.raises(FetchError) as caught:
        await it.fetch(url)
    assert caught.value.reason is Reason.BLOCKED_URL


async def test_the_canaries_hear_whoever_comes(canaries: Canaries, naps: Naps) -> None:
    everything = FetchPolicy(
        allowed_networks=("127.0.0.0/8", "::1/128"), connect_timeout_seconds=0.05, read_timeout_seconds=0.05, attempts=1
    )
    async with Fetcher(everything, resolve=hostile_zone, sleep=naps) as it:
        for host in ("127.0.0.1", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]", "private.example", "private6.example"):
            with pytest.raises(FetchError):
                await it.fetch(f"http://{host}:{canaries.port}/")
            assert canaries.heard() == 1


def test_the_corpus_has_two_dozen_kinds() -> None:
    assert len(CORPUS) >= 24


@pytest.mark.parametrize("form", FORGED)
async def test_a_forged_url_is_refused_and_no_canary_hears_of_it(canaries: Canaries, form: str) -> None:
    async with Fetcher(resolve=hostile_zone) as it:
        await refused(it, form.replace("{port}", str(canaries.port)))
    assert canaries.heard() == 0


@pytest.mark.parametrize("form", FORGED)
async def test_an_allowed_network_does_not_open_the_rest(canaries: Canaries, form: str) -> None:
    async with Fetcher(FRONT_ONLY, resolve=hostile_zone) as it:
        await refused(it, form.replace("{port}", str(canaries.port)))
    assert canaries.heard() == 0


@pytest.mark.parametrize("form", [each for each in FORGED if "\r" not in str(each.values[0])])
async def test_a_redirect_to_a_forged_url_is_not_followed(canaries: Canaries, front: Server, form: str) -> None:
    location = form.replace("{port}", str(canaries.port))
    front.at("/", f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n".encode())
    async with Fetcher(FRONT_ONLY, resolve=hostile_zone, sleep=Naps()) as it:
        with pytest.raises(FetchError):
            await it.fetch(f"http://127.0.0.9:{front.port}/")
    assert canaries.heard() == 0


@pytest.mark.parametrize("later", [["127.0.0.1"], ["::1"], ["127.0.0.9", "127.0.0.2"]])
async def test_a_name_that_is_rebound_between_hops_is_refused(
    canaries: Canaries, front: Server, later: list[str]
) -> None:
    answers = iter([["127.0.0.9"], later])

    async def rebind(host: str, port: int) -> Sequence[str]:
        return next(answers)

    front.at("/", reply(b"", "302 Found", Location=f"http://rebind.example:{canaries.port}/"))
    async with Fetcher(FRONT_ONLY, resolve=rebind) as it:
        await refused(it, f"http://rebind.example:{front.port}/")
    assert (len(front.requests), canaries.heard()) == (1, 0)


async def test_a_name_that_is_rebound_right_after_its_check_is_used_as_it_was_checked(
    canaries: Canaries, front: Server
) -> None:
    answers = iter([["127.0.0.9"]])  # then the zone would say 127.0.0.1, if anybody asked it

    async def rebind(host: str, port: int) -> Sequence[str]:
        return next(answers, ["127.0.0.1"])

    front.at("/", reply(b"front"))
    async with Fetcher(FRONT_ONLY, resolve=rebind) as it:
        assert await it.fetch(f"http://rebind.example:{front.port}/") == b"front"
    assert canaries.heard() == 0


_HOSTS = [
    *("https://live.staticflickr.com", "http://farm66.staticflickr.com", "https://upload.wikimedia.org"),
    *("https://images.unsplash.com", "https://i.imgur.com", "https://pbs.twimg.com", "https://cdn.pixabay.com"),
    *("https://media.githubusercontent.com", "https://storage.googleapis.com", "https://s3.eu-central-1.amazonaws.com"),
    *("https://my-bucket.s3.dualstack.us-west-2.amazonaws.com", "https://account.blob.core.windows.net"),
    *("https://res.cloudinary.com", "https://bücher.example.de", "https://xn--bcher-kva.de", "https://画像.jp"),
    *("http://example.com:80", "https://example.com:443", f"http://{PUBLIC}", f"https://[{PUBLIC6}]"),
]
_PATHS = [
    *("", "/", "/65535/53466812_0a1b2c3d4e_z.jpg", "/wikipedia/commons/thumb/a/a9/Ex%C3%A4mple.jpg/240px-Example.jpg"),
    *("/a/b/../c/./d.png", "/?url=http://127.0.0.1/&w=640", "/@169.254.169.254/x.gif", "/größe/ü ber.webp".replace(" ", "%20")),
    *("/x.jpg?X-Amz-Signature=0a%2Bb%2Fc%3D&X-Amz-Date=20261125T000000Z", "/x;v=1,2/(3)~$!'*.jpg#top"),
]  # fmt: skip
BENIGN = [host + path for host, path in product(_HOSTS, _PATHS)]


def test_of_two_hundred_ordinary_urls_none_is_refused() -> None:
    assert len(set(BENIGN)) == 200
    for url in BENIGN:
        assert UrlGuard().check_url(url).raw_host, url


@pytest.mark.parametrize(
    "address", [PUBLIC, PUBLIC6, "8.8.8.8", "1.1.1.1", "151.101.1.140", "2a00:1450:4001:81b::200e"]
)
def test_no_public_address_is_refused(address: str) -> None:
    UrlGuard().check_address(address, 443, "pictures.example.com")
