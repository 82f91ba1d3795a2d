"""What `make fuzz` looks for at length, briefly in every run, and always at the same places."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ..fuzz.url_properties import check, check_redirect
from .test_ssrf_corpus import BENIGN, CORPUS

_numbers = st.sampled_from(["0", "1", "127", "0x7f", "0177", "2130706433", "254", "169", "10", "①", "٧", "１"])
_hosts = (
    st.lists(_numbers, min_size=1, max_size=5).flatmap(
        lambda parts: st.sampled_from([".", "。", "．", "%2e", ".."]).map(lambda dot: dot.join(parts))
    )
    | st.ip_addresses().map(lambda address: f"[{address}]" if address.version == 6 else str(address))
    | st.ip_addresses(v=4).map(lambda address: f"[::ffff:{address}]")
    | st.ip_addresses(v=4).map(lambda address: f"[64:ff9b::{address}]")
    | st.text("abcxyz0189.-_%:[]①。", min_size=1, max_size=20)
)
_rests = st.sampled_from(
    ["", "/", ":80/", ":443", ":22/", "#@a.example/", "?@a.example/", "\\@a.example/", "@a.example/", "/ü"]
)
_urls = st.builds(
    "{}://{}{}{}".format, st.sampled_from(["http", "https", "HTTP"]), st.sampled_from(["", "a@"]), _hosts, _rests
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(_urls | st.text(max_size=60))
def test_whatever_passes_the_guard_is_public_to_the_c_library_and_to_a_second_parser(url: str) -> None:
    check(url)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(_urls | st.text(max_size=60))
@example("//[::1]@")
def test_whatever_a_redirect_may_lead_to_is_public_too(location: str) -> None:
    check_redirect(location)


def test_of_the_forged_urls_none_passes_by_itself_and_of_the_ordinary_ones_all_do() -> None:
    resolved = ("names that resolve inside", "mixed answers", "metadata of the clouds")
    assert [url for kind, urls in CORPUS.items() if kind not in resolved for url in urls if check(url)] == []
    assert all(check(url) for url in BENIGN)
