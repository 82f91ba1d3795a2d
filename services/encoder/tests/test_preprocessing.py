"""Pictures to pixels."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagesearch_encoder.runtime.preprocess import Preprocessing, Resize, to_pixels
from PIL import Image

HALF = (0.5, 0.5, 0.5)
STRETCH = Preprocessing(height=8, width=8, resize="stretch", resample="bicubic", mean=HALF, std=HALF)
CROP = replace(STRETCH, resize="shortest_edge", shortest_edge=8)
PAD = replace(STRETCH, resize="pad")


def left_half_red(width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    return image


def test_no_pictures_are_no_pixels() -> None:
    assert to_pixels([], CROP).shape == (0, 8, 8, 3)


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(["stretch", "shortest_edge", "pad"]))
def test_a_picture_of_any_shape_fits(width: int, height: int, resize: Resize) -> None:
    how = replace(STRETCH, resize=resize, shortest_edge=8)
    pixels = to_pixels([Image.new("RGB", (width, height), (10, 200, 30))], how)
    assert pixels.shape == (1, 8, 8, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == (10, 200, 30)).all(axis=-1).any()


def test_stretching_keeps_both_edges_of_a_wide_picture() -> None:
    (pixels,) = to_pixels([left_half_red(80, 10)], STRETCH)
    assert (pixels[:, 0] == (255, 0, 0)).all()
    assert (pixels[:, -1] == (0, 0, 255)).all()


def test_the_middle_of_a_wide_picture_is_cropped() -> None:
    image = Image.new("RGB", (80, 8), "blue")
    image.paste("red", (36, 0, 44, 8))
    (pixels,) = to_pixels([image], CROP)
    assert (pixels == (255, 0, 0)).all()


def test_padding_shows_the_whole_picture_on_its_ground() -> None:
    (pixels,) = to_pixels([left_half_red(80, 40)], PAD)
    assert (pixels[:2] == 255).all()
    assert (pixels[-2:] == 255).all()
    assert (pixels[4, 0] == (255, 0, 0)).all()
    assert (pixels[4, -1] == (0, 0, 255)).all()


def test_a_grey_picture_is_converted() -> None:
    (pixels,) = to_pixels([Image.new("L", (9, 9), 77)], STRETCH)
    assert (pixels == 77).all()


def test_a_crop_larger_than_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be cropped to 8 x 8"):
        replace(CROP, shortest_edge=7)


@pytest.mark.parametrize(("how", "side"), [(CROP, 224), (STRETCH, 384), (PAD, 224)])
def test_a_picture_decoded_at_the_least_side_is_scaled_down_and_never_up(how: Preprocessing, side: int) -> None:
    how = replace(how, height=side, width=side - 32, shortest_edge=side)
    assert side < how.min_side <= side * 1.15


def test_preprocessing_survives_json() -> None:
    assert Preprocessing.from_dict(json.loads(json.dumps(asdict(PAD)))) == PAD


def test_a_strip_does_not_grow_beyond_what_is_looked_at() -> None:
    how = replace(CROP, height=224, width=224, shortest_edge=224)
    strip = Image.new("RGB", (16_000, 1), "blue")
    strip.paste("red", (7_992, 0, 8_008, 1))
    (pixels,) = to_pixels([strip], how)  # 16000 x 1 scaled as a whole would be 2.4 GB
    assert (pixels == (255, 0, 0)).all()
