"""Small files that claim to be huge are refused by their header, before anything is allocated."""

import struct
import tracemalloc
import zlib
from io import BytesIO

import pytest
from imagesearch_contract.dead_letter import Reason
from imagesearch_fetcher.decode import MAX_SIDE, DecodeError, decode
from PIL import Image

CAP = 40_000_000


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *extra: bytes, bits: int = 1) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0))
    rows = zlib.compress(bytes(min((width * bits // 8 + 2) * height, 2_000_000)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """A real JPEG whose frame header says something else."""
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    data = bytearray(out.getvalue())
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    return bytes(data)


def gif(screen: tuple[int, int], frame: tuple[int, int], *, dispose: int = 0) -> bytes:
    control = b"\x21\xf9\x04" + bytes([dispose << 2]) + b"\0\0\0\0"
    descriptor = b"," + struct.pack("<HHHHB", 0, 0, *frame, 0)
    return b"GIF89a" + struct.pack("<HHBBB", *screen, 0, 0, 0) + control + descriptor + b"\x02\x02\x44\x01\0;"


def webp(kind: bytes, body: bytes) -> bytes:
    first = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(first)) + b"WEBP" + first


def extended_webp(width: int, height: int) -> bytes:
    return webp(b"VP8X", b"\x02\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"))


BOMBS = {
    "a PNG of 50000 x 50000 in one bit": png(50_000, 50_000),
    "a PNG just over the area": png(8000, 5001, bits=8),
    "a PNG too wide": png(MAX_SIDE + 1, 1),
    "a PNG of the largest size there is": png(2**31 - 1, 2**31 - 1)[:60],
    "a PNG that changes its mind": png(1, 1, chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 1, 0, 0, 0, 0))),
    "a JPEG of 65500 x 65500": jpeg(65_500, 65_500),
    "a JPEG too tall": jpeg(1, 65_500),
    "a JPEG whose height comes later, but is too wide": jpeg(65_500, 100),
    "a GIF screen of 65535 x 65535": gif((65_535, 65_535), (1, 1)),
    "a GIF screen that Pillow would only warn of": gif((10_000, 10_000), (1, 1)),
    "a GIF frame that outgrows its screen": gif((1, 1), (65_535, 65_535)),
    "a GIF frame that Pillow would only warn of": gif((1, 1), (10_000, 10_000)),
    "a GIF frame to be disposed of": gif((1, 1), (12_000, 12_000), dispose=2),
    "a WebP canvas of 16384 x 16384": extended_webp(16_384, 16_384),
    "a WebP canvas of 2^24 x 2^24": extended_webp(2**24, 2**24),
    "a WebP canvas that Pillow would only warn of": extended_webp(10_000, 10_000),
    "a lossless WebP": webp(b"VP8L", b"\x2f" + (16_383 | 16_383 << 14).to_bytes(4, "little") + bytes(20)),
    "a lossy WebP": webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 16_383, 16_383) + bytes(20)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_by_its_header(name: str) -> None:
    tracemalloc.start()
    with pytest.raises(DecodeError) as caught:
        decode(BOMBS[name], CAP)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.reason is Reason.DECOMPRESSION_BOMB
    assert peak < 20 * 2**20


def test_the_cap_itself_is_not_over_the_cap() -> None:
    assert decode(png(1000, 1000, bits=8), 1_000_000).size == (1000, 1000)
    with pytest.raises(DecodeError, match="1000 x 1000"):
        decode(png(1000, 1000, bits=8), 999_999)


def test_the_longest_side_is_still_decoded() -> None:
    assert decode(png(MAX_SIDE, 1, bits=8), CAP).size == (MAX_SIDE, 1)


def test_ten_thousand_frames_cost_as_much_as_one() -> None:
    out = BytesIO()
    Image.new("L", (8, 8), 255).save(out, "GIF")
    one = out.getvalue()
    frame = one[one.index(b",\0\0\0\0\x08\0\x08\0") : -1]
    # The second frame is broken, so whoever looks at it fails.
    many = one[:-1] + frame[:9] + bytes(3) + frame * 10_000 + b";"
    assert decode(many, CAP).getpixel((7, 7)) == (255, 255, 255)


def test_ten_thousand_frames_of_a_webp_cost_as_much_as_one() -> None:
    out = BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("white", "red")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    two = out.getvalue()
    second = bytearray(two[two.rindex(b"ANMF") :])
    second[37:] = bytes(len(second) - 37)  # broken, so whoever decodes it fails
    many = two[: -len(second)] + bytes(second) * 10_000
    assert decode(many[:4] + struct.pack("<I", len(many) - 8) + many[8:], CAP).getpixel((7, 7)) == (255, 255, 255)


def progressive_jpeg() -> tuple[bytes, bytes]:
    """A progressive JPEG without its end marker, and one more scan for it."""
    out = BytesIO()
    Image.effect_noise((64, 64), 50).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    return data[:-2], data[data.rindex(b"\xff\xda") : -2]


# A comment with an end marker inside would fool whoever only searches for one.
@pytest.mark.parametrize("between", [b"", b"\xff\xfe\0\x04\xff\xd9", b"\xff\xff\xff"])
def test_a_progressive_jpeg_of_endless_scans_is_refused(between: bytes) -> None:
    picture, scan = progressive_jpeg()
    with pytest.raises(DecodeError, match="scans") as caught:
        decode(picture + between + scan * 500 + b"\xff\xd9", CAP)
    assert caught.value.reason is Reason.DECOMPRESSION_BOMB


def test_the_film_behind_a_motion_photo_does_not_count_as_scans() -> None:
    picture, scan = progressive_jpeg()
    comment = b"\xff\xfe\x0f\xa2" + b"\xff\xda" * 2000
    assert decode(picture[:2] + comment + picture[2:] + b"\xff\xd9" + scan * 500, CAP).size == (64, 64)


def test_text_that_unpacks_to_gigabytes_is_not_unpacked() -> None:
    text = zlib.compress(bytes(20_000_000), 9)
    extra = (chunk(b"zTXt", b"a\0\0" + text), chunk(b"iCCP", b"a\0\0" + text), chunk(b"iTXt", b"a\0\1\0\0\0" + text))
    tracemalloc.start()
    assert decode(png(8, 8, *extra, bits=8), CAP).size == (8, 8)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * 2**20


@pytest.mark.parametrize("frames", [0, 2**31, 2**32 - 1])
def test_a_png_that_lies_about_its_animation_is_a_still_picture(frames: int) -> None:
    control = chunk(b"acTL", struct.pack(">II", frames, 0))
    assert decode(png(8, 8, control, control, bits=8), CAP).size == (8, 8)
