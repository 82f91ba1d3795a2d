"""From `kubectl apply` to the first picture that a search finds, on the cluster of `make cluster`, with every image on its node.

    .venv/bin/python bench/first_image.py

The collection is new and nothing of it runs before: its topic, index, producer, Spark driver and encoder are all made
meanwhile. It prints when each part was first seen ready, in seconds after the apply, and deletes the collection.
"""

import time
from pathlib import Path

import httpx
import yaml
from imagesearch_stack import StackError
from imagesearch_stack.cluster import FOLDER, Platform, condition, own_kubeconfig
from imagesearch_stack.collection import Collection
from imagesearch_stack.control_plane import KubernetesApi
from imagesearch_stack.processes import Processes
from rich.console import Console
from rich.table import Table

PARTS = ("TopicReady", "ModelReady", "IndexReady", "ProducersReady", "EmbedderReady", "ServingReady", "Ready")
LIMIT_SECONDS = 600.0


def main() -> None:
    """Measure once."""
    with Processes() as processes:
        collection = Collection(Platform(KubernetesApi(own_kubeconfig()), None, processes), "measured", "default")
        collection.delete()
        spec = yaml.safe_load(Path(FOLDER / "stamps.yaml").read_text())["spec"]
        began = time.monotonic()
        collection.apply(spec)
        try:
            seen = watch(collection, began)
        finally:
            collection.delete()
    table = Table("seconds after the apply", "", title="bench/first_image", title_justify="left")
    for what, seconds in sorted(seen.items(), key=lambda each: each[1]):
        table.add_row(f"{seconds:.0f}", what)
    Console().print(table)


def watch(collection: Collection, began: float) -> dict[str, float]:
    """When each part was first seen ready, and when a search first found something."""
    seen: dict[str, float] = {}
    while "first search with a hit" not in seen or "Ready" not in seen:
        now = time.monotonic() - began
        if now > LIMIT_SECONDS:
            raise SystemExit(f"not within {LIMIT_SECONDS:.0f} s; seen so far: {seen}\n{collection.describe()}")
        status = collection.status
        for part in PARTS:
            if condition(status, part).get("status") == "True":
                seen.setdefault(part, now)
        if answers(collection):
            seen.setdefault("first search with a hit", time.monotonic() - began)
        time.sleep(0.5)
    return seen


def answers(collection: Collection) -> bool:
    """Whether a search finds a picture."""
    try:
        return bool(collection.text_search("a bird", size=1))
    except (StackError, httpx.HTTPError):
        return False


if __name__ == "__main__":
    main()
