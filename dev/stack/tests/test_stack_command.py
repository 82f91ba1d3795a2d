"""The command line, and what is refused before anything long begins."""

from pathlib import Path

import pytest
from imagesearch_stack import StackError
from imagesearch_stack.ask import Hit
from imagesearch_stack.census import Census
from imagesearch_stack.main import parser
from imagesearch_stack.pipeline import LOOPBACK, Ports, Request, check
from imagesearch_stack.servers import elasticsearch_yml, kafka_properties
from imagesearch_stack.smoke import require_kind


def test_the_demo_takes_the_stamps_and_the_starter_model_unless_told_otherwise() -> None:
    given = parser().parse_args(["demo"])
    assert (given.source, given.text, given.model) == ("stamps", "", "starter")


def test_an_unknown_source_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(["demo", "--source", "instagram"])
    said = capsys.readouterr().err
    assert all(source in said for source in ("instagram", "stamps", "openmoji", "flickr"))


def test_flickr_wants_something_to_search_for() -> None:
    with pytest.raises(StackError, match='TEXT="playing dogs"'):
        check(Request(source="flickr"))


def test_flickr_wants_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLICKR_API_KEY", raising=False)
    with pytest.raises(StackError, match="set FLICKR_API_KEY"):
        check(Request(source="flickr", text="playing dogs"))
    monkeypatch.setenv("FLICKR_API_KEY", "key")
    check(Request(source="flickr", text="playing dogs"))


def test_a_text_means_nothing_to_the_sample_pictures() -> None:
    with pytest.raises(StackError, match="SOURCE=stamps"):
        check(Request(text="dogs"))


def test_only_the_sample_pictures_and_a_stand_in_may_be_fetched_from_this_machine() -> None:
    assert Request(source="flickr", text="dogs").allowed_networks == ()
    assert Request().allowed_networks == LOOPBACK
    stand_in = Request(source="flickr", text="dogs", flickr_endpoint="http://127.0.0.1:8091/services/rest/")
    assert stand_in.allowed_networks == LOOPBACK


def test_requests_that_cannot_share_data_have_different_labels() -> None:
    labels = {Request().label, Request(source="openmoji").label, Request(model="google/siglip2-base-patch16-224").label}
    assert len(labels) == 3
    assert not any("/" in label for label in labels)


def test_no_two_servers_share_a_port() -> None:
    assert len(set(Ports.fixed())) == len(Ports._fields)


def test_a_census_that_adds_up_says_so() -> None:
    counted = Census(941, 700, {"unsupported_format": 240, "truncated": 1})
    assert str(counted) == "941 pictures = 700 searchable + 241 dead letters (truncated 1, unsupported_format 240)"
    assert counted.settled == 941


def test_a_census_that_does_not_add_up_does_not_claim_to() -> None:
    assert str(Census(3, 1, {})) == "3 pictures ≠ 1 searchable + 0 dead letters"


def test_the_smoke_test_fails_when_too_few_hits_are_of_the_right_kind() -> None:
    bird = Hit("1", "A robin.", ("animals", "birds"), 0.6, "")
    hat = Hit("2", "A hat.", ("hats",), 0.6, "")
    require_kind([bird, bird, bird, hat], "birds")
    with pytest.raises(StackError, match="2 of 3 hits are tagged birds"):
        require_kind([bird, bird, hat], "birds")


def test_the_servers_listen_on_the_loopback_interface_only() -> None:
    assert "listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093\n" in kafka_properties(
        Path("/d"), 9092, 9093
    )
    assert "network.host: 127.0.0.1\n" in elasticsearch_yml(Path("/d"), 9200, 9300)
