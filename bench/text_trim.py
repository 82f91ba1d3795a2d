"""What it saves to encode a text at its own length: `python bench/text_trim.py`.

A CLIP text tower (ViT-B/32's, random weights), as it is registered, against the same with every text padded to the 77 tokens
that it can take, as transformers' processor does with `padding="max_length"`. Both in turn, on texts of several lengths; most
searches have 5 to 12 tokens. A SigLIP tower needs its padding, and gets it.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from imagesearch_encoder.export import export
from imagesearch_encoder.runtime.encoder import TOKENIZER_FILE
from imagesearch_encoder.runtime.onnx_runtime import OnnxRuntime
from imagesearch_encoder.runtime.tokens import load_tokenizer, padded
from imagesearch_encoder.sources import huggingface_source
from random_clip import save_clip
from rich.console import Console
from rich.table import Table

CORES = len(os.sched_getaffinity(0))
LENGTHS = (6, 10, 20, 40, 77)
"""Tokens, start and end included."""


@dataclass
class Way:
    """One of the two."""

    encoder: OnnxRuntime
    milliseconds: list[float] = field(default_factory=list)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode, and keep the time."""
        began = time.perf_counter()
        vectors = self.encoder.encode_text(texts)
        self.milliseconds.append((time.perf_counter() - began) * 1000)
        return vectors


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--batch", type=int, default=16, help="texts that are encoded together")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imagesearch-trim-") as scratch:
        trimmed, whole = encoders(Path(scratch))
    table = Table(
        "tokens", "texts", "own length ms", "padded ms", "padded / own", "cosine, least", title="bench/text_trim"
    )
    for tokens in LENGTHS:
        for texts in (1, args.batch):
            table.add_row(str(tokens), str(texts), *compare(trimmed, whole, [text(tokens)] * texts, args.rounds))
    Console().print(table)
    print(f"{CORES} cores, load {os.getloadavg()[0]:.1f}")


def encoders(folder: Path) -> tuple[OnnxRuntime, OnnxRuntime]:
    """The encoder as it is registered, and the one that pads."""
    save_clip(folder / "clip-vit-b32")
    towers = huggingface_source(str(folder / "clip-vit-b32")).build(folder / "artefact")
    info = export(towers, folder / "artefact")
    trimmed = OnnxRuntime(folder / "artefact", info, threads=CORES)
    tokenizer = folder / "artefact" / TOKENIZER_FILE
    padded(load_tokenizer(tokenizer), info.context_length).save(str(tokenizer))
    return trimmed, OnnxRuntime(folder / "artefact", info, threads=CORES)


def text(tokens: int) -> str:
    """A text of so many tokens: the model's tokenizer knows single letters."""
    return " ".join("abcdefghij"[n % 10] for n in range(tokens - 2))


def compare(trimmed: OnnxRuntime, whole: OnnxRuntime, texts: Sequence[str], rounds: int) -> tuple[str, ...]:
    """Both in turn: the medians, their ratio, and how alike the vectors are."""
    ours, theirs = Way(trimmed), Way(whole)
    cosine = min(float(np.sum(ours.encode(texts) * theirs.encode(texts), axis=1).min()) for _ in range(rounds))
    own, full = statistics.median(ours.milliseconds), statistics.median(theirs.milliseconds)
    return f"{own:.1f}", f"{full:.1f}", f"{full / own:.2f}", f"{cosine:.6f}"


if __name__ == "__main__":
    main()
