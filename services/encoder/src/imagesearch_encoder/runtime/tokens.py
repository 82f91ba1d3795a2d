"""Texts to token ids. The artefact's `tokenizer.json` holds it all: normalising, truncation, padding.

A CLIP tokenizer pads to the longest text of the batch (its text tower looks backwards only and reads the vector off
the end token, so padding changes nothing and is wasted work); a SigLIP tokenizer pads to the full length, because
its tower reads the last position. Which of the two it is was decided at registration.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

Tokens = dict[str, NDArray[np.int64]]


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a `tokenizer.json`."""
    return Tokenizer.from_file(str(path))


def padded(tokenizer: Tokenizer, length: int) -> Tokenizer:
    """A copy that pads every text to `length` tokens."""
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.enable_padding(**{**(tokenizer.padding or {}), "length": length})
    return copy


def to_tokens(tokenizer: Tokenizer, texts: Sequence[str]) -> Tokens:
    """Return `input_ids` and `attention_mask`, each int64 (n, tokens); n is at least 1.

    A lone surrogate cannot be written as UTF-8, so it is replaced; it means nothing to any tokenizer.
    """
    encodings = tokenizer.encode_batch([text.encode(errors="replace").decode() for text in texts])
    return {
        "input_ids": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
        "attention_mask": np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64),
    }
