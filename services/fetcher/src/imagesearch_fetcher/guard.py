"""Which URLs and addresses may be fetched from (the defence against server-side request forgery). Pure.

`fetch` asks here before every request, for every redirect, after every name lookup and before every connection.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.record import URL_LIMIT
from yarl import URL

from imagesearch_fetcher.errors import FetchError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PORTS: Final = (80, 443)

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
# What a C library may still read as an IPv4 address: 2130706433, 0x7f000001, 127.1, 0177.0.0.1.
_ENDS_IN_A_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
# Names that mean something only inside a cluster or an office, besides single labels.
_INTERNAL_SUFFIXES = (".localhost", ".local", ".svc", ".internal", ".home.arpa")

_NAT64 = IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = IPv6Network("2000::/3")
# Not for us, although `is_global` of some supported Python says otherwise.
_REFUSED: Final[tuple[Network, ...]] = (
    IPv4Network("168.63.129.16/32"),  # Azure's platform services, the same for every virtual machine
    IPv4Network("192.0.0.0/24"),  # protocol assignments; Oracle Cloud has services here
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv6Network("2001::/23"),  # protocol assignments
    IPv6Network("3fff::/20"),  # documentation
)


class UrlGuard:
    """The rules, made from settings.

    Args:
        allowed_hosts: host names, or `*.domain` for every name below it; empty allows every host.
        allowed_networks: CIDR networks that are let through although they are not public, on any port.

    Raises:
        ValueError: an entry is not a host pattern or a network.
    """

    def __init__(self, allowed_hosts: Iterable[str] = (), allowed_networks: Iterable[str] = ()) -> None:
        self._hosts = tuple(_host_pattern(entry) for entry in allowed_hosts)
        self._networks = tuple(_network(entry) for entry in allowed_networks)

    def check_url(self, url: str) -> URL:
        """Return the URL, parsed: exactly this object is to be requested, so no second parser can see another host.

        Raises:
            FetchError: BLOCKED_URL.
        """
        parsed = _parse(url)
        host, port = str(parsed.raw_host), int(parsed.port or 0)
        if self._hosts and not any(_matches(host, pattern) for pattern in self._hosts):
            raise _blocked(f"host {host} is not among the allowed hosts")
        if _is_address(host):
            self.check_address(host, port)
        elif not _HOST_NAME.fullmatch(host) or _ENDS_IN_A_NUMBER.fullmatch(host):
            raise _blocked(f"{host!r} is not a host name or an IP address in its usual form")
        elif not self._networks:  # with networks, the address decides
            _check_name(host)
            _check_port(port)
        return parsed

    def check_redirect(self, origin: URL, location: str) -> URL:
        """Return where `origin` redirects to, checked like a URL of its own.

        Raises:
            FetchError: BLOCKED_URL.
        """
        try:
            target = self.check_url(str(origin.join(_url(location)).with_fragment(None)))
        except (FetchError, ValueError) as error:
            raise _blocked(f"redirected: {error.detail if isinstance(error, FetchError) else error}") from error
        if origin.scheme == "https" and target.scheme == "http":
            raise _blocked(f"redirected from https to http ({target.raw_host})")
        return target

    def check_address(self, address: str, port: int, host: str | None = None) -> None:
        """Let through an address that may be connected to; `host` is the name that resolved to it.

        Raises:
            FetchError: BLOCKED_URL.
        """
        try:
            ip = _innermost(ip_address(address))
        except ValueError as error:
            raise _blocked(f"{address!r} is not an IP address") from error
        if any(ip in network for network in self._networks):
            return
        if not _is_public(ip):
            whose = f"{host} is at {ip}, which" if host else f"{ip}"
            raise _blocked(f"{whose} is not public and in none of the allowed networks")
        if host:
            _check_name(host)
        _check_port(port)


def is_internal(host: str) -> bool:
    """Whether a name means something only inside (a cluster, an office): such names need an allowed network."""
    return "." not in host or host.endswith(_INTERNAL_SUFFIXES)


def _parse(url: str) -> URL:
    if len(url) > URL_LIMIT:
        raise _blocked(f"longer than {URL_LIMIT} characters")
    if any(character <= " " or character == "\x7f" for character in url):
        raise _blocked("white space or a control character in the URL")
    try:
        url.encode()
        parsed = _url(url)
    except ValueError as error:
        raise _blocked(f"not a URL: {str(error)!a}") from error
    if parsed.scheme not in ("http", "https"):
        raise _blocked("only http and https are fetched")
    if parsed.user is not None or parsed.password is not None:
        raise _blocked("a user name or password in the URL")
    if not parsed.raw_host:
        raise _blocked("no host in the URL")
    return parsed


def _url(text: str) -> URL:
    try:
        return URL(text)
    except IndexError as error:  # yarl's own, where nothing but brackets stands in the place of the host
        raise ValueError("the host is no host") from error


def _check_name(host: str) -> None:
    if is_internal(host):
        raise _blocked(f"{host} is an internal name and its address is in none of the allowed networks")


def _check_port(port: int) -> None:
    if port not in PORTS:
        raise _blocked(f"port {port}; outside the allowed networks only 80 and 443 are fetched from")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _innermost(ip: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for (mapped, NAT64, 6to4, Teredo), or the address itself."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip.scope_id:
        raise ValueError("an address with a zone is local to a link")
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    teredo_client = ip.teredo[1] if ip.teredo else None
    return ip.ipv4_mapped or ip.sixtofour or teredo_client or ip


def _is_public(ip: Address) -> bool:
    if any(ip in network for network in _REFUSED):
        return False
    if isinstance(ip, IPv6Address) and ip not in _GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def _matches(host: str, pattern: str) -> bool:
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


def _host_pattern(entry: str) -> str:
    pattern = entry.strip().lower()
    if not _is_address(pattern) and not _HOST_NAME.fullmatch(pattern.removeprefix("*.")):
        raise ValueError(f"allowed_hosts: {entry!r} is not a host name or *.domain (no scheme, port or path)")
    return pattern


def _network(entry: str) -> Network:
    try:
        return ip_network(entry)
    except ValueError as error:
        raise ValueError(f"allowed_networks: {error} (expected a network such as 10.1.0.0/16)") from error


def _blocked(detail: str) -> FetchError:
    return FetchError(Reason.BLOCKED_URL, detail)
