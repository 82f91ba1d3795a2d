"""The environment in which Spark starts quickly. Whoever starts an embedder on this machine gives it.

A driver here lives for minutes, and its JVM would spend most of them loading and compiling what the one before it did.
So its classes come from an archive (JEP 350), and the compiler that pays off after minutes is left out.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pyspark

from imagesearch_stack import StackError
from imagesearch_stack.downloads import cache_dir, new_directory
from imagesearch_stack.java import find_java

JAVA: Final = 17
_SHORT_LIVED: Final = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_ARCHIVE_NAME: Final = "classes.jsa"


def environment() -> dict[str, str]:
    """`JAVA_HOME`, and options by which a driver takes a quarter of the processor time to start.

    The archive (150 MB) is made the first time, which takes half a minute; it is of one JDK and of these very jars.

    Raises:
        StackError: there is no Java, or Spark does not start at all.
    """
    home = find_java(JAVA, "Spark")
    jars = Path(pyspark.__file__).parent / "jars"
    kept = cache_dir() / f"spark-{_digest(home, jars)}"
    archive = kept / _digest((home / "release").read_text(), *_files(jars)) / _ARCHIVE_NAME
    if not archive.exists():
        with new_directory(archive.parent) as scratch:
            _warm_up(home, f"{_SHORT_LIVED} -XX:ArchiveClassesAtExit={scratch / _ARCHIVE_NAME}")
        for other in kept.glob("[!.]*"):  # not one that somebody else is making
            if other != archive.parent:
                shutil.rmtree(other, ignore_errors=True)
    # Without the archive, or with one that does not fit after all, the JVM starts as ever.
    return _driver(home, f"{_SHORT_LIVED} -XX:SharedArchiveFile={archive} -Xlog:cds=off -Xlog:cds+dynamic=off")


def _files(directory: Path) -> list[str]:
    """By which a JVM tells whether they are the files that it has an archive of."""
    return [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in sorted(directory.iterdir())]


def _digest(*of: object) -> str:
    return hashlib.blake2s("\n".join(map(str, of)).encode(), digest_size=6).hexdigest()


def _driver(java: Path, options: str) -> dict[str, str]:
    return {"JAVA_HOME": str(java), "SPARK_SUBMIT_OPTS": options}


def _warm_up(java: Path, options: str) -> None:
    """Let a driver do once what an embedder does all the time."""
    finished = subprocess.run(
        [sys.executable, "-m", "imagesearch_stack.spark_warm_up"],
        env=os.environ | _driver(java, options) | {"PYSPARK_PYTHON": sys.executable},
        capture_output=True,  # until the JVM has ended too: it writes the archive last
        text=True,
        check=False,
    )
    if finished.returncode:
        raise StackError(f"Spark does not start with {java}:\n{finished.stderr[-2000:]}")
