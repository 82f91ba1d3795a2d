"""The photos of the stand-in: those of a folder of pictures. `main` and the tests call `photos_of`.

All that a folder does not say (owner, licence, dates) is made up from the picture's path, so that every start gives
the same photos.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from PIL import Image, UnidentifiedImageError

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp"})

OWNERS: Final = {
    "10000001@N01": "Ada Lumen",
    "10000002@N01": "Bruno Keller",
    "10000003@N01": "Chiara Sole",
    "10000004@N01": "Dmitri Orlov",
    "10000005@N01": "Esi Mensah",
}
LICENSE_CYCLE: Final = ("4", "5", "9", "10", "11", "12", "0", "2")
"""Three in four are free, one is reserved, one is for non-commercial use only."""

FIRST_UPLOAD: Final = datetime(2021, 1, 1, tzinfo=UTC)
UPLOAD_DAYS: Final = 1000


@dataclass(frozen=True)
class Photo:
    """A photo as the stand-in knows it."""

    id: str
    owner: str
    owner_name: str
    title: str
    uploaded_at: datetime
    taken_at: datetime
    license: str = "4"
    """Flickr's id."""
    description: str = ""
    tags: tuple[str, ...] = ()
    path: str = "missing.jpg"
    """Of the picture, relative to the folder, with `/`."""
    width: int = 500
    height: int = 375
    safety_level: int = 1
    """1 safe, 2 moderate, 3 restricted."""
    group_id: str | None = None
    latitude: float | None = None
    longitude: float | None = None


def photos_of(pictures: Path) -> list[Photo]:
    """A photo for each picture below the folder, in the order of their paths.

    The title is the first line of the `.txt` beside a picture, or else its file name; the tags are the names of its folders.
    """
    return list(_photos_of(pictures))


def _photos_of(pictures: Path) -> Iterator[Photo]:
    for file in sorted(pictures.rglob("*")):
        if file.suffix.lower() not in SUFFIXES or not file.is_file():
            continue
        if (size := _size(file)) is None:
            continue
        path = file.relative_to(pictures)
        number = int.from_bytes(hashlib.blake2s(path.as_posix().encode(), digest_size=4).digest())
        owner = list(OWNERS)[number % len(OWNERS)]
        uploaded_at = FIRST_UPLOAD + timedelta(days=number % UPLOAD_DAYS, seconds=number % 86_400)
        yield Photo(
            id=str(50_000_000_000 + number),
            owner=owner,
            owner_name=OWNERS[owner],
            title=_title(file),
            uploaded_at=uploaded_at,
            taken_at=uploaded_at - timedelta(days=1 + number % 400),
            license=LICENSE_CYCLE[number % len(LICENSE_CYCLE)],
            tags=tuple(re.sub(r"[^a-z0-9]", "", folder.lower()) for folder in path.parent.parts),
            path=path.as_posix(),
            width=size[0],
            height=size[1],
        )


def _size(file: Path) -> tuple[int, int] | None:
    try:
        with Image.open(file) as picture:
            return picture.size
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None


def _title(file: Path) -> str:
    caption = file.with_suffix(".txt")
    if caption.is_file() and (lines := caption.read_text(encoding="utf-8", errors="replace").splitlines()):
        return lines[0].strip()
    return file.stem.replace("_", " ")
