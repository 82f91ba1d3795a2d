"""Fuzz the URL guard: whatever it lets through is public, to a C library and to a second parser too.

    make fuzz FUZZ_SECONDS=600
    .venv/bin/python services/fetcher/fuzz/fuzz_url_guard.py -max_total_time=600 -rss_limit_mb=512 -timeout=2

The arguments are libFuzzer's; a folder among them is a corpus that is read and extended, a file is an input to try
again. A finding ends the run with a traceback and its input in a file `crash-...`. Atheris is in the group `fuzz`.
"""

import sys
from typing import Final

import atheris

with atheris.instrument_imports(include=["imagesearch_fetcher", "yarl", "idna"]):
    from url_properties import check, check_redirect

ALPHABETS: Final = ("0123456789abcdefx.:[]%", "①②⑦。．.0127١٢٧", "localhost.svcinternal-_", "example.com@/\\#?&;\t")
PORTS: Final = ("", ":80", ":443/", ":22", "/")


def one_input(data: bytes) -> None:
    """Any text, or one that begins like a URL with a host of telling characters."""
    provider = atheris.FuzzedDataProvider(data)
    kind = provider.ConsumeIntInRange(0, len(ALPHABETS))
    text = provider.ConsumeUnicode(sys.maxsize) if kind == len(ALPHABETS) else _url(provider, ALPHABETS[kind])
    check(text)
    check_redirect(text)


def _url(provider: atheris.FuzzedDataProvider, alphabet: str) -> str:
    port = PORTS[provider.ConsumeIntInRange(0, len(PORTS) - 1)]
    picks = provider.ConsumeIntListInRange(provider.ConsumeIntInRange(0, 40), 0, len(alphabet) - 1)
    return "http://" + "".join(alphabet[pick] for pick in picks) + port + provider.ConsumeUnicode(sys.maxsize)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
