"""The encoder's interface, and `EncoderInfo`: what an artefact says of itself in its `encoder.json`."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .preprocess import Preprocessing

FORMAT: Final = 1
INFO_FILE: Final = "encoder.json"
TOKENIZER_FILE: Final = "tokenizer.json"
TEXT_GRAPH: Final = "onnx/text.onnx"
IMAGE_GRAPH: Final = "onnx/image.onnx"
WEIGHTS: Final = "weights"

Vectors = NDArray[np.float32]
Family = Literal["starter", "clip", "siglip", "siglip2"]
Precision = Literal["fp32", "int8"]
Item = TypeVar("Item")


class ArtefactError(ValueError):
    """The artefact is damaged, incomplete, or of another format; the message says which file and what to do."""


class Encoder(Protocol):
    """Texts and pictures to unit vectors of one space, so that their dot product is their cosine."""

    @property
    def dims(self) -> int:
        """The length of a vector."""
        ...

    @property
    def info(self) -> "EncoderInfo":
        """What the model is."""
        ...

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        """Return float32 (n, dims), unit length; n may be 0. Text past the context length is cut off."""
        ...

    def encode_image(self, images: Sequence[Image.Image]) -> Vectors:
        """Return float32 (n, dims), unit length; n may be 0. Pictures of any size; converted to RGB where they are not."""
        ...


@dataclass(frozen=True, kw_only=True)
class EncoderInfo:
    """The contents of `encoder.json`."""

    model: str
    """What people call it: the Hugging Face id, the name of the local directory, or `starter`."""
    family: Family
    source: str
    """Where the weights came from."""
    revision: str
    """Which version of the source: a commit, a hash of the files, or package versions."""
    dims: int
    pooling: str
    context_length: int
    """Tokens of a text that are kept, start and end included."""
    text_inputs: tuple[str, ...]
    """What the text tower takes: `input_ids`, and `attention_mask` where the model's processor gives one."""
    preprocessing: Preprocessing
    precision: Precision = "fp32"
    """Of the ONNX graphs' matrix products. `weights/` are float32, and run in bfloat16."""
    exported_with: dict[str, str] = field(default_factory=dict)
    """Package -> version."""
    checksums: dict[str, str] = field(default_factory=dict)
    """Path in the artefact -> SHA-256."""
    format: int = FORMAT

    @property
    def checksum(self) -> str:
        """One SHA-256 that stands for the whole artefact."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """`encoder.json`: the same info gives the same text."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "EncoderInfo":
        """Read `encoder.json`.

        Raises:
            ArtefactError: it is not one, or it is of a format that this version does not know.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            if fields.get("format") != FORMAT:
                raise ArtefactError(
                    f"{INFO_FILE} has format {fields.get('format')!r}, this version reads {FORMAT}: register the model again"
                )
            return cls(
                **fields
                | {
                    "preprocessing": Preprocessing.from_dict(fields["preprocessing"]),
                    "text_inputs": tuple(fields["text_inputs"]),
                }
            )
        except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise ArtefactError(f"{INFO_FILE} cannot be read ({error}): register the model again") from error


def read_info(folder: Path) -> EncoderInfo:
    """The info of the artefact in `folder`; raises `ArtefactError` where there is none."""
    try:
        return EncoderInfo.from_json((folder / INFO_FILE).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ArtefactError(f"no readable {INFO_FILE} in {folder}: this is not an encoder's artefact") from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(folder: Path) -> dict[str, str]:
    """Path -> SHA-256 of every file of an artefact but its `encoder.json`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != INFO_FILE)
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def verify(folder: Path, info: EncoderInfo, paths: Sequence[str]) -> None:
    """Compare files with their checksums.

    Raises:
        ArtefactError: a file is missing or is not what was registered.
    """
    for path in paths:
        if not (folder / path).is_file():
            raise ArtefactError(f"{path} is missing from the artefact of {info.model}: register the model again")
        if sha256(folder / path) != info.checksums.get(path):
            raise ArtefactError(f"{path} of {info.model} is damaged (its checksum differs): register the model again")


def batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """`items` in runs of at most `size`, so that memory does not grow with the request."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def stack(parts: Sequence[Vectors], dims: int) -> Vectors:
    """The vectors of all batches in one array; (0, dims) where there are none."""
    return np.concatenate(parts) if parts else np.empty((0, dims), dtype=np.float32)
