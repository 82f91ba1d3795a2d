"""The `imagesearch-model` command: put a model into the registry, and measure how well one finds pictures."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from imagesearch_encoder.evaluate import DEPTH, KS, CaptionsError, Recall, evaluate, read_captions
from imagesearch_encoder.registry import RegistryError, load_encoder, register
from imagesearch_encoder.runtime.encoder import ArtefactError
from imagesearch_encoder.sources import STARTER, Source, SourceError, huggingface_source, starter_source

DEFAULT_TRACKING_URI = "http://127.0.0.1:5000"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    given = _parser().parse_args(arguments)
    progress = Console(stderr=True, highlight=False)
    try:
        if given.command == "register":
            _register(given, progress)
        else:
            _evaluate(given, progress)
    except (ArtefactError, CaptionsError, RegistryError, SourceError) as error:
        progress.print(f"imagesearch-model: {error}", style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="imagesearch-model", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    tracking = argparse.ArgumentParser(add_help=False)
    tracking.add_argument(
        "--tracking-uri",
        default=os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_TRACKING_URI,
        help="the MLflow server (default: MLFLOW_TRACKING_URI, or %(default)s)",
    )
    registering = commands.add_parser(
        "register",
        parents=[tracking],
        help="export a model and register it; what is registered already is found again",
        description="Export a model to ONNX, compare it with the original, and register it in MLflow. "
        "The last line on stdout is `NAME VERSION`.",
    )
    registering.add_argument(
        "name",
        metavar="NAME",
        help=f"`{STARTER}`, or a Hugging Face id or local directory of a CLIP or SigLIP model; "
        "with --model, the registered name",
    )
    registering.add_argument(
        "--model", metavar="HF_ID_OR_DIR", help="the model, where it is to be registered under another name"
    )
    registering.add_argument(
        "--precision",
        choices=("fp32", "int8", "auto"),
        default="fp32",
        help="of the matrix products on a CPU. int8 is refused where it would find less; auto takes it where it finds as much "
        "and is faster on this processor (default: %(default)s; a GPU runs bf16 whatever is said here)",
    )
    registering.add_argument(
        "--captions",
        type=Path,
        metavar="FILE.jsonl",
        help="pictures on which int8 is judged, as for evaluate; 100 or more",
    )
    evaluating = commands.add_parser(
        "evaluate",
        parents=[tracking],
        help="print recall@1/5/10 and nDCG@10 for each language",
        description="Measure a registered model on captioned pictures, from text to picture and back.",
    )
    evaluating.add_argument("model_uri", metavar="MODEL_URI", help="models:/NAME/VERSION")
    evaluating.add_argument(
        "--captions",
        type=Path,
        required=True,
        metavar="FILE.jsonl",
        help='lines of {"image": "path relative to the file", "captions": {"en": "...", "de": "..."}}',
    )
    evaluating.add_argument("--threads", type=int, default=2, help="of ONNX Runtime (default: %(default)s)")
    return parser


def _register(given: argparse.Namespace, progress: Console) -> None:
    name, source = _source(given.name, given.model)
    if given.precision != "fp32" and given.captions is None:
        raise CaptionsError(f"{given.precision} is judged on captioned pictures: give --captions FILE.jsonl")
    pictures = read_captions(given.captions) if given.captions else []
    with progress.status(f"registering {source.id}") as status:

        def tell(line: str) -> None:
            status.update(line)
            if not progress.is_terminal:
                progress.print(line, markup=False, soft_wrap=True)

        registered = register(
            source,
            name=name,
            tracking_uri=given.tracking_uri,
            precision=given.precision,
            pictures=pictures,
            tell=tell,
        )
    sys.stdout.write(f"{registered.name} {registered.version}\n")


def _source(name: str, model: str | None) -> tuple[str | None, Source]:
    """The registered name (None: the source's own) and the model."""
    if model is not None:
        return name, starter_source() if model == STARTER else huggingface_source(model)
    return None, starter_source() if name == STARTER else huggingface_source(name)


def _evaluate(given: argparse.Namespace, progress: Console) -> None:
    pictures = read_captions(given.captions)
    encoder = load_encoder(given.model_uri, tracking_uri=given.tracking_uri, threads=given.threads)
    with Progress(console=progress, transient=True, disable=not progress.is_terminal) as bar:
        task = bar.add_task(f"encoding with {encoder.info.model}", total=len(pictures))
        rows = evaluate(encoder, pictures, advance=lambda count: bar.advance(task, count))
    Console(highlight=False).print(_table(given.model_uri, rows))


def _table(model_uri: str, rows: Sequence[Recall]) -> Table:
    table = Table(title=f"{model_uri}: recall and nDCG", title_justify="left")
    table.add_column("language")
    table.add_column("direction")
    for heading in ("n", *(f"@{k}" for k in KS), f"nDCG@{DEPTH}", "chance"):
        table.add_column(heading, justify="right")
    for row in rows:
        shares = [f"{row.at[k]:.3f}" for k in KS]
        table.add_row(row.language, row.direction, str(row.n), *shares, f"{row.ndcg:.3f}", f"{row.chance:.3f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
