"""Asks the search API, as the web page does; the demo's examples and the smoke test's checks are made of it."""

from pathlib import Path
from typing import NamedTuple

import httpx

from imagesearch_stack import StackError


class Hit(NamedTuple):
    """One picture that was found."""

    id: str
    title: str
    tags: tuple[str, ...]
    score: float
    url: str


class Api:
    """One collection of a running search API."""

    def __init__(self, url: str, collection: str) -> None:
        """Ask the API at `url` about `collection`."""
        self._url = url
        self._collection = collection

    def by_text(self, query: str, size: int = 10) -> list[Hit]:
        """The pictures most like the words, best first."""
        return self._ask("text_search", json={"collection": self._collection, "query": query, "size": size})

    def by_image_url(self, url: str, size: int = 10) -> list[Hit]:
        """The pictures most like the one at `url`, best first."""
        return self._ask("image_search", json={"collection": self._collection, "image_url": url, "size": size})

    def by_image(self, picture: Path, size: int = 10) -> list[Hit]:
        """The pictures most like the file, best first."""
        return self._ask(
            "image_search",
            data={"collection": self._collection, "size": str(size)},
            files={"image": picture.read_bytes()},
        )

    def _ask(self, route: str, **body: object) -> list[Hit]:
        try:
            answer = httpx.post(f"{self._url}/{route}", timeout=30, trust_env=False, **body)  # type: ignore[arg-type]
        except httpx.TransportError as error:
            raise StackError(f"the search API at {self._url} did not answer: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise StackError(f"the search API answered {answer.status_code} to {route}: {answer.text[:500]}")
        return [
            Hit(hit["id"], hit["title"], tuple(hit["tags"]), hit["score"], hit["url"]) for hit in answer.json()["hits"]
        ]
