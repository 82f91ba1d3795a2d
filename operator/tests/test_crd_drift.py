"""The CRD and the operator's types say the same: the CRD is written by hand, and the types read what it lets through."""

import types
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import pytest
import specs
from imagesearch_contract.settings import FlickrSource
from imagesearch_operator import spec
from imagesearch_operator.status import PARTS
from imagesearch_producer.sources.flickr_licenses import LICENSES
from pydantic import BaseModel

SCHEMA = specs.SCHEMA["properties"]["spec"]
STATUS = specs.SCHEMA["properties"]["status"]


class Pair(NamedTuple):
    """A type, and the schema of the same place."""

    path: str
    type: Any
    schema: dict[str, Any]


def pairs(path: str, type_: Any, schema: dict[str, Any]) -> Iterator[Pair]:
    """A place, and every place within it."""
    type_ = without_none(type_)
    yield Pair(path, type_, schema)
    if get_origin(type_) is tuple:
        yield from pairs(f"{path}[]", get_args(type_)[0], schema["items"])
    elif isinstance(type_, type) and issubclass(type_, BaseModel):
        for field in type_.model_fields.values():
            if property_ := schema["properties"].get(field.alias):
                yield from pairs(f"{path}.{field.alias}", field.annotation, property_)


def without_none(type_: Any) -> Any:
    """X of `X | None`."""
    if get_origin(type_) in (Union, types.UnionType):
        (type_,) = (choice for choice in get_args(type_) if choice is not type(None))
    return type_


PAIRS = list(pairs("spec", spec.Spec, SCHEMA))
OBJECTS = [pair for pair in PAIRS if isinstance(pair.type, type) and issubclass(pair.type, BaseModel)]


@pytest.mark.parametrize("pair", OBJECTS, ids=lambda pair: pair.path)
def test_an_object_has_the_same_fields_in_both(pair: Pair) -> None:
    assert {field.alias for field in pair.type.model_fields.values()} == set(pair.schema["properties"])


@pytest.mark.parametrize("pair", OBJECTS, ids=lambda pair: pair.path)
def test_the_types_ask_for_what_the_crd_requires_or_fills_in_and_for_nothing_else(pair: Pair) -> None:
    asked = {field.alias for field in pair.type.model_fields.values() if field.is_required()}
    filled = {name for name, field in pair.schema["properties"].items() if "default" in field}
    if pair.type is spec.Resources:  # either half may be absent elsewhere; here both are filled in
        filled = set()

    assert asked == filled | set(pair.schema.get("required", ()))


def test_every_plain_field_has_the_same_type_and_the_same_choices() -> None:
    kinds = {str: "string", int: "integer", bool: "boolean", dict: "object", tuple: "array"}
    for path, type_, schema in PAIRS:
        if get_origin(type_) is Literal:
            assert set(get_args(type_)) == set(schema["enum"]), path
        elif not issubclass(get_origin(type_) or type_, BaseModel):
            assert kinds[get_origin(type_) or type_] == schema["type"], path


def test_the_walk_over_the_types_has_reached_their_deepest_fields() -> None:
    assert {"spec.sources[].flickr.apiKeySecretRef.key", "spec.embedding.resources.requests"} <= {p.path for p in PAIRS}


def test_the_licences_are_those_that_the_producer_knows_and_the_default_is_its_default() -> None:
    licenses = SCHEMA["properties"]["sources"]["items"]["properties"]["flickr"]["properties"]["licenses"]

    assert set(licenses["items"]["enum"]) == {license_.spdx for license_ in LICENSES.values()}
    assert tuple(licenses["default"]) == FlickrSource().licenses


def test_the_status_describes_every_part_of_ready() -> None:
    assert all(part in STATUS["properties"]["conditions"]["description"] for part in PARTS)


def test_every_field_is_described() -> None:
    assert [path for path, field in fields("", specs.SCHEMA) if not field.get("description")] == [".metadata"]


def test_every_list_and_every_text_is_limited() -> None:
    def limited(field: dict[str, Any]) -> bool:
        match field.get("type"):
            case "array":
                return "maxItems" in field
            case "string":
                return "maxLength" in field or "enum" in field or field.get("format") == "date-time"
            case "integer":
                return "maximum" in field or field.get("format") == "int64"
            case _:
                return True

    of_the_api = {".apiVersion", ".kind"}
    assert [path for path, field in fields("", specs.SCHEMA) if not limited(field) and path not in of_the_api] == []


def fields(path: str, schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property below a schema, with its path; the items of a list count as its property's."""
    if items := schema.get("items"):
        yield from fields(f"{path}[]", items)
    for name, field in schema.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from fields(f"{path}.{name}", field)
