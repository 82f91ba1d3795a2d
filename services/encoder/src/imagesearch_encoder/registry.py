"""Models in the MLflow registry: put one in (`register`), take one out (`load_encoder`).

MLflow is imported inside the functions: it takes seconds, and whoever only prints a usage text should not wait.
"""

import contextlib
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from imagesearch_contract import names

from imagesearch_encoder.evaluate import Captioned
from imagesearch_encoder.runtime.encoder import (
    IMAGE_GRAPH,
    INFO_FILE,
    TEXT_GRAPH,
    TOKENIZER_FILE,
    WEIGHTS,
    ArtefactError,
    Encoder,
    EncoderInfo,
    read_info,
    sha256,
    verify,
)
from imagesearch_encoder.sources import Source, versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from imagesearch_encoder.quantise import Verdict, Wanted

DATA: Final = "data/encoder"
"""Where MLflow keeps the artefact's folder inside a logged model."""
RUNTIME_PACKAGE: Final = "imagesearch_model_runtime"
"""The name under which `runtime` travels with a model: not its own, so that it never shadows an installed imagesearch."""
RUNTIME_REQUIREMENTS: Final = ("mlflow", "numpy", "onnxruntime", "pandas", "pillow", "tokenizers")
EXPERIMENT: Final = "imagesearch-models"

SOURCE_TAG: Final = "imagesearch.source"
REVISION_TAG: Final = "imagesearch.revision"
FINGERPRINT_TAG: Final = "imagesearch.fingerprint"
CHECKSUM_TAG: Final = "imagesearch.checksum"
PRECISION_TAG: Final = "imagesearch.precision"
VERDICT_TAG: Final = "imagesearch.int8"
"""How int8 compared with float32, in words; the figures are metrics of the run that logged the model."""

_MODEL_URI = re.compile(r"models:/(?P<name>[^/@:]+)(/(?P<version>\d+)|@(?P<alias>[^/@]+))")


class RegistryError(RuntimeError):
    """The registry cannot be reached, or does not hold what was asked for; the message says which and what to do."""


class RegisteredModel(NamedTuple):
    """A version in the registry."""

    name: str
    version: str
    new: bool
    """False where the same content was there already."""


def load_encoder(
    model_uri: str, *, tracking_uri: str, threads: int = 2, device: Literal["cpu", "cuda"] = "cpu"
) -> Encoder:
    """Load a registered model: ONNX Runtime on a CPU, torch in bfloat16 on a GPU.

    Only the files the device needs are downloaded, checked against their checksums, and kept in
    `~/.cache/imagesearch/models`, so a second process on the same machine starts at once.

    Args:
        model_uri: `models:/NAME/VERSION` or `models:/NAME@ALIAS`.
        tracking_uri: the MLflow server.
        threads: of ONNX Runtime, for one call.
        device: `cpu` or `cuda`.

    Returns:
        An encoder that may be called from several threads at once.

    Raises:
        RegistryError: no such model version, or MLflow cannot be reached.
        ArtefactError: what was registered is damaged, or was not made for this device.
    """
    folder = fetch(model_uri, tracking_uri=tracking_uri, device=device)
    info = read_info(folder)
    if device == "cuda":
        from imagesearch_encoder.runtime.torch_runtime import TorchRuntime

        return TorchRuntime(folder, info, device=device)
    from imagesearch_encoder.runtime.onnx_runtime import OnnxRuntime

    return OnnxRuntime(folder, info, threads=threads)


def register(
    source: Source,
    *,
    tracking_uri: str,
    name: str | None = None,
    precision: "Wanted" = "fp32",
    pictures: Sequence[Captioned] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> RegisteredModel:
    """Put a model into the registry, or find it there.

    Args:
        source: the model.
        tracking_uri: the MLflow server.
        name: the registered name; the source's own by default.
        precision: of the ONNX graphs. `int8` is refused where searches would be worse for it; `auto` is int8 where they
            would not and this processor is faster for it, and else fp32.
        pictures: on which int8 is judged; at least 100, not needed for fp32.
        tell: is told what happens, a line at a time.

    Raises:
        ExportError: the export differs from the original, or int8 was asked for and does not pass.
        CaptionsError: a picture is missing or cannot be decoded.
        RegistryError: MLflow cannot be reached.
    """
    name = name or source.name
    fingerprint = source.fingerprint(precision)
    with _registry(tracking_uri) as client:
        if found := _find(client, name, fingerprint):
            tell(f"{name} version {found.version} is registered already")
            return RegisteredModel(name, str(found.version), new=False)
        with tempfile.TemporaryDirectory(prefix="imagesearch-model-") as scratch:
            folder = Path(scratch) / "encoder"
            folder.mkdir()
            info, verdict = _export(source, folder, tell), None
            if precision != "fp32":
                folder, info, verdict = _quantise(folder, info, precision, pictures, tell)
            tell(f"uploading {_megabytes(folder)} MB to {tracking_uri}")
            version = _upload(client, name, info, folder, fingerprint, verdict)
    tell(f"registered {name} version {version}")
    return RegisteredModel(name, version, new=True)


def _export(source: Source, folder: Path, tell: Callable[[str], None]) -> EncoderInfo:
    tell(f"loading {source.id} ({source.revision})")
    from imagesearch_encoder.export import export  # torch

    towers = source.build(folder)
    tell("exporting to ONNX, and comparing with torch")
    return export(towers, folder)


def _quantise(
    folder: Path, info: EncoderInfo, wanted: "Wanted", pictures: Sequence[Captioned], tell: Callable[[str], None]
) -> tuple[Path, EncoderInfo, "Verdict"]:
    """The artefact that is to be registered, of the two, and how they compare."""
    from imagesearch_encoder.quantise import choose, judge, quantise
    from imagesearch_encoder.runtime.onnx_runtime import OnnxRuntime

    tell("quantising to int8, and comparing with fp32")
    small = folder.parent / "int8" / folder.name  # MLflow keeps the name
    small_info = quantise(folder, small, info)
    original, quantised = OnnxRuntime(folder, info, threads=2), OnnxRuntime(small, small_info, threads=2)
    verdict = judge(original, quantised, pictures)
    chosen = choose(wanted, verdict)
    tell(f"{chosen} is taken; int8 has {verdict}")
    return (small, small_info, verdict) if chosen == "int8" else (folder, info, verdict)


def _find(client: "MlflowClient", name: str, fingerprint: str) -> "ModelVersion | None":
    versions_found = client.search_model_versions(f"name = '{name}'")
    return next(
        (
            version
            for version in versions_found
            if version.tags.get(FINGERPRINT_TAG) == fingerprint and version.status == "READY"
        ),
        None,
    )


def _upload(
    client: "MlflowClient",
    name: str,
    info: EncoderInfo,
    folder: Path,
    fingerprint: str,
    verdict: "Verdict | None" = None,
) -> str:
    import mlflow
    import numpy as np
    from mlflow.exceptions import MlflowException
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    tags = {
        names.MODEL_DIMS_TAG: str(info.dims),
        SOURCE_TAG: info.source if info.family != "starter" else info.model,
        REVISION_TAG: info.revision,
        CHECKSUM_TAG: info.checksum,
        FINGERPRINT_TAG: fingerprint,
        PRECISION_TAG: info.precision,
        **({VERDICT_TAG: str(verdict)} if verdict else {}),
    }
    signature = ModelSignature(
        inputs=Schema(
            [ColSpec(DataType.string, "text", required=False), ColSpec(DataType.binary, "image", required=False)]
        ),
        outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, info.dims))]),
    )
    code = folder.parent / RUNTIME_PACKAGE
    shutil.copytree(Path(__file__).parent / "runtime", code, ignore=shutil.ignore_patterns("__pycache__"))
    mlflow.set_experiment(EXPERIMENT)
    with mlflow.start_run(run_name=name):
        logged = mlflow.pyfunc.log_model(
            name=re.sub(r"[^\w.-]", "-", name),
            loader_module=f"{RUNTIME_PACKAGE}.pyfunc",
            data_path=str(folder),
            code_paths=[str(code)],
            signature=signature,
            pip_requirements=[f"{package}=={version}" for package, version in versions(RUNTIME_REQUIREMENTS).items()],
        )
        if verdict:
            mlflow.log_metrics(verdict.figures)
    with contextlib.suppress(MlflowException):  # it is there already; anything else fails in the next line too
        client.create_registered_model(name)
    # The tags come with the version, not after it: a reader never sees a version without its dims.
    version = client.create_model_version(name, source=logged.model_uri, model_id=logged.model_id, tags=tags)
    return str(version.version)


def fetch(model_uri: str, *, tracking_uri: str, device: str) -> Path:
    """The folder in the cache with the files that `device` needs; downloaded where it is not there yet.

    Raises:
        RegistryError, ArtefactError: as `load_encoder`.
    """
    with _registry(tracking_uri) as client:
        version = _version(client, model_uri)
        checksum = version.tags.get(CHECKSUM_TAG)
        if checksum is None:
            raise RegistryError(f"{model_uri} was not registered by imagesearch-model")
        cached = _cache() / f"{checksum}-{device}"
        if cached.is_dir():
            return cached
        with tempfile.TemporaryDirectory(dir=_cache(), prefix=".download-") as scratch:
            folder = _download(f"models:/{version.name}/{version.version}", checksum, device, Path(scratch))
            # Two processes may download at once. Renaming is atomic, and the loser takes what the winner left.
            with contextlib.suppress(OSError):
                folder.rename(cached)
        if not cached.is_dir():
            raise RegistryError(f"cannot keep the model in {cached}: check that the directory is writable")
        return cached


def _download(model_uri: str, checksum: str, device: str, scratch: Path) -> Path:
    from mlflow.artifacts import download_artifacts

    folder = scratch / DATA
    download_artifacts(artifact_uri=f"{model_uri}/{DATA}/{INFO_FILE}", dst_path=str(scratch))
    if sha256(folder / INFO_FILE) != checksum:
        raise ArtefactError(f"{INFO_FILE} of {model_uri} is damaged (its checksum differs): register the model again")
    info = read_info(folder)
    files = [path for path in info.checksums if _needed(path, device)]
    for path in files:
        download_artifacts(artifact_uri=f"{model_uri}/{DATA}/{path}", dst_path=str(scratch))
    verify(folder, info, files)
    return folder


def _needed(path: str, device: str) -> bool:
    graphs = (TEXT_GRAPH, IMAGE_GRAPH)  # each may have its large weights in a file beside it, of the same beginning
    return path == TOKENIZER_FILE or path.startswith(f"{WEIGHTS}/" if device == "cuda" else graphs)


def _version(client: "MlflowClient", model_uri: str) -> "ModelVersion":
    match = _MODEL_URI.fullmatch(model_uri)
    if match is None:
        raise RegistryError(f"{model_uri!r} is not the address of a registered model: use models:/NAME/VERSION")
    if match["alias"]:
        return client.get_model_version_by_alias(match["name"], match["alias"])
    return client.get_model_version(match["name"], match["version"])


def _cache() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root / "imagesearch" / "models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def _registry(tracking_uri: str) -> Iterator["MlflowClient"]:
    """An MLflow client that keeps quiet and gives up in seconds; its errors come out as `RegistryError`."""
    for variable, value in _MLFLOW_DEFAULTS.items():
        os.environ.setdefault(variable, value)
    import mlflow
    from mlflow.exceptions import MlflowException

    logger = logging.getLogger("mlflow")
    before, level = mlflow.get_tracking_uri(), logger.level
    logger.setLevel(logging.ERROR)
    mlflow.set_tracking_uri(tracking_uri)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's advice on its own schemas and file layouts
            yield mlflow.MlflowClient(tracking_uri)
    except MlflowException as error:
        raise RegistryError(_explain(error, tracking_uri)) from error
    finally:
        mlflow.set_tracking_uri(before)
        logger.setLevel(level)


_MLFLOW_DEFAULTS: Final = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
}


def _explain(error: Any, tracking_uri: str) -> str:
    if error.error_code == "RESOURCE_DOES_NOT_EXIST":
        return f"{tracking_uri} has no such model: {error.message}"
    if "failed with exception" in str(error.message):  # MLflow's words for every fault of the connection
        return f"cannot reach MLflow at {tracking_uri}: check the address, and that the server is running"
    return f"MLflow at {tracking_uri} failed: {str(error.message).splitlines()[0][:300]}"


def _megabytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 10**6
