"""What probes are told, and what the logs say."""

import json
import logging
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from imagesearch_operator import health, logs
from imagesearch_operator.health import Health
from imagesearch_operator.live import Key


class Clock:
    """A time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def liveness(clock) -> Health:
    return Health(clock)


@pytest.fixture
def url(liveness) -> Iterator[str]:
    server = health.serve(liveness, 0)
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def ask(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_it_lives_as_long_as_every_part_is_heard_of(url, liveness, clock):
    liveness.expect("watch of /api/v1/pods", within_seconds=60)
    liveness.expect("workers", within_seconds=600)
    clock.now += 59
    assert ask(f"{url}/healthz") == (200, "ok\n")
    clock.now += 2
    status, said = ask(f"{url}/healthz")
    assert status == 503
    assert "watch of /api/v1/pods" in said
    assert "workers" not in said
    liveness.beat("watch of /api/v1/pods")
    assert ask(f"{url}/healthz") == (200, "ok\n")


def test_it_is_ready_when_it_says_so_and_no_longer_after_a_reset(url, liveness):
    assert ask(f"{url}/readyz")[0] == 503
    liveness.is_ready = True
    assert ask(f"{url}/readyz")[0] == 200
    liveness.expect("workers", within_seconds=0)
    liveness.reset()
    assert ask(f"{url}/readyz")[0] == 503
    assert ask(f"{url}/healthz")[0] == 200


def test_other_addresses_are_told_which_there_are(url):
    assert ask(f"{url}/metrics") == (404, "there are /healthz and /readyz\n")


def test_a_line_about_a_collection_says_which(caplog):
    with caplog.at_level(logging.INFO, logger="imagesearch_operator"):
        logs.logger_for(Key("pictures", "birds"), "uid-1").info("%s created", "CronJob Vögel")
    [record] = caplog.records
    line = json.loads(logs.JsonFormatter().format(record))
    assert line["message"] == "CronJob Vögel created"
    assert (line["namespace"], line["name"], line["uid"], line["level"]) == ("pictures", "birds", "uid-1", "info")


def test_an_error_takes_one_line_too():
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.getLogger("imagesearch_operator").makeRecord(
            "imagesearch_operator", logging.ERROR, __file__, 1, "a bug", (), sys.exc_info()
        )
    formatted = logs.JsonFormatter().format(record)
    assert "\n" not in formatted
    assert "ValueError" in json.loads(formatted)["exception"]
