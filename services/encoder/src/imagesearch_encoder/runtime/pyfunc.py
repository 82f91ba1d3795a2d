"""The encoder as an MLflow pyfunc; MLflow calls `_load_pyfunc` with the artefact's folder.

model = mlflow.pyfunc.load_model("models:/starter/1")
model.predict(pandas.DataFrame({"text": ["a dog", "Vögel"]}))      -> float32 (2, 512)
model.predict(pandas.DataFrame({"image": [picture_bytes]}))        -> float32 (1, 512)
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from .encoder import Vectors, read_info
from .onnx_runtime import OnnxRuntime

THREADS = 2


class EncoderModel:
    """What `mlflow.pyfunc` wraps."""

    def __init__(self, encoder: OnnxRuntime) -> None:
        self._encoder = encoder

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Vectors:  # noqa: ARG002  (MLflow's)
        """Encode texts or pictures.

        Args:
            model_input: a DataFrame with a column `text` (strings) or `image` (the bytes of a JPEG, PNG, ... file).
            params: none are known.

        Returns:
            float32 (n, dims), unit length, a row for each row of the input.

        Raises:
            ValueError: the input has both columns or neither, or mixes texts and pictures, or a picture cannot be read.
        """
        values = _column(model_input)
        if all(isinstance(value, str) for value in values):
            return self._encoder.encode_text(values)
        if all(isinstance(value, bytes) for value in values):
            return self._encoder.encode_image([_decode(value, row) for row, value in enumerate(values)])
        raise ValueError("give strings to encode as texts, or bytes to encode as pictures, one kind at a time")


def _load_pyfunc(path: str) -> EncoderModel:
    folder = Path(path)
    return EncoderModel(OnnxRuntime(folder, read_info(folder), threads=THREADS))


def _column(frame: pd.DataFrame) -> Sequence[Any]:
    given = [name for name in ("text", "image") if name in frame.columns and (frame.empty or frame[name].notna().any())]
    if not given or (len(given) > 1 and not frame.empty):
        raise ValueError(
            'give one column, as in pandas.DataFrame({"text": ["a dog"]}) or pandas.DataFrame({"image": [bytes_of_a_file]})'
        )
    return frame[given[0]].tolist()


def _decode(data: bytes, row: int) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return _on_white(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"the picture in row {row} cannot be read: {error}") from error


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
