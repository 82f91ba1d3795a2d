import pytest
from imagesearch_contract import names


def test_the_names_of_a_collection_are_as_documented() -> None:
    assert names.topic("default", "dogs") == "imagesearch.default.dogs"
    assert names.dead_letter_topic("imagesearch.default.dogs") == "imagesearch.default.dogs.failed"
    assert names.state_topic("imagesearch.default.dogs") == "imagesearch.default.dogs.state"
    assert names.alias("default", "dogs") == "default.dogs"
    assert names.index("default", "dogs", "starter", "1") == "default.dogs.b79b296e"
    assert names.image_id("flickr", "53466812") == "flickr:53466812"
    assert names.model_uri("starter", "1") == "models:/starter/1"


def test_another_model_version_has_another_index() -> None:
    of = {names.index("default", "dogs", *model) for model in [("a", "1"), ("a", "2"), ("b", "1"), ("a/1", "1")]}
    assert len(of) == 4


@pytest.mark.parametrize("bad", ["", "Dogs", "a.b", "-a", "a-", "a_b", "ä", "a" * 41, "a\n"])
def test_a_name_that_is_no_dns_label_is_refused_with_what_to_write_instead(bad: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters, digits"):
        names.topic("default", bad)
