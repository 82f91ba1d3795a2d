"""The sample pictures: what is in a folder of stamps, as manifest and as captions, and a server that hands them out.

A stamp is a picture with a text file of the same name beside it, whose first line is its English caption and whose
other lines are translations (`de.utf8=Ein Vogel.`). The demo, the smoke test and the tests' fixtures call it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from imagesearch_contract import names
from imagesearch_contract.record import ImageRecord
from PIL import Image, UnidentifiedImageError

RASTER_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg"})
PICTURE_SUFFIXES: Final = RASTER_SUFFIXES | {".svg"}

CAPTION_LANGUAGES: Final = ("en", "de", "es", "fr", "it", "ja", "nl", "pl", "pt", "ru")
"""The languages of the captions file: those that the starter model's text tower knows and most stamps have."""

_TRANSLATION: Final = re.compile(r"([a-z]{2,3})\.utf8=(.*)")


class Stamp(NamedTuple):
    """One picture of a folder."""

    path: str
    """Relative to the folder, with `/`."""
    captions: Mapping[str, str]
    """By language; English under `en`. Empty where there is no text file."""
    size: tuple[int, int] | None = None
    """Width and height in pixels; None for a drawing, which has none."""


class Credit(NamedTuple):
    """Who made the pictures of a folder, and on which terms they may be used."""

    author: str
    author_url: str
    license: str
    license_url: str


STAMPS_CREDIT: Final = Credit(
    author="Tux Paint contributors",
    author_url="https://tuxpaint.org/stamps/",
    license="GPL-2.0-or-later",
    license_url="https://www.gnu.org/licenses/old-licenses/gpl-2.0.html",
)


def stamps(folder: Path, *, without: Iterable[str] = ("symbols",)) -> list[Stamp]:
    """Every picture file in the folder, in order of its path, without those in the named top folders.

    Letters, digits, coins and geometric shapes (`symbols`) are left out by default: there is nothing to search in them.
    """
    left_out = frozenset(without)
    return [
        Stamp(relative.as_posix(), read_captions(path.with_suffix(".txt")), read_size(path))
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in PICTURE_SUFFIXES
        and path.is_file()
        and (relative := path.relative_to(folder)).parts[0] not in left_out
    ]


def read_captions(path: Path) -> dict[str, str]:
    """The captions in a stamp's text file, by language; nothing where there is no such file."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return {}
    english, *translations = text.splitlines() or [""]
    matches = [match for line in translations if (match := _TRANSLATION.fullmatch(line))]
    captions = {"en": english.strip(), **{match[1]: match[2].strip() for match in matches}}
    return {language: caption for language, caption in captions.items() if caption}


def read_size(path: Path) -> tuple[int, int] | None:
    """Width and height from a picture file's header; None where it has no such header."""
    try:
        with Image.open(path) as image:
            return image.size
    except UnidentifiedImageError:
        return None


def record(stamp: Stamp, base_url: str, credit: Credit) -> ImageRecord:
    """The manifest's line for a picture that is served under `base_url`."""
    url = f"{base_url}/{quote(stamp.path)}"
    folders = Path(stamp.path).parts[:-1]
    width, height = stamp.size or (None, None)
    return ImageRecord(
        id=names.image_id("manifest", quote(stamp.path)),
        url=url,
        page_url=url,
        title=stamp.captions.get("en") or Path(stamp.path).stem.replace("_", " ").replace("-", " "),
        tags=tuple(dict.fromkeys(folders)),
        author=credit.author,
        author_url=credit.author_url,
        license=credit.license,
        license_url=credit.license_url,
        width=width,
        height=height,
    )


def write_manifest(found: Iterable[Stamp], path: Path, *, base_url: str, credit: Credit) -> None:
    """Write the manifest that the producer reads: one record a line."""
    path.write_bytes(b"".join(record(stamp, base_url, credit).to_bytes() + b"\n" for stamp in found))


def write_captions(found: Iterable[Stamp], folder: Path, path: Path) -> int:
    """Write the file that `imagesearch-model evaluate` reads; how many pictures it has.

    It lists the captioned pictures that can be decoded; each is `{"image": <absolute path>, "captions": {"en": ...}}`.
    """
    lines = [
        {
            "image": str((folder / stamp.path).resolve()),
            "captions": {key: stamp.captions[key] for key in CAPTION_LANGUAGES if key in stamp.captions},
        }
        for stamp in found
        if stamp.captions and Path(stamp.path).suffix.lower() in RASTER_SUFFIXES
    ]
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return len(lines)


@contextmanager
def serve(folder: Path, port: int = 0) -> Iterator[str]:
    """Serve the files in `folder` on the loopback interface while the block runs; gives the base URL."""

    class Handler(_PictureHandler):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, directory=str(folder), **kwargs)

    with _PictureServer(("127.0.0.1", port), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="pictures", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _PictureServer(ThreadingHTTPServer):
    # The embedder opens dozens of connections at once; the default of 5 would drop some.
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """A client that went away is no event."""


class _PictureHandler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A connection that is kept open and then forgotten must not hold a thread for ever.
    timeout = 30

    def list_directory(self, _path: object) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass
