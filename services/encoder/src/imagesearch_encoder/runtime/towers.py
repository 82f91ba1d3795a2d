"""The two towers of a Hugging Face dual encoder as torch modules with the artefact's inputs and outputs.

Registration exports them, `TorchRuntime` runs them: the same code makes the vectors of both.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import CLIPModel, SiglipModel

from .preprocess import Preprocessing

DualEncoder = CLIPModel | SiglipModel
"""SigLIP 2 of fixed resolution is a `SiglipModel` too."""


class TextTower(nn.Module):
    """Token ids int64 (n, tokens) -> unit vectors float32 (n, dims)."""

    def __init__(self, model: DualEncoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        features = self.model.get_text_features(input_ids=input_ids, attention_mask=attention_mask).pooler_output
        return normalize(features.float(), dim=-1)


class ImageTower(nn.Module):
    """Pixels uint8 (n, height, width, 3) -> unit vectors float32 (n, dims)."""

    def __init__(self, model: DualEncoder, how: Preprocessing) -> None:
        super().__init__()
        self.model = model
        self.normalise = Normalise(how)

    def forward(self, pixels: Tensor) -> Tensor:
        values = self.normalise(pixels).to(self.model.dtype)
        return normalize(self.model.get_image_features(pixel_values=values).pooler_output.float(), dim=-1)


class Normalise(nn.Module):
    """Pixels uint8 (n, height, width, 3) -> float32 (n, 3, height, width), rescaled and normalised."""

    def __init__(self, how: Preprocessing) -> None:
        super().__init__()
        self.rescale = how.rescale
        # Plain attributes would stay on the CPU; buffers would follow the model into bfloat16, which cannot hold them.
        self.mean = how.mean
        self.std = how.std

    def forward(self, pixels: Tensor) -> Tensor:
        mean = torch.tensor(self.mean, dtype=torch.float32, device=pixels.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, dtype=torch.float32, device=pixels.device).view(1, 3, 1, 1)
        return (pixels.permute(0, 3, 1, 2).float() * self.rescale - mean) / std
