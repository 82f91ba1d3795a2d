"""Text and pictures to vectors of one space.

Whoever embeds or searches calls `load_encoder`, and needs no more than the `Encoder` that it returns.
"""

from imagesearch_encoder.registry import RegistryError, load_encoder
from imagesearch_encoder.runtime.encoder import ArtefactError, Encoder, EncoderInfo

__all__ = ["ArtefactError", "Encoder", "EncoderInfo", "RegistryError", "load_encoder"]
