"""The photos of the stand-in: those of a folder of pictures, and the library in which they change while it runs.
`main` and the tests call `photos_of`, `app` keeps a `Library`.

All that a folder does not say (owner, licence, dates) is made up from the picture's path, so that every start gives
the same photos.
"""

import hashlib
import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Final

from PIL import Image, UnidentifiedImageError
from pydantic import ConfigDict

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

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # where it comes in by `POST /_photos`

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
    group_alias: str | None = None
    """The group's name in the address of its page."""
    path_alias: str | None = None
    """The owner's name in the address of their page."""
    content_type: int = 0
    """0 photo, 1 screenshot, 2 illustration, 3 virtual photography."""
    public: bool = True
    indexed_at: datetime | None = None
    """From when on searches find it, which on Flickr is some time after the upload; None is at once."""
    latitude: float | None = None
    longitude: float | None = None

    @cached_property
    def words(self) -> str:
        """What a text is looked for in."""
        return " ".join((self.title, self.description, *self.tags)).lower()


class Library:
    """Photos by id, and in the order of their upload; they may be put in, changed and taken out at any time."""

    def __init__(self, photos: Iterable[Photo]) -> None:
        self._by_id = {photo.id: photo for photo in photos}
        self._in_order = sorted(self._by_id.values(), key=_order)

    @property
    def photos(self) -> Sequence[Photo]:
        """All of them, the oldest upload first."""
        return self._in_order

    def get(self, id: str) -> Photo | None:
        """The photo with that id."""
        return self._by_id.get(id)

    def put(self, photo: Photo) -> None:
        """Put a photo in, in place of one with its id."""
        self.remove(photo.id)
        self._by_id[photo.id] = photo
        insort(self._in_order, photo, key=_order)

    def remove(self, id: str) -> bool:
        """Take a photo out, as its owner deletes it; whether there was one."""
        if (photo := self._by_id.pop(id, None)) is None:
            return False
        del self._in_order[bisect_left(self._in_order, _order(photo), key=_order)]
        return True


def _order(photo: Photo) -> tuple[datetime, str]:
    return photo.uploaded_at, photo.id


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
