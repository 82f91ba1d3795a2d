"""The one reconcile: observe, plan, write what differs, prune, and say in the status how far it has come.

It is right in whatever state it finds things, and may be stopped anywhere: each write is one that a later pass would
make or find made.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from imagesearch_contract import names
from pydantic import ValidationError

from imagesearch_operator import kinds, metrics, naming, plan, status
from imagesearch_operator.cluster import Cluster, ClusterError, ConflictError, InvalidError, NotFoundError
from imagesearch_operator.compare import digest, needs_apply, plan_hash, with_hash
from imagesearch_operator.facts import Facts, Manifest, ModelVersion, Unknown
from imagesearch_operator.kinds import Id, id_of
from imagesearch_operator.live import Key, Live, is_leaving, is_shared, label, owner_references
from imagesearch_operator.logs import Log, logger_for
from imagesearch_operator.lookup import FRESH_SECONDS, Lookup
from imagesearch_operator.plan import Plan, replays
from imagesearch_operator.queue import Retry
from imagesearch_operator.settings import OperatorSettings
from imagesearch_operator.spec import FINALIZER, Collection
from imagesearch_operator.status import ApplyError, Event
from imagesearch_operator.stores import StoreError, Stores

PASS_SECONDS: Final = 180.0
"""A reconcile that takes longer is hung; it is given up and made again."""
_KEPT: Final = frozenset({"PersistentVolumeClaim"})
"""What is never deleted only because a change was refused: it holds data."""


class Reconciler:
    """Brings collections to what their specs say."""

    def __init__(
        self,
        live: Live,
        cluster: Cluster,
        stores: Stores,
        settings: OperatorSettings,
        *,
        served: frozenset[kinds.Kind] = frozenset(kinds.WATCHED),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Work on what `live` knows, with the means given.

        Args:
            live: what the cluster holds; kept current by others, and by what is written here.
            cluster: where children are written.
            stores: where topics and indices are.
            settings: the operator's.
            served: the kinds that the cluster has.
            now: the time.
        """
        self._live = live
        self._cluster = cluster
        self._stores = stores
        self._settings = settings
        self._served = {kind.name for kind in served}
        self._now = now
        self._lookup = Lookup(cluster)
        self._made: set[Id] = set()
        """What was there once, by this process: if it is missing now, somebody deleted it."""
        self._namespaces: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Held from planning to applying what collections share, so that the latest plan is also the last one applied."""

    async def reconcile(self, key: Key) -> float | None:
        """Bring one collection to what its spec says; in how many seconds to look again by itself, or None.

        Raises:
            Retry: something failed. It has been logged and is in the status, where that could be written.
        """
        body = self._live.body(key)
        if body is None:
            metrics.forget(key)
            return None
        log = logger_for(key, body["metadata"]["uid"])
        started = time.monotonic()
        result = "error"
        try:
            async with asyncio.timeout(PASS_SECONDS):
                again = await self._pass(key, body, log)
            result = "success"
            return again
        except (ConflictError, NotFoundError) as error:
            # Somebody was faster; the event of it is on its way.
            result = "conflict"
            log.info("changed meanwhile, looking again: %s", error.message)
            raise Retry from error
        except (ClusterError, StoreError) as error:
            metrics.RECONCILE_ERRORS.labels(error.reason).inc()
            log.warning("%s: %s", error.reason, error.message)
            raise Retry from error
        except TimeoutError as error:
            metrics.RECONCILE_ERRORS.labels("TimedOut").inc()
            log.warning("given up after %.0f seconds; it is made again", PASS_SECONDS)
            raise Retry from error
        except _Failed as failed:
            raise Retry from failed
        except Exception as error:
            # A fault of ours in one collection must not keep the others from being looked after.
            metrics.RECONCILE_ERRORS.labels("Bug").inc()
            log.exception("cannot be reconciled: this is a bug of the operator")
            raise Retry from error
        finally:
            metrics.RECONCILES.labels(result).inc()
            metrics.RECONCILE_SECONDS.observe(time.monotonic() - started)

    async def _pass(self, key: Key, body: Manifest, log: Log) -> float | None:
        try:
            collection = self._live.collection(key)
        except ValidationError as error:
            await self._say_invalid(key, body, error)
            return None
        if collection is None:
            return None
        if collection.deleted_at is not None:
            return await self._remove(collection, log)
        if FINALIZER not in collection.finalizers and not collection.spec.paused:
            self._live.put(await self._cluster.set_finalizers(body, [*collection.finalizers, FINALIZER]))
            collection = self._live.collection(key) or collection
        if collection.spec.paused:
            facts = await self._observe(collection)
            planned = plan.plan(collection, facts, self._settings)
            errors: list[ApplyError] = []
        else:
            planned, errors = await self._carry_out(collection, log)
            facts = await self._observe(collection)
        await self._say(collection, facts, planned, errors)
        if errors:
            raise _Failed
        return FRESH_SECONDS if facts.missing else None

    async def _observe(self, collection: Collection) -> Facts:
        model = await self._stores.model(collection.spec.model)
        missing = await self._lookup.missing(collection)
        siblings = self._live.siblings(collection.namespace)
        models = {sibling.name: await self._stores.model(sibling.spec.model) for sibling in siblings}
        # Nothing is awaited from here on: what follows is of one moment.
        key = Key(collection.namespace, collection.name)
        seen = self._stores.observe(collection, model)
        return Facts(
            now=self._now(),
            siblings=siblings,
            model=model,
            models=models,
            topic=seen.topic,
            index=seen.index,
            children=self._live.children(key),
            pods=self._live.pods(key),
            missing=missing,
            kuberay=kinds.RAY_SERVICE.name in self._served,
            authorities=_authorities(self._settings),
        )

    async def _carry_out(self, collection: Collection, log: Log) -> tuple[Plan, list[ApplyError]]:
        """Write what is planned and is not so; what could not be written."""
        facts = await self._observe(collection)
        errors = await self._fill_stores(collection, facts, plan.plan(collection, facts, self._settings))
        async with self._namespaces[collection.namespace]:
            facts = await self._observe(collection)
            planned = plan.plan(collection, facts, self._settings)
            errors += await self._apply_all((one for one in planned.manifests if is_shared(one)), collection, log)
        errors += await self._apply_all((one for one in planned.manifests if not is_shared(one)), collection, log)
        errors += await self._prune(collection, facts, planned, log)
        await self._answer_replay(collection, log)
        return planned, errors

    async def _fill_stores(self, collection: Collection, facts: Facts, planned: Plan) -> list[ApplyError]:
        errors: list[ApplyError] = []
        if not isinstance(facts.topic, Unknown):
            try:
                await self._stores.create_topics(planned.topics)
            except StoreError as error:
                errors.append(ApplyError("Topic", planned.topics[0].name, error.reason, error.message))
        if not isinstance(facts.index, Unknown):
            try:
                if planned.index is not None:
                    await self._stores.create_index(planned.index)
                if planned.alias is not None and planned.alias != facts.index.alias:
                    await self._stores.point_alias(collection, planned.alias)
            except StoreError as error:
                name = names.alias(collection.namespace, collection.name)
                errors.append(ApplyError("Index", name, error.reason, error.message))
        return errors

    async def _apply_all(self, manifests: Iterable[Manifest], collection: Collection, log: Log) -> list[ApplyError]:
        """Apply each where it is needed; one that fails does not stop the others."""
        errors = []
        for manifest in manifests:
            at = id_of(manifest)
            if at.kind not in self._served and at.kind != kinds.SECRET.name:
                continue  # the facts say that the kind is missing, and the status does
            try:
                await self._apply(at, manifest, collection, log)
            except ClusterError as error:
                metrics.RECONCILE_ERRORS.labels(error.reason).inc()
                log.warning("%s could not be applied: %s", at, error.message)
                errors.append(_failure(at, error))
        return errors

    async def _apply(self, at: Id, manifest: Manifest, collection: Collection, log: Log) -> None:
        live = await self._lookup.get(at) if at.kind == kinds.SECRET.name else self._live.get(at)
        if live is not None and is_leaving(live):
            return  # made again when it is gone, which an event will tell
        if not needs_apply(manifest, live):
            self._made.add(at)
            return
        is_repair = at in self._made if live is None else plan_hash(live) == digest(manifest)
        try:
            applied = await self._apply_firmly(at, manifest, collection, log)
        except InvalidError as error:
            if live is None or not error.is_immutable or at.kind in _KEPT:
                raise
            log.info("%s cannot be changed in place and is replaced: %s", at, error.message)
            await self._cluster.delete(live)
            return
        if is_repair:
            metrics.DRIFT_REPAIRED.labels(at.kind).inc()
            log.info("%s was %s and is as planned again", at, "deleted" if live is None else "edited")
        else:
            log.info("%s %s", at, "created" if live is None else "changed")
        self._made.add(at)
        if at.kind == kinds.SECRET.name:
            self._lookup.forget(at)
        else:
            self._live.put(applied)

    async def _apply_firmly(self, at: Id, manifest: Manifest, collection: Collection, log: Log) -> Manifest:
        marked = with_hash(manifest)
        try:
            return await self._cluster.apply(marked, force=False)
        except ConflictError as conflict:
            log.warning("%s: taking back what others changed: %s", at, conflict.message)
            await self._emit(
                collection,
                Event("Warning", "FieldsTakenBack", f"{at} was changed by others, set right: {conflict.message}"),
            )
            return await self._cluster.apply(marked, force=True)

    async def _prune(self, collection: Collection, facts: Facts, planned: Plan, log: Log) -> list[ApplyError]:
        wanted = {id_of(manifest) for manifest in planned.manifests}
        stores_answer = not any(isinstance(fact, Unknown) for fact in (facts.model, facts.topic, facts.index))
        errors = []
        for child in facts.children:
            # What hangs on a store is left alone while the store does not answer: the plan may not know of it.
            may_go = stores_answer or label(child, naming.COMPONENT) == "producer"
            # A replay is planned once, and goes when its time to live is over.
            is_past = label(child, naming.COMPONENT) == replays.COMPONENT
            if id_of(child) in wanted or is_past or not may_go or not _is_owned(child, collection.uid):
                continue
            try:
                await self._let_go(child, collection.uid, log)
            except ClusterError as error:
                errors.append(_failure(id_of(child), error))
        errors += await self._prune_stores(facts, planned, log)
        return errors

    async def _prune_stores(self, facts: Facts, planned: Plan, log: Log) -> list[ApplyError]:
        """Delete the indices of former models, once the alias has left them."""
        if isinstance(facts.index, Unknown) or not isinstance(facts.model, ModelVersion) or planned.index is None:
            return []
        if facts.index.alias != planned.index.name:
            return []
        former = sorted(set(facts.index.documents) - {planned.index.name})
        if not former:
            return []
        try:
            await self._stores.drop_indices(former)
        except StoreError as error:
            return [ApplyError("Index", former[0], error.reason, error.message)]
        log.info("deleted former indices: %s", ", ".join(former))
        return []

    async def _let_go(self, child: Manifest, uid: str, log: Log) -> None:
        """Delete a child, or leave it to the other collections that share it."""
        at = id_of(child)
        if is_leaving(child):
            return
        if any(reference["uid"] != uid for reference in owner_references(child)):
            self._live.put(await self._cluster.disown(child, uid))
            log.info("%s is left to the collections that still use it", at)
            return
        await self._cluster.delete(child)
        self._made.discard(at)
        log.info("%s deleted", at)

    async def _answer_replay(self, collection: Collection, log: Log) -> None:
        """Take the request for a replay off a collection: its Job is there, or there is no such reason."""
        if collection.replay is None:
            return
        answer: dict[str, str | None] = {naming.REPLAY: None}
        if collection.replay in replays.REASONS:
            job = replays.name(collection)
            if self._live.get(Id("Job", collection.namespace, job)) is None:
                return
            answer[naming.REPLAYED] = job
        body = self._live.body(Key(collection.namespace, collection.name))
        if body is None:
            return
        if naming.REPLAYED not in answer:
            told = status.unknown_replay(collection.replay)
            log.warning("%s", told.message)
            await self._emit(collection, told)
        self._live.put(await self._cluster.annotate(body, answer))

    async def _remove(self, collection: Collection, log: Log) -> float | None:
        """Take a collection apart: its children, when their pods are gone its topics and indices, then the finalizer."""
        if FINALIZER not in collection.finalizers:
            return None
        key = Key(collection.namespace, collection.name)
        errors = []
        mine = [child for child in self._live.children(key) if _is_owned(child, collection.uid)]
        for child in mine:
            try:
                await self._let_go(child, collection.uid, log)
            except NotFoundError:
                continue
            except ClusterError as error:
                errors.append(_failure(id_of(child), error))
        left = [
            child for child in self._live.children(key) if not is_shared(child) and _is_owned(child, collection.uid)
        ]
        pods = [pod for pod in self._live.pods(key) if not is_shared(pod)]
        if not errors and not left and not pods:
            try:
                await self._empty_stores(collection)
                body = self._live.body(key)
                if body is not None:
                    others = [name for name in collection.finalizers if name != FINALIZER]
                    self._live.put(await self._cluster.set_finalizers(body, others))
                log.info("deleted")
                return None
            except NotFoundError:
                return None
            except StoreError as error:
                metrics.RECONCILE_ERRORS.labels(error.reason).inc()
                log.warning("its deletion waits: %s", error.message)
                errors.append(ApplyError("Store", collection.name, error.reason, error.message))
        await self._say(collection, await self._observe(collection), Plan(), errors)
        if errors:
            raise _Failed
        return FRESH_SECONDS

    async def _empty_stores(self, collection: Collection) -> None:
        if collection.spec.deletion_policy == "Retain":
            return
        seen = self._stores.observe(collection, None)
        for fact in (seen.topic, seen.index):
            if isinstance(fact, Unknown):
                raise StoreError(fact.reason, fact.message)
        if not isinstance(seen.index, Unknown):
            lagging = () if isinstance(seen.topic, Unknown) else seen.topic.lag
            await self._stores.drop_indices(sorted({*seen.index.documents, *lagging}))
        await self._stores.drop_topics(collection)

    async def _say(self, collection: Collection, facts: Facts, planned: Plan, errors: list[ApplyError]) -> None:
        """Write the status if it says something new, and the Events that come of it."""
        new = status.status(collection, facts, planned, errors)
        key = Key(collection.namespace, collection.name)
        metrics.show_conditions(key, new["conditions"])
        metrics.show_failed(key, new["images"].get("failedByReason", {}))
        if new == collection.status:
            return
        self._live.put(await self._cluster.write_status(_id(collection), new))
        for event in status.events(collection.status, new):
            await self._emit(collection, event)

    async def _emit(self, collection: Collection, event: Event) -> None:
        about = self._live.get(_id(collection))
        if about is None:
            return
        try:
            await self._cluster.emit(about, event.type, event.reason, event.message)
        except ClusterError as error:
            # An Event is a courtesy: the status and the log say the same.
            logger_for(Key(collection.namespace, collection.name), collection.uid).warning(
                "an Event could not be written: %s", error.message
            )

    async def _say_invalid(self, key: Key, body: Manifest, error: ValidationError) -> None:
        """Say that this operator cannot read a collection: its CRD and the operator are of different versions."""
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors(include_url=False)[:5]
        )
        before = body.get("status") or {}
        told = status.not_understood(before, body["metadata"].get("generation", 1), self._now(), faults)
        if status.find(before, "Ready") == told["conditions"][0]:
            return
        metrics.show_conditions(key, told["conditions"])
        self._live.put(await self._cluster.write_status(Id(kinds.COLLECTION.name, *key), told))


class _Failed(Exception):  # noqa: N818 - told already
    """Something could not be written; it is in the status and the log."""


def _failure(at: Id, error: ClusterError) -> ApplyError:
    return ApplyError(at.kind, at.name, error.reason, error.message)


def _is_owned(child: Manifest, uid: str) -> bool:
    """Whether it is the collection's own doing; a Job that its CronJob made, say, is not."""
    return any(reference["uid"] == uid for reference in owner_references(child))


def _id(collection: Collection) -> Id:
    return Id(kinds.COLLECTION.name, collection.namespace, collection.name)


def _authorities(settings: OperatorSettings) -> dict[str, str]:
    """What the operator trusts, for the pods to trust it too; read each time, because it may be renewed."""
    paths = {"kafka-ca.crt": settings.kafka_ca_path, "elasticsearch-ca.crt": settings.elasticsearch_ca_path}
    return {name: path.read_text() for name, path in paths.items() if path is not None}
