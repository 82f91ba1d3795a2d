"""What a long manifest costs the producer beside a short one: `python bench/manifest_memory.py [--rows N]`.

Each format is read as the producer reads it, without Kafka: from a file to records, compared with an empty topic and
handed to nobody; then once more, unchanged. Each run is a process of its own, of which the peak of memory counts.
"""

import argparse
import csv
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from imagesearch_contract.settings import ManifestSource, ProducerSettings
from imagesearch_producer.catalogue import Catalogue
from imagesearch_producer.run import Tally, run
from imagesearch_producer.sources import BadRow, State, manifest

SHORT = 10_000
BATCH = 50_000


class Cost(NamedTuple):
    """Of one process."""

    mebibytes: float
    first_seconds: float
    again_seconds: float


class Nobody:
    """An outlet that keeps the state, and nothing else."""

    def __init__(self) -> None:
        self.state: State = {}

    def publish(self, key: bytes, value: bytes | None) -> None:
        """Drop it."""

    def reject(self, row: BadRow) -> None:
        """There are none."""
        raise ValueError(row.detail)

    def withdraw(self, line: int) -> None:
        """Drop it."""

    def save(self, state: State) -> bool:
        """Keep it."""
        self.state = state
        return True


def rows(number: int) -> Iterator[dict[str, Any]]:
    """Records of some 400 bytes."""
    for each in range(number):
        yield {
            "id": f"zoo:{each}",
            "url": f"https://zoo.example/pictures/{each}.jpg",
            "title": f"A zebra, number {each}",
            "description": f"Seen by the water at half past {each % 12}. " * 4,
            "tags": ["zebra", "water", f"herd {each % 1000}"],
            "taken_at": "2024-05-31T12:00:00+02:00",
        }


def write(path: Path, number: int) -> None:
    """A manifest of so many rows, in the format that the name says."""
    if path.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        kinds = pa.Table.from_pylist(list(rows(1))).schema
        with parquet.ParquetWriter(path, kinds) as file:
            every = rows(number)
            while batch := list(islice(every, BATCH)):
                file.write_table(pa.Table.from_pylist(batch, kinds))
        return
    with path.open("w", newline="") as text:
        if path.suffix == ".csv":
            writer = csv.DictWriter(text, list(next(rows(1))))
            writer.writeheader()
            writer.writerows({**row, "tags": ";".join(row["tags"])} for row in rows(number))
        else:
            text.writelines(json.dumps(row) + "\n" for row in rows(number))


def cost(path: Path, number: int) -> Cost:
    """Read a manifest twice."""
    source, outlet = ManifestSource(url=str(path)), Nobody()
    settings = ProducerSettings(topic="none", source=source)
    seconds = []
    for expected in ({"published": number}, {"unchanged": number}):
        started, tally = time.perf_counter(), Tally()
        with Catalogue(list) as catalogue:
            items = manifest.records(source, settings, outlet.state, catalogue, set)
            run(items, catalogue, outlet, tally, source=settings.source_name)
        if any(getattr(tally, name) != value for name, value in expected.items()):
            raise ValueError(tally.summary(failed=0, seconds=0))
        seconds.append(time.perf_counter() - started)
    return Cost(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, *seconds)


def main() -> None:
    """Print a line a format."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    number = parser.parse_args().rows
    processes = multiprocessing.get_context("spawn")
    sys.stdout.write(
        f"{'':8} {'MiB':>6} for {SHORT:,} {'MiB':>6} for {number:,} {'ratio':>6} {'rows/s':>8} {'again':>9}\n"
    )
    for suffix in ("jsonl", "csv", "parquet"):
        found = []
        for each in (SHORT, number):
            with TemporaryDirectory() as folder, processes.Pool(1, maxtasksperchild=1) as pool:
                path = Path(folder, f"manifest.{suffix}")
                pool.apply(write, (path, each))
                found.append(pool.apply(cost, (path, each)))
        short, long = found
        sys.stdout.write(
            f"{suffix:8} {short.mebibytes:6.0f} {'':10} {long.mebibytes:6.0f} {'':13} {long.mebibytes / short.mebibytes:6.2f} "
            f"{number / long.first_seconds:8.0f} {long.again_seconds:7.2f} s\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
