"""Elasticsearch: the collections' indices, how many documents are in them, and which one each alias points to."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Self

from elasticsearch import ApiError, AsyncElasticsearch, BadRequestError, NotFoundError, TransportError
from imagesearch_contract import names
from imagesearch_contract.index import VECTOR_FIELD
from imagesearch_contract.settings import ElasticsearchSettings

from imagesearch_operator import metrics
from imagesearch_operator.facts import IndexFacts, Unknown
from imagesearch_operator.stores.errors import StoreError
from imagesearch_operator.stores.memory import Memory

REQUEST_SECONDS: Final = 15.0
_HASH: Final = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class View:
    """Elasticsearch at one moment."""

    documents: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Alias of a collection -> each of its indices -> documents."""
    aliases: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def with_index(self, index: str) -> "View":
        """The same, with an index that has no documents."""
        alias = _collection(index) or ""
        return replace(self, documents={**self.documents, alias: {index: 0, **self.documents.get(alias, {})}})

    def without_index(self, index: str) -> "View":
        """The same, without an index."""
        alias = _collection(index) or ""
        left = {name: count for name, count in self.documents.get(alias, {}).items() if name != index}
        aliases = {name: holders - {index} for name, holders in self.aliases.items()}
        return View({**self.documents, alias: left}, aliases)


class Indices:
    """The indices and aliases of the collections."""

    def __init__(self, client: AsyncElasticsearch, address: str) -> None:
        self._client = client
        self._address = address
        self._memory: Memory[View] = Memory(Unknown("ElasticsearchNotAsked", "Elasticsearch was not looked at yet."))
        self._current: set[str] = set()
        """Indices that are known to have every field of this release."""

    @classmethod
    @asynccontextmanager
    async def connect(cls, settings: ElasticsearchSettings) -> AsyncIterator[Self]:
        """The Elasticsearch of the settings; nothing is asked yet."""
        client = AsyncElasticsearch(
            **settings.elasticsearch_client, request_timeout=REQUEST_SECONDS, max_retries=1, retry_on_timeout=False
        )
        async with client:
            yield cls(client, settings.elasticsearch_url)

    async def look(self) -> None:
        """Look at Elasticsearch anew."""
        await self._memory.look(self._read)

    def of(self, namespace: str, collection: str) -> IndexFacts | Unknown:
        """What was seen of a collection's indices."""
        seen = self._memory.seen
        if isinstance(seen, Unknown):
            return seen
        alias = names.alias(namespace, collection)
        pointed = seen.aliases.get(alias, frozenset())
        # An alias on several indices is nobody's search: as good as none, so that it is set right.
        return IndexFacts(seen.documents.get(alias, {}), next(iter(pointed)) if len(pointed) == 1 else None)

    async def create(self, index: str, body: Mapping[str, Any]) -> None:
        """Create the index unless it is there; give one of an older release the fields that it lacks.

        Raises:
            StoreError: Elasticsearch refused.
        """
        alias, seen = _collection(index), self._memory.seen
        if not isinstance(seen, Unknown) and alias and index in seen.documents.get(alias, {}):
            await self._complete(index, body)
            return
        with self._translated():
            try:
                await self._client.indices.create(index=index, settings=body["settings"], mappings=body["mappings"])
            except BadRequestError as error:
                if error.error != "resource_already_exists_exception":
                    raise
        metrics.WRITES.labels("create", "Index").inc()
        self._current.add(index)
        self._memory.note(lambda seen: seen.with_index(index))

    async def _complete(self, index: str, body: Mapping[str, Any]) -> None:
        """Once in the life of this process: a release only ever adds fields."""
        if index in self._current:
            return
        # Not the vectors': how they are quantised is decided when an index is made.
        fields = {name: of for name, of in body["mappings"]["properties"].items() if name != VECTOR_FIELD}
        with self._translated():
            await self._client.indices.put_mapping(index=index, properties=fields)
        self._current.add(index)

    async def point(self, namespace: str, collection: str, index: str) -> None:
        """Let the collection's alias point to this index alone, in one step.

        Raises:
            StoreError: Elasticsearch refused.
        """
        alias = names.alias(namespace, collection)
        with self._translated():
            holders = await self._holders(alias)
            if holders == {index}:
                return
            gone = [{"remove": {"index": holder, "alias": alias}} for holder in sorted(holders - {index})]
            await self._client.indices.update_aliases(actions=[*gone, {"add": {"index": index, "alias": alias}}])
        metrics.WRITES.labels("update", "Alias").inc()
        self._memory.note(lambda seen: replace(seen, aliases={**seen.aliases, alias: frozenset({index})}))

    async def drop(self, indices: Iterable[str]) -> None:
        """Delete indices; an alias goes with the last of its own.

        Raises:
            StoreError: Elasticsearch refused.
        """
        for index in indices:
            with self._translated():
                await self._client.indices.delete(index=index, ignore_unavailable=True)
            metrics.WRITES.labels("delete", "Index").inc()
            self._current.discard(index)
            self._memory.note(partial(View.without_index, index=index))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """What the client raises becomes a `StoreError`."""
        try:
            yield
        except (ApiError, TransportError) as error:
            raise self._error(error) from error

    async def _holders(self, alias: str) -> set[str]:
        try:
            return set(await self._client.indices.get_alias(name=alias))
        except NotFoundError:
            return set()

    async def _read(self) -> View:
        with self._translated():
            rows = await self._client.cat.indices(format="json", h="index,docs.count", expand_wildcards="open")
            entries = await self._client.indices.get_alias(index="*")
        documents: dict[str, dict[str, int]] = {}
        for row in rows:
            alias = _collection(row["index"])  # type: ignore[index]
            if alias:
                documents.setdefault(alias, {})[row["index"]] = int(row["docs.count"] or 0)  # type: ignore[index]
        aliases: dict[str, set[str]] = {}
        for index, entry in entries.items():
            for alias in entry["aliases"]:
                aliases.setdefault(alias, set()).add(index)
        return View(documents, {alias: frozenset(holders) for alias, holders in aliases.items()})

    def _error(self, error: ApiError | TransportError) -> StoreError:
        if isinstance(error, TransportError):
            return StoreError(
                "ElasticsearchUnreachable",
                f"Elasticsearch does not answer at {self._address} ({type(error).__name__}). It is asked again by "
                "itself; if it runs, check `elasticsearch.url` and the network policies.",
            )
        if error.status_code in (401, 403):
            return StoreError(
                "ElasticsearchRefused",
                f"Elasticsearch at {self._address} refuses the operator (HTTP {error.status_code}). Check the user name, "
                "the password and the rights in the values `elasticsearch.*` of the Helm release.",
            )
        return StoreError("ElasticsearchError", f"Elasticsearch at {self._address} answered: {error.message}.")


def _collection(index: str) -> str | None:
    """The alias of the collection whose index this is; None for an index of anybody else."""
    alias, _, model = index.rpartition(".")
    return alias if alias.count(".") == 1 and _HASH.fullmatch(model) else None
