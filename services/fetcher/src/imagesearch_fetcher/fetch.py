"""The one way to fetch a URL that somebody gave us: safe against request forgery, bounded in time, bytes and load.

Called by the embedder (hundreds of pictures at once), the producer (manifests) and the search API (a query picture).

A URL's host is checked, then every address its name resolves to, then the address of every socket before it connects,
so a name that changes its address between check and use gains nothing. Redirects are followed here, one checked hop
at a time, and neither proxies, cookies nor credentials of the environment take part. What one fetch learns about a
host (it is busy, it is down) holds for all: see `hosts`.
"""

import asyncio
import errno
import itertools
import random
import re
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.settings import FetchSettings
from yarl import URL

from imagesearch_fetcher.errors import FetchError
from imagesearch_fetcher.guard import UrlGuard, is_internal
from imagesearch_fetcher.hosts import Host, Hosts

__all__ = ["Download", "FetchError", "FetchPolicy", "Fetcher", "Validators", "resolve"]

T = TypeVar("T")
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Sleep = Callable[[float], Awaitable[object]]
GetAddrInfo = Callable[..., list[tuple[Any, ...]]]
AddrInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]]

MAX_REDIRECTS: Final = 3
DNS_SECONDS: Final = 10
"""How long a host's addresses are remembered, and asked for once by all; each connection checks its own again."""
VALIDATOR_LIMIT: Final = 1_000
"""Characters of an `ETag` or a date that are kept and sent back."""
_NOT_MODIFIED: Final = 304
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TRY_AGAIN: Final = frozenset({408, 425, 429})  # and every 5xx
_GONE: Final = frozenset({404, 410})
_PLACEHOLDER: Final = re.compile(r"/photo_unavailable[^/]*$")
"""Where Flickr redirects to for a photo that was deleted: a picture that says so, which is no answer to what was asked."""
# Not the loop's own few threads: a lookup that nobody answers holds its thread for ten seconds, and other names wait.
_LOOKUPS: Final = ThreadPoolExecutor(64, thread_name_prefix="lookup")
_TOO_BUSY: Final = frozenset({429, 503})
_NO_SUCH_NAME: Final = frozenset({socket.EAI_NONAME, socket.EAI_NODATA})
_BACKOFF_SECONDS: Final = 0.5


@dataclass(frozen=True)
class FetchPolicy:
    """What may be fetched and how much it may cost. The defaults refuse every address that is not public."""

    allowed_hosts: tuple[str, ...] = ()
    allowed_networks: tuple[str, ...] = ()
    timeout_seconds: float = 10.0
    """For one URL in total: lookups, redirects, retries and the body. Waiting until it may begin does not count."""
    max_bytes: int = 10 * 2**20
    concurrency: int = 32
    concurrency_per_host: int = 16
    requests_per_second_per_host: float | None = None
    """How many fetches from one host begin each second; None is as many as there are slots."""
    host_wait_seconds: float = 60.0
    """A host that asks for a longer pause (`Retry-After`) is not waited for: its pictures are unreachable."""
    connect_timeout_seconds: float = 2.0
    read_timeout_seconds: float = 5.0
    attempts: int = 3

    @classmethod
    def of(cls, settings: FetchSettings) -> "FetchPolicy":
        """The policy that a service's settings ask for."""
        return cls(
            allowed_hosts=settings.allowed_hosts,
            allowed_networks=settings.allowed_networks,
            timeout_seconds=settings.fetch_timeout_seconds,
            max_bytes=settings.fetch_max_bytes,
            concurrency=settings.fetch_concurrency,
            concurrency_per_host=settings.fetch_concurrency_per_host,
            requests_per_second_per_host=settings.fetch_requests_per_second_per_host,
        )


@dataclass(frozen=True)
class Validators:
    """By what a server knows which version of a body somebody has: its `ETag` and `Last-Modified`, as they came."""

    etag: str | None = None
    last_modified: str | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Validators":
        """What an answer's headers say; a value that could not be sent back (or kept) is left out."""
        return cls(_validator(headers.get("ETag")), _validator(headers.get("Last-Modified")))

    def conditions(self) -> dict[str, str]:
        """The headers that ask for a body only if it has changed."""
        headers = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in headers.items() if value}


@dataclass(frozen=True)
class Download:
    """An answer whose body is still to come."""

    not_modified: bool
    """The body is the one that is known already, and is not sent again."""
    validators: Validators
    """Of this body, to be given back as `known` the next time."""
    chunks: AsyncIterator[bytes]


async def resolve(host: str, port: int, getaddrinfo: GetAddrInfo = socket.getaddrinfo) -> Sequence[str]:
    """The addresses of a name, by the system's resolver. Raises `OSError` where there are none."""
    # The dot keeps the search list of a pod's resolv.conf out of it: `a.b` is never `a.b.svc.cluster.local`.
    name = host if is_internal(host) else f"{host}."
    ask = partial(getaddrinfo, name, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_LOOKUPS, ask)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Fetcher:
    """Fetches under one policy; use as an async context manager, share it within one event loop.

    Args:
        policy: what is allowed.
        resolve: name and port -> addresses; raises `OSError`.
        sleep: waits between attempts, and for a host.
        clock: seconds; never goes back.
        jitter: a number in [0, 1) that spreads retries.

    Raises:
        ValueError: the policy names something that is not a host or a network.
    """

    def __init__(
        self,
        policy: FetchPolicy | None = None,
        *,
        resolve: Resolve = resolve,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy or FetchPolicy()
        self._guard = UrlGuard(self._policy.allowed_hosts, self._policy.allowed_networks)
        self._resolve = resolve
        self._sleep = sleep
        self._clock = clock
        self._jitter = jitter
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(self._policy.concurrency)
        rate = self._policy.requests_per_second_per_host
        self._hosts = Hosts(concurrency=self._policy.concurrency_per_host, interval=1 / rate if rate else 0.0)

    async def __aenter__(self) -> Self:
        policy = self._policy
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_GuardedResolver(self._guard, self._resolve),
                socket_factory=self._open_socket,
                limit=policy.concurrency,
                limit_per_host=policy.concurrency_per_host,  # the slots' limit again, for where redirects lead
                ttl_dns_cache=DNS_SECONDS,
            ),
            # No sock_read: it runs on while a reader is busy with what it has. Waits are timed where they happen.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=policy.connect_timeout_seconds),
            # Identity, because a byte cap on a compressed body says nothing about what it unpacks to.
            headers={"User-Agent": "imagesearch-fetcher", "Accept": "*/*", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def fetch(self, url: str, *, max_bytes: int | None = None) -> bytes:
        """Return the body at `url`, at most `max_bytes` (the policy's where not given).

        Raises:
            FetchError: BLOCKED_URL, DEAD_LINK, UNREACHABLE or TOO_LARGE.
        """
        cap = self._policy.max_bytes if max_bytes is None else max_bytes
        target = self._guard.check_url(url)

        async def attempt() -> bytes:
            async with await self._open(target, {}) as response:
                return b"".join([chunk async for chunk in self._body(response, cap)])

        async with self._slot(target):
            patience = _Patience(self._policy.timeout_seconds)
            return await patience.wait(self._retrying(attempt, patience.left))

    @asynccontextmanager
    async def open(
        self,
        url: str,
        *,
        known: Validators | None = None,
        max_bytes: int | None = None,
        timeout_seconds: float | None = None,
    ) -> AsyncIterator[Download]:
        """Open `url` for reading; with `known`, ask for the body only if it is another one than back then.

        `timeout_seconds` counts only the waiting for the server. Attempts are repeated until the first byte, not after
        it. The download holds a slot and a connection until the block is left.

        Raises:
            FetchError: as `fetch`; TOO_LARGE and UNREACHABLE also from the download's chunks.
        """
        cap = self._policy.max_bytes if max_bytes is None else max_bytes
        target = self._guard.check_url(url)
        conditions = known.conditions() if known else {}
        async with self._slot(target):
            patience = _Patience(self._policy.timeout_seconds if timeout_seconds is None else timeout_seconds)
            response = await patience.wait(self._retrying(lambda: self._open(target, conditions), patience.left))
            async with response, aclosing(self._chunks(response, cap, patience)) as chunks:
                yield Download(response.status == _NOT_MODIFIED, Validators.of(response.headers), chunks)

    @asynccontextmanager
    async def _slot(self, url: URL) -> AsyncIterator[None]:
        # The host's first: whoever queues for a slow host must not keep a general slot from the others.
        host = self._hosts.of(url)
        async with host.slots:
            await self._turn(host)
            async with self._slots:
                yield

    async def _turn(self, host: Host) -> None:
        """Wait until the next fetch from a host may begin."""
        async with host.door:
            while wait := host.wait(self._clock()):
                if (pause := host.pause(self._clock())) > self._policy.host_wait_seconds:
                    raise FetchError(Reason.UNREACHABLE, f"the host asked to be left alone for {pause:.0f} s more")
                await self._sleep(wait)
            host.begin(self._clock(), self._backoff(1))

    def _backoff(self, number: int) -> float:
        return _BACKOFF_SECONDS * 2.0 ** (number - 1) * (0.5 + self._jitter())

    async def _retrying(self, operation: Callable[[], Awaitable[T]], seconds: float) -> T:
        """Run `operation` until it works or fails for good, at most so often, and never into a wait past the end."""
        deadline = self._clock() + seconds
        for number in itertools.count(1):
            try:
                return await operation()
            except _TransientError as error:
                delay = self._backoff(number)
                if error.retry_after is not None:  # and a little, lest all who were told the same come at once
                    delay = error.retry_after + _BACKOFF_SECONDS * self._jitter()
                if number >= self._policy.attempts or self._clock() + delay >= deadline:
                    tries = "1 attempt" if number == 1 else f"{number} attempts"
                    raise FetchError(Reason.UNREACHABLE, f"{error} ({tries})") from error
            await self._sleep(delay)
        raise AssertionError("counting never ends")

    async def _open(self, url: URL, conditions: Mapping[str, str]) -> aiohttp.ClientResponse:
        """Follow `url` to an answer that is worth reading, or that there is nothing new to read."""
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._request(url, conditions)
            try:
                if response.status not in _REDIRECTS:
                    if not (conditions and response.status == _NOT_MODIFIED):
                        _check_answer(response)
                    return response
                url = self._guard.check_redirect(url, _location(response))
                if _PLACEHOLDER.search(url.path):
                    raise FetchError(Reason.DEAD_LINK, "the server answered with a placeholder", gone=True)
            except BaseException:
                response.close()
                raise
            response.close()
        raise FetchError(Reason.DEAD_LINK, f"more than {MAX_REDIRECTS} redirects")

    async def _request(self, url: URL, conditions: Mapping[str, str]) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("use the Fetcher as a context manager: async with Fetcher(policy) as fetcher")
        host, asked_at = self._hosts.of(url), self._clock()
        if pause := host.pause(asked_at):
            raise _TransientError("the host asked to be left alone", pause)
        try:
            with _connection_errors():
                async with asyncio.timeout(self._policy.connect_timeout_seconds + self._policy.read_timeout_seconds):
                    response = await self._session.get(url, headers=conditions, allow_redirects=False)
        except _TransientError:
            host.failed(asked_at, self._clock())
            raise
        if response.status in _TOO_BUSY:
            host.refused(asked_at, self._clock(), _retry_after(response))
        else:
            host.answered(self._clock())
        return response

    async def _chunks(
        self, response: aiohttp.ClientResponse, cap: int, patience: "_Patience"
    ) -> AsyncGenerator[bytes, None]:
        """The body as it arrives, for a reader who takes time of its own between the chunks."""
        async with aclosing(self._body(response, cap)) as body:
            try:
                while chunk := await patience.wait(anext(body, b"")):
                    yield chunk
            except _TransientError as error:
                raise FetchError(Reason.UNREACHABLE, f"broken off: {error}") from error

    async def _body(self, response: aiohttp.ClientResponse, cap: int) -> AsyncGenerator[bytes, None]:
        too_large = FetchError(Reason.TOO_LARGE, f"more than {cap} bytes")
        if (response.content_length or 0) > cap:
            raise too_large
        taken = 0
        while chunk := await self._chunk(response):
            taken += len(chunk)
            if taken > cap:
                raise too_large
            yield chunk

    async def _chunk(self, response: aiohttp.ClientResponse) -> bytes:
        """What has arrived, or nothing at the end."""
        with _connection_errors():
            async with asyncio.timeout(self._policy.read_timeout_seconds):
                return await response.content.readany()

    def _open_socket(self, info: AddrInfo) -> socket.socket:
        """Make the socket for one connection. Every connection passes here, whatever way its address was found."""
        family, kind, protocol, _, address = info
        try:
            self._guard.check_address(str(address[0]), int(str(address[1])))
        except FetchError as error:
            raise PermissionError(errno.EPERM, error.detail) from error  # the connector understands OSError only
        return socket.socket(family, kind, protocol)


class _GuardedResolver(AbstractResolver):
    """Resolves a name and refuses it unless every address may be connected to."""

    def __init__(self, guard: UrlGuard, resolve: Resolve) -> None:
        self._guard = guard
        self._resolve = resolve

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002  the base class's; never narrowed here
    ) -> list[ResolveResult]:
        addresses = await self._resolve(host, port)
        if not addresses:
            raise OSError(f"{host} has no address")
        for address in addresses:
            self._guard.check_address(address, port, host)
        return [
            {
                "hostname": host,
                "host": address,
                "port": port,
                "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
                "proto": socket.IPPROTO_TCP,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


class _TransientError(Exception):
    """This attempt failed in a way that may pass; `retry_after` is the wait in seconds that the server asked for."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class _Patience:
    """How long the server may still keep us waiting, in seconds; time between the waits is not counted."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.left = seconds

    async def wait(self, awaitable: Awaitable[T]) -> T:
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            async with asyncio.timeout(self.left):
                return await awaitable
        except TimeoutError as error:
            raise FetchError(Reason.UNREACHABLE, f"no complete answer within {self._seconds:g} s") from error
        finally:
            self.left -= clock() - started


@contextmanager
def _connection_errors() -> Iterator[None]:
    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise FetchError(Reason.UNREACHABLE, f"the server's certificate is not trusted: {error}") from error
    except aiohttp.ClientConnectorDNSError as error:
        # Where the name servers know that there is no such name, asking again would only tell, by the time it takes,
        # a name that is not there from one whose address is none of the asker's business.
        if error.os_error.errno in _NO_SUCH_NAME:
            raise FetchError(Reason.UNREACHABLE, str(error)) from error
        raise _TransientError(str(error)) from error
    except TimeoutError as error:
        raise _TransientError(str(error) or "the server fell silent") from error
    except (aiohttp.ClientError, OSError) as error:
        raise _TransientError(str(error) or type(error).__name__) from error


def _check_answer(response: aiohttp.ClientResponse) -> None:
    status = response.status
    if status >= 500 or status in _TRY_AGAIN:
        raise _TransientError(f"the server answered {status}", _retry_after(response))
    if not 200 <= status < 300:
        raise FetchError(Reason.DEAD_LINK, f"the server answered {status}", gone=status in _GONE)
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise FetchError(Reason.DEAD_LINK, f"the server sent {coding[:40]!a} coding although none was asked for")


def _validator(value: str | None) -> str | None:
    return value if value and len(value) <= VALIDATOR_LIMIT and value.isascii() and value.isprintable() else None


def _location(response: aiohttp.ClientResponse) -> str:
    location = response.headers.get("Location")
    if not location:
        raise FetchError(Reason.DEAD_LINK, f"the server answered {response.status} without a Location")
    return location


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    return _retry_after_seconds(response.headers.get("Retry-After", "").strip())


def _retry_after_seconds(value: str) -> float | None:
    """The wait that a `Retry-After` header asks for, in either of its forms; None where it makes no sense."""
    if value.isascii() and value.isdecimal():
        return float(value[:9])
    try:
        moment = parsedate_to_datetime(value)
        return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None
