"""Finding a Java that is new enough, and saying plainly when there is none."""

from pathlib import Path

import pytest
from imagesearch_stack import StackError
from imagesearch_stack.java import Java, choose, installed, version_of


def install(home: Path, version: str) -> Path:
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").touch(mode=0o755)
    (home / "release").write_text(f'IMPLEMENTOR="Someone"\nJAVA_VERSION="{version}"\n')
    return home


@pytest.mark.parametrize(("written", "version"), [("17.0.15", 17), ("25", 25), ("1.8.0_402", 8), ("21.0.2+13", 21)])
def test_the_version_is_read_from_the_release_file(tmp_path: Path, written: str, version: int) -> None:
    assert version_of(install(tmp_path / "jdk", written)) == version


def test_a_folder_without_java_is_none(tmp_path: Path) -> None:
    assert version_of(tmp_path) is None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch(mode=0o755)
    assert version_of(tmp_path) is None


def test_java_home_comes_first_and_the_others_from_old_to_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    homes = [install(tmp_path / version, version) for version in ("21", "25", "17")]
    monkeypatch.setenv("JAVA_HOME", str(homes[1]))
    assert [java.version for java in installed([*homes, tmp_path / "nothing"])] == [25, 17, 21]


def test_the_first_that_is_new_enough_is_chosen() -> None:
    found = [Java(Path("/a"), 11), Java(Path("/b"), 17), Java(Path("/c"), 21)]
    assert choose(found, 17, "Kafka").home == Path("/b")
    assert choose(found, 21, "Elasticsearch").home == Path("/c")


def test_when_none_is_new_enough_the_message_says_what_was_found_and_how_to_get_one() -> None:
    with pytest.raises(StackError, match=r"Elasticsearch needs Java 21 or later; found: 17 \(/b\)\..*apt-get install"):
        choose([Java(Path("/b"), 17)], 21, "Elasticsearch")
    with pytest.raises(StackError, match="found: none"):
        choose([], 17, "Kafka")
