"""Tiny dual encoders of the real architectures, with real tokenizers and processors, as `save_pretrained` writes them.

Their weights are random (seeded): what is tested is that every number survives the way into the registry and back.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SENTENCES = (
    "a dog runs over the green field",
    "two children are playing in the snow",
    "ein rotes fahrrad lehnt an einer hauswand",
    "sunset over the sea with a small boat",
    "the cat is sleeping next to the window",
    "a very long description of people in a market, and what they buy",
)
SIDE = 32


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of a tiny `clip`, `siglip` or `siglip2`."""
    builders: dict[str, Callable[[Path], None]] = {"clip": save_clip, "siglip": save_siglip, "siglip2": save_siglip2}
    made: dict[str, Path] = {}

    def get(family: str) -> Path:
        if family not in made:
            made[family] = tmp_path_factory.mktemp("models") / f"tiny-{family}"
            builders[family](made[family])
        return made[family]

    return get


def save_clip(folder: Path) -> None:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    vocab, merges = byte_pairs()
    for token in ("<|startoftext|>", "<|endoftext|>"):
        vocab[token] = len(vocab)
    tokenizer = CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=20)
    text = {
        **text_config(len(vocab)),
        "max_position_embeddings": 20,
        "bos_token_id": vocab["<|startoftext|>"],
        "eos_token_id": vocab["<|endoftext|>"],
    }
    config = CLIPConfig(text_config=text, vision_config=vision_config(), projection_dim=24)
    save(
        folder,
        CLIPModel,
        config,
        CLIPProcessor(
            CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}), tokenizer
        ),
    )


def save_siglip(folder: Path) -> None:
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel, SiglipProcessor, SiglipTokenizer

    folder.mkdir()
    tokenizer = SiglipTokenizer(vocab_file=str(sentencepiece_model(folder)), model_max_length=16)
    config = SiglipConfig(
        text_config={**text_config(tokenizer.vocab_size), "max_position_embeddings": 16, "projection_size": 32},
        vision_config=vision_config(),
    )
    processor = SiglipProcessor(SiglipImageProcessor(size={"height": SIDE, "width": SIDE}), tokenizer)
    save(folder, SiglipModel, config, processor)


def save_siglip2(folder: Path) -> None:
    """As google/siglip2-base-patch16-224: a `SiglipModel` with the multilingual tokenizer."""
    from transformers import GemmaTokenizer, SiglipConfig, SiglipImageProcessor, SiglipModel, SiglipProcessor

    vocab, merges = gemma_pairs()
    tokenizer = GemmaTokenizer(vocab=vocab, merges=merges, padding_side="right", model_input_names=["input_ids"])
    config = SiglipConfig(
        text_config={**text_config(len(vocab)), "max_position_embeddings": 16, "projection_size": 32},
        vision_config=vision_config(),
    )
    processor = SiglipProcessor(SiglipImageProcessor(size={"height": SIDE, "width": SIDE}), tokenizer)
    save(folder, SiglipModel, config, processor)


def save(folder: Path, kind: Any, config: Any, processor: Any) -> None:
    import torch

    torch.manual_seed(0)
    kind(config).eval().save_pretrained(folder)
    processor.save_pretrained(folder)


def text_config(vocab_size: int) -> dict[str, Any]:
    return {
        "vocab_size": vocab_size,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 1,
    }


def vision_config() -> dict[str, Any]:
    return {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": SIDE,
        "patch_size": 8,
    }


def byte_pairs() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A vocabulary and merges as CLIP's: bytes, with `</w>` at the end of a word."""
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(False)]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=800, end_of_word_suffix="</w>", initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return trained(tokenizer)


def gemma_pairs() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A vocabulary and merges as Gemma's: characters with byte fallback, `▁` for a space."""
    from tokenizers import Tokenizer, normalizers
    from tokenizers.models import BPE
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = BpeTrainer(vocab_size=600, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return trained(tokenizer)


def trained(tokenizer: Any) -> tuple[dict[str, int], list[tuple[str, str]]]:
    import json

    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def sentencepiece_model(folder: Path) -> Path:
    """A SentencePiece unigram model with SigLIP's special tokens."""
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 3),
        model_prefix=str(folder / "spiece"),
        vocab_size=110,
        hard_vocab_limit=False,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return folder / "spiece.model"
