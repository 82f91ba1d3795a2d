"""The commands that start the two processes say what is missing."""

import pytest
from imagesearch_search import main


def test_settings_that_do_not_fit_end_the_command_with_one_sentence(monkeypatch):
    monkeypatch.setenv("IMAGESEARCH_PORT", "many")

    with pytest.raises(SystemExit, match=r"^imagesearch-search: .*IMAGESEARCH_PORT"):
        main.main()
