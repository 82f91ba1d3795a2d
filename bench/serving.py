"""How many pictures a second our encoder service answers, beside other servers of the same encoder: `python bench/serving.py`.

Ours is the real one, on Ray Serve. LitServe, BentoML and mosec serve the same ONNX file with the same preprocessing, the
same decoder, as many processes with as many threads, and batches of the same size (`serving_peers/`). Only ours decodes in
processes bounded in time and memory. Bodies are the bytes of a JPEG, for BentoML in base64.

Beside the rates stands the processor time that a server, with all its processes, takes for a picture: it says who does less
work, and hardly depends on what else the machine does. `--ray NAME=VALUE` gives our service's Ray a variable, to compare.

One server runs at a time, in rounds of all in turn. Each is driven by the same client, on the same cores: first by one
client, then by many, each of which waits for its answer before it asks again. Before that, every server's vector is
compared with what the encoder gives in this process. The peers are installed in `~/.cache/imagesearch/bench`, once.
"""

import argparse
import asyncio
import base64
import contextlib
import importlib.metadata
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
import httpx
import numpy as np
import psutil
from grounds import write_jpegs
from imagesearch_contract.encoder import IMAGE_PATH
from imagesearch_contract.settings import EncoderServiceSettings
from imagesearch_encoder.registry import fetch
from imagesearch_encoder.runtime.encoder import read_info
from imagesearch_encoder.runtime.onnx_runtime import OnnxRuntime
from imagesearch_fetcher.decode import decode
from imagesearch_stack import servers
from imagesearch_stack.processes import Process, Processes, free_port
from random_clip import save_clip
from rich.console import Console
from rich.table import Table
from search_latency import percentile

CORES: Final = len(os.sched_getaffinity(0))
BATCH: Final = 16
SIZES: Final = [(500, 375), (375, 500), (640, 480), (500, 500)]
"""As Flickr keeps them, and as they come from a phone through the page."""
ROOT: Final = Path(__file__).resolve().parents[1]
PEERS: Final = Path(__file__).with_name("serving_peers")
CACHE: Final = Path.home() / ".cache" / "imagesearch"
SHARED: Final = ("numpy", "onnxruntime", "pillow", "simplejpeg", "tokenizers")
"""What the encoder and the decoder need; the peers get the versions of this environment."""


class Server(NamedTuple):
    """How one is started and spoken to."""

    name: str
    start: Callable[[int], Process]
    path: str
    body: Callable[[bytes], bytes] = bytes
    vector: Callable[[bytes], bytes] = bytes
    media_type: str = "application/octet-stream"


class Figures(NamedTuple):
    """One round of one server."""

    per_second: float
    p50: float
    p99: float
    alone: float
    """Median of a lone client."""
    cpu: float
    """Processor time for each picture; all four in milliseconds."""


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10, help="of the many clients, in each round")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--workers", type=int, default=1, help="processes that hold the model; they share the cores")
    parser.add_argument(
        "--model", choices=("starter", "clip"), default="starter", help="clip: a ViT-B/32 of random weights"
    )
    parser.add_argument("--only", nargs="*", help="names of servers; default: all")
    parser.add_argument("--ray", nargs="*", default=[], metavar="NAME=VALUE", help="variables of our service")
    args = parser.parse_args()
    console = Console(stderr=True, highlight=False)
    with tempfile.TemporaryDirectory(prefix="imagesearch-serving-") as scratch:
        run_dir = Path(scratch)
        pictures = [(run_dir / name).read_bytes() for name in write_jpegs(run_dir, SIZES * 8)]
        with registered(run_dir, args.model, console) as (settings, artefact):
            expected = encode_here(artefact, pictures[0])
            every = [ours(run_dir, settings, args.workers, args.ray), *peers(run_dir, artefact, args.workers, console)]
            every = [server for server in every if not args.only or server.name in args.only]
            found: dict[str, list[Figures]] = {server.name: [] for server in every}
            for number in range(args.rounds):
                for server in every if number % 2 == 0 else reversed(every):
                    figures = one_round(server, pictures, expected, args.clients, args.seconds)
                    found[server.name].append(figures)
                    console.print(
                        f"round {number + 1}: {server.name:<9} {figures.per_second:6.1f}/s   {figures.cpu:.1f} ms CPU each"
                        f"   load {os.getloadavg()[0]:.1f}"
                    )
    report(found, args)


@contextmanager
def registered(run_dir: Path, model: str, console: Console) -> Iterator[tuple[EncoderServiceSettings, Path]]:
    """MLflow with the model; our service's settings for it, and the folder of its artefact."""
    console.print("starting MLflow, registering the model")
    with Processes() as processes:
        port = free_port()
        mlflow = servers.wait_for_mlflow(processes.add(servers.start_mlflow(run_dir, port)), port)
        weights = "starter"
        if model == "clip":
            weights = str(run_dir / "clip-vit-b32")
            save_clip(Path(weights))
        name, version = servers.register_model(run_dir, tracking_uri=mlflow, model=weights)
        settings = EncoderServiceSettings(
            mlflow_tracking_uri=mlflow, model_name=name, model_version=version, max_batch_size=BATCH
        )
        yield settings, fetch(f"models:/{name}/{version}", tracking_uri=mlflow, device="cpu")


def ours(run_dir: Path, settings: EncoderServiceSettings, workers: int, ray: list[str]) -> Server:
    """The encoder service on a Ray of its own, with a fixed number of replicas."""
    fixed = settings.model_copy(
        update={"min_replicas": workers, "max_replicas": workers, "cpus_per_replica": CORES // workers}
    )

    def start(port: int) -> Process:
        command = [sys.executable, "-m", "imagesearch_search.serving", "--port", str(port), "--cpus", str(CORES)]
        command += ["--dashboard-port", str(free_port())]
        environment = fixed.to_env() | servers.QUIET_MLFLOW | dict(each.split("=", 1) for each in ray)
        return Process("ours", command, log=run_dir / "ours.log", env=environment)

    return Server("ours", start, IMAGE_PATH)


def peers(run_dir: Path, artefact: Path, workers: int, console: Console) -> Iterator[Server]:
    """The others, installed where they are not yet."""
    sources = os.pathsep.join(str(ROOT / "services" / member / "src") for member in ("contract", "fetcher", "encoder"))

    def peer(requirement: str, *command: str) -> Callable[[int], Process]:
        bin_ = installed(requirement, console)

        def start(port: int) -> Process:
            environment = {
                "BENCH_ARTEFACT": str(artefact),
                "BENCH_WORKERS": str(workers),
                "BENCH_THREADS": str(CORES // workers),
                "BENCH_BATCH": str(BATCH),
                "BENCH_PORT": str(port),
                "BENTOML_DO_NOT_TRACK": "true",
                "PYTHONPATH": os.pathsep.join([sources, str(PEERS)]),
                "PATH": os.pathsep.join([str(bin_), os.environ["PATH"]]),
            }
            name, _, _ = requirement.partition("==")
            filled = [str(bin_ / command[0]), *(part.format(port=port) for part in command[1:])]
            return Process(name, filled, log=run_dir / f"{name}.log", env=environment, cwd=PEERS)

        return start

    yield Server("LitServe", peer("litserve==0.2.19", "python", "litserve_server.py"), "/predict")
    yield Server(
        "BentoML",
        peer(
            "bentoml==1.4.40", "bentoml", "serve", "bentoml_server:Encoder", "--host", "127.0.0.1", "--port", "{port}"
        ),
        "/encode",
        body=lambda data: json.dumps({"images": [base64.b64encode(data).decode()]}).encode(),
        vector=lambda answer: base64.b64decode(json.loads(answer)[0]),
        media_type="application/json",
    )
    mosec = ("python", "mosec_server.py", "--address", "127.0.0.1", "--port", "{port}", "--timeout", "60000")
    yield Server("mosec", peer("mosec==0.9.8", *mosec), "/inference")


def installed(requirement: str, console: Console) -> Path:
    """The `bin` of a virtual environment that has a peer, and what the encoder needs."""
    needed = [requirement, "pydantic>=2", *(f"{name}=={importlib.metadata.version(name)}" for name in SHARED)]
    folder = CACHE / "bench" / requirement.replace("==", "-")
    receipt = folder / "installed.txt"
    if not receipt.is_file() or receipt.read_text().split() != needed:
        console.print(f"installing {requirement}")
        uv = shutil.which("uv") or str(CACHE / "uv" / "bin" / "uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        environment = os.environ | {"VIRTUAL_ENV": str(folder)}
        subprocess.run([uv, "pip", "install", "--quiet", *needed], env=environment, check=True)
        receipt.write_text("\n".join(needed))
    return folder / "bin"


def encode_here(artefact: Path, picture: bytes) -> np.ndarray:
    """The vector that every server has to give."""
    info = read_info(artefact)
    opened = decode(picture, 40_000_000, min_side=info.preprocessing.min_side)
    vector: np.ndarray = OnnxRuntime(artefact, info, threads=CORES).encode_image([opened])[0]
    return vector


def one_round(server: Server, pictures: list[bytes], expected: np.ndarray, clients: int, seconds: float) -> Figures:
    """Start a server, ask it for so long, and stop it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}{server.path}"
    bodies = [server.body(picture) for picture in pictures]
    with Processes() as processes:
        process = processes.add(server.start(port))
        process.wait_until(lambda: answers(url, bodies[0], server, expected), within_seconds=120)
        return asyncio.run(drive(process, url, bodies, server.media_type, clients, seconds))


def answers(url: str, body: bytes, server: Server, expected: np.ndarray) -> bool:
    """Whether the server is up; a vector that is not the encoder's ends the measurement."""
    try:
        answer = httpx.post(url, content=body, headers={"Content-Type": server.media_type}, timeout=30, trust_env=False)
    except httpx.TransportError:
        return False
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or answer.status_code == httpx.codes.NOT_FOUND:
        return False  # it still starts
    if answer.status_code != httpx.codes.OK:
        sys.exit(f"{server.name} answered {answer.status_code}: {answer.text[:500]}")
    vector = np.frombuffer(server.vector(answer.content), dtype="<f4")
    if vector.shape != expected.shape or vector @ expected < 0.9999:
        sys.exit(f"{server.name} gave another vector than the encoder")
    return True


def cpu_seconds(process: Process) -> float:
    """What a server and all its processes have used so far."""
    root = psutil.Process(process.pid)
    spent = 0.0
    for each in (root, *root.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            spent += times.user + times.system
    return spent


async def drive(
    process: Process, url: str, bodies: list[bytes], media_type: str, clients: int, seconds: float
) -> Figures:
    """Ask as one client, then as many."""
    numbers = count()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:

        async def client(until: float, waits: list[float]) -> None:
            while time.perf_counter() < until:
                body, began = bodies[next(numbers) % len(bodies)], time.perf_counter()
                async with session.post(url, data=body, headers={"Content-Type": media_type}) as answer:
                    content = await answer.read()
                    if answer.status != httpx.codes.OK:
                        sys.exit(f"{url} answered {answer.status}: {content[:500]!r}")
                waits.append((time.perf_counter() - began) * 1000)

        async def closed(clients: int, seconds: float) -> tuple[list[float], float]:
            waits: list[float] = []
            began = time.perf_counter()
            await asyncio.gather(*(client(began + seconds, waits) for _ in range(clients)))
            return waits, time.perf_counter() - began

        await closed(clients, min(2.0, seconds))  # warm-up
        alone, _ = await closed(1, min(3.0, seconds))
        cpu = cpu_seconds(process)
        waits, took = await closed(clients, seconds)
        cpu = (cpu_seconds(process) - cpu) * 1000 / len(waits)
    return Figures(len(waits) / took, percentile(waits, 50), percentile(waits, 99), statistics.median(alone), cpu)


def report(found: dict[str, list[Figures]], args: argparse.Namespace) -> None:
    """The table, and ours against the best of the others: medians over the rounds."""
    title = f"bench/serving: {args.model}, {args.clients} clients, {args.workers} x {CORES // args.workers} threads"
    table = Table(
        "",
        "pictures/s",
        "p50 ms",
        "p99 ms",
        "one client, p50 ms",
        "CPU ms a picture",
        title=title,
        title_justify="left",
    )
    rates = {name: statistics.median(each.per_second for each in rounds) for name, rounds in found.items()}
    for name, rounds in found.items():
        table.add_row(name, *(f"{statistics.median(column):.1f}" for column in zip(*rounds, strict=True)))
    Console().print(table)
    others = {name: rate for name, rate in rates.items() if name != "ours"}
    if "ours" in rates and others:
        best = max(others, key=lambda name: others[name])
        ratios = [mine.per_second / theirs.per_second for mine, theirs in zip(found["ours"], found[best], strict=True)]
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"ours / {best}: {statistics.median(ratios):.2f} (rounds: {each})")
    print(f"{CORES} cores, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
