"""Texts are encoded at their own length where that changes nothing, and only there."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from imagesearch_encoder.runtime.tokens import padded, to_tokens
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

TEXTS = ["a dog", "two children are playing in the snow", "", "a field " * 40]


def words(length: int | None = None) -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({"[PAD]": 0, "[UNK]": 1, "dog": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_padding(direction="left", pad_id=0, length=length)
    return tokenizer


def test_a_padded_copy_differs_in_the_length_alone() -> None:
    tokenizer = words()
    assert to_tokens(padded(tokenizer, 4), ["dog"])["input_ids"].tolist() == [[0, 0, 0, 2]]
    assert to_tokens(tokenizer, ["dog"])["input_ids"].tolist() == [[2]]
    assert to_tokens(tokenizer, ["dog", "a dog"])["input_ids"].tolist() == [[0, 2], [1, 2]]


@pytest.mark.integration
def test_clip_gives_the_same_vectors_without_the_padding(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    from imagesearch_encoder import huggingface
    from imagesearch_encoder.export import export
    from imagesearch_encoder.runtime.encoder import TOKENIZER_FILE
    from imagesearch_encoder.runtime.onnx_runtime import OnnxRuntime

    info = export(huggingface.build(str(tiny_model("clip")), "revision", tmp_path), tmp_path)
    alone = [OnnxRuntime(tmp_path, info, threads=1).encode_text([text])[0] for text in TEXTS]
    tokenizer = Tokenizer.from_file(str(tmp_path / TOKENIZER_FILE))
    lengths = [to_tokens(tokenizer, [text])["input_ids"].shape[1] for text in TEXTS]
    assert lengths[2] == 2  # start and end
    assert lengths[0] < lengths[1] < info.context_length == lengths[3]

    padded(tokenizer, info.context_length).save(str(tmp_path / TOKENIZER_FILE))
    whole = OnnxRuntime(tmp_path, info, threads=1).encode_text(TEXTS)

    assert np.sum(np.stack(alone) * whole, axis=1).min() > 0.9999


@pytest.mark.integration
def test_a_tower_that_heeds_its_padding_is_not_registered_without_it(
    tiny_model: Callable[[str], Path], tmp_path: Path
) -> None:
    """SigLIP reads the last position and looks both ways, so a text cut to its own length is another text to it."""
    from imagesearch_encoder import huggingface
    from imagesearch_encoder.export import export
    from imagesearch_encoder.sources import ExportError

    towers = huggingface.build(str(tiny_model("siglip")), "revision", tmp_path)
    assert towers.tokenizer.padding is not None
    assert towers.tokenizer.padding["length"] == towers.info.context_length
    trimming = Tokenizer.from_str(towers.tokenizer.to_str())
    trimming.enable_padding(**{**towers.tokenizer.padding, "length": None})

    with pytest.raises(ExportError, match=r"text without its padding: cosine .* is below 0\.9999"):
        export(replace(towers, tokenizer=trimming), tmp_path)
