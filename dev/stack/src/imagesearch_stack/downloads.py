"""Fetches what the stack runs: servers from Maven Central, sample pictures from Debian. Each once, into the cache.

Every file is pinned by its SHA-256, so a mirror is as good as the origin. The servers and the tests call it.
"""

import hashlib
import http.client
import os
import shutil
import stat
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import IO, BinaryIO, Final, NamedTuple

from imagesearch_stack import StackError

MAVEN_URL_VARIABLE: Final = "IMAGESEARCH_MAVEN_URL"
DEBIAN_URL_VARIABLE: Final = "IMAGESEARCH_DEBIAN_URL"

ELASTICSEARCH_VERSION: Final = "9.2.0"
ELASTICSEARCH_SHA256: Final = "bf44938a0490ba2a303d39c9cb64b38963dd08c812ce93e10816e878585bcb6b"
STAMPS_DEB: Final = "pool/main/t/tuxpaint-stamps/tuxpaint-stamps-default_2022.06.04-1_all.deb"
STAMPS_SHA256: Final = "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34"
STAMPS_FOLDER: Final = "usr/share/tuxpaint/stamps/"
STAMPS_SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".svg", ".txt"})

PARALLEL_DOWNLOADS: Final = 8
CHUNK_BYTES: Final = 2**18

OnBytes = Callable[[int], object]
"""Told the number of bytes just received; for a progress bar."""


class Download(NamedTuple):
    """One file to fetch, and the checksum by which it is known."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.url.rpartition("/")[2]


def cache_dir() -> Path:
    """Where everything long to make is kept between runs: `$XDG_CACHE_HOME/imagesearch`, or `~/.cache/imagesearch`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "imagesearch"


def ignore_bytes(_count: int) -> None:
    """The `OnBytes` of one who shows no progress."""


# What there is to fetch


def kafka_jars(on_bytes: OnBytes = ignore_bytes) -> tuple[Path, ...]:
    """The class path of a Kafka broker."""
    return fetch_all(_pinned_jars("kafka.txt"), cache_dir() / "jars", on_bytes)


def spark_kafka_jars(on_bytes: OnBytes = ignore_bytes) -> tuple[Path, ...]:
    """The jars that let Spark read from Kafka (`spark.jars`)."""
    return fetch_all(_pinned_jars("spark-kafka.txt"), cache_dir() / "jars", on_bytes)


def elasticsearch_home(parent: Path | None = None, on_bytes: OnBytes = ignore_bytes) -> Path:
    """An unpacked Elasticsearch under `parent` (default: the cache), readable by every user."""
    home = (parent or cache_dir()) / f"elasticsearch-{ELASTICSEARCH_VERSION}"
    if home.is_dir():
        return home
    group = "org/elasticsearch/distribution/integ-test-zip"
    name = f"elasticsearch-{ELASTICSEARCH_VERSION}.zip"
    url = f"{maven_url()}/{group}/elasticsearch/{ELASTICSEARCH_VERSION}/{name}"
    archive = fetch(Download(url, ELASTICSEARCH_SHA256), cache_dir() / "archives", on_bytes)
    with new_directory(home) as scratch, zipfile.ZipFile(archive) as files:
        files.extractall(scratch)  # noqa: S202 - a pinned archive
        _lift(scratch / home.name, scratch)
        for script in (scratch / "bin").iterdir():
            script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return home


def stamps_dir(on_bytes: OnBytes = ignore_bytes) -> Path:
    """Tux Paint's stamps, unpacked: pictures, each with its caption in a .txt of the same name (see `pictures`)."""
    folder = cache_dir() / "stamps"
    if folder.is_dir():
        return folder
    debian = os.environ.get(DEBIAN_URL_VARIABLE, "https://deb.debian.org/debian").rstrip("/")
    package = fetch(Download(f"{debian}/{STAMPS_DEB}", STAMPS_SHA256), cache_dir() / "archives", on_bytes)
    with (
        new_directory(folder) as scratch,
        open_deb_data(package) as data,
        tarfile.open(fileobj=data, mode="r|xz") as files,
    ):
        for member in files:
            path = member.name.removeprefix("./")
            # Two thirds of the package are sounds; they stay in it.
            if member.isfile() and path.startswith(STAMPS_FOLDER) and Path(path).suffix in STAMPS_SUFFIXES:
                files.extract(member.replace(name=path.removeprefix(STAMPS_FOLDER)), scratch, filter="data")
    return folder


def maven_url() -> str:
    """The Maven repository that is asked: Maven Central, or the mirror that the environment names."""
    return os.environ.get(MAVEN_URL_VARIABLE, "https://repo1.maven.org/maven2").rstrip("/")


def _pinned_jars(list_name: str) -> list[Download]:
    text = resources.files("imagesearch_stack").joinpath("jars", list_name).read_text()
    return [jar_download(line, maven_url()) for line in text.splitlines() if line and not line.startswith("#")]


def jar_download(line: str, repository: str) -> Download:
    """Read one line of a jar list, `group:artifact:version sha256`."""
    coordinates, sha256 = line.split()
    group, artifact, version = coordinates.split(":")
    path = f"{group.replace('.', '/')}/{artifact}/{version}/{artifact}-{version}.jar"
    return Download(f"{repository}/{path}", sha256)


# How it is fetched


def fetch_all(downloads: Sequence[Download], folder: Path, on_bytes: OnBytes = ignore_bytes) -> tuple[Path, ...]:
    """Fetch several files at once; the paths come back in the order asked for."""
    with ThreadPoolExecutor(PARALLEL_DOWNLOADS) as pool:
        return tuple(pool.map(lambda download: fetch(download, folder, on_bytes), downloads))


def fetch(download: Download, folder: Path, on_bytes: OnBytes = ignore_bytes) -> Path:
    """Fetch one file into `folder`, unless it is there. It appears under its name only when whole and verified.

    Raises:
        StackError: it cannot be reached, or is not the file that was pinned.
    """
    target = folder / download.name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".partial-", delete=False) as partial:
        try:
            sha256 = _receive(download.url, partial.file, on_bytes)
            if sha256 != download.sha256:
                raise StackError(
                    f"{download.url} is not the file that was expected (SHA-256 {sha256}, pinned {download.sha256}). "
                    f"Something on the way changed it; another mirror can be named in {MAVEN_URL_VARIABLE} "
                    f"or {DEBIAN_URL_VARIABLE}."
                )
            os.replace(partial.name, target)
        except BaseException:
            Path(partial.name).unlink(missing_ok=True)
            raise
    return target


def _receive(url: str, out: IO[bytes], on_bytes: OnBytes) -> str:
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - our own pinned addresses
            while chunk := response.read(CHUNK_BYTES):
                out.write(chunk)
                digest.update(chunk)
                on_bytes(len(chunk))
    except urllib.error.HTTPError as error:
        # Closed here, because the exception itself holds the connection.
        error.close()
        raise StackError(f"cannot fetch {url}: the server answered {error.code}. {_ADVICE}") from error
    except (OSError, http.client.HTTPException) as error:
        raise StackError(f"cannot fetch {url}: {getattr(error, 'reason', error)}. {_ADVICE}") from error
    out.flush()
    return digest.hexdigest()


_ADVICE: Final = (
    f"Check the network (HTTPS_PROXY is honoured), or name mirrors in {MAVEN_URL_VARIABLE} and {DEBIAN_URL_VARIABLE}; "
    "what was fetched already is kept, so running the command again goes on from there."
)


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


@contextmanager
def open_deb_data(package: Path) -> Iterator[BinaryIO]:
    """Open the `data.tar.*` inside a Debian package, placed at its start. (A .deb is an `ar` archive.)

    Raises:
        StackError: the file is no Debian package.
    """
    with package.open("rb") as file:
        if file.read(8) != b"!<arch>\n":
            raise StackError(f"{package} is not a Debian package; delete it and run the command again")
        while header := file.read(60):
            name, size = header[:16].decode("ascii", "replace").strip(" /"), int(header[48:58])
            if name.startswith("data.tar"):
                yield file
                return
            file.seek(size + size % 2, os.SEEK_CUR)
    raise StackError(f"{package} holds no data; delete it and run the command again")
