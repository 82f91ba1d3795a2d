"""Recall, and the captions file."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from imagesearch_encoder.evaluate import CaptionsError, evaluate, ndcg, read_captions, recall
from imagesearch_encoder.main import main
from imagesearch_encoder.runtime.encoder import EncoderInfo, Vectors
from PIL import Image

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "rot": (255, 0, 0), "unknown": (1, 1, 1)}


class ColourEncoder:
    """Knows colours: a real encoder of one-coloured pictures and of colours' names."""

    dims = 3

    @property
    def info(self) -> EncoderInfo:
        raise NotImplementedError

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        return self._unit([COLOURS[text] for text in texts])

    def encode_image(self, images: Sequence[Image.Image]) -> Vectors:
        return self._unit([image.getpixel((0, 0)) for image in images])

    @staticmethod
    def _unit(colours: Sequence[object]) -> Vectors:
        vectors = np.array(colours, dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_pictures(folder: Path, captions: Sequence[dict[str, str]]) -> Path:
    lines = []
    for number, by_language in enumerate(captions):
        Image.new("RGB", (4, 4), COLOURS[next(iter(by_language.values()))]).save(folder / f"{number}.png")
        lines.append(json.dumps({"image": f"{number}.png", "captions": by_language}) + "\n")
    (folder / "captions.jsonl").write_text("".join(lines))
    return folder / "captions.jsonl"


def test_recall_counts_queries_with_a_right_answer_among_the_first_k() -> None:
    similarity = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1]], dtype=np.float32)
    relevant = np.array([[True, False, False], [False, False, True]])
    assert recall(similarity, relevant, 1) == 0.5
    assert recall(similarity, relevant, 2) == 0.5
    assert recall(similarity, relevant, 3) == 1.0
    assert recall(similarity, relevant, 10) == 1.0


def test_ndcg_is_1_where_all_that_is_right_comes_first_and_counts_less_what_comes_later() -> None:
    found = np.array([[True, True, False], [False, True, True], [True, False, False], [False, False, False]])
    values = ndcg(found, np.array([2, 2, 5, 1]))
    second, third = 1 / np.log2(3), 1 / np.log2(4)
    assert values.tolist() == pytest.approx([1, (second + third) / (1 + second), 1 / (1 + second + third), 0])


def test_each_language_is_measured_on_the_pictures_it_describes(tmp_path: Path) -> None:
    file = write_pictures(tmp_path, [{"en": "red", "de": "rot"}, {"en": "green"}, {"en": "blue"}])
    seen: list[int] = []
    rows = evaluate(ColourEncoder(), read_captions(file), advance=seen.append)
    assert [(row.language, row.direction, row.n) for row in rows] == [
        ("en", "text -> image", 3),
        ("en", "image -> text", 3),
        ("de", "text -> image", 1),
        ("de", "image -> text", 1),
    ]
    assert all(row.at[1] == row.ndcg == 1.0 for row in rows)
    assert sum(seen) == 3


def test_equal_captions_are_one_query_with_several_right_answers(tmp_path: Path) -> None:
    file = write_pictures(tmp_path, [{"en": "red"}, {"en": "red"}, {"en": "blue"}])
    forth, back = evaluate(ColourEncoder(), read_captions(file), advance=lambda _: None)
    assert (forth.n, back.n) == (2, 3)
    assert forth.at[1] == back.at[1] == 1.0


def test_chance_is_ten_of_all(tmp_path: Path) -> None:
    file = write_pictures(tmp_path, [{"en": "red"}] * 39 + [{"en": "blue"}])
    forth, _ = evaluate(ColourEncoder(), read_captions(file), advance=lambda _: None)
    assert forth.chance == 0.25


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"image": "a.png"}', '{"image": "a.png", "captions": ["a"]}', '{"captions": {"en": "a"}}']
)
def test_a_line_of_another_form_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / "captions.jsonl"
    file.write_text('{"image": "a.png", "captions": {"en": "a"}}\n\n' + line + "\n")
    with pytest.raises(CaptionsError, match="line 3: expected"):
        read_captions(file)


def test_a_file_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "captions.jsonl").touch()
    with pytest.raises(CaptionsError, match="no captioned pictures"):
        read_captions(tmp_path / "captions.jsonl")


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    file = write_pictures(tmp_path, [{"en": "red"}])
    (tmp_path / "0.png").unlink()
    with pytest.raises(CaptionsError, match=r"0\.png cannot be read: No such file"):
        evaluate(ColourEncoder(), read_captions(file), advance=lambda _: None)


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    file = write_pictures(tmp_path, [{"en": "red"}])
    (tmp_path / "0.png").write_text("<html>")
    with pytest.raises(CaptionsError, match=r"0\.png cannot be decoded"):
        evaluate(ColourEncoder(), read_captions(file), advance=lambda _: None)


def test_the_command_names_a_missing_captions_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none.jsonl"
    assert main(["evaluate", "models:/starter/1", "--captions", str(missing)]) == 1
    error = capsys.readouterr().err
    assert "none.jsonl cannot be read" in error
    assert "Traceback" not in error
