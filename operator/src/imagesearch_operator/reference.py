"""Write the reference of the ImageCollection, in Markdown, from the CRD: `python -m imagesearch_operator.reference CRD`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Schema = dict[str, Any]


class Row(NamedTuple):
    """One field of the reference."""

    path: str
    type: str
    default: str
    description: str


def reference(crd: Schema) -> str:
    """The whole page."""
    version = crd["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    spec, status = (schema["properties"][part] for part in ("spec", "status"))
    columns = "\n".join(
        f"| {column['name']} | {column.get('description', 'Since when it is there.')} | {'wide' if column.get('priority') else ''} |"
        for column in version["additionalPrinterColumns"]
    )
    names = crd["spec"]["names"]
    return f"""<!-- Generated from charts/imagesearch/files/crd.yaml; `make schema` writes it anew. -->
# {names["kind"]}

`{crd["spec"]["group"]}/{version["name"]}`, short `{names["shortNames"][0]}`. {schema["description"]}

A field without a default can be left out, unless it is **required**. Examples are in [`examples/`](../examples).

## Spec

{_table(spec)}

What does not fit is refused, with one of these sentences where it is about more than one field:

{_rules(schema)}

## Status

{_status_table(status)}

## `kubectl get {names["shortNames"][0]}`

| column | what it tells | `-o wide` only |
|---|---|---|
{columns}
"""


def _table(schema: Schema) -> str:
    rows = [f"| `{row.path}` | {row.type} | {row.default} | {row.description} |" for row in _rows(schema, "")]
    return "\n".join(["| field | type | default | what it is |", "|---|---|---|---|", *rows])


def _status_table(schema: Schema) -> str:
    rows = [f"| `{row.path}` | {row.type} | {row.description} |" for row in _rows(schema, "")]
    return "\n".join(["| field | type | what it is |", "|---|---|---|", *rows])


def _rows(schema: Schema, path: str) -> Iterator[Row]:
    """Every field below a schema, in the CRD's order; a list's fields are those of its items."""
    schema = schema.get("items", schema)
    for name, field in schema.get("properties", {}).items():
        at = f"{path}{name}"
        required = name in schema.get("required", ())
        yield Row(at, _type(field), _default(field, required), _in_a_cell(field.get("description", "")))
        yield from _rows(field, f"{at}[]." if field.get("type") == "array" else f"{at}.")


def _type(field: Schema) -> str:
    if field.get("x-kubernetes-int-or-string"):
        return "quantity"
    if items := field.get("items"):
        return f"list of {_type(items)}"
    if choices := field.get("enum"):
        return ", ".join(f"`{choice}`" for choice in choices)
    if field["type"] == "integer" and "minimum" in field:
        return f"integer, {field['minimum']} to {field['maximum']}"
    return str(field["type"])


def _default(field: Schema, required: bool) -> str:
    if required:
        return "**required**"
    default = field.get("default", {})
    return "" if default == {} else f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _rules(schema: Schema) -> str:
    """The messages of the rules that stand at objects, each once."""
    rules = (rule for part in _objects(schema) for rule in part.get("x-kubernetes-validations", ()))
    return "\n".join(dict.fromkeys(f"- {' '.join(rule['message'].split())}" for rule in rules))


def _objects(schema: Schema) -> Iterator[Schema]:
    yield schema
    for field in schema.get("properties", {}).values():
        inner = field.get("items", field)
        if inner.get("type") == "object":
            yield from _objects(inner)


def _in_a_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Print the reference of the CRD in the file that is named."""
    if len(sys.argv) != 2:
        sys.exit("python -m imagesearch_operator.reference: name the CRD's file, charts/imagesearch/files/crd.yaml")
    sys.stdout.write(reference(yaml.safe_load(Path(sys.argv[1]).read_text())))


if __name__ == "__main__":
    main()
