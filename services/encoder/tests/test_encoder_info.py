"""`encoder.json`, and the checks of an artefact's files."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from imagesearch_encoder import ArtefactError, EncoderInfo
from imagesearch_encoder.runtime.encoder import batches, read_info, sha256, stack, verify
from imagesearch_encoder.runtime.preprocess import Preprocessing

INFO = EncoderInfo(
    model="example/model",
    family="clip",
    source="https://huggingface.co/example/model",
    revision="0123abc",
    dims=4,
    pooling="end token",
    context_length=77,
    text_inputs=("input_ids",),
    preprocessing=Preprocessing(
        height=8, width=8, resize="stretch", resample="bicubic", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    ),
    exported_with={"torch": "2"},
    checksums={"tokenizer.json": "00"},
)


def test_info_survives_json() -> None:
    assert EncoderInfo.from_json(INFO.to_json()) == INFO


def test_the_checksum_changes_with_any_field() -> None:
    assert INFO.checksum == EncoderInfo.from_json(INFO.to_json()).checksum
    assert INFO.checksum != replace(INFO, revision="0123abd").checksum


def test_another_format_is_refused() -> None:
    with pytest.raises(ArtefactError, match="format 2, this version reads 1: register the model again"):
        EncoderInfo.from_json(json.dumps({"format": 2}))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"format": 1}', '{"format": 1, "preprocessing": {}}'])
def test_what_is_no_info_is_refused(text: str) -> None:
    with pytest.raises(ArtefactError, match="register the model again"):
        EncoderInfo.from_json(text)


def test_a_folder_without_info_is_no_artefact(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="not an encoder's artefact"):
        read_info(tmp_path)


def test_a_damaged_file_is_found(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    file.write_text("{}")
    info = replace(INFO, checksums={"tokenizer.json": sha256(file)})
    verify(tmp_path, info, ["tokenizer.json"])
    file.write_text("{ }")
    with pytest.raises(ArtefactError, match=r"tokenizer\.json of example/model is damaged"):
        verify(tmp_path, info, ["tokenizer.json"])


def test_a_missing_file_is_found(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"onnx/text\.onnx is missing"):
        verify(tmp_path, INFO, ["onnx/text.onnx"])


def test_batches_hold_every_item_once_and_in_order() -> None:
    assert list(batches("abcde", 2)) == ["ab", "cd", "e"]
    assert list(batches([], 2)) == []


def test_no_batches_make_an_empty_array() -> None:
    assert stack([], 4).shape == (0, 4)
    assert stack([np.ones((2, 4), np.float32), np.ones((1, 4), np.float32)], 4).shape == (3, 4)
