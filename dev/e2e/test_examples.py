"""Every example can be applied, and the operator has something to say about each."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from imagesearch_stack.cluster import REPOSITORY
from imagesearch_stack.collection import Collection

pytestmark = pytest.mark.e2e

EXAMPLES = sorted((REPOSITORY / "examples").glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_is_taken_and_planned(example: Path, new_collection: Callable[[str], Collection]) -> None:
    manifests = list(yaml.safe_load_all(example.read_text()))
    collections = [new_collection(each["metadata"]["name"]) for each in manifests if each["kind"] == "ImageCollection"]
    assert collections
    collections[0].kubectl("apply", "--server-side", "--filename", str(example))

    for collection in collections:
        collection.wait_until("it is planned", lambda each=collection: each.own("cronjobs"), 120)
        collection.wait_until("its topics are made", lambda each=collection: each.is_true("TopicReady"), 120)
        status = collection.status
        assert all(condition["message"] for condition in status["conditions"])
    for collection in collections:
        collection.delete()
