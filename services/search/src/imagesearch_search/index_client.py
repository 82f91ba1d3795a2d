"""What the search API asks of Elasticsearch: some questions, behind a protocol so that tests can answer them."""

import struct
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Protocol

from elasticsearch import ApiError, AsyncElasticsearch, ConflictError, NotFoundError, OrjsonSerializer, TransportError
from imagesearch_contract.index import VECTOR_FIELD
from imagesearch_contract.platform_indices import PROGRESS_INDEX, REPORTS_INDEX, Progress, Report
from imagesearch_contract.settings import ElasticsearchSettings
from pydantic import ValidationError

from imagesearch_search.problems import INDEX_UNAVAILABLE, Problem


class IndexMissingError(LookupError):
    """There is no index or alias of this name (any more)."""


class Index(Protocol):
    """Elasticsearch, as far as the search API needs it. Each method raises `Problem` when it cannot be asked."""

    async def mappings(self, name: str) -> dict[str, dict[str, Any]]:
        """The mapping of each index behind a name, alias or pattern; empty when there is none."""
        ...

    async def search(self, index: str, bodies: Sequence[Mapping[str, Any]], *, preference: str) -> list[dict[str, Any]]:
        """The answers to several searches at once; raises `IndexMissingError`."""
        ...

    async def vectors(self, index: str, ids: Sequence[str]) -> dict[str, bytes]:
        """The vectors of pictures, by id: little-endian float32. Those that are not there are missing."""
        ...

    async def counts(self, indices: list[str]) -> dict[str, int]:
        """How many documents of each index can be found."""
        ...

    async def progress(self, indices: list[str]) -> dict[str, Progress]:
        """How far the embedder of each index is; those of which nothing is known are missing."""
        ...

    async def reports(self, index: str) -> int:
        """How many reports there are about pictures of an index."""
        ...

    async def report(self, report: Report) -> bool:
        """Write a report, unless there is one about the picture already; whether it was written. All that is ever written."""
        ...

    async def aliases(self) -> dict[str, set[str]]:
        """Every index that has aliases, with them."""
        ...


class ElasticsearchIndex:
    """The real one."""

    def __init__(self, client: AsyncElasticsearch) -> None:
        self._client = client

    async def mappings(self, name: str) -> dict[str, dict[str, Any]]:
        """See `Index`."""
        try:
            found = await self._client.indices.get_mapping(index=name)
        except NotFoundError:
            return {}
        except (ApiError, TransportError) as error:
            raise unavailable(error) from error
        return {index: entry["mappings"] for index, entry in found.items()}

    async def search(self, index: str, bodies: Sequence[Mapping[str, Any]], *, preference: str) -> list[dict[str, Any]]:
        """See `Index`."""
        header = {"index": index, "preference": preference, "allow_partial_search_results": False}
        try:
            found = await self._client.msearch(searches=[part for body in bodies for part in (header, body)])
        except (ApiError, TransportError) as error:
            raise unavailable(error) from error
        answers: list[dict[str, Any]] = found["responses"]
        for answer in answers:
            if answer["status"] == HTTPStatus.NOT_FOUND:
                raise IndexMissingError(index)
            if "error" in answer:
                raise unavailable(RuntimeError(answer["error"]["type"]))
        return answers

    async def vectors(self, index: str, ids: Sequence[str]) -> dict[str, bytes]:
        """See `Index`."""
        body = {"query": {"ids": {"values": list(ids)}}, "size": len(ids), "_source": False, "fields": [VECTOR_FIELD]}
        [answer] = await self.search(index, [body], preference="_local")
        vectors = {found["_id"]: found["fields"][VECTOR_FIELD] for found in answer["hits"]["hits"]}
        return {picture: struct.pack(f"<{len(vector)}f", *vector) for picture, vector in vectors.items()}

    async def counts(self, indices: list[str]) -> dict[str, int]:
        """See `Index`."""
        if not indices:
            return {}
        try:
            found = await self._client.search(
                index=indices,
                ignore_unavailable=True,
                size=0,
                aggs={"indices": {"terms": {"field": "_index", "size": len(indices)}}},
            )
        except (ApiError, TransportError) as error:
            raise unavailable(error) from error
        return {bucket["key"]: bucket["doc_count"] for bucket in found["aggregations"]["indices"]["buckets"]}

    async def progress(self, indices: list[str]) -> dict[str, Progress]:
        """See `Index`."""
        if not indices:
            return {}
        try:
            found = await self._client.mget(index=PROGRESS_INDEX, ids=indices)
        except (ApiError, TransportError) as error:
            raise unavailable(error) from error
        sources = {each["_id"]: each.get("_source") for each in found["docs"]}  # an error where there is no such index
        return {index: known for index, source in sources.items() if source and (known := _progress(source))}

    async def reports(self, index: str) -> int:
        """See `Index`."""
        try:
            found = await self._client.count(index=REPORTS_INDEX, query={"term": {"index": index}})
        except (ApiError, TransportError) as error:
            raise unavailable(error) from error
        return int(found["count"])

    async def report(self, report: Report) -> bool:
        """See `Index`."""
        try:
            await self._client.create(index=REPORTS_INDEX, id=report.id, document=report.to_source())
        except ConflictError:
            return False
        except (ApiError, TransportError) as error:
            raise unavailable(error) from error
        return True

    async def aliases(self) -> dict[str, set[str]]:
        """See `Index`."""
        try:
            found = await self._client.indices.get_alias(index="*")
        except (ApiError, TransportError) as error:
            raise unavailable(error) from error
        return {index: set(entry["aliases"]) for index, entry in found.items() if entry["aliases"]}


def _progress(source: dict[str, Any]) -> Progress | None:
    try:
        return Progress.model_validate(source)
    except ValidationError:
        return None  # of another version


def connect(settings: ElasticsearchSettings) -> AsyncElasticsearch:
    """A client for the cluster of the settings; close it."""
    return AsyncElasticsearch(
        **settings.elasticsearch_client,
        request_timeout=5,
        max_retries=1,
        retry_on_timeout=False,
        serializer=OrjsonSerializer(),  # a thousand candidates are 200 kB
    )


def unavailable(error: Exception) -> Problem:
    """What callers are told; the cause is for the log (it would name hosts and queries)."""
    return Problem(
        INDEX_UNAVAILABLE, f"The search index does not answer ({type(error).__name__}). Try again.", retry_after=2
    )
