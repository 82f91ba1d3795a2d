"""Elasticsearch: the collections' indices, how many documents are in them, and which one each alias points to."""

import logging
import re
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Self

from elasticsearch import (
    ApiError,
    AsyncElasticsearch,
    AuthorizationException,
    BadRequestError,
    NotFoundError,
    TransportError,
)
from imagesearch_contract import names, platform_indices
from imagesearch_contract.index import addable_fields
from imagesearch_contract.platform_indices import MAX_REPORTS, PROGRESS_INDEX, REPORTS_INDEX
from imagesearch_contract.settings import ElasticsearchSettings

from imagesearch_operator import metrics
from imagesearch_operator.facts import IndexFacts, Unknown
from imagesearch_operator.stores.errors import StoreError
from imagesearch_operator.stores.memory import Memory

REQUEST_SECONDS: Final = 15.0
_logger = logging.getLogger(__name__)
_HASH: Final = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class View:
    """Elasticsearch at one moment."""

    documents: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Alias of a collection -> each of its indices -> documents."""
    aliases: Mapping[str, frozenset[str]] = field(default_factory=dict)
    platform: frozenset[str] = frozenset()
    """Those of the platform's own indices that are there."""

    def with_index(self, index: str) -> "View":
        """The same, with an index that has no documents."""
        alias = _collection(index) or ""
        return replace(self, documents={**self.documents, alias: {index: 0, **self.documents.get(alias, {})}})

    def with_platform(self, index: str) -> "View":
        """The same, with an index of the platform's own."""
        return replace(self, platform=self.platform | {index})

    def pointing(self, alias: str, index: str, documents: int) -> "View":
        """The same, with an alias that points to an index alone, which has so many documents."""
        counted = {**self.documents.get(alias, {}), index: documents}
        return replace(
            self,
            documents={**self.documents, alias: counted},
            aliases={**self.aliases, alias: frozenset({index})},
        )

    def without_index(self, index: str) -> "View":
        """The same, without an index."""
        alias = _collection(index) or ""
        left = {name: count for name, count in self.documents.get(alias, {}).items() if name != index}
        aliases = {name: holders - {index} for name, holders in self.aliases.items()}
        return replace(self, documents={**self.documents, alias: left}, aliases=aliases)


class Indices:
    """The indices and aliases of the collections."""

    def __init__(self, client: AsyncElasticsearch, address: str) -> None:
        self._client = client
        self._address = address
        self._refused: set[str] = set()
        """Those of the platform's indices that the operator may not create."""
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
        """Create the index unless it is there, and those of the platform that are not; give one of an older release the
        fields that it lacks.

        Raises:
            StoreError: Elasticsearch refused.
        """
        alias, seen = _collection(index), self._memory.seen
        with self._translated():
            await self._create_platform(frozenset() if isinstance(seen, Unknown) else seen.platform)
        if not isinstance(seen, Unknown) and alias and index in seen.documents.get(alias, {}):
            await self._complete(index, body)
            return
        with self._translated():
            await self._create(index, body)
        self._current.add(index)
        self._memory.note(lambda seen: seen.with_index(index))

    async def _complete(self, index: str, body: Mapping[str, Any]) -> None:
        """Once in the life of this process: a release only ever adds fields."""
        if index in self._current:
            return
        with self._translated():
            await self._client.indices.put_mapping(index=index, properties=addable_fields(body))
        self._current.add(index)

    async def _create_platform(self, there: frozenset[str]) -> None:
        """Create the platform's own indices; they are bookkeeping, without which collections go on."""
        for name, body in platform_indices.bodies().items():
            if name in there or name in self._refused:
                continue
            try:
                await self._create(name, body)
            except AuthorizationException:
                self._refused.add(name)
                _logger.warning("Elasticsearch does not let the operator create the index %s: see its rights", name)
            else:
                self._memory.note(partial(View.with_platform, index=name))

    async def _create(self, index: str, body: Mapping[str, Any]) -> None:
        try:
            await self._client.indices.create(index=index, settings=body["settings"], mappings=body["mappings"])
        except BadRequestError as error:
            if error.error != "resource_already_exists_exception":
                raise
        metrics.WRITES.labels("create", "Index").inc()

    async def point(self, namespace: str, collection: str, index: str) -> None:
        """Let the collection's alias point to this index alone, in one step, once all that was written to it is found.

        Raises:
            StoreError: Elasticsearch refused.
        """
        alias = names.alias(namespace, collection)
        with self._translated():
            holders = await self._holders(alias)
            if holders == {index}:
                return
            # By itself an index refreshes every few seconds: searches would miss what came last.
            await self._client.indices.refresh(index=index)
            documents = (await self._client.count(index=index))["count"]
            gone = [{"remove": {"index": holder, "alias": alias}} for holder in sorted(holders - {index})]
            await self._client.indices.update_aliases(actions=[*gone, {"add": {"index": index, "alias": alias}}])
        metrics.WRITES.labels("update", "Alias").inc()
        self._memory.note(partial(View.pointing, alias=alias, index=index, documents=documents))

    async def drop(self, indices: Iterable[str]) -> None:
        """Delete indices, and what the platform's own say of them; an alias goes with the last of its own.

        Raises:
            StoreError: Elasticsearch refused.
        """
        for index in indices:
            with self._translated():
                await self._client.indices.delete(index=index, ignore_unavailable=True)
                with suppress(AuthorizationException):  # where these may not be touched, the index must go all the same
                    await self._forget(index)
            metrics.WRITES.labels("delete", "Index").inc()
            self._current.discard(index)
            self._memory.note(partial(View.without_index, index=index))

    async def _forget(self, index: str) -> None:
        """Remove the progress and the reports of an index."""
        # By search: not every distribution deletes by query. The API takes at most so many, or a few more.
        reports = await self._client.search(
            index=REPORTS_INDEX,
            query={"term": {"index": index}},
            size=2 * MAX_REPORTS,
            source=False,
            ignore_unavailable=True,
        )
        about = [(REPORTS_INDEX, hit["_id"]) for hit in reports["hits"]["hits"]]
        actions = [{"delete": {"_index": where, "_id": id}} for where, id in [(PROGRESS_INDEX, index), *about]]
        await self._client.bulk(operations=actions, filter_path="errors")  # what is not there, need not go

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
            rows = await self._client.cat.indices(format="json", h="index,docs.count", expand_wildcards="open,hidden")
            entries = await self._client.indices.get_alias(index="*")
        documents: dict[str, dict[str, int]] = {}
        platform = platform_indices.bodies().keys() & {row["index"] for row in rows}  # type: ignore[index]
        for row in rows:
            alias = _collection(row["index"])  # type: ignore[index]
            if alias:
                documents.setdefault(alias, {})[row["index"]] = int(row["docs.count"] or 0)  # type: ignore[index]
        aliases: dict[str, set[str]] = {}
        for index, entry in entries.items():
            for alias in entry["aliases"]:
                aliases.setdefault(alias, set()).add(index)
        return View(documents, {alias: frozenset(holders) for alias, holders in aliases.items()}, frozenset(platform))

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
