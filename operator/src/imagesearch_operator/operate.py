"""The operator at work: what runs side by side, and how it begins and ends."""

import asyncio
import logging
import random
from typing import Final

import kopf

from imagesearch_operator import cluster, handlers, metrics, stores
from imagesearch_operator.cluster import Cluster, ClusterError
from imagesearch_operator.health import Health
from imagesearch_operator.kinds import COLLECTION, Kind
from imagesearch_operator.live import Key, Live
from imagesearch_operator.queue import Queue
from imagesearch_operator.reconcile import Reconciler
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.stores import Stores

BEAT_SECONDS: Final = 5.0
HANG_SECONDS: Final = 60.0
FORGOTTEN_SECONDS: Final = 300.0
"""A collection that is due for longer than this shows that the workers hang."""
POLL_SECONDS: Final = 120.0
"""How long one look at stores that do not answer may take."""
_logger = logging.getLogger(__name__)


async def operate(settings: OperatorSettings, health: Health) -> bool:
    """Look after the collections until a signal; True to be called again, because the cluster serves other kinds now."""
    health.reset()
    async with cluster.connect() as api, stores.connect(settings) as outside:
        served = await _served(api)
        live = Live()
        queue = Queue(Reconciler(live, api, outside, settings, served=served).reconcile)
        work = Work(settings, health, live, api, outside, queue, served)
        await work.begin()
        stop = asyncio.Event()
        watching = kopf.operator(
            registry=handlers.registry(live, queue.add, health, served, settings.namespaces),
            settings=handlers.settings(served),
            standalone=True,
            clusterwide=not settings.namespaces,
            namespaces=settings.namespaces,
            stop_flag=stop,
        )
        tasks = [asyncio.create_task(part) for part in (queue.run(settings.workers), work.beat(), work.resync())]
        tasks.append(asyncio.create_task(work.poll(), name="poll"))
        for task in tasks:
            task.add_done_callback(lambda _: stop.set())  # one that ends, ends all
        health.is_ready = True
        _logger.info(
            "looking after %d collections in %s",
            len(live.collections()),
            ", ".join(settings.namespaces) or "all namespaces",
        )
        try:
            await watching
        finally:
            ended = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in ended:
            task.result()
        return bool(ended)


class Work:
    """What is done now and then, beside what events ask for."""

    def __init__(
        self,
        settings: OperatorSettings,
        health: Health,
        live: Live,
        api: Cluster,
        outside: Stores,
        queue: Queue,
        served: frozenset[Kind],
    ) -> None:
        """Keep `live` and `outside` current, and have collections reconciled through `queue`."""
        self._settings = settings
        self._health = health
        self._live = live
        self._api = api
        self._outside = outside
        self._queue = queue
        self._served = served
        metrics.QUEUE_DEPTH.set_function(lambda: queue.depth)
        metrics.COLLECTIONS.set_function(lambda: len(live.collections()))

    async def begin(self) -> None:
        """List everything and look at the stores: before that a reconcile would judge by what it cannot see."""
        while True:
            try:
                changed = await self._list()
                break
            except ClusterError as error:
                _logger.warning("the cluster cannot be listed: %s", error.message)
                await asyncio.sleep(BEAT_SECONDS)
        await self._look()
        for key in changed:
            self._queue.add(key)

    async def beat(self) -> None:
        """Show that the event loop turns, and that the workers take what is due."""
        self._health.expect("event loop", within_seconds=HANG_SECONDS)
        self._health.expect("workers", within_seconds=HANG_SECONDS)
        while True:
            self._health.beat("event loop")
            if self._queue.waiting_seconds < FORGOTTEN_SECONDS:
                self._health.beat("workers")
            await asyncio.sleep(BEAT_SECONDS)

    async def poll(self) -> None:
        """Look at the stores again and again; ends when the cluster serves other kinds."""
        self._health.expect("poll of the stores", within_seconds=self._settings.poll_seconds + POLL_SECONDS)
        while True:
            await asyncio.sleep(self._settings.poll_seconds)
            try:
                for key in await self._look():
                    self._queue.add(key)
                self._health.beat("poll of the stores")
            except Exception:
                # What a store answers must not end the operator; if it goes on, the heartbeat is missed.
                _logger.exception("the stores cannot be looked at: this is a bug of the operator")
            try:
                if await self._api.served() != self._served:
                    return
            except ClusterError as error:
                _logger.warning("%s", error.message)

    async def resync(self) -> None:
        """List everything again and have every collection reconciled, in case an event was lost; spread over the time."""
        while True:
            await asyncio.sleep(self._settings.resync_seconds)
            try:
                for key in await self._list():
                    self._queue.add(key)
            except ClusterError as error:
                _logger.warning("the cluster cannot be listed: %s", error.message)
            for key in self._live.collections():
                self._queue.add(key, random.uniform(0, self._settings.resync_seconds))  # noqa: S311 - no secret

    async def _look(self) -> set[Key]:
        changed = await self._outside.poll(self._live.readable())
        metrics.LAST_POLL.set_to_current_time()
        return changed

    async def _list(self) -> set[Key]:
        changed: set[Key] = set()
        for kind in self._served:
            for namespace in self._settings.namespaces or (None,):
                objects, version = await self._api.listing(kind, namespace)
                changed |= self._live.settle(kind, namespace, objects, version)
        return changed


async def _served(api: Cluster) -> frozenset[Kind]:
    """The kinds that there are, once the API server answers and has the CRD."""
    while True:
        try:
            served = await api.served()
        except ClusterError as error:
            _logger.warning("%s", error.message)
        else:
            if COLLECTION in served:
                return served
            _logger.warning("the CRD imagecollections.imagesearch.dev is not installed: the Helm chart brings it")
        await asyncio.sleep(BEAT_SECONDS)
