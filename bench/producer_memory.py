"""Whether the producer's memory stays flat over a million photos: `python bench/producer_memory.py [--rows N]`.

A real Kafka is started, and a manifest of so many rows is published to it; then the same with one row more, for which every
row is compared with what the topic holds, so that the whole of it is read back. Each run is a process of its own, which
tells its resident memory every 50,000 messages read and records met. Flat is: never more than 10 % above what it is once
`WARM` of them went by, when the buffers of Kafka's client are full. Everything that it starts it stops.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import psutil
from imagesearch_contract.settings import ManifestSource, ProducerSettings
from imagesearch_producer.catalogue import Catalogue
from imagesearch_producer.main import KafkaOutlet, items_of
from imagesearch_producer.publish import Publisher
from imagesearch_producer.run import Tally, run
from imagesearch_producer.topics import messages
from imagesearch_stack import provision, servers
from imagesearch_stack.processes import Processes, free_port

STEP = 50_000
WARM = 100_000
GROWTH = 1.10

T = TypeVar("T")


class Outcome(NamedTuple):
    """Of one run."""

    warm_mebibytes: float
    most_mebibytes: float
    seconds: float
    summary: str

    @property
    def is_flat(self) -> bool:
        """Whether it is within the bound."""
        return self.most_mebibytes <= self.warm_mebibytes * GROWTH


class Meter:
    """Looks at this process's memory as things go by."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._seen = 0
        self.samples: list[float] = []
        """Mebibytes, every `STEP`."""

    def count(self, things: Iterable[T], what: str) -> Iterator[T]:
        """Hand the things on."""
        for number, thing in enumerate(things, 1):
            yield thing
            self._seen += 1
            if self._seen % STEP == 0:
                self.samples.append(self._process.memory_info().rss / 2**20)
                sys.stdout.write(f"  {number:>9,} {what:<16} {self.samples[-1]:6.0f} MiB\n")
                sys.stdout.flush()


def write_manifest(path: Path, rows: int) -> None:
    """Rows of some 400 bytes."""
    with path.open("w") as file:
        for number in range(rows):
            row = {
                "id": f"zoo:{number}",
                "url": f"https://zoo.example/pictures/{number}.jpg",
                "title": f"A zebra, number {number}",
                "description": f"Seen by the water at half past {number % 12}. " * 4,
                "tags": ["zebra", "water", f"herd {number % 1000}"],
                "uploaded_at": "2024-05-31T12:00:00+00:00",
            }
            file.write(json.dumps(row) + "\n")


def measured(settings: ProducerSettings) -> Outcome:
    """One run, as the command `imagesearch-producer` makes it."""
    meter, tally, started = Meter(), Tally(), time.monotonic()
    read = partial(messages, settings, settings.topic)
    with (
        Publisher(settings) as publisher,
        Catalogue(lambda: meter.count(read(), "messages read")) as catalogue,
    ):
        items = meter.count(items_of(settings, catalogue), "records met")
        run(items, catalogue, KafkaOutlet(settings, publisher), tally, source=settings.source_name)
        publisher.flush()
    seconds = time.monotonic() - started
    after = meter.samples[WARM // STEP - 1 :]
    return Outcome(after[0], max(after), seconds, tally.summary(failed=publisher.failed, seconds=seconds))


def main() -> int:
    """Measure two runs; return 1 where one of them is not flat."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = max(2 * WARM, parser.parse_args().rows)
    flat = True
    with tempfile.TemporaryDirectory(prefix="imagesearch-bench-") as folder, Processes() as processes:
        port = free_port()
        kafka = servers.wait_for_kafka(processes.add(servers.start_kafka(Path(folder), port)), port)
        manifest = Path(folder, "manifest.jsonl")
        settings = ProducerSettings(
            kafka_bootstrap_servers=kafka,
            topic="imagesearch.default.bench",
            source=ManifestSource(url=str(manifest)),
        )
        provision.create_topics(kafka, settings.topic)
        for name, number in (("all of them new", rows), ("one new, all others compared with the topic", rows + 1)):
            write_manifest(manifest, number)
            sys.stdout.write(f"{number:,} rows, {name}\n")
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                outcome = pool.apply(measured, (settings,))
            flat = flat and outcome.is_flat
            sys.stdout.write(
                f"{outcome.summary}\n{'flat' if outcome.is_flat else 'NOT FLAT'}: {outcome.warm_mebibytes:.0f} MiB after "
                f"{WARM:,}, at most {outcome.most_mebibytes:.0f} MiB; {number / outcome.seconds:,.0f} rows/s\n"
            )
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
