"""Finds a Java that is new enough. Kafka and Spark take 17, Elasticsearch wants 21."""

import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from imagesearch_stack import StackError

INSTALL_ADVICE = (
    "Install one (Debian 13 or Ubuntu: `sudo apt-get install openjdk-21-jre-headless`; "
    "macOS: `brew install openjdk@21`; any system: https://adoptium.net) and, if it lies in an unusual place, "
    "set JAVA_HOME to it."
)


class Java(NamedTuple):
    """A Java installation."""

    home: Path
    version: int


def find_java(minimum: int, who: str) -> Path:
    """The home of a Java of at least version `minimum`: JAVA_HOME if it will do, otherwise the oldest that does.

    Raises:
        StackError: there is none; the message says which were found, and how to install one.
    """
    return choose(installed(_places()), minimum, who).home


def choose(found: Iterable[Java], minimum: int, who: str) -> Java:
    """The first that is new enough; `found` is in order of preference."""
    candidates = list(found)
    for java in candidates:
        if java.version >= minimum:
            return java
    seen = ", ".join(f"{java.version} ({java.home})" for java in candidates) or "none"
    raise StackError(f"{who} needs Java {minimum} or later; found: {seen}. {INSTALL_ADVICE}")


def installed(places: Iterable[Path]) -> list[Java]:
    """The Java installations among `places`: JAVA_HOME first where it is one, the rest from old to new."""
    found = [Java(home, version) for home in dict.fromkeys(places) if (version := version_of(home)) is not None]
    preferred = os.environ.get("JAVA_HOME")
    return sorted(found, key=lambda java: (str(java.home) != preferred, java.version))


def version_of(home: Path) -> int | None:
    """The major version of the Java at `home`, read from its `release` file; None where there is no Java."""
    if not os.access(home / "bin" / "java", os.X_OK):
        return None
    try:
        release = (home / "release").read_text()
    except OSError:
        return None
    match = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', release, re.MULTILINE)
    return int(match[1]) if match else None


def _places() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home)
    if java := shutil.which("java"):
        yield Path(java).resolve().parent.parent
    for pattern in (
        "/usr/lib/jvm/*",
        "/opt/java/*",
        "/Library/Java/JavaVirtualMachines/*/Contents/Home",
        "/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
        "~/.sdkman/candidates/java/*",
    ):
        anchor = Path(pattern).expanduser()
        yield from sorted(Path(anchor.anchor).glob(str(anchor.relative_to(anchor.anchor))))
