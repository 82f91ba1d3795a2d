"""The sources that the demo knows: what fills the collection, and what is then searched as an example."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from rich.console import Console

from imagesearch_stack import downloads, openmoji, pictures
from imagesearch_stack.pictures import Credit
from imagesearch_stack.steps import step

SourceName = Literal["stamps", "openmoji", "flickr"]


class Sample(NamedTuple):
    """Sample pictures on this machine."""

    fetch: Callable[[Console], Path]
    """Gives the folder, made on the first call."""
    credit: Credit
    examples: tuple[str, ...]


def _stamps(console: Console) -> Path:
    with step(console, "Sample pictures: Tux Paint's stamps") as shown:
        folder = downloads.stamps_dir(shown.receive)
        shown.say(str(folder))
        return folder


def _openmoji(console: Console) -> Path:
    with step(console, "Sample pictures: OpenMoji") as shown:
        folder = openmoji.folder(lambda: shown.advance(1))
        shown.say(str(folder))
        return folder


SAMPLES = {
    "stamps": Sample(_stamps, pictures.STAMPS_CREDIT, ("Vögel", "musical instrument")),
    "openmoji": Sample(_openmoji, openmoji.CREDIT, ("a musical instrument", "Früchte")),
}
