"""The encoder on a GPU: the Hugging Face model of the artefact in torch, bfloat16."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoModel

from .encoder import TOKENIZER_FILE, WEIGHTS, ArtefactError, EncoderInfo, Vectors, batches, stack
from .preprocess import to_pixels
from .tokens import load_tokenizer, to_tokens
from .towers import ImageTower, TextTower

BATCH = 256


class TorchRuntime:
    """An `Encoder` on a torch device. Safe to call from several threads at once; the device runs one batch after another."""

    def __init__(
        self, folder: Path, info: EncoderInfo, *, device: str = "cuda", dtype: torch.dtype = torch.bfloat16
    ) -> None:
        if not (folder / WEIGHTS).is_dir():
            raise ArtefactError(f"the {info.family} model has no torch weights: load it with device='cpu'")
        self.info = info
        self._device = torch.device(device)
        self._tokenizer = load_tokenizer(folder / TOKENIZER_FILE)
        model = AutoModel.from_pretrained(folder / WEIGHTS, dtype=dtype, local_files_only=True).eval().to(self._device)
        self._text = TextTower(model)
        self._image = ImageTower(model, info.preprocessing)

    @property
    def dims(self) -> int:
        """The length of a vector."""
        return self.info.dims

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """Return float32 (n, dims), unit length; n may be 0."""
        return stack([self._encode_texts(batch) for batch in batches(texts, BATCH)], self.dims)

    def encode_image(self, images: Sequence[Image.Image]) -> Vectors:
        """Return float32 (n, dims), unit length; n may be 0."""
        return stack([self._encode_images(batch) for batch in batches(images, BATCH)], self.dims)

    @torch.inference_mode()
    def _encode_texts(self, texts: Sequence[str]) -> Vectors:
        tokens = to_tokens(self._tokenizer, texts)
        vectors = self._text(
            **{name: torch.from_numpy(tokens[name]).to(self._device) for name in self.info.text_inputs}
        )
        return np.asarray(vectors.cpu().numpy(), dtype=np.float32)

    @torch.inference_mode()
    def _encode_images(self, images: Sequence[Image.Image]) -> Vectors:
        pixels = torch.from_numpy(to_pixels(images, self.info.preprocessing)).to(self._device)
        return np.asarray(self._image(pixels).cpu().numpy(), dtype=np.float32)
