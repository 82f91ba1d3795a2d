"""The encoder's replicas on this machine's Ray, to see what becomes of searches when one is lost."""

import sys
from pathlib import Path
from typing import Final

import psutil
from imagesearch_contract.encoder import HEALTH_PATH
from imagesearch_contract.settings import EncoderServiceSettings

from imagesearch_stack import StackError
from imagesearch_stack.processes import Process, free_port
from imagesearch_stack.servers import QUIET_MLFLOW, answers_ok

READY_SECONDS: Final = 300.0
_TITLE: Final = "ray::ServeReplica:encoder"
"""What Ray calls the process of a replica."""


def start(settings: EncoderServiceSettings, *, port: int, log: Path, dashboard_port: int | None = None) -> Process:
    """Start the encoder service; `wait` waits for all its replicas."""
    command = [sys.executable, "-m", "imagesearch_search.serving", "--port", str(port)]
    cpus = max(1, round(settings.max_replicas * settings.cpus_per_replica))
    return Process(
        "the encoder service",
        [*command, "--dashboard-port", str(dashboard_port or free_port()), "--cpus", str(cpus)],
        log=log,
        env=settings.to_env() | QUIET_MLFLOW,
    )


def wait(service: Process, count: int, url: str) -> None:
    """Wait until so many replicas are there and the service answers."""
    service.wait_until(
        lambda: answers_ok(url + HEALTH_PATH) and len(replicas(service)) >= count, within_seconds=READY_SECONDS
    )


def replicas(service: Process) -> list[psutil.Process]:
    """The processes of the replicas that run now."""
    found = []
    for process in psutil.Process(service.pid).children(recursive=True):
        try:
            title = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if title.startswith(_TITLE):
            found.append(process)
    return found


def kill_one(service: Process) -> None:
    """End a replica as a machine does that dies: with SIGKILL, whatever it is doing.

    Raises:
        StackError: there is none.
    """
    running = replicas(service)
    if not running:
        raise StackError("no replica of the encoder runs")
    running[0].kill()
