"""The vector of a query: of words and pictures by the encoder, of pictures that are indexed from the index."""

import asyncio
from collections.abc import Sequence
from typing import Final

from imagesearch_search import query
from imagesearch_search.collections import Collection
from imagesearch_search.encoder_client import Encoder, EncoderClient
from imagesearch_search.index_client import Index
from imagesearch_search.query import Wanted
from imagesearch_search.recent import Recent

TEXTS: Final = 4096
"""Vectors of recent texts that are kept; 512 dims take 2 KiB each."""


class QueryVectors:
    """Makes them, and remembers those of texts."""

    def __init__(self, index: Index, encoder: EncoderClient) -> None:
        self._index = index
        self._encoder = encoder
        self._texts: Recent[bytes] = Recent(TEXTS)

    async def text(self, encoder: Encoder, text: str, *, fresh: bool = False) -> bytes:
        """The vector of a text; `fresh` encodes it even if it is known.

        Raises:
            Problem: the encoder is away, overloaded, or of another model.
        """
        key = (encoder.url, encoder.model, text)
        return await self._texts.get(key, lambda: self._encoder.text(encoder, text), fresh=fresh)

    async def mixture(self, target: Collection, wanted: Sequence[Wanted], *, fresh: bool) -> bytes:
        """The vector of all terms together, in the language of a collection's model.

        Raises:
            Problem: as `text`, or a picture cannot be used or is not there, or the terms cancel each other out.
        """
        indexed = await self._indexed(target, wanted)

        async def vector(term: Wanted) -> bytes:
            if term.id is not None:
                return indexed[term.id]
            if term.picture is not None:
                return await self._encoder.image(target.encoder, term.picture)
            return await self.text(target.encoder, term.text or "", fresh=fresh)

        vectors = await asyncio.gather(*map(vector, wanted))
        return query.mixture(vectors, [term.weight for term in wanted])

    async def _indexed(self, target: Collection, wanted: Sequence[Wanted]) -> dict[str, bytes]:
        """The vectors of the terms that are pictures of the collection."""
        ids = [term.id for term in wanted if term.id is not None]
        found = await self._index.vectors(target.index, ids) if ids else {}
        for number, term in enumerate(wanted):
            if term.id is not None and term.id not in found:
                raise query.fault(f"terms/{number}/id", f"the collection has no picture {term.id!r}")
        return found
