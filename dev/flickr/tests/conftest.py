"""The stand-in over three small pictures, and synthetic photos for what a folder cannot show."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flickr_standin.app import create_app
from flickr_standin.serving import serving
from PIL import Image


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for path, size in (
        ("animals/birds/red robin.png", (64, 48)),
        ("animals/cat.jpg", (40, 40)),
        ("town/tram.gif", (30, 20)),
    ):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, "red").save(file)
    (folder / "animals/birds/red robin.txt").write_text("A robin & its nest.\nde.utf8=Ein Rotkehlchen.\n")
    (folder / "animals/broken.png").write_bytes(b"not a picture")
    (folder / "animals/drawing.svg").write_text("<svg/>")
    return folder


@pytest.fixture(scope="session")
def standin(pictures: Path) -> Iterator[str]:
    """The base URL of a stand-in over `pictures`, with the key `valid-key`."""
    with serving(create_app(pictures, api_key="valid-key")) as base_url:
        yield base_url
