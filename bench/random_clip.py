"""A CLIP ViT-B/32 of the real architecture and size, with random weights (seeded): as fast as the published one, and of no other use."""

from pathlib import Path


def save_clip(folder: Path) -> None:
    """Write it as `save_pretrained` does, with its processor and a tokenizer of few words."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

    start, end = "<|startoftext|>", "<|endoftext|>"
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1)]
    vocab = {token: number for number, token in enumerate([*letters, *(f"{letter}</w>" for letter in letters)])}
    vocab |= {start: 49406, end: 49407}
    config = CLIPConfig(
        text_config={"bos_token_id": vocab[start], "eos_token_id": vocab[end], "pad_token_id": vocab[end]}
    )
    torch.manual_seed(0)
    CLIPModel(config).eval().save_pretrained(folder)
    tokenizer = CLIPTokenizer(vocab=vocab, merges=[], model_max_length=77)
    CLIPProcessor(CLIPImageProcessor(), tokenizer).save_pretrained(folder)
