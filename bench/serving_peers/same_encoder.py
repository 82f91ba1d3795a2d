"""What every peer serves: our encoder and our decoder, from the artefact's folder. Settings come from `bench/serving.py`."""

import os
from collections.abc import Sequence
from pathlib import Path

from imagesearch_encoder.runtime.encoder import Vectors, read_info
from imagesearch_encoder.runtime.onnx_runtime import OnnxRuntime
from imagesearch_fetcher.decode import decode
from PIL import Image

FOLDER = Path(os.environ["BENCH_ARTEFACT"])
WORKERS = int(os.environ["BENCH_WORKERS"])
"""Processes that hold the model."""
THREADS = int(os.environ["BENCH_THREADS"])
"""Of ONNX Runtime in each of them."""
CORES = WORKERS * THREADS
PORT = int(os.environ["BENCH_PORT"])
BATCH = int(os.environ["BENCH_BATCH"])
WAIT_MS = 5
"""For company, where the server has to be told."""

MIN_SIDE = read_info(FOLDER).preprocessing.min_side


def open_picture(data: bytes) -> Image.Image:
    """The bytes of a file as a picture of the size that the model looks at."""
    return decode(data, 40_000_000, min_side=MIN_SIDE)


class SameEncoder:
    """The encoder, warm."""

    def __init__(self) -> None:
        self._encoder = OnnxRuntime(FOLDER, read_info(FOLDER), threads=THREADS)
        self.encode([Image.new("RGB", (64, 64))])

    def encode(self, pictures: Sequence[Image.Image]) -> Vectors:
        """Float32 (n, dims)."""
        return self._encoder.encode_image(pictures)
