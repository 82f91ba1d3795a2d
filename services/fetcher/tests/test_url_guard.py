"""The rules of the URL guard, without a network."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from imagesearch_contract.dead_letter import Reason
from imagesearch_fetcher.errors import FetchError
from imagesearch_fetcher.guard import UrlGuard
from yarl import URL

PUBLIC = "93.184.216.34"

ODD_OR_INTERNAL = [
    "http://127.0.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "http://168.63.129.16/",
    "http://192.0.0.192/opc/v1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2001:0:4136:e378:8000:63bf:80ff:fffe]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fd00:ec2::254]/",
    "http://[fc00::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://①②⑦.⓪.⓪.①/",
    "http://１２７。０。０。１/",
    "http://127.0.0.1./",
    "http://127%2e0.0.1/",
    "http://%31%32%37.0.0.1/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://ⓛocalhost/",
    "http://app.localhost/",
    "http://kubernetes/",
    "http://kubernetes.default.svc/",
    "http://kubernetes.default.svc.cluster.local/",
    "http://kubernetes.default.svc.cluster.local./",
    "http://metadata.google.internal/",
    "http://printer.local/",
    "http://example.com./",
    "http://a..example.com/",
    "http://-/",
    "http://user@example.com/",
    "http://user:secret@example.com/",
    "http://:secret@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    "http://example.com:22/",
    "http://example.com:8080/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:80:80/",
    "http://exam ple.com/",
    "http://exam\tple.com/",
    "http://example.com/\r\nX-Injected: 1",
    "http://example.com/\x00",
    " http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "data:image/png;base64,AAAA",
    "javascript:alert(1)",
    "//example.com/",
    "http:example.com",
    "http:///example.com",
    "http://",
    "http://[::1",
    "http://\ud800/",
    "http://example.com/\ud800",
    "",
    "http://example.com/" + "a" * 2048,
]

BENIGN = [
    "https://live.staticflickr.com/65535/53466812_0a1b2c3d4e_z.jpg",
    "http://example.com",
    "http://example.com:80/",
    "https://example.com:443/a%20b/c%2Fd?x=1&y=%C3%BC#part",
    "HTTPS://EXAMPLE.COM/PICTURE.JPG",
    "https://münchen.de/bild.jpg",
    "https://xn--mnchen-3ya.de/bild.jpg",
    "https://例え.jp/",
    "https://a_b.example.com/",
    "https://a--b.example.com/",
    "https://3com.com/",
    "https://1.example.com/",
    "https://example.c0m/",
    "https://upload.wikimedia.org/wikipedia/commons/thumb/a/a9/Example.jpg/240px-Example.jpg",
    "http://93.184.216.34/",
    "https://[2606:2800:220:1:248:1893:25c8:1946]/x.png",
    "http://[64:ff9b::5db8:d822]/",
    "https://svc.example.com/",
    "https://localhost.example.com/",
    "https://example.com/?url=http://127.0.0.1/",
    "https://example.com/@127.0.0.1/",
    "https://example.com/ü.jpg",
    "https://example.com/" + "a" * 2000,
]


@pytest.mark.parametrize("url", ODD_OR_INTERNAL, ids=lambda url: ascii(url)[:60])
def test_an_odd_or_internal_url_is_blocked(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        UrlGuard().check_url(url)
    assert caught.value.reason is Reason.BLOCKED_URL
    assert caught.value.detail


@pytest.mark.parametrize("url", BENIGN, ids=lambda url: ascii(url)[:60])
def test_an_ordinary_url_passes(url: str) -> None:
    assert UrlGuard().check_url(url).raw_host


_label = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)


@given(st.lists(_label, min_size=1, max_size=4), st.sampled_from(["com", "org", "de", "jp", "photos", "museum"]))
def test_every_public_host_name_passes(labels: list[str], top: str) -> None:
    host = ".".join([*labels, top])
    assert UrlGuard().check_url(f"https://{host}/picture.jpg").raw_host == host


@given(
    st.text(max_size=60)
    | st.text(max_size=40).map("http://{}".format)
    | st.text("0123456789abcdefx.:[]@%/\\", max_size=30).map("http://{}".format)
)
@example("http://[v1.x]/")
@example("http://[::ffff:127.0.0.1%0]/")
@example("http://[::1]@/")
def test_any_text_is_either_blocked_or_a_url_with_a_host_that_may_be_public(url: str) -> None:
    try:
        parsed = UrlGuard().check_url(url)
    except FetchError:
        return
    host = str(parsed.raw_host)
    assert parsed.scheme in ("http", "https")
    assert parsed.port in (80, 443)
    assert host.isascii()
    try:
        assert ipaddress.ip_address(host).is_global
    except ValueError:
        assert "." in host
        assert not host.rpartition(".")[2].isdecimal()


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_whatever_ipv6_clothes_is_judged_as_itself(address: ipaddress.IPv4Address) -> None:
    def passes(text: str) -> bool:
        try:
            UrlGuard().check_address(text, 80)
        except FetchError:
            return False
        return True

    clothes = [
        f"::ffff:{address}",
        str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) + int(address))),
        str(ipaddress.IPv6Address((0x2002 << 112) + (int(address) << 80) + 1)),
        str(ipaddress.IPv6Address((0x20010000 << 96) + (int(address) ^ 0xFFFF_FFFF))),
    ]
    assert [passes(each) for each in clothes] == [passes(str(address))] * 4


@given(
    st.one_of(
        *(
            st.ip_addresses(network=network)
            for network in (
                *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
                *("192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4"),
                *("::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2001:db8::/32", "4000::/3"),
            )
        )
    )
)
def test_no_address_of_a_special_network_passes(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    with pytest.raises(FetchError):
        UrlGuard().check_address(str(address), 443)


def test_an_allowed_network_lets_its_addresses_and_any_port_through_and_nothing_else() -> None:
    guard = UrlGuard(allowed_networks=("10.1.0.0/16", "fd00::/8"))
    guard.check_url("http://10.1.2.3:8080/")
    guard.check_url("http://[fd00::1]:9000/")
    guard.check_url("http://[::ffff:10.1.2.3]/")
    for url in ("http://10.2.0.1/", "http://127.0.0.1/", "http://169.254.169.254/", f"http://{PUBLIC}:8080/"):
        with pytest.raises(FetchError):
            guard.check_url(url)


def test_an_internal_name_needs_an_address_in_an_allowed_network() -> None:
    guard = UrlGuard(allowed_networks=("10.1.0.0/16",))
    guard.check_url("http://pictures.shop.svc:9000/")  # the address will decide
    guard.check_address("10.1.2.3", 9000, "pictures.shop.svc")
    for address, port in (("10.2.0.1", 80), (PUBLIC, 80)):
        with pytest.raises(FetchError):
            guard.check_address(address, port, "pictures.shop.svc")
    with pytest.raises(FetchError, match="port 9000"):
        guard.check_address(PUBLIC, 9000, "example.com")


def test_with_allowed_hosts_every_other_host_is_blocked() -> None:
    guard = UrlGuard(allowed_hosts=("Live.StaticFlickr.com", "*.example.org"))
    for url in ("https://live.staticflickr.com/1.jpg", "https://a.example.org/", "https://a.b.example.org/"):
        guard.check_url(url)
    for url in (
        *("https://example.org/", "https://evilexample.org/", "https://live.staticflickr.com.evil.net/"),
        *("https://staticflickr.com/", f"https://{PUBLIC}/"),
    ):
        with pytest.raises(FetchError, match="allowed hosts"):
            guard.check_url(url)


def test_an_allowed_host_may_still_not_be_internal() -> None:
    with pytest.raises(FetchError):
        UrlGuard(allowed_hosts=("127.0.0.1",)).check_url("http://127.0.0.1/")
    with pytest.raises(FetchError):
        UrlGuard(allowed_hosts=("pictures.example",)).check_address("10.0.0.1", 80, "pictures.example")


@pytest.mark.parametrize(
    "entry", ["https://example.com", "example.com/x", "example.com:80", "*", "a.*.com", "", "bad host"]
)
def test_an_allowed_host_that_is_none_is_named_at_once(entry: str) -> None:
    with pytest.raises(ValueError, match="allowed_hosts"):
        UrlGuard(allowed_hosts=(entry,))


@pytest.mark.parametrize("entry", ["10.0.0.0/33", "10.0.0.1/8", "intranet", ""])
def test_an_allowed_network_that_is_none_is_named_at_once(entry: str) -> None:
    with pytest.raises(ValueError, match="allowed_networks"):
        UrlGuard(allowed_networks=(entry,))


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b?c=d", "https://example.com/b?c=d"),
        ("b c.jpg", "https://example.com/a/b%20c.jpg"),
        ("//cdn.example.net/x", "https://cdn.example.net/x"),
        ("https://cdn.example.net/x#part", "https://cdn.example.net/x"),
    ],
)
def test_a_redirect_is_resolved_against_where_it_came_from(location: str, target: str) -> None:
    assert str(UrlGuard().check_redirect(URL("https://example.com/a/b"), location)) == target


@pytest.mark.parametrize(
    "location",
    [
        *(
            "http://example.com/",
            "https://127.0.0.1/",
            "//169.254.169.254/",
            "file:///etc/passwd",
            "javascript:alert(1)",
        ),
        *(
            "https://user:pass@example.com/",
            "https://[::1",
            "https://kubernetes.default.svc/",
            "https://example.com:22/",
        ),
        "/" + "a" * 3000,
    ],
)
def test_a_redirect_to_where_nobody_may_go_is_blocked(location: str) -> None:
    with pytest.raises(FetchError, match="redirected") as caught:
        UrlGuard().check_redirect(URL("https://example.com/a"), location)
    assert caught.value.reason is Reason.BLOCKED_URL
