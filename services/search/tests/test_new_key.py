"""The command that makes an API key."""

import pytest
from imagesearch_search import new_key
from imagesearch_search.access import Keys


def test_the_key_is_alone_on_the_standard_output_and_its_entry_lets_it_in(capsys):
    new_key.main(["shop", "zoo", "team-a/*"])

    key, told = capsys.readouterr()
    assert key.startswith("isk_")
    assert len(key.strip()) >= 43
    entry = told.splitlines()[-1]
    caller = Keys.parse(f"keys:\n{entry}\n".encode(), "default").caller(key.strip())
    assert caller
    assert caller.name == "shop"
    assert caller.may_read("team-a", "anything")
    assert not caller.may_read("default", "farm")
    assert key.strip() not in told


def test_no_key_is_made_twice(capsys):
    new_key.main(["a"])
    new_key.main(["a"])

    first, second = capsys.readouterr().out.split()
    assert first != second


@pytest.mark.parametrize("arguments", [["two words"], ["shop", "Not A Name"], [""]])
def test_what_would_not_be_taken_is_refused_before_there_is_a_key(capsys, arguments):
    with pytest.raises(SystemExit, match="imagesearch-search-key: "):
        new_key.main(arguments)

    assert capsys.readouterr().out == ""
