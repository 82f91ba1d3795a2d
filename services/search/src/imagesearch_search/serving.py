"""The encoder service: a Ray Serve application that answers `imagesearch_contract.encoder` for one model.

On Kubernetes a RayService imports `imagesearch_search.serving:application`; `python -m imagesearch_search.serving`
runs a small Ray of its own on this machine. Settings come from the environment (`EncoderServiceSettings`).

One deployment, so one hop from Serve's proxy to the model: the handler decodes and batches where the model is.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Final, TypeVar

import psutil
import ray
from imagesearch_contract.encoder import SERVE_ENVIRONMENT
from imagesearch_contract.settings import EncoderServiceSettings, SettingsError
from imagesearch_encoder import load_encoder
from imagesearch_fetcher.decode import decode
from imagesearch_fetcher.decoders import decoders
from PIL import Image
from ray import serve
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import Response

from imagesearch_search.encoder_http import EncoderHttp, Vector

Item = TypeVar("Item")

LOCAL_RAY: Final = SERVE_ENVIRONMENT | {
    "RAY_AUTH_MODE": "disabled",  # it listens on the loopback interface only, and the dashboard opens without a token
}
"""The environment of a Ray that is started here, and inherited by every process of it."""


class EncoderReplica:
    """One replica: it loads the model before it counts as ready, and encodes what comes together in one batch."""

    def __init__(self, settings: EncoderServiceSettings) -> None:
        cores = max(1, round(settings.cpus_per_replica))
        encoder = load_encoder(
            settings.model_uri,
            tracking_uri=settings.mlflow_tracking_uri,
            threads=cores,
            device="cuda" if settings.gpus_per_replica else "cpu",
        )
        encoder.encode_text(["warm-up"])
        encoder.encode_image([Image.new("RGB", (64, 64))])
        decode_small = partial(decode, max_pixels=settings.max_pixels, min_side=encoder.info.preprocessing.min_side)
        self._processes = ExitStack()  # the decoders end when this goes, or else with the replica's process
        self._http = EncoderHttp(
            settings,
            decode=self._processes.enter_context(decoders(decode_small, workers=cores)),
            text=batched(encoder.encode_text, settings),
            image=batched(encoder.encode_image, settings),
        )

    async def __call__(self, request: Request) -> Response:
        """Answer one HTTP request."""
        return await self._http.answer(request)


def batched(
    encode: Callable[[list[Item]], Vector], settings: EncoderServiceSettings
) -> Callable[[Item], Awaitable[Vector]]:
    """`encode` for one item, which waits for a batch: what came while the one before was encoded goes together."""

    async def encode_batch(items: list[Item]) -> list[Vector]:
        return list(await asyncio.to_thread(encode, items))

    encode_batch.__name__ = encode.__name__  # the label of the batch metrics
    return serve.batch(max_batch_size=settings.max_batch_size, batch_wait_timeout_s=settings.batch_wait_seconds)(
        encode_batch
    )


def application(args: Mapping[str, str]) -> serve.Application:
    """Build the application (Serve calls this with the `args` of its configuration, which override the environment).

    Raises:
        SettingsError: the environment does not say which model, or says it wrongly.
    """
    settings = EncoderServiceSettings.from_env({**os.environ, **args})
    deployment = serve.deployment(
        name="encoder",
        autoscaling_config=autoscaling(settings),
        max_ongoing_requests=2 * settings.max_batch_size,
        max_queued_requests=4 * settings.max_batch_size,  # more is refused: who waits longer has gone
        ray_actor_options={"num_cpus": settings.cpus_per_replica, "num_gpus": settings.gpus_per_replica},
        logging_config=LoggingConfig(enable_access_log=False),
        health_check_period_s=5,
        graceful_shutdown_timeout_s=10,
    )
    return deployment(EncoderReplica).bind(settings)


def autoscaling(settings: EncoderServiceSettings) -> AutoscalingConfig:
    """Up within seconds of a burst, down only after minutes: a replica is dearer to start than to keep.

    What comes in the meantime waits in the queues of `application`, which take the fourfold of the target and more.
    `bench/autoscale.py` shows what this is beside Ray's defaults.
    """
    return AutoscalingConfig(
        min_replicas=settings.min_replicas,
        max_replicas=settings.max_replicas,
        target_ongoing_requests=settings.target_ongoing_requests,
        # The proxies tell the controller every second how much waits, rather than every ten: a message of some bytes.
        # Ray announces variables in its place, but 2.60 still goes by this.
        metrics_interval_s=1,
        # A load that has lasted for two seconds is no accident, and a replica needs several more to start.
        upscale_delay_s=2,
        # The mean over so long is what counts. It is one interval more than the delay: when the delay is over, it holds the
        # new load and nothing of the old, and all replicas that are needed are started at once. With more it would be some
        # now, and the rest a delay later.
        look_back_period_s=3,
        # Ten minutes are Ray's; people pause between searches, but not for long.
        downscale_delay_s=120,
    )


def main() -> None:
    """Serve on this machine until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m imagesearch_search.serving", description=main.__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--dashboard-port", type=int, default=8265)
    parser.add_argument("--cpus", type=int, default=2, help="what Ray may use; each replica takes its share")
    parser.add_argument("--gpus", type=int, default=0)
    args = parser.parse_args()
    try:
        app = application({})
    except SettingsError as error:
        sys.exit(f"imagesearch_search.serving: {error}")
    os.environ.update(LOCAL_RAY | os.environ)
    ray.init(
        num_cpus=args.cpus,
        num_gpus=args.gpus,
        object_store_memory=80 * 2**20,
        include_dashboard=True,
        dashboard_host="127.0.0.1",
        dashboard_port=args.dashboard_port,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
    )
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": args.port})
        serve.run(app, name="encoder", route_prefix="/")
        _wait_for_signal()
    except RuntimeError as error:
        sys.exit(f"imagesearch_search.serving: the encoder did not start; is the model registered? {error}")
    finally:
        _stop_ray()


def _wait_for_signal() -> None:
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):  # only now: Ray installs handlers of its own when it starts
        signal.signal(name, lambda *_: stopped.set())
    stopped.wait()


def _stop_ray() -> None:
    """Stop what `main` started. Ray's agents take half a minute to notice that they are alone; they are told."""
    started = psutil.Process().children(recursive=True)
    serve.shutdown()  # type: ignore[no-untyped-call]
    ray.shutdown()
    _, left = psutil.wait_procs(started, timeout=2)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


if __name__ == "__main__":
    main()
