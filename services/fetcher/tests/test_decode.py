"""Pictures of every kind come out as upright RGB; bytes of every other kind as a reasoned error."""

from collections.abc import Callable
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imagesearch_contract.dead_letter import Reason
from imagesearch_fetcher.decode import DecodeError, decode
from PIL import Image, ImageChops

CAP = 1_000_000
FORMATS = ["JPEG", "PNG", "WEBP", "GIF"]


def encode(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    out = BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def gradient(width: int = 64, height: int = 48) -> Image.Image:
    """Red grows to the right, green downwards: any turn or flip shows."""
    red = Image.linear_gradient("L").rotate(90).resize((width, height))
    green = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (red, green, Image.new("L", (width, height), 90)))


def difference(one: Image.Image, other: Image.Image) -> float:
    """The largest mean difference of a channel, 0 to 255."""
    assert one.size == other.size
    histogram = ImageChops.difference(one.convert("RGB"), other.convert("RGB")).histogram()
    pixels = one.width * one.height
    return max(sum(value * count for value, count in enumerate(histogram[i : i + 256])) / pixels for i in (0, 256, 512))


def reason(data: bytes, *, min_side: int | None = None) -> Reason:
    with pytest.raises(DecodeError) as caught:
        decode(data, CAP, min_side=min_side)
    assert caught.value.detail
    return caught.value.reason


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_decoded(format: str) -> None:
    image = decode(encode(gradient(), format), CAP)
    assert (image.mode, image.size) == ("RGB", (64, 48))
    assert difference(image, gradient()) < 8


@pytest.mark.parametrize("format", FORMATS)
def test_a_single_pixel_is_a_picture(format: str) -> None:
    assert decode(encode(Image.new("RGB", (1, 1), "white"), format), CAP).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_become_rgb(mode: str, progressive: bool) -> None:
    source = gradient().convert(mode)
    assert difference(decode(encode(source, "JPEG", progressive=progressive), CAP), source) < 8


@pytest.mark.parametrize("min_side", [None, 60, 39])
@pytest.mark.parametrize(
    "options",
    [
        *({"subsampling": each, "progressive": progressive} for each in (0, 1, 2) for progressive in (False, True)),
        {"keep_rgb": True},
        {"restart_marker_blocks": 3},
    ],
)
def test_every_kind_of_jpeg_has_the_colours_that_pillow_sees(options: dict[str, object], min_side: int | None) -> None:
    data = encode(gradient(203, 157), "JPEG", quality=95, **options)
    image = decode(data, CAP, min_side=min_side)
    with Image.open(BytesIO(data)) as seen:
        assert difference(image, seen.resize(image.size, reducing_gap=2)) < 3


def test_inverted_ycck_has_the_colours_that_pillow_sees() -> None:
    data = bytearray(encode(gradient().convert("CMYK"), "JPEG"))
    data[data.index(b"Adobe") + 11] = 2  # the transform that Photoshop writes
    with Image.open(BytesIO(data)) as seen:
        assert seen.mode == "CMYK"
        assert difference(decode(bytes(data), CAP), seen) == 0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_png_mode_becomes_rgb(mode: str) -> None:
    source = gradient().convert(mode)
    image = decode(encode(source), CAP)
    assert image.mode == "RGB"
    assert difference(image, source) < 2


def test_sixteen_bit_grey_keeps_its_tones() -> None:
    source = Image.new("I;16", (3, 1))
    for x, value in enumerate((0, 0x80FF, 0xFFFF)):
        source.putpixel((x, 0), value)
    image = decode(encode(source), CAP)
    assert [image.getpixel((x, 0)) for x in range(3)] == [(0, 0, 0), (128, 128, 128), (255, 255, 255)]


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_transparency_lies_over_white(format: str) -> None:
    source = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    source.paste((200, 0, 0, 255), (0, 0, 4, 8))
    image = decode(encode(source, format, **({"lossless": True} if format == "WEBP" else {})), CAP)
    assert (image.getpixel((1, 1)), image.getpixel((6, 6))) == ((200, 0, 0), (255, 255, 255))


@pytest.mark.parametrize("transparency", [0, b"\x00\xff", b"\x00", b"\x00" * 256])
@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_transparent_palette_lies_over_white(format: str, transparency: int | bytes) -> None:
    source = Image.new("P", (2, 1))
    source.putpalette([10, 20, 30, 200, 0, 0] + [0] * 762)
    source.putpixel((1, 0), 1)
    if format == "GIF":
        transparency = 0
    image = decode(encode(source, format, transparency=transparency), CAP)
    assert image.getpixel((0, 0)) == (255, 255, 255)
    assert image.getpixel((1, 0)) == ((255, 255, 255) if transparency == b"\x00" * 256 else (200, 0, 0))


@pytest.mark.parametrize(("mode", "colour"), [("L", 7), ("RGB", (1, 2, 3)), ("1", 0), ("I;16", 0)])
def test_a_png_with_one_transparent_colour_is_decoded(mode: str, colour: object) -> None:
    assert decode(encode(Image.new(mode, (2, 2), colour), transparency=colour), CAP).mode == "RGB"  # type: ignore[arg-type]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_on_its_side_gives_an_upright_picture(format: str, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,  # the inverse of what a reader has to do
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = gradient().transpose(undo[orientation]) if orientation in undo else gradient()
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = "a description, so that the orientation is not alone"
    image = decode(encode(stored, format, exif=exif), CAP)
    assert difference(image, gradient()) < 8


@given(st.binary(max_size=80), st.sampled_from([b"", b"II*\0", b"MM\0*", b"II*\0\x08\0\0\0\xff\xff"]))
@settings(deadline=None, max_examples=50)
def test_broken_metadata_does_not_spoil_a_picture(junk: bytes, start: bytes) -> None:
    for format in ("JPEG", "PNG", "WEBP"):
        assert decode(encode(gradient(8, 8), format, exif=b"Exif\0\0" + start + junk), CAP).size == (8, 8)


def test_metadata_is_dropped() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    for format in ("JPEG", "PNG", "WEBP"):
        image = decode(encode(gradient(), format, exif=exif), CAP)
        assert not image.info
        assert not image.getexif()


def test_only_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("white", "red", "blue")]
    for format in ("GIF", "WEBP", "PNG"):
        options = {"lossless": True} if format == "WEBP" else {}
        data = encode(frames[0], format, save_all=True, append_images=frames[1:], **options)
        assert decode(data, CAP).getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("size", "min_side", "expected"),
    [
        ((640, 480), None, (640, 480)),
        ((640, 480), 480, (640, 480)),
        ((640, 480), 240, (320, 240)),
        ((640, 480), 100, (160, 120)),
        ((640, 480), 1, (80, 60)),
        ((640, 40), 224, (640, 40)),
        ((641, 481), 240, (321, 241)),
        ((640, 480), 290, (400, 300)),
        ((640, 480), 310, (640, 480)),
    ],
)
def test_a_jpeg_is_decoded_smaller_but_never_below_the_side_asked_for(
    size: tuple[int, int], min_side: int | None, expected: tuple[int, int]
) -> None:
    source = gradient(*size)
    image = decode(encode(source, "JPEG"), CAP, min_side=min_side)
    assert image.size == expected
    assert difference(image, source.resize(expected, reducing_gap=2)) < 8


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF"])
def test_other_formats_keep_their_size(format: str) -> None:
    assert decode(encode(gradient(), format), CAP, min_side=8).size == (64, 48)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF"])
def test_other_formats_are_averaged_down_where_they_are_far_larger(format: str) -> None:
    source = gradient(640, 480)
    image = decode(encode(source, format), CAP, min_side=30)
    assert image.size == (160, 120)
    assert difference(image, source.resize((160, 120), reducing_gap=2)) < 8


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"\0", b"<!DOCTYPE html><html><body><svg></svg></body></html>", b"<html><svg/></html>", b"{}", b"GIF"),
        *(
            b"\n<!doctype HTML>\n<body><svg ",
            b"RIFF\0\0\0\0WAVE",
            b"\xff\xd8",
            b"<p>404",
            b"PK\x03\x04",
            b"\x7fELF",
            b"MZ",
        ),
    ],
)
def test_what_is_no_picture_is_called_that(data: bytes) -> None:
    assert reason(data) is Reason.NOT_AN_IMAGE


@pytest.mark.parametrize(
    "format", ["TIFF", "BMP", "ICO", "PPM", "AVIF", "JPEG2000", "PDF", "EPS", "QOI", "DDS", "ICNS"]
)
def test_a_picture_of_another_format_is_called_unsupported(format: str) -> None:
    assert reason(encode(gradient(), format)) is Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    "data",
    [
        b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        b'\xef\xbb\xbf  <?xml version="1.0"?>\n<!-- drawn by hand -->\n<!DOCTYPE svg PUBLIC "x" "y" [\n]>\n<svg\nwidth="1">',
        b"8BPS\0\x01" + bytes(20),
        b"\0\0\0\x18ftypheic" + bytes(20),
        b"\xff\x0a" + bytes(20),
    ],
)
def test_svg_psd_heic_and_jpeg_xl_are_recognised(data: bytes) -> None:
    assert reason(data) is Reason.UNSUPPORTED_FORMAT


def test_a_long_run_of_white_space_is_told_from_svg_at_once() -> None:
    assert reason(b" " * 4_000_000) is Reason.NOT_AN_IMAGE
    assert reason(b"<" * 4_000_000) is Reason.NOT_AN_IMAGE


@pytest.mark.parametrize("min_side", [None, 16])
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("progressive", [False, True])
def test_a_file_cut_anywhere_is_truncated(format: str, progressive: bool, min_side: int | None) -> None:
    noise = Image.effect_noise((80, 60), 80).convert("RGB")
    data = encode(noise, format, **({"progressive": True} if progressive and format == "JPEG" else {}))
    for percent in range(100):
        cut = data[: len(data) * percent // 100]
        assert reason(cut, min_side=min_side) is (Reason.TRUNCATED if len(cut) >= 12 else Reason.NOT_AN_IMAGE)


def test_a_page_behind_a_picture_is_not_looked_at() -> None:
    polyglot = encode(gradient(), "JPEG") + b"<html><script>alert(1)</script></html>"
    assert decode(polyglot, CAP).size == (64, 48)


def outcome(data: bytes) -> Reason | tuple[int, int]:
    try:
        image = decode(data, 100_000, min_side=8)
    except DecodeError as error:
        return error.reason
    assert image.mode == "RGB"
    assert image.width * image.height <= 100_000
    return image.size


MAGIC = [
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"RIFF\0\0\0\0WEBPVP8 ",
    b"RIFF\0\0\0\0WEBPVP8X",
    b"<svg",
    b"",
]


@given(st.sampled_from(MAGIC), st.binary(max_size=300))
@settings(deadline=None)
def test_random_bytes_end_in_a_reasoned_error(magic: bytes, rest: bytes) -> None:
    assert isinstance(outcome(magic + rest), Reason | tuple)


def _samples() -> list[bytes]:
    image, exif = gradient(24, 18), Image.Exif()
    exif[0x0112] = 6
    return [
        encode(image, "JPEG", exif=exif),
        encode(image, "JPEG", progressive=True),
        encode(image.convert("CMYK"), "JPEG"),
        encode(image, "PNG", exif=exif),
        encode(image.convert("P"), "PNG", transparency=b"\x00\x80"),
        encode(image.convert("LA"), "PNG"),
        encode(image, "PNG", save_all=True, append_images=[image.rotate(90)]),
        encode(image, "GIF", save_all=True, append_images=[image.rotate(90), image.rotate(180)], transparency=0),
        encode(image, "WEBP", exif=exif),
        encode(image, "WEBP", lossless=True),
        encode(image, "WEBP", save_all=True, append_images=[image.rotate(90)]),
    ]


Edit = Callable[[bytes], bytes]


@given(
    st.sampled_from(_samples()),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=0, max_size=4), st.integers(0, 4)), min_size=1, max_size=6),
)
@settings(deadline=None, max_examples=150)
def test_a_damaged_file_is_a_picture_or_a_reasoned_error(data: bytes, edits: list[tuple[float, bytes, int]]) -> None:
    for place, insert, remove in edits:
        at = int(place * len(data))
        data = data[:at] + insert + data[at + remove :]
    assert isinstance(outcome(data), Reason | tuple)


@given(
    st.sampled_from(_samples()),
    st.sampled_from(_samples()),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 7)), max_size=8),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
    st.floats(0.5, 1),
)
@settings(deadline=None, max_examples=150)
def test_flipped_bits_splices_and_cuts_leave_a_picture_or_a_reasoned_error(
    data: bytes, other: bytes, flips: list[tuple[float, int]], splice: tuple[float, float], cut: float
) -> None:
    head, tail = int(splice[0] * len(data)), int(splice[1] * len(other))
    spliced = data[:head] + other[tail:]
    for source in (data, spliced):
        damaged = bytearray(source)
        for place, bit in flips if damaged else []:
            damaged[int(place * (len(damaged) - 1))] ^= 1 << bit
        assert isinstance(outcome(bytes(damaged[: int(cut * len(damaged))])), Reason | tuple)


@given(st.lists(st.tuples(st.floats(0.3, 1), st.integers(0, 255)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=60)
def test_a_damaged_jpeg_is_no_better_for_being_decoded_fast(edits: list[tuple[float, int]]) -> None:
    damaged = bytearray(_samples()[0])
    for place, value in edits:
        damaged[int(place * (len(damaged) - 1))] = value
    try:
        with Image.open(BytesIO(damaged)) as seen:
            seen.load()
    except Exception:  # noqa: BLE001  Pillow raises whatever its parsing trips over
        assert isinstance(outcome(bytes(damaged)), Reason)


def test_what_a_file_holds_is_not_repeated_to_whoever_pointed_at_it() -> None:
    with pytest.raises(DecodeError) as caught:
        decode(b"root:x:0:0:secret", CAP)
    assert caught.value.reason is Reason.NOT_AN_IMAGE
    assert "root" not in caught.value.detail
