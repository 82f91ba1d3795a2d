"""Fingerprints of pictures that are copies of each other, and of others. How well it does on real ones: `bench/duplicates.py`."""

from io import BytesIO

import numpy as np
import pytest
from imagesearch_contract.index import FINGERPRINT_BYTES
from imagesearch_embedder.fingerprint import fingerprint
from PIL import Image


def painted(seed: int, size: tuple[int, int] = (300, 200)) -> Image.Image:
    """Soft shapes, of as many scales as are looked at."""
    shapes = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(shapes).resize(size, Image.Resampling.BICUBIC)


def as_jpeg(image: Image.Image) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=40)
    return Image.open(file).convert("RGB")


def difference(one: str, other: str) -> tuple[int, int]:
    """Bits that differ, and how far colours are apart."""
    a, b = bytes.fromhex(one), bytes.fromhex(other)
    bits = (int.from_bytes(a[:32]) ^ int.from_bytes(b[:32])).bit_count()
    return bits, max(abs(x - y) for x, y in zip(a[32:], b[32:], strict=True))


def test_a_fingerprint_has_the_form_that_the_contract_says():
    assert len(bytes.fromhex(fingerprint(painted(0)))) == FINGERPRINT_BYTES


@pytest.mark.parametrize("seed", range(5))
def test_a_copy_has_nearly_the_same_fingerprint_and_another_picture_has_not(seed):
    original = painted(seed)
    bits, colours = difference(fingerprint(original), fingerprint(as_jpeg(original.resize((150, 100)))))
    others, _ = difference(fingerprint(original), fingerprint(painted(seed + 100)))

    assert bits < 32
    assert colours <= 3
    assert others > 64


def test_the_same_thing_in_another_colour_differs_in_the_colours():
    def flag(colour: str) -> str:
        image = Image.new("RGB", (120, 80), "white")
        image.paste(colour, (20, 20, 100, 60))
        return fingerprint(image)

    _, colours = difference(flag("#c02020"), flag("#207830"))

    assert colours > 20


@pytest.mark.parametrize("image", [Image.new("RGB", (100, 80), "red"), Image.new("RGB", (1, 1))])
def test_a_picture_that_shows_nothing_has_none(image):
    assert fingerprint(image) is None


def test_a_picture_smaller_than_what_is_looked_at_has_one():
    assert fingerprint(painted(1, (20, 10))) is not None
