"""An artefact's graphs in 8-bit integers, and whether that costs anything: `imagesearch-model register --precision int8`.

Weights of the matrix products become int8, what they are multiplied with is quantised as it comes (ONNX Runtime's dynamic
quantisation); convolutions stay as they are, for which ONNX Runtime's integer kernels are slower. Where the processor has
instructions for it (VNNI, AMX) a transformer gains a factor of two or three, elsewhere little or nothing.

The vectors are not the same, so a model is only registered in int8 after it was compared with itself in float32 on captioned
pictures. There is no bfloat16 here: ONNX Runtime has no such kernels for x86 processors. A GPU runs the model in it anyway.
"""

import logging
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from imagesearch_encoder.evaluate import Captioned, open_picture
from imagesearch_encoder.runtime.encoder import (
    IMAGE_GRAPH,
    INFO_FILE,
    TEXT_GRAPH,
    Encoder,
    EncoderInfo,
    Item,
    Precision,
    Vectors,
    batches,
    checksums,
)
from imagesearch_encoder.sources import ExportError

Wanted = Literal["fp32", "int8", "auto"]

K: Final = 10
MIN_PICTURES: Final = 100
"""With fewer, ten neighbours are too large a part of all to tell anything."""
MAX_PICTURES: Final = 1000
MIN_COSINE: Final = 0.99
MIN_AGREEMENT: Final = 0.95
MAX_RECALL_LOSS: Final = 0.01
MIN_SPEED_UP: Final = 1.1
"""Of the tower that gains less; below this `auto` keeps float32."""
LONE_TEXTS: Final = 50
BATCH: Final = 8


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a quantised encoder compares with its original, on captioned pictures."""

    cosine: float
    """The least between the two vectors of any text or picture."""
    agreement_at_10: float
    """Of the ten pictures that are nearest to a caption by the original, the share that still are; the mean."""
    recall_at_10_loss: float
    """By how much fewer captions have their own picture among the nearest ten."""
    text_speed_up: float
    """Of a lone text."""
    image_speed_up: float
    """Of a batch of 8 pictures, their scaling included."""

    @property
    def costs_nothing(self) -> bool:
        """Whether no search would be worse for it."""
        return (
            self.cosine >= MIN_COSINE
            and self.agreement_at_10 >= MIN_AGREEMENT
            and self.recall_at_10_loss <= MAX_RECALL_LOSS
        )

    @property
    def brings_something(self) -> bool:
        """Whether both towers are faster for it, on this processor."""
        return min(self.text_speed_up, self.image_speed_up) >= MIN_SPEED_UP

    @property
    def figures(self) -> dict[str, float]:
        """As MLflow keeps them: `int8_cosine` and so on."""
        return {f"int8_{name}": value for name, value in asdict(self).items()}

    def __str__(self) -> str:
        return (
            f"cosine {self.cosine:.4f} (at least {MIN_COSINE}), agreement@10 {self.agreement_at_10:.3f} (at least {MIN_AGREEMENT}), "
            f"recall@10 {0 - self.recall_at_10_loss:+.3f} (at most {MAX_RECALL_LOSS} less), "
            f"texts x {self.text_speed_up:.2f} as fast, pictures x {self.image_speed_up:.2f}"
        )


def quantise(folder: Path, into: Path, info: EncoderInfo) -> EncoderInfo:
    """Copy an artefact, its graphs in int8; the copy's info."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    shutil.copytree(folder, into, ignore=lambda _, names: [name for name in names if ".onnx" in name])
    logging.disable(logging.WARNING)  # it advises a step that the exporter has taken, to the root logger
    try:
        for graph in (TEXT_GRAPH, IMAGE_GRAPH):
            quantize_dynamic(
                folder / graph,
                into / graph,
                op_types_to_quantize=["MatMul", "Gemm"],
                per_channel=True,
                reduce_range=True,  # 7 bits: without VNNI the sums of 8 do not fit, and would be cut off silently
                weight_type=QuantType.QInt8,
            )
    finally:
        logging.disable(logging.NOTSET)
    return written(into, replace(info, precision="int8", checksums=checksums(into)))


def written(folder: Path, info: EncoderInfo) -> EncoderInfo:
    """Write an artefact's info, and return it."""
    (folder / INFO_FILE).write_text(info.to_json())
    return info


def judge(original: Encoder, quantised: Encoder, pictures: Sequence[Captioned]) -> Verdict:
    """Compare two encoders.

    Args:
        original: the model in float32.
        quantised: the same in int8.
        pictures: with captions, each of which is a query; at most 1000 pictures are looked at.

    Raises:
        ExportError: there are fewer than 100 pictures.
        CaptionsError: a picture is missing or cannot be decoded.
    """
    if len(pictures) < MIN_PICTURES:
        raise ExportError(
            f"int8 is judged on at least {MIN_PICTURES} captioned pictures, and there are {len(pictures)}"
        )
    pictures, both = pictures[:MAX_PICTURES], (original, quantised)
    queries = [(caption, row) for row, picture in enumerate(pictures) for caption in picture.captions.values()]
    texts, own = [caption for caption, _ in queries], np.array([row for _, row in queries])
    text_vectors = [encoder.encode_text(texts) for encoder in both]
    _, text_seconds = _in_turn([each.encode_text for each in both], batches(texts[:LONE_TEXTS], 1))
    opened = ([open_picture(picture.image) for picture in batch] for batch in batches(pictures, BATCH))
    image_vectors, image_seconds = _in_turn([each.encode_image for each in both], opened)
    nearest = [_nearest(words @ images.T) for words, images in zip(text_vectors, image_vectors, strict=True)]
    found = [float((rows == own[:, None]).any(axis=1).mean()) for rows in nearest]
    return Verdict(
        cosine=min(_least_cosine(text_vectors), _least_cosine(image_vectors)),
        agreement_at_10=_agreement(*nearest),
        recall_at_10_loss=found[0] - found[1],
        text_speed_up=text_seconds[0] / text_seconds[1],
        image_speed_up=image_seconds[0] / image_seconds[1],
    )


def choose(wanted: Wanted, verdict: Verdict) -> Precision:
    """The precision in which a model is registered.

    Raises:
        ExportError: int8 was asked for, and searches would be worse for it.
    """
    if wanted == "int8" and not verdict.costs_nothing:
        raise ExportError(
            f"in int8 searches would be worse: {verdict}; the model was not registered. Take fp32, or auto"
        )
    return "int8" if wanted == "int8" or (verdict.costs_nothing and verdict.brings_something) else "fp32"


def _in_turn(
    encodes: Sequence[Callable[[Sequence[Item]], Vectors]], batched: Iterable[Sequence[Item]]
) -> tuple[list[Vectors], list[float]]:
    """What each makes of all batches, and its median seconds for one: where the machine is busy, it is busy for all."""
    vectors: list[list[Vectors]] = [[] for _ in encodes]
    seconds: list[list[float]] = [[] for _ in encodes]
    for batch in batched:
        for number, encode in enumerate(encodes):
            began = time.perf_counter()
            vectors[number].append(encode(batch))
            seconds[number].append(time.perf_counter() - began)
    return [np.concatenate(each) for each in vectors], [statistics.median(each) for each in seconds]


def _least_cosine(pair: Sequence[Vectors]) -> float:
    return float(np.sum(pair[0] * pair[1], axis=1).min())


def _nearest(similarity: NDArray[np.float32]) -> NDArray[np.int64]:
    """The columns of the ten largest values of each row, in no order."""
    return np.argpartition(-similarity, K - 1, axis=1)[:, :K]


def _agreement(some: NDArray[np.int64], others: NDArray[np.int64]) -> float:
    return float((some[:, :, None] == others[:, None, :]).any(axis=2).mean())
