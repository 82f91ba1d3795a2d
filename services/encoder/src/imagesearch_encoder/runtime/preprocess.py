"""Pictures to pixels, as `encoder.json` prescribes it. Pure: the model decides, this only interprets.

Rescaling and normalising are part of the graph (`image.onnx` takes bytes): that is a quarter of the memory,
and a thing less that could differ between runtimes. Their numbers are kept here because torch needs them too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Resize = Literal["shortest_edge", "stretch", "pad"]
Resample = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]

MAX_ASPECT = 16
"""Longer strips are cut down to this, where only the middle is looked at."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How a picture becomes what the image tower takes: `height` x `width` pixels, then (pixel * rescale - mean) / std."""

    height: int
    width: int
    resize: Resize
    """`shortest_edge`: scale the shorter side to `shortest_edge`, then crop the middle. `stretch`: scale each side
    on its own. `pad`: scale until the whole picture fits, on a ground of `background`."""
    resample: Resample
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    rescale: float = 1 / 255
    shortest_edge: int = 0
    background: tuple[int, int, int] = (255, 255, 255)

    def __post_init__(self) -> None:
        if self.resize == "shortest_edge" and self.shortest_edge < max(self.height, self.width):
            raise ValueError(
                f"a shorter side of {self.shortest_edge} pixels cannot be cropped to {self.height} x {self.width}"
            )

    @property
    def min_side(self) -> int:
        """Pixels below which no side of a larger picture need fall when it is decoded: 256 where the model looks at 224.

        An eighth is left to the resize that follows: a picture of just the right size would have edges sharper than those
        the model knows. Embedder and encoder service both go by this, so that a picture is its own nearest neighbour.
        """
        edge = self.shortest_edge if self.resize == "shortest_edge" else max(self.height, self.width)
        return round(edge * 8 / 7)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Preprocessing":
        """Read what `dataclasses.asdict` wrote, after JSON."""
        triples = {name: tuple(fields[name]) for name in ("mean", "std", "background")}
        return cls(**{**fields, **triples})


def to_pixels(images: Sequence[Image.Image], how: Preprocessing) -> Pixels:
    """Return uint8 (n, height, width, 3); n may be 0."""
    pixels = np.empty((len(images), how.height, how.width, 3), dtype=np.uint8)
    for row, image in zip(pixels, images, strict=True):
        row[:] = np.asarray(_frame(image if image.mode == "RGB" else image.convert("RGB"), how))
    return pixels


def _frame(image: Image.Image, how: Preprocessing) -> Image.Image:
    filter_ = Image.Resampling[how.resample.upper()]
    match how.resize:
        case "stretch":
            return image.resize((how.width, how.height), filter_)
        case "shortest_edge":
            image = _middle(image)
            return _crop(image.resize(_scaled(image.size, how.shortest_edge), filter_), how)
        case "pad":
            return _pad(image, how, filter_)


def _middle(image: Image.Image) -> Image.Image:
    """Without the far ends of a strip, which the crop drops anyway: scaled up, one of 1 x 16000 would take gigabytes."""
    longest = MAX_ASPECT * min(image.size)
    width, height = min(image.width, longest), min(image.height, longest)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image if (width, height) == image.size else image.crop((left, top, left + width, top + height))


def _scaled(size: tuple[int, int], shortest_edge: int) -> tuple[int, int]:
    """(width, height) with the shorter side at `shortest_edge`, the longer one rounded down, as transformers does."""
    width, height = size
    if width <= height:
        return shortest_edge, int(shortest_edge * height / width)
    return int(shortest_edge * width / height), shortest_edge


def _crop(image: Image.Image, how: Preprocessing) -> Image.Image:
    left, top = (image.width - how.width) // 2, (image.height - how.height) // 2
    return image.crop((left, top, left + how.width, top + how.height))


def _pad(image: Image.Image, how: Preprocessing, filter_: Image.Resampling) -> Image.Image:
    scale = min(how.width / image.width, how.height / image.height)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    canvas = Image.new("RGB", (how.width, how.height), how.background)
    canvas.paste(image.resize(size, filter_), ((how.width - size[0]) // 2, (how.height - size[1]) // 2))
    return canvas
