"""Fetches pinned artefacts from Maven repositories with Apache Ivy, which pyspark ships: nothing to install, no address in here.

Ivy asks Maven Central; `IMAGESEARCH_IVY_SETTINGS` names an `ivysettings.xml` for who has a mirror. Every file is pinned
by its SHA-256, so a mirror is as good as the origin. `downloads` calls it.
"""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree

import pyspark

from imagesearch_stack import StackError
from imagesearch_stack.java import find_java
from imagesearch_stack.repeating import repeating

SETTINGS_VARIABLE: Final = "IMAGESEARCH_IVY_SETTINGS"
ADVICE: Final = (
    f"Check the network, or name the ivysettings.xml of a mirror in {SETTINGS_VARIABLE}; what was fetched already is kept, "
    "so running the command again goes on from there."
)

OnBytes = Callable[[int], object]
"""Told the number of bytes just received; for a progress bar."""


class Artefact(NamedTuple):
    """One file of a Maven repository, and the checksum by which it is known."""

    group: str
    name: str
    version: str
    sha256: str
    extension: str = "jar"

    @property
    def file_name(self) -> str:
        """The file's name in the cache."""
        return f"{self.name}-{self.version}.{self.extension}"

    @classmethod
    def of_line(cls, line: str) -> "Artefact":
        """Read one line of a jar list, `group:artifact:version sha256`."""
        coordinates, sha256 = line.split()
        group, name, version = coordinates.split(":")
        return cls(group, name, version, sha256)


def ignore_bytes(_count: int) -> None:
    """The `OnBytes` of one who shows no progress."""


def retrieve(artefacts: Sequence[Artefact], folder: Path, on_bytes: OnBytes = ignore_bytes) -> tuple[Path, ...]:
    """Fetch what is not in `folder` yet; each file appears there only when whole and verified. Paths in the order asked for.

    Raises:
        StackError: one cannot be had, or is not the file that was pinned; the message names it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [artefact for artefact in artefacts if not (folder / artefact.file_name).exists()]
    if missing:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as name:
            scratch = Path(name)
            with growth(scratch / "cache", on_bytes):
                _run_ivy(missing, scratch)
            for artefact in missing:
                _verify(scratch / artefact.file_name, artefact)
                os.replace(scratch / artefact.file_name, folder / artefact.file_name)
    return tuple(folder / artefact.file_name for artefact in artefacts)


def ivy_xml(artefacts: Sequence[Artefact]) -> str:
    """Ivy's list of what is wanted: just these files, without what they depend on."""
    module = ElementTree.Element("ivy-module", version="2.0")
    ElementTree.SubElement(module, "info", organisation="imagesearch", module="stack")
    ElementTree.SubElement(ElementTree.SubElement(module, "configurations"), "conf", name="default")
    dependencies = ElementTree.SubElement(module, "dependencies")
    for group, name, version, _, extension in artefacts:
        dependency = ElementTree.SubElement(
            dependencies, "dependency", org=group, name=name, rev=version, transitive="false", conf="default->default"
        )
        ElementTree.SubElement(dependency, "artifact", name=name, type=extension, ext=extension)
    return ElementTree.tostring(module, encoding="unicode")


def _run_ivy(artefacts: Sequence[Artefact], scratch: Path) -> None:
    java = find_java(17, "Apache Ivy, which fetches Kafka and Elasticsearch,")
    (ivy,) = (Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar")
    (scratch / "ivy.xml").write_text(ivy_xml(artefacts))
    settings = os.environ.get(SETTINGS_VARIABLE)
    done = subprocess.run(  # noqa: S603 - our own command
        [
            *(java / "bin" / "java", "-Xmx128m", "-jar", ivy, "-ivy", scratch / "ivy.xml"),
            *(("-settings", settings) if settings else ()),
            *("-cache", scratch / "cache", "-retrieve", scratch / "[artifact]-[revision].[ext]"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    absent = [artefact.file_name for artefact in artefacts if not (scratch / artefact.file_name).is_file()]
    if absent:  # all of them, where Ivy cannot find one
        faults = [line.strip(":\t ") for line in done.stdout.splitlines() if ": not found" in line or "ERROR" in line]
        raise StackError(f"cannot fetch {', '.join(faults) or f'{absent}, and Ivy gives no reason'}. {ADVICE}")


def _verify(path: Path, artefact: Artefact) -> None:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 != artefact.sha256:
        raise StackError(
            f"{path.name} is not the file that was expected (SHA-256 {sha256}, pinned {artefact.sha256}): something on the "
            f"way changed it. {ADVICE}"
        )


@contextmanager
def growth(folder: Path, on_bytes: OnBytes, every_seconds: float = 0.3) -> Iterator[None]:
    """Tell `on_bytes` how much `folder` grows while the block runs: the progress of a program that shows none itself."""
    seen = 0

    def look() -> None:
        nonlocal seen
        size = max(seen, _size(folder))
        on_bytes(size - seen)
        seen = size

    with repeating(look, every_seconds):
        yield


def _size(folder: Path) -> int:
    size = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):  # renamed since it was listed
            size += file.stat().st_size
    return size
