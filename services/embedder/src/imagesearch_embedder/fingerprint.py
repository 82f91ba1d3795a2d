"""What a picture looks like, in a few bytes: copies of one picture have fingerprints that hardly differ. Pure.

It is a perceptual hash: of the slowest waves of the picture's brightness, which have more than the median and which less.
Compression and scaling change fast waves and leave these. (pHash, Zauner 2010; so many bits and waves has PDQ, 2019.)
Embeddings do not tell copies from pictures of the same thing, which they are made to have near each other:
`bench/duplicates.py` compares the two.
"""

from typing import Final

import numpy as np
from PIL import Image

SIDE: Final = 64
WAVES: Final = 16
"""Of each direction; the constant one is left out."""
FLAT: Final = 8.0
"""Standard deviation of the brightness, of 0 to 255, below which noise decides what the bits are."""

_PLACES = np.pi / (2 * SIDE) * np.outer(np.arange(1, WAVES + 1), 2 * np.arange(SIDE) + 1)
_COSINES: Final = np.cos(_PLACES).astype(np.float32)
"""(WAVES, SIDE): a discrete cosine transform, as far as it is looked at."""


def fingerprint(image: Image.Image) -> str | None:
    """The fingerprint of an RGB picture, as the contract has it; None where it shows next to nothing.

    It is bound to colours, too, by two bytes: brightness alone takes a red shirt and a green one for the same.
    """
    small = image.resize((SIDE, SIDE), Image.Resampling.BILINEAR, reducing_gap=3.0).convert("YCbCr")
    brightness, *colours = np.moveaxis(np.asarray(small, dtype=np.float32), -1, 0)
    if brightness.std() < FLAT:
        return None
    waves = _COSINES @ brightness @ _COSINES.T
    bits = np.packbits(waves.ravel() > np.median(waves))
    return bits.tobytes().hex() + bytes(round(float(colour.mean())) for colour in colours).hex()
