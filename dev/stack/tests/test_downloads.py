"""Downloads: pinned, whole or not at all, and plain words when something is wrong. Real Ivy, on a repository of files."""

import hashlib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from imagesearch_stack import StackError
from imagesearch_stack.downloads import download_package, new_directory
from imagesearch_stack.ivy import SETTINGS_VARIABLE, Artefact, ivy_xml, retrieve

SETTINGS = """<ivysettings>
  <settings defaultResolver="files"/>
  <resolvers><filesystem name="files" m2compatible="true">
    <artifact pattern="{repository}/[organisation]/[module]/[revision]/[module]-[revision].[ext]"/>
  </filesystem></resolvers>
</ivysettings>"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Maven repository that is a folder, and that Ivy is told to ask instead of Maven Central."""
    settings = tmp_path / "ivysettings.xml"
    settings.write_text(SETTINGS.format(repository=tmp_path / "repository"))
    monkeypatch.setenv(SETTINGS_VARIABLE, str(settings))
    return tmp_path / "repository"


def published(repository: Path, name: str, content: bytes, extension: str = "jar") -> Artefact:
    artefact = Artefact("org.example", name, "1.0", hashlib.sha256(content).hexdigest(), extension)
    file = repository / "org/example" / name / "1.0" / artefact.file_name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return artefact


def test_files_come_in_the_order_asked_for_and_once_only(repository: Path, tmp_path: Path) -> None:
    wanted = [published(repository, name, name.encode()) for name in ("b", "a")]
    wanted.append(published(repository, "c", b"c", "zip"))
    found = retrieve(wanted, tmp_path / "cache")
    assert [path.read_bytes() for path in found] == [b"b", b"a", b"c"]
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {"b-1.0.jar", "a-1.0.jar", "c-1.0.zip"}
    for path in repository.rglob("*.*"):
        if path.is_file():
            path.unlink()
    assert retrieve(wanted, tmp_path / "cache") == found


def test_a_file_that_is_not_the_pinned_one_is_refused_and_leaves_nothing_behind(
    repository: Path, tmp_path: Path
) -> None:
    artefact = published(repository, "a", b"tampered")._replace(sha256=hashlib.sha256(b"original").hexdigest())
    with pytest.raises(StackError, match=r"a-1\.0\.jar is not the file that was expected"):
        retrieve([artefact], tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_missing_file_is_an_error_that_names_it_and_the_way_out(repository: Path, tmp_path: Path) -> None:
    there = published(repository, "there", b"x")
    with pytest.raises(StackError, match=rf"cannot fetch org\.example#gone;1\.0: not found\. .*{SETTINGS_VARIABLE}"):
        retrieve([there, there._replace(name="gone")], tmp_path / "cache")


def test_a_line_of_a_jar_list_becomes_what_ivy_is_asked_for() -> None:
    artefact = Artefact.of_line("org.apache.kafka:kafka_2.13:4.3.1 abc")
    assert artefact.file_name == "kafka_2.13-4.3.1.jar"
    dependency = ElementTree.fromstring(ivy_xml([artefact])).find("dependencies/dependency")
    assert dependency is not None
    assert (dependency.get("org"), dependency.get("name"), dependency.get("rev"), dependency.get("transitive")) == (
        "org.apache.kafka",
        "kafka_2.13",
        "4.3.1",
        "false",
    )


def test_without_apt_get_the_message_names_the_pictures_that_need_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=r"no apt-get.*SOURCE=openmoji"):
        download_package("some-package", tmp_path)


def test_a_package_that_apt_get_does_not_have_is_an_error_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt_get = tmp_path / "apt-get"
    apt_get.write_text("#!/bin/sh\necho 'E: Unable to locate package' >&2\nexit 100\n")
    apt_get.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(StackError, match=r"E: Unable to locate package.*apt-get update"):
        download_package("no-such-package", tmp_path)


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
