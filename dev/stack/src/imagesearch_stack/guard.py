"""Runs one command, and sees to it that nothing the command started outlives whoever asked for it.

`python -m imagesearch_stack.guard [--user UID] [--grace SECONDS] -- COMMAND...`; `processes` starts it.
Its standard input is a lifeline: a pipe that the owner holds open and never writes to. When the owner closes it, or
dies in whatever way (`kill -9` included, because then the kernel closes it), the guard asks the command to stop, waits
for the grace period, and kills what is left. It is a child subreaper: a descendant that detached itself (as the
processes of Ray and Spark do) comes back to it as a child, so none can be overlooked.
"""

import argparse
import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

import psutil

PR_SET_CHILD_SUBREAPER = 36
POLL_SECONDS = 0.2


def main() -> None:
    """Run the command; exit with its status, or with 0 when the lifeline ended it."""
    parser = argparse.ArgumentParser(prog="imagesearch_stack.guard")
    parser.add_argument("--user", type=int)
    parser.add_argument("--grace", type=float, default=15.0)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    with contextlib.suppress(OSError, AttributeError):  # Linux only; elsewhere the descendants' own parents have to do
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGTERM, lambda *_: os.close(sys.stdin.fileno()))
    sys.exit(run(arguments.command, user=arguments.user, grace_seconds=arguments.grace))


def run(command: list[str], *, user: int | None, grace_seconds: float) -> int:
    """Run the command until it exits or the lifeline is cut; either way nothing of it is left afterwards."""
    identity = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **identity)  # type: ignore[call-overload]  # noqa: S603
    status: int | None = None
    while status is None and not _lifeline_is_cut():
        status = _reap(child.pid)
    if status is None:
        status = _stop(child.pid, time.monotonic() + grace_seconds)
    _kill_descendants()
    return os.waitstatus_to_exitcode(status)


def _lifeline_is_cut() -> bool:
    try:
        readable, _, _ = select.select([sys.stdin], [], [], POLL_SECONDS)
        return bool(readable) and not os.read(sys.stdin.fileno(), 1)
    except (OSError, ValueError):  # closed by the handler of SIGTERM
        return True


def _reap(pid: int) -> int | None:
    """Bury every dead child, adopted ones too; the wait status of `pid` once it is among them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while (dead := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if dead[0] == pid:
                found = dead[1]
    return found


def _stop(pid: int, deadline: float) -> int:
    """Ask the command to stop; its wait status, or 0 when the deadline passed first."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    while time.monotonic() < deadline:
        status = _reap(pid)
        if status is not None:
            return 0
        time.sleep(0.05)
    return 0


def _kill_descendants() -> None:
    """Kill until none is left: a dying process may leave children that arrive only afterwards."""
    while descendants := [
        process for process in psutil.Process().children(recursive=True) if process.status() != psutil.STATUS_ZOMBIE
    ]:
        for process in descendants:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        time.sleep(0.05)
        _reap(0)
    _reap(0)


if __name__ == "__main__":
    main()
