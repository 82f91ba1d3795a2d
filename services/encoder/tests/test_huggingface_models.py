"""CLIP, SigLIP and SigLIP 2: from a directory into the registry and back, number for number against transformers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from imagesearch_encoder.runtime.encoder import Encoder, Vectors

FAMILIES = ["clip", "siglip", "siglip2"]
TEXTS = ["a dog", "Two CHILDREN, playing!  in the snow", "", "a field " * 40, "Füchse 猫 🦊"]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def registered(
    tiny_model: Callable[[str], Path], mlflow_tracking_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """Registers a family's tiny model once; its address in the registry."""
    from imagesearch_encoder.registry import register
    from imagesearch_encoder.sources import huggingface_source

    made: dict[str, str] = {}

    def get(family: str) -> str:
        if family not in made:
            model = register(huggingface_source(str(tiny_model(family))), tracking_uri=mlflow_tracking_uri)
            assert model.new
            made[family] = f"models:/{model.name}/{model.version}"
        return made[family]

    return get


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def pictures() -> list[Any]:
    from imagesearch_encoder.export import sample_images

    return sample_images()


def of_transformers(folder: Path, family: str) -> tuple[Vectors, Vectors]:
    """The vectors of TEXTS and pictures(), as the documentation of transformers has them made."""
    import torch
    from transformers import AutoModel, AutoProcessor

    model, processor = AutoModel.from_pretrained(folder).eval(), AutoProcessor.from_pretrained(folder)
    length = model.config.text_config.max_position_embeddings
    padding = True if family == "clip" else "max_length"
    tokens = processor(text=TEXTS, padding=padding, truncation=True, max_length=length, return_tensors="pt")
    with torch.inference_mode():
        texts = model.get_text_features(**tokens).pooler_output
        images = model.get_image_features(**processor.image_processor(pictures(), return_tensors="pt")).pooler_output
    return tuple(torch.nn.functional.normalize(rows, dim=-1).numpy() for rows in (texts, images))


def cosines(found: Vectors, expected: Vectors) -> np.ndarray:
    return np.sum(found * expected, axis=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_onnx_gives_the_vectors_of_transformers(
    family: str, tiny_model: Callable[[str], Path], registered: Callable[[str], str], mlflow_tracking_uri: str
) -> None:
    from imagesearch_encoder import load_encoder

    encoder = load_encoder(registered(family), tracking_uri=mlflow_tracking_uri)
    texts, images = of_transformers(tiny_model(family), family)
    assert encoder.info.family == family
    assert encoder.dims == texts.shape[1]
    assert cosines(encoder.encode_text(TEXTS), texts).min() > 0.99999
    assert cosines(encoder.encode_image(pictures()), images).min() > 0.9999
    together, alone = encoder.encode_text(TEXTS), [encoder.encode_text([text])[0] for text in TEXTS]
    assert np.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_torch_gives_the_vectors_of_transformers_and_bfloat16_nearly(
    family: str, tiny_model: Callable[[str], Path], registered: Callable[[str], str], mlflow_tracking_uri: str
) -> None:
    import torch
    from imagesearch_encoder.registry import fetch
    from imagesearch_encoder.runtime.encoder import read_info
    from imagesearch_encoder.runtime.torch_runtime import TorchRuntime

    folder = fetch(registered(family), tracking_uri=mlflow_tracking_uri, device="cuda")
    assert not (folder / "onnx").exists()  # a GPU replica does not download what it does not use
    texts, images = of_transformers(tiny_model(family), family)
    exact: Encoder = TorchRuntime(folder, read_info(folder), device="cpu", dtype=torch.float32)
    assert cosines(exact.encode_text(TEXTS), texts).min() > 0.99999
    assert cosines(exact.encode_image(pictures()), images).min() > 0.9999
    half: Encoder = TorchRuntime(folder, read_info(folder), device="cpu")
    assert cosines(half.encode_text(TEXTS), texts).min() > 0.999
    assert cosines(half.encode_image(pictures()), images).min() > 0.999
    assert half.encode_text([]).shape == (0, half.dims)


def test_the_same_model_is_registered_once(
    tiny_model: Callable[[str], Path], registered: Callable[[str], str], mlflow_tracking_uri: str
) -> None:
    from imagesearch_encoder.registry import register
    from imagesearch_encoder.sources import huggingface_source

    first = registered("clip")
    again = register(huggingface_source(str(tiny_model("clip"))), tracking_uri=mlflow_tracking_uri)
    assert not again.new
    assert f"models:/{again.name}/{again.version}" == first


def test_another_architecture_is_refused(tmp_path: Path, mlflow_tracking_uri: str) -> None:
    from imagesearch_encoder.registry import register
    from imagesearch_encoder.sources import ExportError, huggingface_source
    from transformers import BertConfig

    BertConfig(num_hidden_layers=1).save_pretrained(tmp_path)
    with pytest.raises(ExportError, match="is a bert model; supported are the dual encoders of the CLIP, SigLIP"):
        register(huggingface_source(str(tmp_path)), tracking_uri=mlflow_tracking_uri)


def test_variable_resolution_is_refused_with_what_to_take_instead(tmp_path: Path, mlflow_tracking_uri: str) -> None:
    from imagesearch_encoder.registry import register
    from imagesearch_encoder.sources import ExportError, huggingface_source
    from transformers import Siglip2Config

    Siglip2Config().save_pretrained(tmp_path)
    with pytest.raises(ExportError, match=r"variable resolution .* google/siglip2-base-patch16-224"):
        register(huggingface_source(str(tmp_path)), tracking_uri=mlflow_tracking_uri)


def test_an_export_that_differs_is_refused() -> None:
    from imagesearch_encoder.export import require_agreement
    from imagesearch_encoder.sources import ExportError

    east, nearly = np.array([[1, 0]], np.float32), np.array([[0.99, 0.141]], np.float32)
    require_agreement("the tower", east, east)
    for wrong in (nearly, np.full((1, 2), np.nan, np.float32)):
        with pytest.raises(ExportError, match=r"the tower: cosine .* is below 0\.999; the model was not registered"):
            require_agreement("the tower", wrong, east)


def test_preprocessing_that_could_not_be_rebuilt_is_refused(tiny_model: Callable[[str], Path], tmp_path: Path) -> None:
    import shutil

    from imagesearch_encoder import huggingface
    from imagesearch_encoder.sources import ExportError

    model = shutil.copytree(tiny_model("siglip"), tmp_path / "padded")
    settings = (model / "processor_config.json").read_text()
    assert '"do_resize": true' in settings
    (model / "processor_config.json").write_text(settings.replace('"do_resize": true', '"do_resize": false'))
    with pytest.raises(ExportError, match="does not resize, rescale and normalise is not supported"):
        huggingface.build(str(model), "revision", tmp_path / "artefact")
