"""`make demo`: everything on this machine, filled and searched, until Ctrl-C."""

import signal
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

from imagesearch_stack.ask import Api, Hit
from imagesearch_stack.downloads import cache_dir
from imagesearch_stack.pipeline import WEB_DIR, Pipeline, Ports, Request, running
from imagesearch_stack.steps import step

EXAMPLE_HITS = 5


def demo(request: Request, console: Console) -> None:
    """Run the pipeline until it is told to stop (Ctrl-C, SIGTERM) or one of its parts dies.

    Raises:
        StackError: something is missing, did not start, or died.
        KeyboardInterrupt: told to stop before it was ready.
    """
    ports = Ports.fixed()
    with running(request, ports, state_dir(request), console) as pipeline:
        show_examples(pipeline, console)
        _welcome(pipeline, ports, console)
        with suppress(KeyboardInterrupt):
            while True:
                pipeline.processes.check()
                time.sleep(1)
        # make hands a SIGTERM on, so it comes twice; stopping is under way and needs no second word.
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, signal.SIG_IGN)
        with step(console, "Stopping"):
            pipeline.processes.stop()


def state_dir(request: Request) -> Path:
    """Where the data of such a request lives between runs, so that the second run has it all."""
    return cache_dir() / "demo" / request.label


def show_examples(pipeline: Pipeline, console: Console) -> None:
    """Search by the source's example texts and by a picture, and print what is found."""
    api = Api(pipeline.url, pipeline.collection)
    found: list[Hit] = []
    for query in pipeline.examples:
        found = api.by_text(query, EXAMPLE_HITS)
        _print_hits(f"“{query}”", found, console)
    if found:
        first = found[0]
        _print_hits(f"pictures like “{first.title}”", api.by_image_url(first.url, EXAMPLE_HITS), console)


def _print_hits(query: str, hits: list[Hit], console: Console) -> None:
    table = Table(title=query, title_justify="left", title_style="bold", show_header=False, box=None, padding=(0, 2))
    for hit in hits:
        table.add_row(f"{hit.score:.3f}", hit.title, f"[dim]{hit.url}[/dim]")
    console.print(table)
    console.print()


def _welcome(pipeline: Pipeline, ports: Ports, console: Console) -> None:
    console.print(str(pipeline.census))
    console.print(f"[dim]Ray dashboard[/dim] http://127.0.0.1:{ports.dashboard}")
    console.print(f"[dim]MLflow[/dim]        http://127.0.0.1:{ports.mlflow}")
    if not WEB_DIR.is_dir():
        console.print("The web page is not built (`make setup` builds it); the API answers, see /docs.", style="yellow")
    console.print(f"[bold green]ready:[/bold green] {pipeline.url}   [dim](Ctrl-C stops everything)[/dim]")
