"""Objects that are read by name because they may not be watched: Secrets, and the ConfigMaps of users."""

import time
from collections.abc import Callable
from typing import Final

from imagesearch_operator import kinds
from imagesearch_operator.cluster import Cluster
from imagesearch_operator.facts import Manifest
from imagesearch_operator.kinds import Id
from imagesearch_operator.spec import Collection, KeyRef

FRESH_SECONDS: Final = 10.0
"""So long an answer is taken for true: a missing Secret is noticed, and its coming too, within about this time."""


class Lookup:
    """Answers of the API server, remembered for a moment."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is asked yet."""
        self._cluster = cluster
        self._clock = clock
        self._answers: dict[Id, tuple[float, Manifest | None]] = {}

    async def get(self, at: Id) -> Manifest | None:
        """The object, as it was at most a moment ago.

        Raises:
            ClusterError: the API server refused, or does not answer.
        """
        now = self._clock()
        known = self._answers.get(at)
        if known is None or now - known[0] > FRESH_SECONDS:
            self._forget_stale(now)
            known = self._answers[at] = (now, await self._cluster.get(at))
        return known[1]

    def forget(self, at: Id) -> None:
        """Ask again next time: it was written."""
        self._answers.pop(at, None)

    async def missing(self, collection: Collection) -> frozenset[tuple[str, str, str]]:
        """(kind, name, key) of what the spec names and is not there.

        Raises:
            ClusterError: the API server refused, or does not answer.
        """
        return frozenset(
            [
                (kind, ref.name, ref.key)
                for kind, ref in _references(collection)
                if not _has(await self.get(Id(kind, collection.namespace, ref.name)), ref.key)
            ]
        )

    def _forget_stale(self, now: float) -> None:
        self._answers = {at: answer for at, answer in self._answers.items() if now - answer[0] <= FRESH_SECONDS}


def _references(collection: Collection) -> list[tuple[str, KeyRef]]:
    sources = collection.spec.sources
    keys = [(kinds.SECRET.name, source.flickr.api_key_secret_ref) for source in sources if source.flickr]
    lists = [
        (kinds.CONFIG_MAP.name, source.manifest.config_map_ref)
        for source in sources
        if source.manifest and source.manifest.config_map_ref
    ]
    return [*keys, *lists]


def _has(live: Manifest | None, key: str) -> bool:
    return live is not None and (key in (live.get("data") or {}) or key in (live.get("binaryData") or {}))
