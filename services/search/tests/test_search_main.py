"""The commands that start the two processes say what is missing."""

import subprocess
import sys

import pytest
from imagesearch_search import main


def test_settings_that_do_not_fit_end_the_command_with_one_sentence(monkeypatch):
    monkeypatch.setenv("IMAGESEARCH_PORT", "many")

    with pytest.raises(SystemExit, match=r"^imagesearch-search: .*IMAGESEARCH_PORT"):
        main.main()


def test_keys_that_cannot_be_read_end_the_command_with_one_sentence(monkeypatch, tmp_path):
    (tmp_path / "keys.yaml").write_text("keys: [")
    monkeypatch.setenv("IMAGESEARCH_ACCESS_KEYS_PATH", str(tmp_path / "keys.yaml"))

    with pytest.raises(SystemExit, match=r"^imagesearch-search: IMAGESEARCH_ACCESS_KEYS_PATH: .*no YAML \(line 1\)"):
        main.main()


def test_the_search_api_runs_where_ray_the_encoder_and_torch_are_not_installed():
    missing = ["ray", "imagesearch_encoder", "torch", "onnxruntime", "mlflow"]
    program = f"import sys; sys.modules.update(dict.fromkeys({missing})); import imagesearch_search.main"

    subprocess.run([sys.executable, "-c", program], check=True)
