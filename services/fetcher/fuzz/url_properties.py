"""What holds of the URL guard for any text. `fuzz_url_guard` and the tests look for a text for which it does not."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from imagesearch_fetcher.errors import FetchError
from imagesearch_fetcher.guard import PORTS, UrlGuard
from yarl import URL

# Written down from the registries of IANA, not taken from the guard: two lists that agree are worth more than one.
_SPECIAL: Final = [
    ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
        *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32", "::/8", "100::/64", "2001:db8::/32", "2001:10::/28"),
        *("3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
]
_GUARD: Final = UrlGuard()
_ORIGIN: Final = URL("https://example.com/a/b?c")


def check(url: str) -> bool:
    """Whether the guard lets a URL through; raises `AssertionError` where it must not have."""
    try:
        parsed = _GUARD.check_url(url)
    except FetchError as refusal:
        assert refusal.detail, "refused without a reason"
        return False
    _check_passed(parsed)
    return True


def check_redirect(location: str) -> None:
    """As `check`, for where a server says that its picture is."""
    try:
        target = _GUARD.check_redirect(_ORIGIN, location)
    except FetchError:
        return
    assert target.scheme == "https", "sent back to plain text"
    _check_passed(target)


def _check_passed(parsed: URL) -> None:
    host, written = str(parsed.raw_host), str(parsed)
    assert parsed.scheme in ("http", "https")
    assert parsed.port in PORTS
    assert host.isascii()
    assert written.isascii(), "what is sent is not ASCII"
    assert written.isprintable(), "a control character is sent"
    again, second = URL(written), urlsplit(written)
    assert (again.raw_host, again.port) == (host, parsed.port), "what is sent reads as another URL"
    assert (second.hostname, second.username, second.password) == (host, None, None), (
        "a second parser sees another host"
    )
    address = _numeric(host)
    assert address is None or _public(address), f"{host} is {address}"


def _numeric(host: str) -> IPv4Address | IPv6Address | None:
    """The address that the C library reads in a host without asking anybody."""
    try:
        found = socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return ip_address(found[0][4][0])


def _public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is no special one, by itself and by the IPv4 address inside it."""
    inner = None
    if isinstance(address, IPv6Address):
        if address in ip_network("64:ff9b::/96"):
            return _public(IPv4Address(int(address) & 0xFFFF_FFFF))
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
    if inner:
        return _public(inner)
    return not any(address in network for network in _SPECIAL)
