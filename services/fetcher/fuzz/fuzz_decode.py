"""Fuzz the decoder: whatever the bytes are, a picture within its cap or a `DecodeError`, in 2 s and 512 MB.

    .venv/bin/python services/fetcher/fuzz/fuzz_decode.py -max_total_time=600

The arguments are libFuzzer's; a folder among them is a corpus that is read and extended, on top of small pictures of
every kind, a file is an input to try again. A finding ends the run with a traceback and its input
in a file `crash-...`. Atheris is in the group `fuzz`; it sees Pillow's Python and ours, and only the crashes of C.
"""

import sys
import tempfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from struct import pack, unpack_from
from typing import Any, Final

import atheris

with atheris.instrument_imports(include=["imagesearch_fetcher", "PIL"]):
    from imagesearch_fetcher.decode import decode
    from imagesearch_fetcher.errors import DecodeError
    from PIL import Image

MAX_PIXELS: Final = 1_000_000
LIMITS: Final = ("-timeout=2", "-rss_limit_mb=512", "-max_len=8192")
PNG: Final = b"\x89PNG\r\n\x1a\n"


def one_input(data: bytes) -> None:
    """Decode it, as large as it is and small."""
    for min_side in (None, 8):
        try:
            image = decode(data, MAX_PIXELS, min_side=min_side)
        except DecodeError as error:
            assert error.detail, "refused without a reason"
        else:
            assert image.mode == "RGB"
            assert 0 < image.width * image.height <= MAX_PIXELS
            assert not image.info, "metadata is left"
            image.tobytes()


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """libFuzzer's own mutation; the checksums of a PNG are made right again, or nothing behind them would be reached."""
    return (
        signed(bytes(atheris.Mutate(data, max_size)))[:max_size] if seed % 4 else bytes(atheris.Mutate(data, max_size))
    )


def signed(data: bytes) -> bytes:
    """A PNG with right checksums as far as its chunks can be followed; anything else as it is."""
    if not data.startswith(PNG):
        return data
    out, at = bytearray(data), len(PNG)
    while at + 12 <= len(out):
        end = at + 8 + unpack_from(">I", out, at)[0]
        if end + 4 > len(out):
            break
        out[end : end + 4] = pack(">I", zlib.crc32(out[at + 4 : end]))
        at = end + 4
    return bytes(out)


def seeds() -> Iterator[bytes]:
    """Small pictures of every kind that is decoded."""
    image, exif = Image.linear_gradient("L").resize((24, 18)).convert("RGB"), Image.Exif()
    exif[0x0112] = 6
    turned = [image.rotate(90), image.rotate(180)]
    for mode in ("L", "RGB", "CMYK"):
        for progressive in (False, True):
            yield saved(image.convert(mode), "JPEG", progressive=progressive, exif=exif)
    for subsampling in (0, 1, 2):
        yield saved(image, "JPEG", subsampling=subsampling, restart_marker_blocks=1)
    yield saved(image, "JPEG", keep_rgb=True)
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        yield saved(image.convert(mode), "PNG")
    yield saved(image.convert("P"), "PNG", transparency=b"\x00\x80", exif=exif)
    yield saved(image, "PNG", save_all=True, append_images=turned)
    yield saved(image, "GIF", transparency=0)
    yield saved(image, "GIF", save_all=True, append_images=turned, disposal=2)
    for lossless in (False, True):
        yield saved(image.convert("RGBA"), "WEBP", lossless=lossless, exif=exif)
        yield saved(image, "WEBP", lossless=lossless, save_all=True, append_images=turned)


def saved(image: Image.Image, format: str, **options: Any) -> bytes:
    """The file of a picture."""
    out = BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def main() -> None:
    """Run until something is found, or as long as the arguments say."""
    with tempfile.TemporaryDirectory(prefix="fuzz-decode-") as corpus:
        for number, data in enumerate(seeds()):
            Path(corpus, str(number)).write_bytes(data)
        # libFuzzer takes inputs from every folder, and writes to the first.
        folders = [] if any(Path(argument).is_file() for argument in sys.argv[1:]) else [corpus]
        atheris.Setup([sys.argv[0], *LIMITS, *sys.argv[1:], *folders], one_input, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
