"""How soon the encoder service has the replicas that a fourfold load needs: `python bench/autoscale.py`.

On a real Ray Serve, with the settings of our application and with Ray's defaults, for the same replica target and limits.
A replica here answers one request at a time and sleeps for as long as an encoder would work, so that four of them are four
times as fast on however few cores, and are started without a model to load. As many clients as one replica is to have ask
without a pause; then there are four times as many.

Printed are the seconds from that step until all replicas were asked for, until they ran, and until answers were as fast
as before.
"""

import argparse
import asyncio
import itertools
import math
import os
import statistics
import time
from typing import Any, Final, NamedTuple

import aiohttp
import ray
from imagesearch_contract.settings import EncoderServiceSettings
from imagesearch_search.serving import LOCAL_RAY, autoscaling
from imagesearch_stack.processes import free_port
from ray import serve
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import LoggingConfig
from rich.console import Console
from rich.table import Table
from starlette.requests import Request
from starlette.responses import Response

STEP: Final = 4
SERVICE_SECONDS: Final = 0.02
AS_BEFORE: Final = 1.25
"""Times the median before the step."""
SETTLE_SECONDS: Final = 8
"""For which the load goes on when all replicas run."""
APPLICATION: Final = "bench"


class Encoder:
    """Answers one request after the other, as a model does, and uses no processor."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def __call__(self, request: Request) -> Response:
        """Wait for the turn, then for the answer."""
        await request.body()
        async with self._turn:
            await asyncio.sleep(SERVICE_SECONDS)
        return Response(b"")


class Answer(NamedTuple):
    """When it came, by the clock, and how long it was waited for; seconds."""

    at: float
    waited: float
    ok: bool


class Reached(NamedTuple):
    """Seconds after the step."""

    asked_for: float
    running: float
    as_fast: float
    refused: int


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=150, help="seconds after which one is given up")
    args = parser.parse_args()
    settings = EncoderServiceSettings(model_name="none", model_version="0", max_replicas=STEP)
    same = {"min_replicas": 1, "max_replicas": STEP, "target_ongoing_requests": settings.target_ongoing_requests}
    configs = {"ours": autoscaling(settings), "Ray's defaults": AutoscalingConfig(**same)}
    os.environ.update(LOCAL_RAY | os.environ)
    ray.init(
        num_cpus=1,
        object_store_memory=80 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    try:
        port = free_port()
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        clients = round(settings.target_ongoing_requests)
        found = {
            name: one(config, settings, f"http://127.0.0.1:{port}/", clients, args.limit)
            for name, config in configs.items()
        }
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()
    report(found, args.limit)


def one(config: AutoscalingConfig, settings: EncoderServiceSettings, url: str, clients: int, limit: float) -> Reached:
    """Serve with one configuration, take the step, and delete it."""
    deployment = serve.deployment(
        name="encoder",
        autoscaling_config=config,
        max_ongoing_requests=2 * settings.max_batch_size,
        max_queued_requests=4 * settings.max_batch_size,
        ray_actor_options={"num_cpus": 0.1},
        logging_config=LoggingConfig(enable_access_log=False),
    )
    serve.run(deployment(Encoder).bind(), name=APPLICATION, route_prefix="/")
    try:
        return asyncio.run(take_step(url, clients, limit))
    finally:
        serve.delete(APPLICATION)


async def take_step(url: str, clients: int, limit: float) -> Reached:
    """Ask as so many clients, then as four times as many, until all replicas run and a little longer."""
    answers: list[Answer] = []
    asked_for = running = math.inf
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        load = [asyncio.create_task(client(session, url, answers)) for _ in range(clients)]
        await asyncio.sleep(8)
        before = statistics.median(answer.waited for answer in answers if answer.at > time.monotonic() - 4)
        began = time.monotonic()
        load += [asyncio.create_task(client(session, url, answers)) for _ in range((STEP - 1) * clients)]
        while time.monotonic() - began < min(limit, running + SETTLE_SECONDS):
            target, up = await asyncio.to_thread(replicas)
            passed = time.monotonic() - began
            asked_for = min(asked_for, passed) if target == STEP else asked_for
            running = min(running, passed) if up == STEP else running
            await asyncio.sleep(0.1)
        as_fast = seconds_until(answers, began, before)
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
    return Reached(asked_for, running, as_fast, sum(not answer.ok for answer in answers))


async def client(session: aiohttp.ClientSession, url: str, answers: list[Answer]) -> None:
    """Ask, wait for the answer, and ask again."""
    while True:
        began = time.monotonic()
        async with session.post(url) as answer:
            await answer.read()
        now = time.monotonic()
        answers.append(Answer(now, now - began, answer.status == 200))


def seconds_until(answers: list[Answer], began: float, before: float) -> float:
    """Seconds from the step to the first whole second whose answers took as long as those before it."""
    since = [answer for answer in answers if answer.at > began + 1]  # the first second's may have been asked before it
    seconds = itertools.groupby(since, key=lambda answer: int(answer.at - began))
    *whole, _ = [(second, [answer.waited for answer in group]) for second, group in seconds] or [(0, [])]
    return next((second for second, waits in whole if statistics.median(waits) <= AS_BEFORE * before), math.inf)


def replicas() -> tuple[int, int]:
    """How many Serve wants, and how many run."""
    served: Any = serve.context._get_global_client()
    details = served.get_serve_details()
    encoder = details["applications"][APPLICATION]["deployments"]["encoder"]
    states = [replica["state"] for replica in encoder["replicas"]]
    return encoder["target_num_replicas"], states.count("RUNNING")


def report(found: dict[str, Reached], limit: float) -> None:
    """The table, and the ratio."""
    title = f"bench/autoscale: 1 to {STEP} replicas; seconds after the step (- is more than {limit:.0f})"
    table = Table("", "all asked for", "all running", "as fast as before", "refused", title=title, title_justify="left")
    for name, reached in found.items():
        *seconds, refused = reached
        table.add_row(name, *("-" if each == math.inf else f"{each:.1f}" for each in seconds), str(refused))
    Console().print(table)
    ours, theirs = found.values()
    print(f"running: {theirs.running / ours.running:.1f} times as soon   load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
