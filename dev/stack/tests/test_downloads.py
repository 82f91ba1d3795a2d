"""Downloads: pinned, whole or not at all, and plain words when something is wrong. Against a real web server."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from imagesearch_stack import StackError, pictures
from imagesearch_stack.downloads import Download, fetch, fetch_all, jar_download, new_directory, open_deb_data


def pinned(url: str, content: bytes) -> Download:
    return Download(url, hashlib.sha256(content).hexdigest())


def deb(data_name: bytes, data: bytes) -> bytes:
    def member(name: bytes, content: bytes) -> bytes:
        header = name.ljust(16) + b"0".ljust(32) + str(len(content)).encode().ljust(10) + b"`\n"
        return header + content + b"\n" * (len(content) % 2)

    return b"!<arch>\n" + member(b"debian-binary/", b"2.0\n") + member(b"odd", b"123") + member(data_name, data)


def test_a_file_is_fetched_once_and_then_taken_from_the_cache(tmp_path: Path) -> None:
    origin, cache = tmp_path / "origin", tmp_path / "cache"
    origin.mkdir()
    (origin / "a.jar").write_bytes(b"first")
    received: list[int] = []
    with pictures.serve(origin) as base_url:
        download = pinned(f"{base_url}/a.jar", b"first")
        assert fetch(download, cache, received.append).read_bytes() == b"first"
    # The server is gone, so this one can only come from the cache.
    assert fetch(download, cache, received.append).read_bytes() == b"first"
    assert sum(received) == len(b"first")


def test_a_file_that_is_not_the_pinned_one_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    origin, cache = tmp_path / "origin", tmp_path / "cache"
    origin.mkdir()
    (origin / "a.jar").write_bytes(b"tampered")
    with pictures.serve(origin) as base_url, pytest.raises(StackError, match="not the file that was expected"):
        fetch(pinned(f"{base_url}/a.jar", b"original"), cache)
    assert list(cache.iterdir()) == []


def test_a_missing_file_is_an_error_that_names_it_and_the_way_out(tmp_path: Path) -> None:
    with (
        pictures.serve(tmp_path) as base_url,
        pytest.raises(StackError, match=r"gone\.jar: the server answered 404.*IMAGESEARCH_MAVEN_URL"),
    ):
        fetch(pinned(f"{base_url}/gone.jar", b""), tmp_path)


def test_a_server_that_does_not_answer_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pictures.serve(tmp_path) as base_url:
        pass
    with pytest.raises(StackError, match="Connection refused"):
        fetch(pinned(f"{base_url}/a.jar", b""), tmp_path)


def test_several_files_come_back_in_the_order_asked_for(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    names = [f"{number}.jar" for number in range(20)]
    for name in names:
        (origin / name).write_text(name)
    with pictures.serve(origin) as base_url:
        found = fetch_all([pinned(f"{base_url}/{name}", name.encode()) for name in names], tmp_path / "cache")
    assert [path.name for path in found] == names


def test_a_line_of_a_jar_list_becomes_its_address_in_the_repository() -> None:
    download = jar_download("org.apache.kafka:kafka_2.13:4.3.1 abc", "https://mirror.example/maven")
    assert download == Download(
        "https://mirror.example/maven/org/apache/kafka/kafka_2.13/4.3.1/kafka_2.13-4.3.1.jar", "abc"
    )


def test_a_directory_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "made"
    with pytest.raises(IsADirectoryError), new_directory(target) as scratch:
        scratch.write_text("a directory takes no text")
    assert list(tmp_path.iterdir()) == []
    with new_directory(target) as scratch:
        (scratch / "whole").touch()
    assert [path.name for path in target.iterdir()] == ["whole"]


def test_when_two_make_the_same_directory_the_first_one_stays(tmp_path: Path) -> None:
    target = tmp_path / "made"
    with new_directory(target) as second:
        (second / "second").touch()
        with new_directory(target) as first:
            (first / "first").touch()
    assert [path.name for path in target.iterdir()] == ["first"]
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_the_data_inside_a_debian_package_is_found(tmp_path: Path) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as files:
        files.addfile(tarfile.TarInfo("./usr/share/doc"))
    package = tmp_path / "some.deb"
    package.write_bytes(deb(b"data.tar.xz/", data.getvalue()))
    with open_deb_data(package) as opened, tarfile.open(fileobj=opened, mode="r|xz") as files:
        assert files.getnames() == ["./usr/share/doc"]


@pytest.mark.parametrize("content", [b"", b"<html>moved</html>", deb(b"other", b"")], ids=["empty", "html", "no data"])
def test_a_file_that_is_no_debian_package_is_refused(tmp_path: Path, content: bytes) -> None:
    package = tmp_path / "some.deb"
    package.write_bytes(content)
    with pytest.raises(StackError, match="delete it"), open_deb_data(package):
        pass
