"""The web of a scenario: a server of good pictures and of what goes wrong in the world, and the manifest that lists them."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web
from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.record import ImageRecord
from PIL import Image

from imagesearch_stack.faults.serving import Server

GOOD: Final = "good"
POISON: Final[Mapping[str, Reason]] = {
    "missing": Reason.DEAD_LINK,
    "gone": Reason.DEAD_LINK,
    "page": Reason.NOT_AN_IMAGE,
    "torn": Reason.TRUNCATED,
    "empty": Reason.NOT_AN_IMAGE,
}
"""What `Pictures` serves that cannot be used, and the reason that its dead letter has to give."""
SILENT_URL: Final = "http://127.0.0.1:9"
"""Where nobody answers."""

SIDE: Final = 64
DIFFERENT: Final = 128
"""So many good pictures differ; more would only take longer to make."""


class Pictures(Server):
    """Serves `/<kind>/<number>`, where kind is `GOOD` or of `POISON`; counts, and takes its time."""

    def __init__(self, *, delay_seconds: float = 0.01) -> None:
        super().__init__()
        self.served = 0
        self._delay = delay_seconds

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer as the kind demands."""
        self.served += 1
        await asyncio.sleep(self._delay)
        _, kind, number = request.path.split("/")
        match kind:
            case "missing":
                return web.Response(status=404)
            case "gone":
                return web.Response(status=410)
            case "page":
                return web.Response(body=b"<!doctype html><title>Sign in</title>", content_type="image/jpeg")
            case "torn":
                return web.Response(body=picture(int(number) % DIFFERENT, "JPEG")[:-500], content_type="image/jpeg")
            case "empty":
                return web.Response(body=b"", content_type="image/jpeg")
            case _:
                return web.Response(body=picture(int(number) % DIFFERENT, "PNG"), content_type="image/png")


@cache
def picture(number: int, form: str) -> bytes:
    """A picture of its own for each number, as a file."""
    noise = Image.frombytes("RGB", (8, 8), random.Random(number).randbytes(8 * 8 * 3))  # noqa: S311
    data = BytesIO()
    noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(data, form, quality=95)
    return data.getvalue()


class Listing(NamedTuple):
    """What a source lists."""

    records: Sequence[ImageRecord]
    poison: Mapping[str, Reason]
    """Id -> why it cannot be used, for those that cannot."""

    def write(self, path: Path) -> None:
        """Write the manifest that the producer reads."""
        path.write_bytes(b"".join(record.to_bytes() + b"\n" for record in self.records))


def listing(
    base_url: str, count: int, chance: random.Random, *, poison_share: float = 0.1, words: int = 0, silent: int = 0
) -> Listing:
    """So many records, in an order that depends on the chance alone.

    Args:
        base_url: of `Pictures`.
        count: how many.
        chance: decides which of them cannot be used.
        poison_share: of those that cannot.
        words: how many each description has.
        silent: how many more there are whose server does not answer.
    """
    kinds = [chance.choice(list(POISON)) if chance.random() < poison_share else GOOD for _ in range(count)]
    records = [
        ImageRecord(
            id=f"test:{number}",
            url=f"{base_url}/{kind}/{number}",
            title=f"{kind} {number}",
            description=" ".join(f"{chance.getrandbits(32):08x}" for _ in range(words)),
        )
        for number, kind in enumerate(kinds)
    ]
    unreachable = [ImageRecord(id=f"test:silent-{n}", url=f"{SILENT_URL}/{n}.png") for n in range(silent)]
    poison = {record.id: POISON[kind] for record, kind in zip(records, kinds, strict=True) if kind != GOOD}
    records += unreachable
    chance.shuffle(records)
    return Listing(records, poison | {record.id: Reason.UNREACHABLE for record in unreachable})
