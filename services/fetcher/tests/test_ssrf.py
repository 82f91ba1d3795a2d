"""Nothing inside is ever connected to: canaries listen on loopback, and none of them may sing."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from imagesearch_contract.dead_letter import Reason
from imagesearch_fetcher.fetch import Fetcher, FetchError, FetchPolicy, resolve

from .conftest import Server, reply

# Every one of these means the listener on 127.0.0.1 (or would, to some parser or resolver).
WAYS_TO_LOOPBACK = [
    *("http://127.0.0.1{port}/", "http://127.1{port}/", "http://127.0.1{port}/", "http://2130706433{port}/"),
    *("http://0x7f000001{port}/", "http://0x7f.1{port}/", "http://017700000001{port}/", "http://0177.0.0.1{port}/"),
    *(
        "http://0{port}/",
        "http://0.0.0.0{port}/",
        "http://[::1]{port}/",
        "http://[::]{port}/",
        "http://127.0.0.2{port}/",
    ),
    *("http://[::ffff:127.0.0.1]{port}/", "http://[::ffff:7f00:1]{port}/", "http://[::127.0.0.1]{port}/"),
    *("http://[64:ff9b::127.0.0.1]{port}/", "http://[2002:7f00:1::]{port}/", "http://[::1%25lo]{port}/"),
    *("http://①②⑦.⓪.⓪.①{port}/", "http://127。0。0。1{port}/", "http://127.0.0.1.{port}/", "http://127%2e0.0.1{port}/"),
    *("http://localhost{port}/", "http://LocalHost{port}/", "http://localhost.{port}/", "http://x.localhost{port}/"),
    *("http://ⓛocalhost{port}/", "http://canary.svc{port}/", "http://canary.default.svc.cluster.local{port}/"),
    *(
        "http://canary{port}/",
        "http://localtest.me{port}/",
        "http://127.0.0.1.nip.io{port}/",
        "https://localtest.me{port}/",
    ),
    *(
        "http://example.com@127.0.0.1{port}/",
        "http://127.0.0.1{port}\\@example.com/",
        "http://example.com\t@127.0.0.1{port}/",
    ),
]


async def to_loopback(host: str, port: int) -> Sequence[str]:
    """What a hostile zone answers for every name."""
    return ["127.0.0.1"]


async def blocked(it: Fetcher, url: str) -> FetchError:
    with pytest.raises(FetchError) as caught:
        await it.fetch(url)
    assert caught.value.reason is Reason.BLOCKED_URL
    return caught.value


@pytest.mark.parametrize("form", WAYS_TO_LOOPBACK, ids=ascii)
async def test_no_way_of_writing_loopback_gets_a_connection(server: Server, form: str) -> None:
    server.at("/", reply(b"secret"))
    async with Fetcher(resolve=to_loopback) as it:
        await blocked(it, form.format(port=f":{server.port}"))
        await blocked(it, form.format(port=""))
    assert server.connections == 0


async def test_the_canary_would_sing(server: Server) -> None:
    server.at("/", reply(b"secret"))
    async with Fetcher(FetchPolicy(allowed_networks=("127.0.0.0/8",)), resolve=to_loopback) as it:
        assert await it.fetch(f"http://127.0.0.1:{server.port}/") == b"secret"
        assert await it.fetch(f"http://localtest.me:{server.port}/") == b"secret"
    assert server.connections == 2


async def test_an_address_is_refused_for_itself_and_not_only_for_its_port() -> None:
    async with Fetcher(resolve=to_loopback) as it:
        for url in ("http://127.0.0.1/", "http://localtest.me/"):
            assert "127.0.0.1" in (await blocked(it, url)).detail


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_to_the_inside_is_not_followed(server: Server, canary: Server, status: str) -> None:
    inside = f"http://127.0.0.2:{canary.port}/"
    async with Fetcher(FetchPolicy(allowed_networks=("127.0.0.1/32",))) as it:
        await blocked(it, server.at("/a", reply(b"", status, Location=inside)))
    assert (len(server.requests), canary.connections) == (1, 0)


async def test_a_name_that_moves_inside_between_two_hops_is_caught(server: Server, canary: Server) -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])

    async def rebind(host: str, port: int) -> Sequence[str]:
        return next(answers)

    # The same name, but another port, so it is looked up anew.
    there = f"http://rebind.example:{canary.port}/"
    server.at("/a", reply(b"", "302 Found", Location=there))
    async with Fetcher(FetchPolicy(allowed_networks=("127.0.0.1/32",)), resolve=rebind) as it:
        await blocked(it, f"http://rebind.example:{server.port}/a")
    assert (len(server.requests), canary.connections) == (1, 0)


async def test_the_address_that_was_checked_is_the_one_that_is_used(server: Server) -> None:
    lookups = []

    async def once(host: str, port: int) -> Sequence[str]:
        lookups.append(host)
        return ["127.0.0.1"] if len(lookups) == 1 else ["127.0.0.2"]

    server.at("/", reply(b"mine"))
    async with Fetcher(FetchPolicy(allowed_networks=("127.0.0.1/32",)), resolve=once) as it:
        assert await it.fetch(f"http://rebind.example:{server.port}/") == b"mine"
    assert lookups == ["rebind.example"]


@pytest.mark.parametrize(
    "inside", ["10.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:127.0.0.2", "not an address"]
)
async def test_one_forbidden_address_among_good_ones_is_enough(server: Server, inside: str) -> None:
    async def both(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1", inside]

    async with Fetcher(FetchPolicy(allowed_networks=("127.0.0.1/32",)), resolve=both) as it:
        await blocked(it, f"http://both.example:{server.port}/")
    assert server.connections == 0


async def test_a_connection_is_checked_even_where_the_lookup_was_not(server: Server) -> None:
    class Unguarded(aiohttp.ThreadedResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[aiohttp.abc.ResolveResult]:
            return await super().resolve("127.0.0.1", port, family)

    async with Fetcher(FetchPolicy(attempts=1)) as it:
        assert it._session is not None
        assert isinstance(it._session.connector, aiohttp.TCPConnector)
        it._session.connector._resolver = Unguarded()
        with pytest.raises(FetchError, match="not public"):
            await it.fetch("http://pictures.example/")
    assert server.connections == 0


async def test_a_name_is_looked_up_whole_so_no_search_list_turns_it_into_a_service() -> None:
    asked = []

    def getaddrinfo(host: str, *args: object, **more: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return []

    for host in ("shop.default", "live.staticflickr.com", "pictures.shop.svc", "localhost"):
        await resolve(host, 80, getaddrinfo)
    assert asked == ["shop.default.", "live.staticflickr.com.", "pictures.shop.svc", "localhost"]


def certificate(directory: Path, name: str) -> ssl.SSLContext:
    """A server's side of TLS, with a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = directory / "server.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def test_tls_names_the_host_of_the_url_and_does_not_trust_just_anybody(tmp_path: Path) -> None:
    asked_for = []
    context = certificate(tmp_path, "pictures.example")
    context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    server = Server()
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=context)
    port = listener.sockets[0].getsockname()[1]
    async with Fetcher(FetchPolicy(allowed_networks=("127.0.0.0/8",)), resolve=to_loopback) as it:
        with pytest.raises(FetchError, match="certificate") as caught:
            await it.fetch(f"https://pictures.example:{port}/")
    listener.close()
    assert caught.value.reason is Reason.UNREACHABLE
    assert (asked_for, server.requests) == (["pictures.example"], [])


@pytest.fixture
async def canary() -> AsyncIterator[Server]:
    """A second machine of the inside, at 127.0.0.2."""
    it = Server()
    listener = await asyncio.start_server(it.handle, "127.0.0.2", 0)
    it.port = listener.sockets[0].getsockname()[1]
    yield it
    listener.close()
