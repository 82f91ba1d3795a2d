"""int8: what is judged, when it is taken, and that what is registered is what was chosen."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from imagesearch_encoder.evaluate import Captioned
from imagesearch_encoder.main import main
from imagesearch_encoder.quantise import Verdict, choose, judge
from imagesearch_encoder.runtime.encoder import EncoderInfo, Vectors
from imagesearch_encoder.sources import ExportError
from PIL import Image

GOOD = Verdict(cosine=0.995, agreement_at_10=0.98, recall_at_10_loss=0.0, text_speed_up=2.0, image_speed_up=1.5)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Captioned]:
    """120 pictures of one grey each, with its level as the caption."""
    folder = tmp_path_factory.mktemp("greys")
    captioned = []
    for level in range(120):
        Image.new("RGB", (4, 4), (level, level, level)).save(folder / f"{level}.png")
        captioned.append(Captioned(folder / f"{level}.png", {"en": str(level)}))
    return captioned


class GreyEncoder:
    """Puts greys on an arc by their level; `error` turns texts away from it."""

    dims = 2

    def __init__(self, error: float = 0.0) -> None:
        self._error = error

    @property
    def info(self) -> EncoderInfo:
        raise NotImplementedError

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        return self._arc([float(text) + self._error for text in texts])

    def encode_image(self, images: Sequence[Image.Image]) -> Vectors:
        return self._arc([image.getpixel((0, 0))[0] for image in images])

    @staticmethod
    def _arc(levels: Sequence[float]) -> Vectors:
        angles = np.array(levels) / 100
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_an_encoder_that_gives_the_same_vectors_costs_nothing(pictures: list[Captioned]) -> None:
    verdict = judge(GreyEncoder(), GreyEncoder(), pictures)
    assert verdict.cosine == pytest.approx(1)
    assert (verdict.agreement_at_10, verdict.recall_at_10_loss) == (1, 0)
    assert verdict.costs_nothing


def test_one_that_finds_other_pictures_costs_something(pictures: list[Captioned]) -> None:
    verdict = judge(GreyEncoder(), GreyEncoder(error=20), pictures)
    assert verdict.cosine == pytest.approx(np.cos(0.2), abs=1e-3)
    assert verdict.agreement_at_10 < 0.3
    assert verdict.recall_at_10_loss > 0.7
    assert not verdict.costs_nothing


def test_few_pictures_judge_nothing(pictures: list[Captioned]) -> None:
    with pytest.raises(ExportError, match="at least 100 captioned pictures, and there are 99"):
        judge(GreyEncoder(), GreyEncoder(), pictures[:99])


@pytest.mark.parametrize(
    "bad", [{"cosine": 0.98}, {"cosine": float("nan")}, {"agreement_at_10": 0.9}, {"recall_at_10_loss": 0.02}]
)
def test_int8_is_refused_and_auto_does_without_where_searches_would_be_worse(bad: dict[str, float]) -> None:
    assert choose("auto", replace(GOOD, **bad)) == "fp32"
    with pytest.raises(ExportError, match=r"in int8 searches would be worse: cosine .* Take fp32, or auto"):
        choose("int8", replace(GOOD, **bad))


def test_auto_takes_int8_only_where_it_is_faster() -> None:
    assert choose("auto", GOOD) == choose("int8", GOOD) == "int8"
    for slow in ({"text_speed_up": 1.0}, {"image_speed_up": 0.7}):
        assert choose("auto", replace(GOOD, **slow)) == "fp32"
        assert choose("int8", replace(GOOD, **slow)) == "int8"


def test_the_command_wants_pictures_to_judge_int8_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["register", "starter", "--precision", "auto"]) == 1
    assert "auto is judged on captioned pictures: give --captions FILE.jsonl" in capsys.readouterr().err


@pytest.mark.integration
def test_a_model_is_registered_in_int8_with_its_figures(
    tiny_model: Callable[[str], Path],
    mlflow_tracking_uri: str,
    pictures: list[Captioned],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import mlflow
    import onnx
    from imagesearch_encoder import load_encoder, quantise
    from imagesearch_encoder.registry import EXPERIMENT, fetch, register
    from imagesearch_encoder.sources import huggingface_source

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(quantise, "MIN_AGREEMENT", 0.0)  # random weights put all pictures in one place, in any order
    source = huggingface_source(str(tiny_model("clip")))
    model = register(source, name="grey", tracking_uri=mlflow_tracking_uri, precision="int8", pictures=pictures)

    client = mlflow.MlflowClient(mlflow_tracking_uri)
    registered = client.get_model_version(model.name, model.version)
    assert registered.tags["imagesearch.precision"] == "int8"
    assert registered.tags["imagesearch.int8"].startswith("cosine 0.99")
    (run,) = client.search_runs(
        [client.get_experiment_by_name(EXPERIMENT).experiment_id], f"attributes.run_name = '{model.name}'"
    )
    assert 0.99 <= run.data.metrics["int8_cosine"] < 1  # the same would mean that nothing was quantised
    uri = f"models:/{model.name}/{model.version}"
    folder = fetch(uri, tracking_uri=mlflow_tracking_uri, device="cpu")
    for graph in ("text", "image"):
        kinds = {node.op_type for node in onnx.load(folder / "onnx" / f"{graph}.onnx").graph.node}
        assert kinds & {"MatMulInteger", "DynamicQuantizeMatMul"}
    encoder = load_encoder(uri, tracking_uri=mlflow_tracking_uri)
    assert encoder.info.precision == "int8"
    assert encoder.encode_text(["a dog", ""]).shape == (2, encoder.dims)
