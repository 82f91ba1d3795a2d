"""Torch towers to an artefact's folder, checked on the way. `starter` and `huggingface` build the towers.

Every export is compared with torch on real inputs before anything is registered: a graph that differs is refused.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor, nn

from imagesearch_encoder.runtime.encoder import (
    IMAGE_GRAPH,
    INFO_FILE,
    TEXT_GRAPH,
    TOKENIZER_FILE,
    EncoderInfo,
    Vectors,
    checksums,
)
from imagesearch_encoder.runtime.onnx_runtime import OnnxRuntime
from imagesearch_encoder.runtime.preprocess import to_pixels
from imagesearch_encoder.runtime.tokens import padded, to_tokens
from imagesearch_encoder.sources import EXPORT_PACKAGES, ExportError, versions

MIN_COSINE: Final = 0.999
MIN_TRIMMED_COSINE: Final = 0.9999
"""Between a text without padding and one with all of it: the same numbers but for the order in which they are summed."""
SAMPLE_TEXTS: Final = (
    "a dog",
    "Two children are playing in the snow, and a third one is watching them!",
    "Ein rotes Fahrrad lehnt an einer Hauswand.",
    "SUNSET over the sea",
    "猫が窓辺で眠っている",
    "",
    "a very long description " * 60,
)


@dataclass(frozen=True)
class Towers:
    """A dual encoder in torch, ready for export."""

    info: EncoderInfo
    """Without versions and checksums, which the export adds."""
    tokenizer: Tokenizer
    text: nn.Module
    """The inputs `info.text_inputs`, int64 (n, tokens) -> unit vectors float32 (n, dims)."""
    image: nn.Module
    """Pixels uint8 (n, height, width, 3) -> unit vectors float32 (n, dims)."""


def export(towers: Towers, folder: Path) -> EncoderInfo:
    """Write the artefact's files into `folder` (which may hold `weights/` already) and return its final info.

    Raises:
        ExportError: ONNX Runtime's vectors differ from torch's (cosine below 0.999), or texts are cut to their own length
            and the text tower's vectors depend on the padding that falls away (cosine below 0.9999).
    """
    (folder / TEXT_GRAPH).parent.mkdir(parents=True, exist_ok=True)
    towers.tokenizer.save(str(folder / TOKENIZER_FILE))
    tokens = [torch.from_numpy(ids) for ids in _text_inputs(towers, SAMPLE_TEXTS[:3])]
    pixels = torch.from_numpy(to_pixels(sample_images()[:3], towers.info.preprocessing))
    batch = torch.export.Dim.DYNAMIC
    text_shape = {0: batch, 1: batch} if _trims(towers.tokenizer) else {0: batch}
    _to_onnx(towers.text, tokens, towers.info.text_inputs, text_shape, folder / TEXT_GRAPH)
    _to_onnx(towers.image, [pixels], ("pixels",), {0: batch}, folder / IMAGE_GRAPH)
    _check(towers, folder)
    info = replace(towers.info, exported_with=versions(EXPORT_PACKAGES), checksums=checksums(folder))
    (folder / INFO_FILE).write_text(info.to_json())
    return info


def sample_images() -> list[Image.Image]:
    """Pictures to compare with: structured (gradients, edges) rather than noise, of several shapes and sizes."""
    return [_pattern(width, height) for width, height in ((320, 240), (240, 427), (224, 224), (97, 61), (640, 201))]


def require_agreement(what: str, found: Vectors, expected: Vectors, at_least: float = MIN_COSINE) -> None:
    """Compare unit vectors row by row.

    Raises:
        ExportError: a cosine is below `at_least` (or is not a number).
    """
    cosine = float(np.min(np.sum(found * expected, axis=1), initial=1.0))
    if not cosine >= at_least:
        raise ExportError(f"{what}: cosine {cosine:.5f} is below {at_least}; the model was not registered")


def _pattern(width: int, height: int) -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    disc = ((x - 0.4) ** 2 + (y - 0.6) ** 2 < 0.06).astype(float)
    stripes = (np.sin(width * x / 6) > 0) * (y < 0.35)
    channels = [0.7 * x + 0.3 * disc, 0.5 * y + 0.5 * stripes, 1 - 0.6 * disc - 0.3 * x * y]
    return Image.fromarray((255 * np.clip(np.stack(channels, axis=-1), 0, 1)).astype(np.uint8), "RGB")


def _trims(tokenizer: Tokenizer) -> bool:
    """Whether texts have no more tokens than the longest of their batch needs."""
    return tokenizer.padding is None or tokenizer.padding["length"] is None


def _text_inputs(towers: Towers, texts: Sequence[str]) -> list[np.ndarray]:
    tokens = to_tokens(towers.tokenizer, texts)
    return [tokens[name] for name in towers.info.text_inputs]


def _to_onnx(
    tower: nn.Module, inputs: Sequence[Tensor], names: Sequence[str], shape: dict[int, object], path: Path
) -> None:
    with _quiet(), torch.inference_mode():
        program = torch.onnx.export(
            tower.eval(),
            tuple(inputs),
            input_names=list(names),
            output_names=["vectors"],
            dynamic_shapes=tuple(shape for _ in inputs),
            dynamo=True,
            verbose=False,
        )
        if program is None:
            raise ExportError(f"torch.onnx gave no program for {path.name}")
        program.save(path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks to its own developers, on stdout, through warnings and through logging; none of it is for ours."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


@torch.inference_mode()
def _check(towers: Towers, folder: Path) -> None:
    runtime = OnnxRuntime(folder, towers.info, threads=2)
    images, how = sample_images(), towers.info.preprocessing
    # One by one and together: a graph with a fixed batch or length would fail here and not in production.
    for batch in [list(SAMPLE_TEXTS), *([text] for text in SAMPLE_TEXTS)]:
        expected = towers.text(*(torch.from_numpy(ids) for ids in _text_inputs(towers, batch)))
        require_agreement("text tower, ONNX Runtime against torch", runtime.encode_text(batch), expected.numpy())
    if _trims(towers.tokenizer):
        whole = replace(towers, tokenizer=padded(towers.tokenizer, towers.info.context_length))
        expected = towers.text(*(torch.from_numpy(ids) for ids in _text_inputs(whole, SAMPLE_TEXTS)))
        trimmed = np.concatenate([runtime.encode_text([text]) for text in SAMPLE_TEXTS])
        require_agreement("text without its padding", trimmed, expected.numpy(), MIN_TRIMMED_COSINE)
    for pictures in [images, images[:1]]:
        expected = towers.image(torch.from_numpy(to_pixels(pictures, how)))
        require_agreement("image tower, ONNX Runtime against torch", runtime.encode_image(pictures), expected.numpy())
