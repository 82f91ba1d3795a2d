"""CLIPs of the real architecture with random weights (seeded): as fast as published ones of their size, and of no other use."""

from pathlib import Path
from typing import Any

START, END = 49406, 49407


def save_clip(folder: Path) -> None:
    """A ViT-B/32, of the size of openai/clip-vit-base-patch32."""
    _save(folder, text={}, vision={}, side=224)


def save_tiny_clip(folder: Path) -> None:
    """One that takes next to no time, where everything around the model is to be looked at."""
    layers = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
    _save(folder, text=layers, vision={**layers, "image_size": 64}, side=64, projection_dim=64)


def _save(folder: Path, *, text: dict[str, Any], vision: dict[str, Any], side: int, **sizes: Any) -> None:
    """As `save_pretrained` does, with a processor, and a tokenizer of few words."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    vocab: dict[str, Any] = {token: at for at, token in enumerate([*letters, *(f"{each}</w>" for each in letters)])}
    vocab |= {"<|startoftext|>": START, "<|endoftext|>": END}
    ends = {"bos_token_id": START, "eos_token_id": END, "pad_token_id": END}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text | ends, vision_config=vision, **sizes)).save_pretrained(folder)
    images = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    tokenizer = CLIPTokenizer(vocab=vocab, merges=[], model_max_length=77)
    processor: Any = CLIPProcessor
    processor(images, tokenizer).save_pretrained(folder)
