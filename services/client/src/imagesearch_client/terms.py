"""What a query is made of. Pure but for `picture`, which reads the file that it is given."""

import base64
from pathlib import Path
from typing import Any

Term = dict[str, Any]
"""One term of a query, as the API takes it."""


def text(words: str, weight: float = 1.0) -> Term:
    """What the picture shows, in words; a weight below 0 counts against it."""
    return {"text": words, "weight": weight}


def picture(given: str | Path | bytes, weight: float = 1.0) -> Term:
    """A picture that is not in the collection.

    Args:
        given: its http(s) address, the path of its file, or the bytes of it.
        weight: below 0 counts against what is like it.

    Raises:
        OSError: there is no such file.
    """
    if isinstance(given, str) and given.startswith(("http://", "https://")):
        return {"image_url": given, "weight": weight}
    data = given if isinstance(given, bytes) else Path(given).read_bytes()
    return {"image_base64": base64.b64encode(data).decode(), "weight": weight}


def like(image_id: str, weight: float = 1.0) -> Term:
    """More like a picture of the collection."""
    return {"id": image_id, "weight": weight}


def unlike(image_id: str, weight: float = 0.5) -> Term:
    """Less like a picture of the collection."""
    return {"id": image_id, "weight": -weight}
