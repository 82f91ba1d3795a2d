"""`python -m imagesearch_search.openapi [FILE]` writes the API's OpenAPI document, as committed in `openapi.json`.

`document` is also what the running API serves at `/openapi.json`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from imagesearch_contract.settings import SearchSettings

from imagesearch_search import problems
from imagesearch_search.schema import ImageSearchRequest


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of `app`: problems under their own media type, the hand-read request bodies named."""
    api = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = api["components"]["schemas"]
    by_hand = ImageSearchRequest.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= by_hand.pop("$defs", {})
    schemas["ImageSearchRequest"] = by_hand
    for path in api["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    response["content"] = {problems.MEDIA_TYPE: response["content"].pop("application/json")}
    return api


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
