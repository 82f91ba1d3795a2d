"""`python -m imagesearch_search.openapi [FILE]` writes the API's OpenAPI document, as committed in `openapi.json`.

`document` is also what the running API serves at `/openapi.json`.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from imagesearch_contract.settings import SearchSettings

from imagesearch_search import problems
from imagesearch_search.access import KEY_HEADER
from imagesearch_search.admission import OPEN_TAG, TIMEOUT_HEADER
from imagesearch_search.schema import ImageSearchRequest

_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, where the API asks for one."},
    "header": {"type": "apiKey", "in": "header", "name": KEY_HEADER, "description": "The same, in its own header."},
}
_TIMEOUT: Final = {
    "name": TIMEOUT_HEADER,
    "in": "header",
    "required": False,
    "description": "Seconds after which the client does not wait any more; at most what is configured (30 otherwise).",
    "schema": {"type": "number", "exclusiveMinimum": 0, "examples": [2.5]},
}
_REFUSALS: Final = {
    "401": "No API key, or an unknown one, where one is needed",
    "422": "The request has faults",
    "429": "Too many requests, of this client or of all; `Retry-After` says when to try again",
    "504": "Not answered in time",
}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of `app`: problems under their own media type, the hand-read request bodies named."""
    api = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = api["components"]["schemas"]
    by_hand = ImageSearchRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= by_hand.pop("$defs", {})
    schemas["ImageSearchRequest"] = by_hand
    api["components"]["securitySchemes"] = _SCHEMES
    for path in api["paths"].values():
        for operation in path.values():
            if OPEN_TAG not in operation["tags"]:
                _admitted(operation)
            for status, response in operation["responses"].items():
                if status >= "400":
                    response["content"] = {problems.MEDIA_TYPE: response["content"].pop("application/json")}
    return api


def _admitted(operation: dict[str, Any]) -> None:
    """Write down what `admission` does before a route is reached."""
    operation["security"] = [{scheme: []} for scheme in _SCHEMES] + [{}]  # the last where no key is asked for
    operation["parameters"] = [*operation.get("parameters", ()), _TIMEOUT]
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    refusals = {status: {"description": text, "content": dict(content)} for status, text in _REFUSALS.items()}
    operation["responses"] = dict(sorted((refusals | operation["responses"]).items()))


def cached(app: FastAPI) -> dict[str, Any]:
    """The document, made once: `FastAPI.openapi` for this application."""
    app.openapi_schema = app.openapi_schema or document(app)
    return app.openapi_schema


def text() -> str:
    """The document as it is committed."""
    from imagesearch_search.app import create_app

    return json.dumps(document(create_app(SearchSettings())), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write the document to the file that is named, or to standard output."""
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text(), encoding="utf-8")
    else:
        sys.stdout.write(text())


if __name__ == "__main__":
    main()
