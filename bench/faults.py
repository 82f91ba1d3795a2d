"""Ingest under every fault, again and again: `python bench/faults.py [--runs 20] [--only kill-driver] [--seed 7] [--outage-seconds 300]`.

Plays each scenario of `imagesearch_stack.faults` with so many seeds, against servers that it starts and stops, with a
collection of its own for each run. Prints a line a run and a table, and ends with 0 if nothing was missing, twice or
otherwise broken. What a run came to is appended to a file at once, so that a campaign that was interrupted goes on
where it was: runs of the same code with the same seeds are not repeated (`--fresh` repeats them).
"""

import argparse
import hashlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event

from imagesearch_stack import StackError, downloads, servers, spark
from imagesearch_stack.faults.collection import Lab
from imagesearch_stack.faults.scenarios import SCENARIOS, Outcome, play
from imagesearch_stack.processes import Processes, free_port
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table

AT_ONCE = 2
"""Runs at once: a second one has work to do while the first one waits for Spark to start."""
WAITING_AT_ONCE = 4
"""Likewise of runs that mostly wait; each embedder takes about 1.3 GB."""

CODE = (
    *(f"services/{name}/src" for name in ("contract", "embedder", "encoder", "fetcher", "producer")),
    "dev/stack/src/imagesearch_stack/faults",
    "requirements.lock",
)


class Row(BaseModel):
    """A line of the results file: what was asked for, and what came out."""

    code: str
    outage_seconds: float
    outcome: Outcome


def main() -> None:
    """Play what was asked for and is not known yet; tell of all of it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, and leaves as little behind
    asked = arguments()
    code = code_under_test()
    asked.results.parent.mkdir(parents=True, exist_ok=True)
    if asked.fresh:
        asked.results.unlink(missing_ok=True)
    scenarios = asked.only or list(SCENARIOS)
    wanted = [(name, seed) for name in scenarios for seed in range(asked.seed, asked.seed + asked.runs)]
    known = {
        (row.outcome.scenario, row.outcome.seed): row.outcome
        for row in read(asked.results)
        if (row.code, row.outage_seconds) == (code, asked.outage_seconds)
    }
    outcomes = [known[each] for each in wanted if each in known]
    left = [each for each in wanted if each not in known]
    if outcomes:
        say(f"{len(outcomes)} of {len(wanted)} runs are in {asked.results} already")
    if left:
        with lab() as made, asked.results.open("a") as results:
            for outcome in campaign(left, made, asked.outage_seconds, asked.at_once):
                row = Row(code=code, outage_seconds=asked.outage_seconds, outcome=outcome)
                results.write(row.model_dump_json() + "\n")
                results.flush()
                outcomes.append(outcome)
                print(f"{len(outcomes):4}/{len(wanted)} {line(outcome)}", flush=True)
    Console(width=None if sys.stdout.isatty() else 160).print(table(outcomes, code))
    for outcome in outcomes:
        for what in outcome.broken:
            print(f"BROKEN {outcome.scenario} --seed {outcome.seed}: {what} (logs: {outcome.logs})")
    if missing := len(wanted) - len(outcomes):
        print(f"{missing} runs could not be counted; the same command plays them again")
    sys.exit(missing > 0 or any(outcome.broken for outcome in outcomes))


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="seeds of each scenario (default 20)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="a scenario; may be given several times")
    parser.add_argument("--outage-seconds", type=float, default=300, help="of es-down (default 300)")
    parser.add_argument("--at-once", type=int, help=f"runs at once (default {AT_ONCE}, of es-down {WAITING_AT_ONCE})")
    parser.add_argument("--fresh", action="store_true", help="forget the runs that were played before")
    results = downloads.cache_dir() / "faults" / "results.jsonl"
    parser.add_argument("--results", type=Path, default=results, help=f"JSON Lines (default {results})")
    return parser.parse_args()


def code_under_test() -> str:
    """A digest of the files that take part in a run, as they are on disk; a change elsewhere repeats no run."""
    files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *CODE]
    root = Path(__file__).parent.parent
    listed = subprocess.run(files, cwd=root, capture_output=True, text=True, check=True).stdout
    digest = hashlib.sha256()
    for name in sorted(set(filter(None, listed.split("\0")))):
        if (root / name).is_file():
            digest.update(f"{name}\0{hashlib.sha256((root / name).read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()[:12]


def read(results: Path) -> Iterator[Row]:
    """The lines of an earlier campaign; one that was cut off counts for nothing."""
    for text in results.read_text().splitlines() if results.exists() else ():
        try:
            yield Row.model_validate_json(text)
        except ValidationError:
            say(f"skipping a line of {results} that is not of this program")


@contextmanager
def lab() -> Iterator[Lab]:
    """Kafka, Elasticsearch and MLflow, with the starter model; stopped at the end, and removed but for the logs of what broke.

    MLflow alone keeps what it has, in the cache: exporting the model takes longer than many a run.
    """
    spark.environment()  # made once, and not by several runs at the same time
    home, kept = Path(tempfile.mkdtemp(prefix="faults-")), downloads.cache_dir() / "faults"
    stop = Event()
    with ExitStack() as stack:
        stack.callback(remove, home)
        processes = stack.enter_context(Processes())
        stack.callback(stop.set)
        say(f"starting Kafka, Elasticsearch and MLflow in {home}")
        ports = {name: free_port() for name in ("kafka", "elasticsearch", "mlflow")}
        kafka = processes.add(servers.start_kafka(home, ports["kafka"]))
        elasticsearch = processes.add(servers.start_elasticsearch(home, ports["elasticsearch"]))
        mlflow = processes.add(servers.start_mlflow(kept, ports["mlflow"]))
        tracking_uri = servers.wait_for_mlflow(mlflow, ports["mlflow"])
        say("registering the starter model")
        name, version = servers.register_model(kept, tracking_uri=tracking_uri)
        yield Lab(
            kafka=servers.wait_for_kafka(kafka, ports["kafka"]),
            elasticsearch=servers.wait_for_elasticsearch(elasticsearch, ports["elasticsearch"]),
            mlflow=tracking_uri,
            model_name=name,
            model_version=version,
            directory=home / "runs",
            stop=stop,
        )


def remove(home: Path) -> None:
    """Remove what the servers kept, and what no broken run left."""
    shutil.rmtree(servers.elasticsearch_dir(home), ignore_errors=True)
    for each in home.iterdir():
        if each.name != "runs":
            shutil.rmtree(each)
    if not any((home / "runs").glob("*")):
        shutil.rmtree(home)


def campaign(
    left: Sequence[tuple[str, int]], made: Lab, outage_seconds: float, at_once: int | None
) -> Iterator[Outcome]:
    """Play the runs, some at once; each outcome as it is known. Those that mostly wait come last, more at once."""
    for waits in (False, True):
        some = [(name, seed) for name, seed in left if SCENARIOS[name].mostly_waits == waits]
        with ThreadPoolExecutor(at_once or (WAITING_AT_ONCE if waits else AT_ONCE)) as pool:
            under_way: set[Future[Outcome]] = {
                pool.submit(play, name, seed, made, outage_seconds=outage_seconds) for name, seed in some
            }
            try:
                while under_way:
                    done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                    for future in done:
                        if (error := future.exception()) is None:
                            yield future.result()
                        else:  # of this program, or of the servers; without a line in the results it is played again
                            say(f"a run could not be counted: {type(error).__name__}: {error}")
            finally:  # however this ends: nobody starts another, and those under way give up
                if under_way:
                    made.stop.set()
                    for future in under_way:
                        future.cancel()


def line(outcome: Outcome) -> str:
    """One run."""
    requests = "" if outcome.requests_per_second is None else f" {outcome.requests_per_second:.2f} requests/s"
    return (
        f"{'BROKEN' if outcome.broken else 'ok':6} {outcome.scenario:14} seed {outcome.seed:<3} "
        f"published {outcome.published} = indexed {outcome.indexed} + dead {outcome.dead_lettered}, "
        f"missing {outcome.missing}, duplicate {outcome.duplicate}, restarts {outcome.restarts}, "
        f"recovery {outcome.recovery_seconds:.1f} s,{requests} {outcome.seconds:.0f} s in all: {outcome.did}"
    )


def table(outcomes: Sequence[Outcome], code: str) -> Table:
    """A row for each scenario; numbers of pictures are sums over its runs."""
    shown = Table(title=f"bench/faults of code {code}", title_justify="left")
    for heading in (
        *("scenario", "runs", "published", "indexed", "dead", "missing", "duplicate", "broken", "restarts"),
        *("recovery s", "driver MiB", "workers MiB", "requests/s"),
    ):
        shown.add_column(heading, justify="left" if heading == "scenario" else "right")
    for name in dict.fromkeys(outcome.scenario for outcome in outcomes):
        some = [outcome for outcome in outcomes if outcome.scenario == name]
        recovery = [outcome.recovery_seconds for outcome in some]
        down = [outcome.requests_per_second for outcome in some if outcome.requests_per_second is not None]
        sums = (
            sum(getattr(outcome, column) for outcome in some)
            for column in ("published", "indexed", "dead_lettered", "missing", "duplicate")
        )
        shown.add_row(
            name,
            str(len(some)),
            *map(str, sums),
            str(sum(bool(outcome.broken) for outcome in some)),
            str(sum(outcome.restarts for outcome in some)),
            f"{statistics.median(recovery):.1f} (max {max(recovery):.1f})",
            f"{max(outcome.driver_mib for outcome in some):.0f}",
            f"{max(outcome.workers_mib for outcome in some):.0f}",
            f"{max(down):.2f}" if down else "",
        )
    return shown


def say(what: str) -> None:
    """Show what is going on."""
    print(f"... {time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except StackError as error:  # a server that does not start; what befalls a run is in its outcome
        sys.exit(f"bench/faults: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
