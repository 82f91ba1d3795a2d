"""A SentencePiece unigram model as a `tokenizer.json`, so that the artefact needs one tokenizer library only."""

from collections.abc import Sequence
from pathlib import Path

from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import Unigram
from tokenizers.normalizers import Normalizer


def from_sentencepiece(path: Path, before: Sequence[Normalizer] = ()) -> Tokenizer:
    """Return a tokenizer that gives the ids of the model in `path`, without start and end tokens.

    Args:
        path: a SentencePiece unigram model.
        before: what happens to a text before SentencePiece's own normalising.
    """
    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]  # made at import by protobuf
    model.ParseFromString(path.read_bytes())
    tokenizer = Tokenizer(Unigram([(piece.piece, piece.score) for piece in model.pieces], model.trainer_spec.unk_id))
    charsmap = model.normalizer_spec.precompiled_charsmap
    tokenizer.normalizer = normalizers.Sequence(
        [
            *before,
            *([normalizers.Precompiled(charsmap)] if charsmap else []),
            normalizers.Strip(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    return tokenizer
