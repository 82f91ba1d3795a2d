"""From Kafka to searchable, in documents per second: `python bench/ingest.py [--rounds 3] [--model clip|starter]`.

In turn, on real Kafka, Elasticsearch and MLflow, with JPEGs of 500 to 1024 pixels from a server on this machine:

- ours: `imagesearch-embedder`, as the local stack runs it
- naive: `naive_ingest.py`, row at a time with transformers, on the same weights (CLIP only)
- encoder: `encode_image` alone, in this process, with the registered model on all cores: pictures decoded beforehand, in
  batches as ours takes them. Nothing that downloads, decodes and indexes on the same cores can be faster.

Each has indexed or encoded some before it is measured, and rests while another is measured. The time is that from the
first `produce` until a search finds every document. Everything that it starts it stops.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from grounds import Collection, Grounds, Model, grounds, write_jpegs
from imagesearch_contract.settings import EmbedderSettings
from imagesearch_encoder import load_encoder
from imagesearch_fetcher.decode import decode
from imagesearch_stack import pictures
from imagesearch_stack.processes import Process
from PIL import Image
from random_clip import save_clip
from rich.console import Console
from rich.table import Table

SIZES = [(1024, 683), (640, 480), (500, 375), (800, 600), (683, 1024), (1024, 768), (500, 500), (768, 512)]
PICTURES = 64
CORES = len(os.sched_getaffinity(0))

Measure = Callable[[], float]
"""Do one round; documents or pictures per second."""


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", choices=("clip", "starter"), default="clip")
    parser.add_argument("--count", type=int, default=1024, help="records of one round of ours")
    parser.add_argument("--workers", type=int, default=CORES, help="Spark workers of ours")
    parser.add_argument("--threads", type=int, default=1, help="encoder threads in each of them")
    parser.add_argument("--per-trigger", type=int, help="records of one micro-batch (default: the embedder's own)")
    args = parser.parse_args()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="imagesearch-ingest-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        (folder / "pictures").mkdir()
        names = write_jpegs(folder / "pictures", [SIZES[n % len(SIZES)] for n in range(PICTURES)])
        url = stack.enter_context(pictures.serve(folder / "pictures"))
        console.print("starting Kafka, Elasticsearch and MLflow, registering the model")
        on = stack.enter_context(grounds(folder))
        weights = "starter"
        if args.model == "clip":
            weights = str(folder / "clip-vit-b32")
            save_clip(Path(weights))
        model = on.register(weights)
        urls = [f"{url.rstrip('/')}/{name}" for name in names]
        files = [(folder / "pictures" / name).read_bytes() for name in names]

        conditions = {"encoder": encoder(on, model, files), "ours": ours(on, model, urls, args)}
        if args.model == "clip":
            conditions["naive"] = naive(on, model, urls, weights)
        report(measure(conditions, args.rounds, console), console)


def ours(on: Grounds, model: Model, urls: list[str], args: argparse.Namespace) -> Measure:
    """The embedder on a collection of its own, warm."""
    collection = Collection(on, model, urls)
    given = {"max_records_per_trigger": args.per_trigger} if args.per_trigger else {}
    collection.start_embedder(
        spark_master=f"local[{args.workers},4]", encoder_threads=args.threads, trigger_seconds=0.5, **given
    )
    collection.fill(128)
    return lambda: args.count / collection.fill(args.count)


def naive(on: Grounds, model: Model, urls: list[str], weights: str) -> Measure:
    """The naive pipeline on a collection of its own, warm."""
    collection = Collection(on, model, urls)
    command = [sys.executable, str(Path(__file__).with_name("naive_ingest.py")), weights]
    command += [on.kafka, collection.topic, on.elasticsearch, collection.index]
    process = on.processes.add(Process("the naive pipeline", command, log=on.run_dir / "logs" / "naive.log"))
    process.wait_until(lambda: "ready" in process.log.read_text(errors="replace"), within_seconds=300)
    collection.fill(8)
    return lambda: 128 / collection.fill(128)


def encoder(on: Grounds, model: Model, files: list[bytes]) -> Measure:
    """The encoder alone, warm."""
    batch_size = EmbedderSettings.model_fields["batch_size"].default
    loaded = load_encoder(f"models:/{model.name}/{model.version}", tracking_uri=on.mlflow, threads=CORES)
    decoded = [decode(data, 10**8, min_side=loaded.info.preprocessing.min_side) for data in files]
    batches: list[list[Image.Image]] = [decoded[at : at + batch_size] for at in range(0, len(decoded), batch_size)]

    def once() -> float:
        began = time.monotonic()
        for _ in range(4):
            for batch in batches:
                loaded.encode_image(batch)
        return 4 * len(decoded) / (time.monotonic() - began)

    loaded.encode_image(batches[0])
    return once


def measure(conditions: dict[str, Measure], rounds: int, console: Console) -> dict[str, list[float]]:
    """Rounds of all in turn; the rate of each round."""
    rates: dict[str, list[float]] = {name: [] for name in conditions}
    for number in range(rounds):
        for name, once in conditions.items():
            rates[name].append(once())
            console.print(
                f"round {number + 1}: {name:<8} {rates[name][-1]:6.1f}/s   load {os.getloadavg()[0]:.1f}",
                highlight=False,
            )
    return rates


def report(rates: dict[str, list[float]], console: Console) -> None:
    """The table, and the two ratios: medians of the ratios of each round."""
    table = Table("", "median/s", "least", "most", title="bench/ingest", title_justify="left")
    for name, found in rates.items():
        table.add_row(name, *(f"{value:.1f}" for value in (statistics.median(found), min(found), max(found))))
    Console().print(table)
    for name, goal in (("naive", 5.0), ("encoder", 0.75)):
        if name in rates:
            ratio = statistics.median(a / b for a, b in zip(rates["ours"], rates[name], strict=True))
            print(f"ours / {name}: {ratio:.2f} (goal: {goal})")
    console.print(f"{CORES} cores, load {os.getloadavg()[0]:.1f}", highlight=False)


if __name__ == "__main__":
    main()
