"""What goes wrong, and when: one function a scenario, all of whose chance comes from a seed. `play` plays one and counts.

A scenario publishes records and starts the embedder, does its harm, and waits until everything is dealt with.
"""

import random
import shutil
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Final

from imagesearch_contract.dead_letter import Reason
from imagesearch_contract.record import ImageRecord
from pydantic import BaseModel, ConfigDict

from imagesearch_stack import StackError
from imagesearch_stack.faults.audit import Audit, audit
from imagesearch_stack.faults.collection import Broker, Collection, Lab, Memory, Victim, broker, kill, watched
from imagesearch_stack.faults.proxy import Fault, Proxy
from imagesearch_stack.faults.world import Listing, Pictures, listing
from imagesearch_stack.processes import free_port

RECORDS: Final = 300
PRODUCER_RECORDS: Final = 1_000
"""Where the producer is to be killed: fewer are published before one can aim."""
PRODUCER_WORDS: Final = 200
STARTING_SECONDS: Final = 8.0
"""Spark takes about so long to start."""
MOST_REQUESTS: Final = 5.0
"""A second that an embedder may ask an Elasticsearch that is down; more is a hot loop."""
MOST_GROWTH: Final = 0.10
"""By which its memory may grow meanwhile."""
PRODUCER_RUNS: Final = 5
MIB: Final = 2**20


@dataclass
class Run:
    """A scenario under way, and what is to be told of it."""

    collection: Collection
    pictures: Pictures
    proxy: Proxy
    broker: Broker | None
    memory: list[Memory]
    chance: random.Random
    outage_seconds: float
    listed: Listing = field(default_factory=lambda: Listing([], {}))
    poison: dict[str, Reason] = field(default_factory=dict)
    did: str = ""
    over: float = 0.0
    """When the fault was over; monotonic seconds."""
    settled: float = 0.0
    requests_per_second: float | None = None
    broken: list[str] = field(default_factory=list)
    """What was promised and does not hold, in words."""

    def list(self, count: int, *, words: int = 0, poison_share: float = 0.1, silent: int = 0) -> None:
        """Write the manifest; arguments as `listing`."""
        self.listed = listing(
            self.pictures.url, count, self.chance, words=words, poison_share=poison_share, silent=silent
        )
        self.listed.write(self.collection.manifest)
        self.poison.update(self.listed.poison)

    def go_somewhere(self) -> str:
        """Let the embedder come to a point that chance chooses; which that was."""
        if self.chance.random() < 0.1:
            seconds = self.chance.uniform(0, STARTING_SECONDS)
            self.collection.lab.pause(seconds)
            return f"{seconds:.1f} s after the start"
        point, seconds = self.chance.randrange(len(self.listed.records)), self.chance.uniform(0, 0.5)
        self.collection.wait_until(lambda: self.pictures.served >= point or self.collection.lag() == 0)
        self.collection.lab.pause(seconds)
        return f"{seconds:.2f} s after picture {point}"

    def fault_is_over(self) -> None:
        """From here on recovery is timed."""
        self.over = time.monotonic()

    def settle(self) -> None:
        """Wait until everything is dealt with."""
        self.collection.wait_for_lag()
        self.settled = time.monotonic()


def kill_producer(run: Run) -> None:
    """SIGKILL of the producer, which then runs again."""
    run.list(PRODUCER_RECORDS, words=PRODUCER_WORDS)
    collection = run.collection
    collection.embedder.start()
    point = run.chance.randrange(PRODUCER_RECORDS)
    producer = collection.produce()
    try:
        while producer.running and collection.end() < point:
            collection.lab.pause(0.002)
        kill(producer)
    finally:
        producer.stop()
    run.did = f"producer killed after {collection.end()} records"
    run.fault_is_over()
    collection.publish()
    run.settle()


def kill_driver(run: Run) -> None:
    """SIGKILL of the driver's Python or of its JVM."""
    victims: tuple[Victim, ...] = ("python", "jvm")
    _kill(run, run.chance.choice(victims))


def kill_worker(run: Run) -> None:
    """SIGKILL of one of Spark's Python workers."""
    _kill(run, "worker")


def _kill(run: Run, victim: Victim) -> None:
    run.list(RECORDS)
    embedder = run.collection.embedder
    embedder.start()
    run.collection.publish()
    where = run.go_somewhere()
    run.collection.wait_until(lambda: embedder.kill(victim, run.chance))
    run.did = f"{victim} killed {where}"
    run.fault_is_over()
    run.settle()


def restart_broker(run: Run) -> None:
    """SIGKILL of Kafka while producer and embedder run; it comes back with what it had written."""
    assert run.broker is not None  # noqa: S101  for mypy: `SCENARIOS` says so
    run.list(RECORDS)
    run.collection.embedder.start()
    run.collection.publish(quota=RECORDS // 3)
    where = run.go_somewhere()
    producer = run.collection.produce()
    try:
        started, away = run.chance.uniform(0, 1.5), run.chance.uniform(0.5, 5)
        run.collection.lab.pause(started)
        run.broker.kill()
        run.collection.lab.pause(away)
        run.broker.start()
        run.fault_is_over()
        run.did = f"Kafka killed {where}, {started:.1f} s after a producer's start, for {away:.1f} s"
        while producer.running:
            run.collection.lab.pause(0.1)
    finally:
        producer.stop()
    run.collection.publish(most_runs=PRODUCER_RUNS)
    run.settle()


def ride(run: Run) -> None:
    """An Elasticsearch that fails all the time, as the proxy's faults say."""
    run.list(RECORDS)
    run.collection.embedder.start()
    run.collection.publish()
    run.fault_is_over()
    run.settle()
    happened = ", ".join(f"{fault} {times}" for fault, times in run.proxy.happened.items() if times)
    run.did = f"{happened} in {run.proxy.requests} requests"


def outage(run: Run) -> None:
    """Elasticsearch cannot be reached for minutes, and records keep coming."""
    collection, proxy, seconds = run.collection, run.proxy, run.outage_seconds
    some = RECORDS // 6
    run.list(RECORDS)
    collection.embedder.start()
    collection.publish(quota=some)
    run.settle()
    before, connections = collection.end(), proxy.connections
    began = time.monotonic()
    proxy.go_down()
    for number in range(1, 5):
        collection.publish(quota=some)
        collection.stay(began + seconds * number / 4)
    run.requests_per_second = (proxy.connections - connections) / (time.monotonic() - began)
    lag, published = collection.lag(), collection.end() - before
    memory = [each for each in run.memory if each.at > began]
    proxy.come_back()
    run.fault_is_over()
    collection.publish()
    run.settle()
    growth = _growth(memory)
    run.did = f"down for {seconds:.0f} s, lag grew by {lag}, memory by {growth:.1%}"
    if lag != published:
        run.broken.append(f"the lag was {lag} at the end of the outage, expected {published}")
    if run.requests_per_second > MOST_REQUESTS:
        run.broken.append(f"{run.requests_per_second:.1f} requests a second while Elasticsearch was down")
    if growth > MOST_GROWTH:
        run.broken.append(f"the memory grew by {growth:.0%} while Elasticsearch was down")


def _growth(memory: list[Memory]) -> float:
    """By which share the last quarter exceeds the second; the first still sees the work before."""
    quarter = len(memory) // 4
    if quarter == 0:
        return 0.0
    second, last = (
        statistics.median(each.driver + each.workers for each in part)
        for part in (memory[quarter : 2 * quarter], memory[-quarter:])
    )
    return last / second - 1


def replay(run: Run) -> None:
    """The checkpoint is lost, and the whole topic is read again into the same index."""
    run.list(RECORDS)
    embedder = run.collection.embedder
    embedder.start()
    run.collection.publish()
    run.settle()
    embedder.stop()
    before = run.collection.books()
    run.collection.forget()
    run.fault_is_over()
    embedder.start()
    run.settle()
    embedder.stop()
    after = run.collection.books()
    run.did = f"{len(before.documents)} documents and {len(before.letters)} letters, replayed"
    if before.digest != after.digest:
        run.broken.append("the replay changed the index")
    if len(after.letters) != len(before.letters):
        run.broken.append(f"the replay made {len(after.letters)} dead letters of {len(before.letters)}")


def poison(run: Run) -> None:
    """Records and pictures that cannot be used, among good ones."""
    run.list(RECORDS, poison_share=0.3, silent=2)
    run.collection.publish(quota=RECORDS // 2)
    for number, value in enumerate(
        (b"{", b"", b"null", b"[]", b"\xff\xfe\x00", b'{"schema_version": 9}', b'"' * 100_000)
    ):
        run.collection.send(f"test:bad-{number}", value)
        run.poison[f"test:bad-{number}"] = Reason.BAD_RECORD
    another = ImageRecord(id="test:another", url=f"{run.pictures.url}/good/1")
    run.collection.send("test:mismatch", another.to_bytes())
    run.poison["test:mismatch"] = Reason.KEY_MISMATCH
    run.collection.embedder.start()
    run.collection.publish()
    run.fault_is_over()
    run.settle()
    run.did = f"{len(run.poison)} that cannot be used among {run.collection.end()}"


@dataclass(frozen=True)
class Scenario:
    """One way to go wrong."""

    play: Callable[[Run], None]
    faults: Mapping[Fault, float] = field(default_factory=dict)
    """Of the proxy before Elasticsearch."""
    own_broker: bool = False
    mostly_waits: bool = False
    """More runs than usual fit on a machine at once."""


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "kill-producer": Scenario(kill_producer),
    "kill-driver": Scenario(kill_driver),
    "kill-worker": Scenario(kill_worker),
    "broker-restart": Scenario(restart_broker, own_broker=True),
    "es-429": Scenario(ride, {Fault.REJECTED: 0.3}),
    "es-503": Scenario(ride, {Fault.UNAVAILABLE: 0.3}),
    "es-stall": Scenario(ride, {Fault.STALL: 0.15}),
    "es-reset": Scenario(ride, {Fault.RESET: 0.3}),
    "es-all": Scenario(ride, {Fault.REJECTED: 0.3, Fault.UNAVAILABLE: 0.1, Fault.RESET: 0.2}),
    "es-down": Scenario(outage, mostly_waits=True),
    "replay": Scenario(replay),
    "poison": Scenario(poison),
}


class Outcome(BaseModel):
    """What a run came to. The numbers of pictures, then what it took."""

    model_config = ConfigDict(frozen=True)

    scenario: str
    seed: int
    did: str
    """What was done, and where."""
    published: int
    indexed: int
    dead_lettered: int
    missing: int
    duplicate: int
    broken: tuple[str, ...]
    """Everything that was promised and does not hold, in words; empty is good."""
    restarts: int
    """Of the embedder."""
    producer_runs: int
    recovery_seconds: float
    """From the end of the fault until everything was dealt with."""
    driver_mib: float
    """At the peak; the workers' likewise."""
    workers_mib: float
    requests_per_second: float | None
    """At Elasticsearch while it was down."""
    seconds: float
    logs: str | None
    """The folder, which is kept if something was broken."""


def play(name: str, seed: int, lab: Lab, *, outage_seconds: float) -> Outcome:
    """Play one scenario with one seed, and count what came out.

    Raises:
        Stopped: the runs were told to stop.
    """
    scenario, chance, began = SCENARIOS[name], random.Random(f"{name} {seed}"), time.monotonic()  # noqa: S311
    folder = f"{name}-{seed}-{time.time_ns() % 16**6:06x}"
    with ExitStack() as stack:
        own, kafka = (
            stack.enter_context(broker(lab.directory / f"{folder}-kafka", free_port()))
            if scenario.own_broker
            else (None, lab.kafka)
        )
        pictures = stack.enter_context(Pictures())
        proxy = stack.enter_context(Proxy(lab.elasticsearch, scenario.faults, seed=f"{name} {seed}"))
        collection = stack.enter_context(Collection(lab, folder, kafka=kafka, elasticsearch=proxy.url))
        memory = stack.enter_context(watched(collection.embedder))
        run = Run(collection, pictures, proxy, own, memory, chance, outage_seconds)
        try:
            scenario.play(run)
        except StackError as error:
            run.broken.append(str(error).splitlines()[0])
            run.settled = time.monotonic()
        collection.embedder.stop()
        counted = audit(collection.books(), {record.id for record in run.listed.records}, run.poison)
        broken = (*run.broken, *_broken(counted))
        if not broken:
            collection.delete()
            shutil.rmtree(collection.directory)
        return Outcome(
            scenario=name,
            seed=seed,
            did=run.did,
            published=counted.published,
            indexed=counted.indexed,
            dead_lettered=counted.dead_lettered,
            missing=len(counted.missing),
            duplicate=len(counted.duplicate),
            broken=broken,
            restarts=max(0, collection.embedder.starts - 1 - (name == "replay")),
            producer_runs=collection.producer_runs,
            recovery_seconds=run.settled - run.over,
            driver_mib=max((each.driver for each in memory), default=0) / MIB,
            workers_mib=max((each.workers for each in memory), default=0) / MIB,
            requests_per_second=run.requests_per_second,
            seconds=time.monotonic() - began,
            logs=str(collection.directory) if broken else None,
        )


def _broken(counted: Audit) -> list[str]:
    parts = {"missing": counted.missing, "duplicate": counted.duplicate, "wrong": counted.wrong}
    return [f"{len(found)} {what}: {'; '.join(found[:3])}" for what, found in parts.items() if found]
