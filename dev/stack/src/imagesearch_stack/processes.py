"""Child processes with a log, a deadline to become ready, and no way to outlive this process (see `guard`)."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from imagesearch_stack import StackError

LOG_TAIL_LINES = 15
GRACE_SECONDS = 15.0


class Process:
    """One running command under its guard."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        user: int | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start `command`, with `env` added to this process's environment, as `user` (a numeric id) where given."""
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        guard = [sys.executable, "-m", "imagesearch_stack.guard", "--grace", str(GRACE_SECONDS)]
        if user is not None:
            guard += ["--user", str(user)]
        with log.open("wb") as out:
            self._guard = subprocess.Popen(  # noqa: S603 - our own commands
                [*guard, "--", *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                # A Ctrl-C in the terminal is for us alone: we stop the others, in order.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The guard's process id; the command and all it started are its descendants."""
        return self._guard.pid

    @property
    def running(self) -> bool:
        """Whether the command has not ended by itself."""
        return self._guard.poll() is None

    def check(self) -> None:
        """Raise `StackError`, with the end of the log, if the command has ended."""
        if not self.running:
            raise StackError(f"{self.name} ended unexpectedly (status {self._guard.returncode}). {self._last_words()}")

    def wait_until(self, ready: Callable[[], bool], *, within_seconds: float) -> None:
        """Wait until `ready()`.

        Raises:
            StackError: the command ended, or the time did; with the end of its log.
        """
        deadline = time.monotonic() + within_seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} was not ready within {within_seconds:.0f} s. {self._last_words()}")
            time.sleep(0.2)

    def wait(self, while_waiting: Callable[[], object] = lambda: None) -> None:
        """Wait for a command that is to end by itself, calling `while_waiting` now and then.

        Raises:
            StackError: it ended with another status than 0; with the end of its log.
        """
        while self.running:
            while_waiting()
            time.sleep(0.2)
        if self._guard.returncode != 0:
            raise StackError(f"{self.name} failed (status {self._guard.returncode}). {self._last_words()}")

    @property
    def last_line(self) -> str:
        """What the command said last; empty before it said anything."""
        lines = self.log.read_text(errors="replace").replace("\r", "\n").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def stop(self) -> None:
        """Stop the command and everything it started; returns when all of it is gone."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        self._guard.wait(timeout=GRACE_SECONDS + 15)

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return f"The end of {self.log}:\n" + "\n".join(f"    {line}" for line in lines)


class Processes:
    """The processes of one run: started one by one, watched together, stopped in reverse order."""

    def __init__(self) -> None:
        self._running: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add(self, process: Process) -> Process:
        """Take charge of a process."""
        self._running.append(process)
        return process

    def check(self) -> None:
        """Raise `StackError` if one of them has ended by itself."""
        for process in self._running:
            process.check()

    def stop(self) -> None:
        """Stop all, the last started first: those who use a server before the server."""
        while self._running:
            self._running.pop().stop()


def free_port() -> int:
    """A TCP port of the loopback interface that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_free(ports: Mapping[str, int]) -> None:
    """Make sure that nothing listens on the ports yet.

    Raises:
        StackError: names every port that is taken, and what it was wanted for.
    """
    taken = [f"{port} ({name})" for name, port in ports.items() if not _is_free(port)]
    if taken:
        raise StackError(
            f"in use by another program: port {', '.join(taken)}. Stop that program (`ss -ltnp` shows which it is; "
            "another `make demo`, perhaps) and run the command again."
        )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As servers do: a port whose last connections are still in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def memory_bytes(pid: int) -> int:
    """The memory of a process and all its descendants: the sum of their proportional set sizes.

    Pages that several processes share are counted once in total; a sum of resident sizes would count them for each.
    """
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return sum(map(own_memory, tree))


def own_memory(process: psutil.Process) -> int:
    """The memory of one process, its share of what it shares included; 0 where it is gone."""
    try:
        memory = process.memory_full_info()
        return int(getattr(memory, "pss", memory.rss))
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return 0
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
