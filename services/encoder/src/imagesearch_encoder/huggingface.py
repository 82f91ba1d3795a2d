"""Hugging Face dual encoders of the CLIP and SigLIP families, as towers ready for export.

The model's own processor decides the preprocessing: its numbers are read here once, written into the artefact, and
the result is compared with the processor's before anything is registered.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image
from tokenizers import Regex, Tokenizer, normalizers
from tokenizers.processors import TemplateProcessing
from transformers import AutoConfig, AutoModel, AutoProcessor, ProcessorMixin, SiglipTokenizer
from transformers.utils import logging

from imagesearch_encoder.export import SAMPLE_TEXTS, Towers, require_agreement, sample_images
from imagesearch_encoder.runtime.encoder import WEIGHTS, EncoderInfo, Family
from imagesearch_encoder.runtime.preprocess import Preprocessing, Resample, Resize, to_pixels
from imagesearch_encoder.runtime.tokens import to_tokens
from imagesearch_encoder.runtime.towers import DualEncoder, ImageTower, Normalise, TextTower
from imagesearch_encoder.sentencepiece_tokenizer import from_sentencepiece
from imagesearch_encoder.sources import ExportError, SourceError

POOLING: Final[dict[Family, str]] = {
    "clip": "text: end token; image: class token",
    "siglip": "text: last token; image: attention pooling",
    "siglip2": "text: last token; image: attention pooling",
}
MAX_LEVELS: Final = 2.5
"""Of 255; Pillow and torchvision round differently when they scale a picture."""
PUNCTUATION: Final = r"""[!-/:-@\[-`{-~]"""
"""ASCII punctuation, which SigLIP's tokenizer drops."""


def build(model: str, revision: str, folder: Path) -> Towers:
    """Load a model, save its weights into the artefact, and return its towers.

    Args:
        model: a Hugging Face id, or a directory.
        revision: the commit of the id; ignored for a directory.
        folder: the artefact's.

    Raises:
        SourceError: the files cannot be had or read.
        ExportError: it is no CLIP or SigLIP of fixed resolution, or its preprocessing is of a kind not known here.
    """
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    network, processor = _load(model, revision)
    family = _family(network, processor)
    how = _preprocessing(processor.image_processor)
    tokenizer, length = _tokenizer(network, processor, family)
    given = _processor_tokens(processor, family, length, ["a dog"])
    # A CLIP text tower looks backwards only and reads off the end token, so what is padding cannot matter to it.
    text_inputs = (
        ("input_ids",) if family == "clip" else tuple(n for n in ("input_ids", "attention_mask") if n in given)
    )
    towers = Towers(
        info=EncoderInfo(
            model=Path(model).name if Path(model).is_dir() else model,
            family=family,
            source="local directory" if Path(model).is_dir() else f"https://huggingface.co/{model}",
            revision=revision,
            dims=_dims(network),
            pooling=POOLING[family],
            context_length=length,
            text_inputs=text_inputs,
            preprocessing=how,
        ),
        tokenizer=tokenizer,
        text=TextTower(network).eval(),
        image=ImageTower(network, how).eval(),
    )
    _compare(towers, processor, network)
    network.save_pretrained(folder / WEIGHTS)
    return towers


def _load(model: str, revision: str) -> tuple[DualEncoder, ProcessorMixin]:
    pinned = {} if Path(model).is_dir() else {"revision": revision}
    try:
        config = AutoConfig.from_pretrained(model, **pinned)
        if config.model_type not in {"clip", "siglip"}:
            raise ExportError(_unsupported(model, config.model_type))
        network = AutoModel.from_pretrained(model, dtype=torch.float32, attn_implementation="sdpa", **pinned).eval()
        processor = AutoProcessor.from_pretrained(model, **pinned)  # type: ignore[no-untyped-call]
        return network, processor
    except (OSError, KeyError, TypeError) as error:
        raise SourceError(f"{model} cannot be loaded: {str(error).strip().splitlines()[0]}") from error


def _unsupported(model: str, model_type: str) -> str:
    if model_type == "siglip2":
        return (
            f"{model} is a SigLIP 2 of variable resolution (NaFlex), which is not supported: "
            "take one of fixed resolution, such as google/siglip2-base-patch16-224"
        )
    return f"{model} is a {model_type} model; supported are the dual encoders of the CLIP, SigLIP and SigLIP 2 families"


def _family(network: DualEncoder, processor: ProcessorMixin) -> Family:
    if network.config.model_type == "clip":
        return "clip"
    # SigLIP 2 of fixed resolution is a SiglipModel too; what tells them apart is its multilingual tokenizer.
    return "siglip" if isinstance(processor.tokenizer, SiglipTokenizer) else "siglip2"


def _dims(network: DualEncoder) -> int:
    config: Any = network.config
    return int(config.projection_dim if config.model_type == "clip" else config.vision_config.hidden_size)


def _preprocessing(processor: Any) -> Preprocessing:
    """What the image processor's own configuration says.

    Raises:
        ExportError: it has a step that `Preprocessing` cannot express.
    """
    for step in ("do_pad", "do_thumbnail", "do_align_long_axis"):
        if getattr(processor, step, None):
            raise ExportError(f"the image processor's {step} is not supported")
    if not (processor.do_resize and processor.do_rescale and processor.do_normalize):
        raise ExportError("an image processor that does not resize, rescale and normalise is not supported")
    size, crop = dict(processor.size), processor.crop_size if getattr(processor, "do_center_crop", False) else None
    match {name: value for name, value in size.items() if value is not None}, crop and dict(crop):
        case {"shortest_edge": edge}, {"height": height, "width": width}:
            resize: Resize = "shortest_edge"
        case {"height": height, "width": width}, None:
            resize, edge = "stretch", 0
        case {"height": height, "width": width}, {"height": h, "width": w} if (height, width) == (h, w):
            resize, edge = "stretch", 0
        case _:
            raise ExportError(f"an image processor with size {size} and crop {crop} is not supported")
    return Preprocessing(
        resize=resize,
        shortest_edge=edge,
        height=height,
        width=width,
        resample=_resample(processor.resample),
        mean=_triple(processor.image_mean),
        std=_triple(processor.image_std),
        rescale=float(processor.rescale_factor),
    )


def _triple(numbers: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, numbers)
    return red, green, blue


def _resample(number: int) -> Resample:
    names: dict[int, Resample] = {
        Image.Resampling.NEAREST: "nearest",
        Image.Resampling.LANCZOS: "lanczos",
        Image.Resampling.BILINEAR: "bilinear",
        Image.Resampling.BICUBIC: "bicubic",
        Image.Resampling.BOX: "box",
        Image.Resampling.HAMMING: "hamming",
    }
    return names[int(number)]


def _tokenizer(network: DualEncoder, processor: ProcessorMixin, family: Family) -> tuple[Tokenizer, int]:
    """The tokenizer with the model's truncation and padding, and the context length in tokens."""
    original = processor.tokenizer
    config: Any = network.config
    length = int(config.text_config.max_position_embeddings)
    if family == "siglip":
        tokenizer = _siglip_tokenizer(original)
    else:
        tokenizer = Tokenizer.from_str(original.backend_tokenizer.to_str())
    tokenizer.enable_truncation(length, direction=original.truncation_side)
    tokenizer.enable_padding(
        direction=original.padding_side,
        pad_id=original.pad_token_id,
        pad_token=str(original.pad_token),
        length=None if family == "clip" else length,
    )
    return tokenizer, length


def _siglip_tokenizer(original: SiglipTokenizer) -> Tokenizer:
    """SigLIP's tokenizer exists in Python only; this is the same as a `tokenizer.json`."""
    before = [
        *([normalizers.Lowercase()] if original.do_lower_case else []),
        normalizers.Replace(Regex(PUNCTUATION), ""),
        normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Strip(),
    ]
    tokenizer = from_sentencepiece(Path(str(original.vocab_file)), before)
    end, number = str(original.eos_token), original.eos_token_id
    tokenizer.post_processor = TemplateProcessing(single=f"$A {end}", special_tokens=[(end, number)])
    return tokenizer


def _processor_tokens(processor: ProcessorMixin, family: Family, length: int, texts: list[str]) -> dict[str, Any]:
    padding = "longest" if family == "clip" else "max_length"
    tokens = processor(text=texts, padding=padding, truncation=True, max_length=length, return_tensors="np")
    return dict(tokens)


@torch.inference_mode()
def _compare(towers: Towers, processor: ProcessorMixin, network: DualEncoder) -> None:
    """Compare tokens, pixels and vectors with those of the model's own processor."""
    info = towers.info
    texts = list(SAMPLE_TEXTS)
    theirs = _processor_tokens(processor, info.family, info.context_length, texts)["input_ids"]
    ours = to_tokens(towers.tokenizer, texts)["input_ids"]
    if theirs.shape != ours.shape or (theirs != ours).any():
        raise ExportError("the tokenizer could not be rebuilt: its ids differ from the processor's")
    images = sample_images()
    values = processor.image_processor(images, return_tensors="pt")["pixel_values"]
    pixels = torch.from_numpy(to_pixels(images, info.preprocessing))
    normalised = Normalise(info.preprocessing)(pixels)
    if values.shape != normalised.shape:
        raise ExportError(f"the processor gives pixels of shape {tuple(values.shape)}, which is not supported")
    levels = (values - normalised).abs().amax(dim=(0, 2, 3)) * torch.tensor(info.preprocessing.std) * 255
    if levels.max() > MAX_LEVELS:
        raise ExportError(
            f"the preprocessing could not be rebuilt: pixels are up to {levels.max():.1f} of 255 levels off the processor's"
        )
    expected = torch.nn.functional.normalize(network.get_image_features(pixel_values=values).pooler_output, dim=-1)
    require_agreement(
        "preprocessing, ours against the processor's", towers.image(pixels).numpy().astype(np.float32), expected.numpy()
    )
