"""What becomes of searches when a replica of the encoder is killed: `python bench/replica_kill.py`; it starts what it needs.

Two replicas of the starter model on Ray Serve, a real Elasticsearch and the search API. Several clients ask for words that
were not encoded before, one search after the other; after some seconds one replica gets SIGKILL, and they go on. Printed
are how many searches failed before and after, and how long the longest took. An answer by words alone, without the
encoder, counts as failed.
"""

import argparse
import itertools
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
from elasticsearch import Elasticsearch, helpers
from imagesearch_contract.index import IndexMeta, document
from imagesearch_contract.record import ImageRecord
from imagesearch_contract.settings import EncoderServiceSettings, SearchSettings
from imagesearch_stack import provision, replicas, servers
from imagesearch_stack.processes import Process, Processes, free_port
from search_latency import percentile, queries, verdict

COLLECTION = "killed"
PICTURES = 1000
FAILED_PERCENT = 1.0
HUNG_SECONDS = 10.0
"""Who has no answer by then is said to hang."""


class Asked(NamedTuple):
    """One search."""

    began: float
    seconds: float
    failure: str
    """Empty where there is none."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--before", type=float, default=5, help="seconds of searches before the replica is killed")
    parser.add_argument("--after", type=float, default=10, help="seconds of searches after that")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imagesearch-kill-") as scratch, Processes() as processes:
        url, service = start(processes, Path(scratch))
        before, after = measure(url, service, args.clients, args.before, args.after)
    print(line("before", before))
    print(line("after", after))
    failures = [asked.failure for asked in after if asked.failure]
    print(*(f"  {failure}" for failure in dict.fromkeys(failures)), sep="\n")
    print(verdict("failed", 100 * len(failures) / len(after), FAILED_PERCENT, " %"))
    print(verdict("the longest search", max(asked.seconds for asked in after), HUNG_SECONDS, " s"))


def start(processes: Processes, run_dir: Path, count: int = 2) -> tuple[str, Process]:
    """Start everything, with so many replicas; the URL of the API, and the encoder service."""
    elasticsearch_port, mlflow_port, encoder_port, search_port = (free_port() for _ in range(4))
    elasticsearch = processes.add(servers.start_elasticsearch(run_dir, elasticsearch_port))
    mlflow = processes.add(servers.start_mlflow(run_dir, mlflow_port))
    elasticsearch_url = servers.wait_for_elasticsearch(elasticsearch, elasticsearch_port)
    mlflow_url = servers.wait_for_mlflow(mlflow, mlflow_port)
    name, version = servers.register_model(run_dir, tracking_uri=mlflow_url)
    encoder_url = f"http://127.0.0.1:{encoder_port}"
    service = processes.add(
        replicas.start(
            EncoderServiceSettings(
                mlflow_tracking_uri=mlflow_url,
                model_name=name,
                model_version=version,
                min_replicas=count,
                max_replicas=count,
            ),
            port=encoder_port,
            log=run_dir / "logs" / "encoder.log",
        )
    )
    fill(elasticsearch_url, name, version, encoder_url)
    settings = SearchSettings(elasticsearch_url=elasticsearch_url, port=search_port)
    api = processes.add(
        Process(
            "the search API",
            [servers.script("imagesearch-search")],
            log=run_dir / "logs" / "search.log",
            env=settings.to_env(),
        )
    )
    replicas.wait(service, count, encoder_url)
    url = f"http://127.0.0.1:{search_port}"
    api.wait_until(lambda: servers.answers_ok(f"{url}/readyz"), within_seconds=120)
    return url, service


def fill(elasticsearch_url: str, model_name: str, model_version: str, encoder_url: str) -> None:
    """A collection of random vectors: what is found does not matter here."""
    dims = 512
    meta = IndexMeta(
        namespace="default",
        collection=COLLECTION,
        model_name=model_name,
        model_version=model_version,
        dims=dims,
        encoder_url=encoder_url,
    )
    index = provision.create_index(elasticsearch_url, meta)
    vectors = np.random.default_rng(0).normal(size=(PICTURES, dims))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    now = datetime.now(UTC)
    with Elasticsearch(elasticsearch_url, request_timeout=60) as client:
        helpers.bulk(
            client,
            (
                {
                    "_index": index,
                    "_id": f"test:{row}",
                    "_source": document(
                        ImageRecord(id=f"test:{row}", url="http://pictures.invalid/", title=f"Picture {row}"),
                        vector.tolist(),
                        model=meta.model_label,
                        indexed_at=now,
                    ),
                }
                for row, vector in enumerate(vectors)
            ),
            refresh=True,
        )


def measure(url: str, service: Process, clients: int, before: float, after: float) -> tuple[list[Asked], list[Asked]]:
    """Ask, kill a replica, go on asking; the searches that ended before, and those that did not."""
    texts = itertools.chain.from_iterable(queries(seed) for seed in itertools.count(1))
    lock, stop = threading.Lock(), threading.Event()

    def ask_on() -> list[Asked]:
        asked = []
        with httpx.Client(base_url=url, timeout=3 * HUNG_SECONDS, trust_env=False) as client:
            while not stop.is_set():
                with lock:
                    text = next(texts)
                asked.append(ask(client, text))
        return asked

    with ThreadPoolExecutor(clients) as pool:
        under_way = [pool.submit(ask_on) for _ in range(clients)]
        time.sleep(before)
        killed = time.perf_counter()
        replicas.kill_one(service)
        time.sleep(after)
        stop.set()
        every = [asked for each in under_way for asked in each.result()]
    ended = [asked for asked in every if asked.began + asked.seconds < killed]
    rest = [asked for asked in every if asked.began + asked.seconds >= killed]
    if min(len(ended), len(rest)) < 2:
        sys.exit("hardly anything was answered; give more seconds")
    return ended, rest


def ask(client: httpx.Client, text: str) -> Asked:
    """One search by words that nobody asked for before."""
    began = time.perf_counter()
    try:
        answer = client.post(
            "/text_search", json={"collection": COLLECTION, "query": text}, headers={"Cache-Control": "no-cache"}
        )
    except httpx.TransportError as error:
        failure = repr(error)
    else:
        failure = "" if answer.status_code == httpx.codes.OK else f"{answer.status_code}: {answer.text}"
        if not failure and answer.json()["degraded"]:
            failure = "answered by words alone"
    return Asked(began, time.perf_counter() - began, failure)


def line(name: str, asked: list[Asked]) -> str:
    """One line of the report."""
    seconds = [each.seconds for each in asked]
    failed = sum(bool(each.failure) for each in asked)
    return (
        f"{name:<8} {len(asked):5d} searches   failed {failed} ({failed / len(asked):.2%})   "
        f"p50 {1000 * percentile(seconds, 50):7.1f} ms   longest {1000 * max(seconds):7.1f} ms"
    )


if __name__ == "__main__":
    main()
