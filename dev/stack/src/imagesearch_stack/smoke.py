"""`make smoke`: the demo without anybody watching. Starts everything afresh, checks real answers, stops."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from imagesearch_stack import StackError
from imagesearch_stack.ask import Api, Hit
from imagesearch_stack.pipeline import WEB_DIR, Pipeline, Ports, Request, running
from imagesearch_stack.processes import memory_bytes
from imagesearch_stack.repeating import repeating
from imagesearch_stack.servers import elasticsearch_dir
from imagesearch_stack.steps import step

QUERIES: Final = {"a bird": "birds", "Vögel": "birds", "musical instrument": "music"}
"""A query, and the folder from which pictures are expected among its first ten."""
PICTURE: Final = "animals/birds/adelaide-rosella.png"
EXPECTED_OF_TEN: Final = 3
MEMORY_LIMIT: Final = 10 * 2**30


def smoke(console: Console, *, browser: bool) -> None:
    """Run the pipeline on free ports with data of its own, and check what it answers.

    Raises:
        StackError: something did not start, or an answer is wrong.
    """
    run_dir = Path(tempfile.mkdtemp(prefix="imagesearch-smoke-"))
    kept = True
    try:
        with watch_memory() as peak, running(Request(), Ports.free(), run_dir, console) as pipeline:
            check_census(pipeline, console)
            check_answers(pipeline, console)
            if browser:
                check_page(pipeline, console)
        console.print(f"peak memory of everything together: {peak[0] / 2**30:.1f} GiB")
        if peak[0] > MEMORY_LIMIT:
            raise StackError(f"that is more than the {MEMORY_LIMIT / 2**30:.0f} GiB that everything may take")
        kept = False
    finally:
        shutil.rmtree(elasticsearch_dir(run_dir), ignore_errors=True)
        if kept:
            console.print(f"The logs are kept in {run_dir / 'logs'}")
        else:
            shutil.rmtree(run_dir, ignore_errors=True)
    console.print("[bold green]smoke test passed[/bold green]")


def check_census(pipeline: Pipeline, console: Console) -> None:
    """Every picture is searchable or has a dead letter, and most are searchable."""
    with step(console, "The counts add up") as shown:
        counted = pipeline.census
        shown.say(str(counted))
        if counted.settled != counted.pictures or counted.searchable < counted.pictures / 2:
            raise StackError(f"the counts do not add up, or too little is searchable: {counted}")


def check_answers(pipeline: Pipeline, console: Console) -> None:
    """Text queries find the right kind of picture, and a picture finds itself first."""
    api = Api(pipeline.url, pipeline.collection)
    for query, tag in QUERIES.items():
        with step(console, f"“{query}” finds {tag}") as shown:
            hits = api.by_text(query)
            shown.say(", ".join(hit.title for hit in hits[:3]))
            require_kind(hits, tag)
    if pipeline.pictures is None:
        return
    with step(console, "A picture finds itself") as shown:
        first, *_ = api.by_image(pipeline.pictures / PICTURE)
        shown.say(f"{first.title} {first.score:.3f}")
        if first.id != f"manifest:{PICTURE}":
            raise StackError(f"the nearest picture to {PICTURE} is {first.id}, not itself")


def require_kind(hits: list[Hit], tag: str) -> None:
    """Raise `StackError` unless enough of the hits have the tag."""
    right = sum(tag in hit.tags for hit in hits)
    if right < EXPECTED_OF_TEN:
        raise StackError(
            f"{right} of {len(hits)} hits are tagged {tag}, at least {EXPECTED_OF_TEN} were expected: "
            + ", ".join(hit.title for hit in hits)
        )


def check_page(pipeline: Pipeline, console: Console) -> None:
    """The web page's browser tests pass against the running pipeline."""
    with step(console, "The web page in Chromium"):
        if not WEB_DIR.is_dir():
            raise StackError("the web page is not built: run `make setup`")
        done = subprocess.run(
            ["npm", "run", "--silent", "e2e"],  # noqa: S607 - the user's own npm
            cwd=WEB_DIR.parent,
            env={**os.environ, "BASE_URL": pipeline.url},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"the browser tests failed:\n{(done.stdout + done.stderr)[-6000:]}")


@contextmanager
def watch_memory(every_seconds: float = 2.0) -> Iterator[list[int]]:
    """Measure this process and all it starts now and then; the largest sum, in bytes, is the list's only item."""
    peak = [0]

    def watch() -> None:
        peak[0] = max(peak[0], memory_bytes(os.getpid()))

    with repeating(watch, every_seconds):
        yield peak
