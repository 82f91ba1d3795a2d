"""Something that is done again and again beside something else. Needs nothing installed, as `ivy` runs where little is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def repeating(look: Callable[[], object], every_seconds: float) -> Iterator[None]:
    """Call `look` again and again, on a thread of its own, while the block runs."""
    done = Event()

    def watch() -> None:
        while not done.wait(every_seconds):
            look()

    thread = Thread(target=watch, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
