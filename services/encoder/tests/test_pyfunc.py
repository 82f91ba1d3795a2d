"""What the pyfunc takes as a picture."""

import io

import pandas as pd
import pytest
from imagesearch_encoder.runtime.pyfunc import _column, _decode
from PIL import Image


def test_transparency_is_laid_over_white() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(file, "PNG")
    assert _decode(file.getvalue(), 0).getpixel((0, 0)) == (255, 255, 255)


def test_what_is_no_picture_is_named_by_its_row() -> None:
    with pytest.raises(ValueError, match="the picture in row 7 cannot be read"):
        _decode(b"<html>", 7)


def test_one_column_is_taken() -> None:
    assert _column(pd.DataFrame({"text": ["a"], "image": [None]})) == ["a"]
    assert _column(pd.DataFrame({"text": []})) == []


@pytest.mark.parametrize("frame", [pd.DataFrame({"texts": ["a"]}), pd.DataFrame({"text": ["a"], "image": [b"b"]})])
def test_no_column_or_two_are_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="give one column, as in"):
        _column(frame)
