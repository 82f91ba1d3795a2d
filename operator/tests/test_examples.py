"""Every file of examples/ is one that people can apply."""

import json
from pathlib import Path
from typing import Any

import pytest
import specs
import yaml
from imagesearch_contract.record import ImageRecord
from imagesearch_operator.spec import KIND
from imagesearch_producer.sources.manifest.row import Row, record_of
from imagesearch_stack.control_plane import KubernetesApi

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))
NAMES = [path.stem for path in EXAMPLES]


def documents(name: str) -> list[dict[str, Any]]:
    """The objects in one example."""
    return [document for path in EXAMPLES if path.stem == name for document in yaml.safe_load_all(path.read_text())]


def collections(name: str) -> list[dict[str, Any]]:
    """The collections in one example."""
    return [document for document in documents(name) if document["kind"] == KIND]


@pytest.mark.integration
@pytest.mark.parametrize("path", EXAMPLES, ids=NAMES)
def test_a_real_api_server_takes_the_example(kubernetes_api: KubernetesApi, path: Path) -> None:
    kubernetes_api.apply_crds(specs.CRD_PATH)

    applied = kubernetes_api.kubectl("apply", "--server-side", "--validate=strict", "--output=name", "-f", str(path))

    assert len(applied.splitlines()) == len(documents(path.stem))
    kubernetes_api.kubectl("delete", "-f", str(path))


@pytest.mark.parametrize("path", EXAMPLES, ids=NAMES)
def test_an_example_begins_by_saying_what_it_shows(path: Path) -> None:
    assert path.read_text().startswith("# ")


def test_no_two_examples_have_a_collection_of_one_name() -> None:
    names = [collection["metadata"]["name"] for name in NAMES for collection in collections(name)]

    assert len(names) == len(set(names)) >= len(EXAMPLES)


def test_the_list_of_the_minimal_example_is_one_that_the_producer_reads() -> None:
    (manifest,) = (document for document in documents("minimal") if document["kind"] == "ConfigMap")

    lines = manifest["data"]["manifest.jsonl"].splitlines()
    items = [record_of(Row(1, json.loads(line)), None) for line in lines]

    assert items
    assert all(isinstance(item, ImageRecord) for item in items)


def test_the_collections_that_share_a_model_name_the_same_one() -> None:
    first, second = collections("shared-model")

    assert first["spec"]["model"] == second["spec"]["model"]


def test_everything_has_every_field_that_there_is() -> None:
    (everything,) = collections("everything")

    missing = set(field_names(specs.SCHEMA["properties"]["spec"])) - set(given_names(everything["spec"]))

    assert missing == {"model.name", "model.registry.version"}  # each excludes what is given, and a comment names it


def field_names(schema: dict[str, Any], path: str = "") -> list[str]:
    """Every field that a schema has, with the items of lists as one."""
    schema = schema.get("items", schema)
    below = [(f"{path}.{name}".lstrip("."), field) for name, field in schema.get("properties", {}).items()]
    return [name for at, field in below for name in (at, *field_names(field, at))]


def given_names(value: Any, path: str = "") -> list[str]:
    """Every field that is given."""
    if isinstance(value, list):
        return [name for item in value for name in given_names(item, path)]
    if not isinstance(value, dict):
        return []
    below = [(f"{path}.{name}".lstrip("."), item) for name, item in value.items()]
    return [name for at, item in below for name in (at, *given_names(item, at))]
