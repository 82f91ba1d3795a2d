"""Fuzz what reads a Kafka message: any bytes are a record that survives being written again, or are refused in words.

    make fuzz FUZZ_SECONDS=600
    .venv/bin/python services/contract/fuzz/fuzz_record.py -max_total_time=600 -rss_limit_mb=512 -timeout=2

The arguments are libFuzzer's; a folder among them is a corpus that is read and extended, a file is an input to try
again. A finding ends the run with a traceback and its input in a file `crash-...`. Atheris is in the group `fuzz`.
"""

import json
import sys
from typing import Any, Final

import atheris

with atheris.instrument_imports(include=["imagesearch_contract", "imagesearch_embedder", "json"]):
    from imagesearch_contract.record import ImageRecord
    from record_properties import check_message, check_record

SEEDS: Final = (
    b'{"schema_version":1,"id":"flickr:1","url":"https://a.example/1.jpg"}',
    b'{"schema_version":1,"id":"flickr:1","url":"https://a.example/1.jpg","tags":["a"],"taken_at":"2026-01-01T00:00:00Z"}',
    b'{"schema_version":1,"id":"a:b","url":"http://a","location":{"lat":1e1,"lon":-2.5},"width":1,"height":2,"title":"\\u0000"}',
    b'{"schema_version":2}',
    b"[[[[[[[[{}]]]]]]]]",
    b'{"schema_version":1,"id":"a:b","id":"a:c","url":"http://a","width":NaN,"height":1e999}',
)


FIELDS: Final = [*ImageRecord.model_fields, "lat", "unknown"]
TEXTS: Final = ["a:b", "http://a", "2026-01-01T00:00:00Z", "2026-01-01T24:00:00.5+00:00", "\x00", "\ud800", "1"]


def one_input(data: bytes) -> None:
    """Any bytes, a record with something else in the middle, or one of likely fields: few would get past the braces."""
    provider = atheris.FuzzedDataProvider(data)
    kind = provider.ConsumeIntInRange(0, 3)
    key = provider.ConsumeBytes(30) if kind == 1 else b"flickr:1"
    match kind:
        case 0 | 1:
            value = json.dumps({"schema_version": 1, "id": "a:b", "url": "http://a", **_fields(provider)}).encode()
        case 2:
            value = _spliced(provider)
        case _:
            value = provider.ConsumeBytes(sys.maxsize)
    check_record(value)
    check_message(key, value)
    check_message(key, None)


def _fields(provider: atheris.FuzzedDataProvider) -> dict[str, Any]:
    names = [provider.PickValueInList(FIELDS) for _ in range(provider.ConsumeIntInRange(0, 5))]
    return {name: _json(provider) for name in names}


def _json(provider: atheris.FuzzedDataProvider) -> Any:
    match provider.ConsumeIntInRange(0, 7):
        case 0:
            return provider.ConsumeUnicode(provider.ConsumeIntInRange(0, 1_200))
        case 1:
            return provider.ConsumeInt(9)
        case 2:
            return provider.ConsumeFloat()
        case 3:
            return provider.ConsumeRegularFloat()
        case 4:
            return [_json(provider) for _ in range(provider.ConsumeIntInRange(0, 3))]
        case 5:
            return _fields(provider)
        case 6:
            return None
        case _:
            return provider.PickValueInList(TEXTS)


def _spliced(provider: atheris.FuzzedDataProvider) -> bytes:
    seed = SEEDS[provider.ConsumeIntInRange(0, len(SEEDS) - 1)]
    start = provider.ConsumeIntInRange(0, len(seed))
    end = provider.ConsumeIntInRange(start, len(seed))
    return seed[:start] + provider.ConsumeBytes(sys.maxsize) + seed[end:]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
