"""What the embedder says about itself: the log line, the lag, the cause of a failure, the JDK it needs."""

from collections import Counter

import pytest
from elastic_transport import ConnectionError
from imagesearch_contract.platform_indices import PROGRESS_INDEX
from imagesearch_embedder.progress import Bulletin, cause, lag, line
from imagesearch_embedder.session import JavaError, check_java, java_version


def test_the_line_names_every_outcome_and_every_reason_that_occurred() -> None:
    tally = Counter({"indexed": 480, "stale": 2, "dead_link": 3, "truncated": 1})
    assert line(7, tally, 4.26, 1200) == (
        "batch=7 indexed=480 deleted=0 stale=2 superseded=0 failed=4 failed.dead_link=3 failed.truncated=1 "
        "seconds=4.3 lag=1200"
    )
    assert line(0, Counter(), 1.0, None).endswith("lag=unknown")


@pytest.mark.parametrize(
    ("end", "latest", "expected"),
    [
        ('{"t": {"0": 5, "1": 7}}', '{"t": {"0": 5, "1": 7}}', 0),
        ('{"t": {"0": 5}}', '{"t": {"0": 9, "1": 7}}', 11),
        ('{"t": {"0": 5}}', "null", None),
        ('{"t": {"0": 5}}', "None", None),
        ('{"t": {"0": 5}}', None, None),
        ("", "", None),
    ],
)
def test_the_lag_is_what_the_topic_has_beyond_the_batch(end: str, latest: str | None, expected: int | None) -> None:
    assert lag(end, latest) == expected


class Board:
    """As much of Elasticsearch as a bulletin needs. `away`: the server does not answer."""

    def __init__(self) -> None:
        self.told: list[tuple[int | None, float]] = []
        self.there, self.away = True, False
        self.indices = self
        self.seconds = 0.0

    def options(self, **_: float) -> "Board":
        return self

    def now(self) -> float:
        return self.seconds

    def exists(self, index: str) -> bool:
        if self.away:
            raise ConnectionError("away")
        assert index == PROGRESS_INDEX
        return self.there

    def index(self, *, index: str, id: str, document: dict) -> None:
        assert self.there, "created by accident"
        assert (index, id, document["index"]) == (PROGRESS_INDEX, "i", "i")
        self.told.append((document["lag"], document["images_per_second"]))


def test_news_are_told_every_few_seconds_and_a_sign_of_life_every_minute() -> None:
    board = Board()
    bulletin = Bulletin(board, "i", now=board.now)  # type: ignore[arg-type]
    for second in range(200):
        board.seconds = second
        bulletin.tell(max(0, 12 - second), 0.0)
    assert board.told == [(12, 0), (7, 0), (2, 0), (0, 0), (0, 0), (0, 0), (0, 0)]


@pytest.mark.parametrize("fault", ["there", "away"])
def test_a_bulletin_that_cannot_be_written_is_a_warning_and_is_tried_again(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    board = Board()
    bulletin = Bulletin(board, "i", now=board.now)  # type: ignore[arg-type]
    setattr(board, fault, fault == "away")
    for second in range(20):
        board.seconds = second
        bulletin.tell(None, 1 / 3)
    assert board.told == []
    assert len(caplog.messages) == 1
    setattr(board, fault, fault != "away")
    board.seconds = 20
    bulletin.tell(None, 1 / 3)
    assert board.told == [(None, 0.33)]


def test_the_cause_of_a_failure_is_one_line_out_of_spark_s_many() -> None:
    error = """[STREAM_FAILED] Query [id = 1] terminated with exception: Job aborted. SQLSTATE: XXKST
org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "worker.py", line 1, in main
imagesearch_embedder.letters.LettersNotDeliveredError: topic t.failed cannot be read
"""
    assert cause(error) == "LettersNotDeliveredError: topic t.failed cannot be read"
    assert cause("plain\ntext") == "plain"


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_401"', 8),
        ("nonsense", None),
    ],
)
def test_the_java_version_is_read_from_what_java_says(told: str, version: int | None) -> None:
    assert java_version(told) == version


def test_a_missing_java_is_named_with_the_way_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(JavaError, match=r"JAVA_HOME is .* openjdk-17"):
        check_java()
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JavaError, match="there is no `java` on the PATH"):
        check_java()


def test_a_java_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(JavaError, match=r"17 or later, and .* is openjdk version \"11.0.2\""):
        check_java()
