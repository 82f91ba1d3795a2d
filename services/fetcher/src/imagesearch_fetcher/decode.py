"""The one way to open a picture that somebody gave us: four formats, bounded pixels, and only `DecodeError` on bad bytes.

Called by the embedder and the encoder service. Nothing here trusts a Content-Type: the first bytes decide.
Pillow's readers are called directly rather than through `Image.open`, which would allocate before our cap is asked,
and metadata is kept away from Pillow, whose readers of it warn, allocate and have had most of the past holes.
The pixels of large JPEGs come from libjpeg-turbo itself, which can leave out detail that nobody will look at.
`decoders` does it in processes of its own.
"""

import re
import struct
import warnings
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Final

import simplejpeg
from imagesearch_contract.dead_letter import Reason
from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from imagesearch_fetcher.errors import DecodeError

__all__ = ["MAX_SIDE", "DecodeError", "decode"]

MAX_SIDE: Final = 16_384
"""Pixels; longer sides are refused whatever the area."""
MAX_JPEG_SCANS: Final = 100
"""A progressive JPEG has about ten; each costs a pass over the whole picture, however few bytes it has."""
REDUCING_GAP: Final = 4
"""How many times the side asked for a picture stays; Pillow's resize calls 3 indistinguishable from the full size."""
MAX_JPEG_SCALE: Final = 5 / 8
"""At six and seven eighths a JPEG takes as long as in full, for which libjpeg-turbo has vector instructions."""

_JPEG_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])")  # neither an escaped byte of a scan nor a restart

# Pillow only warns of a size between its own cap and twice that, and inside a GIF asks nobody but itself.
# A filter for the whole process, because one for a block of code is not safe among threads.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

_PNG_CHUNKS: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"})

_UNSUPPORTED: Final[tuple[tuple[str, re.Pattern[bytes]], ...]] = tuple(
    (name, re.compile(pattern, re.DOTALL))
    for name, pattern in (
        ("TIFF", rb"II[*+]\0|MM\0[*+]"),
        ("PSD", rb"8BPS"),
        ("BMP", rb"BM.{4}\0\0\0\0"),
        ("ICO", rb"\0\0[\1\2]\0"),
        ("AVIF or HEIF", rb".{4}ftyp(?:avi|he[iv]|mif|msf)"),
        ("JPEG XL", rb"\xff\x0a|\0\0\0\x0cJXL "),
        ("JPEG 2000", rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  "),
        ("EPS", rb"%!PS|\xc5\xd0\xd3\xc6"),
        ("PDF", rb"%PDF-"),
        ("Netpbm", rb"P[1-7][\s#]"),
        ("FITS", rb"SIMPLE  ="),
        ("OpenEXR", rb"\x76\x2f\x31\x01"),
        ("Radiance HDR", rb"#\?RADIANCE"),
        ("DDS", rb"DDS "),
        ("XCF", rb"gimp xcf"),
        ("ICNS", rb"icns"),
        ("QOI", rb"qoif"),
        ("SVG", rb"(?:\xef\xbb\xbf)?\s*+(?=<)(?!<!doctype html)(?:(?!<html).)*?<svg[\s>]"),
    )
)

_TRANSPOSE: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what turns the picture upright."""


def decode(data: bytes, max_pixels: int, *, min_side: int | None = None) -> Image.Image:
    """Open a JPEG, PNG, WebP or GIF (its first frame): RGB, upright, transparency over white, metadata dropped.

    Args:
        data: the file.
        max_pixels: width times height above which it is refused, before anything is allocated.
        min_side: lets a large picture come smaller, as long as no side falls below so many pixels: a JPEG is decoded at
            so many eighths, several times faster, and others are averaged down to about four times the side.
            For models, which look at a few hundred pixels.

    Raises:
        DecodeError: NOT_AN_IMAGE, UNSUPPORTED_FORMAT, TRUNCATED or DECOMPRESSION_BOMB.
    """
    open_image = _reader(data)
    try:
        if size := _webp_size(data):  # the one decoder that allocates its canvas when it is made
            _check_size(size, max_pixels)
        with open_image(data) as image:
            _check_size(image.size, max_pixels)
            upright = _upright(_pixels(data, image, min_side), _orientation(image.info.get("exif", b"")))
            rgb = _to_rgb(upright)
            return rgb if image.format == "JPEG" else _reduced(rgb, min_side)
    except DecodeError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DecodeError(Reason.DECOMPRESSION_BOMB, str(error)) from error
    except MemoryError as error:
        raise DecodeError(Reason.DECOMPRESSION_BOMB, "needs more memory than there is") from error
    except Exception as error:  # Pillow raises whatever its parsing trips over, of a dozen types
        raise DecodeError(Reason.TRUNCATED, f"ends early or is damaged: {ascii(str(error))[:200]}") from error


def _reader(data: bytes) -> Callable[[bytes], ImageFile]:
    """The reader for the format that the first bytes show."""
    if data.startswith(b"\xff\xd8\xff"):
        return _open_jpeg
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _open_png
    if data.startswith((b"GIF87a", b"GIF89a")):
        return _open_gif
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _open_webp
    head = data[:4096]
    for name, pattern in _UNSUPPORTED:
        if pattern.match(head.lower() if name == "SVG" else head):
            raise DecodeError(Reason.UNSUPPORTED_FORMAT, f"{name}; JPEG, PNG, WebP and GIF are decoded")
    # Not what the bytes are: the search API shows this to people, who may have pointed it at somebody else's server.
    raise DecodeError(Reason.NOT_AN_IMAGE, f"{len(data)} bytes of no known picture format")


class _Jpeg(JpegImageFile):
    """Without Pillow's search of the EXIF block for a resolution, which warns when the block is damaged."""

    def _read_dpi_from_exif(self) -> None:
        pass


def _open_jpeg(data: bytes) -> ImageFile:
    if data.count(b"\xff\xda") > MAX_JPEG_SCANS and (scans := _jpeg_scans(data)) > MAX_JPEG_SCANS:
        raise DecodeError(Reason.DECOMPRESSION_BOMB, f"{scans} scans, over the cap of {MAX_JPEG_SCANS}")
    return _Jpeg(BytesIO(data))


def _jpeg_scans(jpeg: bytes) -> int:
    """How many scans a decoder will meet; what a camera hangs behind the picture (a film, say) is not counted."""
    scans, at = 0, 2
    while found := _JPEG_MARKER.search(jpeg, at):
        marker, at = found[1], found.end()
        if marker == b"\xd9" or at + 2 > len(jpeg):
            break
        scans += marker == b"\xda"
        at += struct.unpack_from(">H", jpeg, at)[0]
    return scans


def _open_png(data: bytes) -> ImageFile:
    return PngImageFile(BytesIO(_without_metadata(data)))


def _open_gif(data: bytes) -> ImageFile:
    return GifImageFile(BytesIO(data))


def _open_webp(data: bytes) -> ImageFile:
    return WebPImageFile(BytesIO(data))


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels or max(size) > MAX_SIDE:
        caps = f"{max_pixels} pixels and {MAX_SIDE} a side"
        raise DecodeError(Reason.DECOMPRESSION_BOMB, f"{width} x {height} pixels, over the cap of {caps}")


def _without_metadata(png: bytes) -> bytes:
    """The PNG with only the chunks that make up its still picture: no text, colour profile or animation."""
    view = memoryview(png)
    kept = [view[:8]]
    start = 8
    while start + 8 <= len(png):
        length, kind = struct.unpack_from(">I4s", png, start)
        end = start + 12 + length
        if kind in _PNG_CHUNKS:
            kept.append(view[start:end])
        start = end
    return b"".join(kept)


def _webp_size(webp: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP's canvas, from its first chunk; None where there is no complete one."""
    if not webp.startswith(b"RIFF") or len(webp) < 30:
        return None
    match webp[12:16]:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", webp, 26)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(webp[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return int.from_bytes(webp[24:27], "little") + 1, int.from_bytes(webp[27:30], "little") + 1
    return None


def _pixels(data: bytes, image: ImageFile, min_side: int | None) -> Image.Image:
    """The decoded picture, by libjpeg-turbo where leaving out detail pays."""
    if min_side is not None:
        known = image.format == "JPEG" and image.mode in {"RGB", "L"}
        if known and min(image.size) * MAX_JPEG_SCALE >= min_side:
            # It stops at a mere warning too, so nothing is missing from what it gives; Pillow has the last word.
            with suppress(ValueError):
                return Image.fromarray(simplejpeg.decode_jpeg(data, "RGB", min_height=min_side, min_width=min_side))
        image.draft(image.mode, (min_side, min_side))  # CMYK
    image.load()
    return image


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    transpose = _TRANSPOSE.get(orientation)
    return image if transpose is None else image.transpose(transpose)


def _orientation(exif: bytes) -> int:
    """The EXIF orientation, 1 to 8; 1 (upright) where there is none or the block is damaged."""
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for number in range(entries):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, directory + 2 + 12 * number)
            if (tag, kind) == (0x0112, 3):
                return int(value)
    except struct.error:
        pass  # the picture is still worth showing, unturned
    return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion would clip it to white
        image = image.convert("I").point(lambda value: value / 256).convert("L")
        image.info.clear()
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        flat = Image.new("RGB", rgba.size, "white")
        flat.paste(rgba, mask=rgba.getchannel("A"))
        return flat
    rgb = image.convert("RGB")
    rgb.info.clear()
    return rgb


def _reduced(image: Image.Image, min_side: int | None) -> Image.Image:
    """Averaged down where it is many times what will be looked at: it has to be kept, and sent between processes."""
    factor = min(image.size) // (REDUCING_GAP * min_side) if min_side else 1
    return image.reduce(factor) if factor > 1 else image
