"""Shows how far a command has come: one line a step, with a bar while it runs on a terminal."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Step:
    """One step under way."""

    def __init__(self, progress: Progress, title: str) -> None:
        """Show the step in `progress`."""
        self.detail = ""
        self._received = 0
        self._progress = progress
        self._task = progress.add_task(escape(title), total=None, detail="")

    def say(self, detail: str) -> None:
        """Show what is going on, or came out; the last of it stays."""
        self.detail = detail
        self._progress.update(self._task, detail=escape(detail))

    def reach(self, done: int, total: int) -> None:
        """Fill the bar as far as it goes."""
        self._progress.update(self._task, completed=done, total=total)

    def receive(self, count: int) -> None:
        """Count bytes that were downloaded, and show how many."""
        self._received += count
        self.say(f"{self._received / 1e6:.0f} MB")

    def advance(self, amount: float) -> None:
        """Fill the bar by so much more."""
        self._progress.update(self._task, advance=amount)


@contextmanager
def step(console: Console, title: str) -> Iterator[Step]:
    """Run one step; when the block ends its line says how, and how long it took."""
    started = time.monotonic()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("[dim]{task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    outcome = "[red]✗[/red]"
    running = None
    try:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            running = Step(progress, title)
            yield running
            outcome = "[green]✓[/green]"
    finally:
        detail = f"  {escape(running.detail)}" if running is not None and running.detail else ""
        console.print(
            f"{outcome} {escape(title)}[dim]{detail}  {time.monotonic() - started:.1f} s[/dim]",
            highlight=False,
            soft_wrap=True,
        )
