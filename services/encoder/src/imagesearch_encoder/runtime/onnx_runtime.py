"""The encoder on a CPU: two ONNX graphs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image

from .encoder import IMAGE_GRAPH, TEXT_GRAPH, TOKENIZER_FILE, ArtefactError, EncoderInfo, Vectors, batches, stack
from .preprocess import to_pixels
from .tokens import load_tokenizer, to_tokens

TEXT_BATCH = 32
IMAGE_BATCH = 8
"""Larger batches are no faster on a CPU (the starter model: 75 pictures/s at 8, 59 at 32), and take far more memory."""


class OnnxRuntime:
    """An `Encoder` on a CPU. Safe to call from several threads at once; they share its `threads`."""

    def __init__(self, folder: Path, info: EncoderInfo, *, threads: int) -> None:
        self.info = info
        self._tokenizer = load_tokenizer(folder / TOKENIZER_FILE)
        self._text = _session(folder / TEXT_GRAPH, threads)
        self._image = _session(folder / IMAGE_GRAPH, threads)

    @property
    def dims(self) -> int:
        """The length of a vector."""
        return self.info.dims

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """Return float32 (n, dims), unit length; n may be 0."""
        return stack([self._encode_texts(batch) for batch in batches(texts, TEXT_BATCH)], self.dims)

    def encode_image(self, images: Sequence[Image.Image]) -> Vectors:
        """Return float32 (n, dims), unit length; n may be 0."""
        return stack([self._encode_images(batch) for batch in batches(images, IMAGE_BATCH)], self.dims)

    def _encode_texts(self, texts: Sequence[str]) -> Vectors:
        tokens = to_tokens(self._tokenizer, texts)
        (vectors,) = self._text.run(None, {name: tokens[name] for name in self.info.text_inputs})
        return np.asarray(vectors, dtype=np.float32)

    def _encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        (vectors,) = self._image.run(None, {"pixels": to_pixels(images, self.info.preprocessing)})
        return np.asarray(vectors, dtype=np.float32)


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # A thread that spins while it waits takes its core from whatever else runs beside the encoder.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ArtefactError(f"{path.name} cannot be loaded by ONNX Runtime: {error}") from error
