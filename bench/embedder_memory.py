"""Whether the embedder's memory stays flat: `python bench/embedder_memory.py [--records 200000]`.

The real embedder on real Kafka, Elasticsearch and MLflow, with small pictures from a server on this machine and a tiny
CLIP of the real architecture, so that many records pass in little time; one record in fifty is a dead letter. Prints the
memory of each kind of process (proportional set size, so that shared pages count once in total) as the records pass,
and how far each strayed after the warm-up, the first quarter. Everything that it starts it stops.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import psutil
from grounds import Collection, grounds, write_jpegs
from imagesearch_stack import pictures
from imagesearch_stack.processes import Process
from random_clip import save_tiny_clip
from rich.console import Console
from rich.table import Table

KINDS = ("driver JVM", "driver Python", "workers", "decoders")
MIB = 2**20
SAMPLES = 60


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=200_000)
    args = parser.parse_args()
    console = Console(stderr=True, highlight=False)
    with tempfile.TemporaryDirectory(prefix="imagesearch-memory-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        (folder / "pictures").mkdir()
        names = write_jpegs(folder / "pictures", [(96, 96)] * 49)
        (folder / "pictures" / "page.jpg").write_text("<!doctype html><title>Sign in</title>")
        url = stack.enter_context(pictures.serve(folder / "pictures"))
        on = stack.enter_context(grounds(folder))
        save_tiny_clip(folder / "tiny-clip")
        model = on.register(str(folder / "tiny-clip"))
        collection = Collection(on, model, [f"{url.rstrip('/')}/{name}" for name in [*names, "page.jpg"]])
        embedder = collection.start_embedder(trigger_seconds=0)
        collection.publish(args.records)
        report(watch(collection, embedder, args.records, console))


def watch(collection: Collection, embedder: Process, records: int, console: Console) -> list[tuple[int, Counter[str]]]:
    """Documents written so far, and the memory of each kind of process then."""
    expected = records - records // 50
    samples: list[tuple[int, Counter[str]]] = []
    began = time.monotonic()
    while (written := collection.written()) < expected:
        collection.on.processes.check()
        if written >= len(samples) * expected / SAMPLES and written:
            samples.append((written, memory(embedder)))
            seconds = time.monotonic() - began
            told = "  ".join(f"{kind} {samples[-1][1][kind] / MIB:.0f} MiB" for kind in KINDS)
            console.print(f"{written:>7} written  {written / seconds:5.0f}/s  {told}   load {os.getloadavg()[0]:.1f}")
        time.sleep(1)
    samples.append((written, memory(embedder)))
    return samples


def memory(embedder: Process) -> Counter[str]:
    """The proportional set size of each kind of process, in bytes."""
    sizes: Counter[str] = Counter()
    for process in psutil.Process(embedder.pid).children(recursive=True):
        try:
            sizes[kind(process)] += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return sizes


def kind(process: psutil.Process) -> str:
    """Which of `KINDS` a process of the embedder is."""
    command = " ".join(process.cmdline())
    if process.name() == "java":
        return "driver JVM"
    if "imagesearch_fetcher.decoders" in command:
        return "decoders"
    return "workers" if "pyspark" in command else "driver Python"


def report(samples: list[tuple[int, Counter[str]]]) -> None:
    """The table: what each kind had at first, in the middle and at the end, and its greatest distance from the median."""
    settled = samples[len(samples) // 4 :]
    table = Table(
        "MiB", *(f"{written}" for written, _ in (settled[0], settled[-1])), "median", "strays by", title_justify="left"
    )
    table.title = "bench/embedder_memory"
    for name in (*KINDS, "all"):
        found = [(sizes.total() if name == "all" else sizes[name]) / MIB for _, sizes in settled]
        middle = statistics.median(found)
        strays = max(abs(each - middle) for each in found) / middle if middle else 0.0
        table.add_row(name, f"{found[0]:.0f}", f"{found[-1]:.0f}", f"{middle:.0f}", f"{strays:.1%}")
    Console().print(table)


if __name__ == "__main__":
    main()
