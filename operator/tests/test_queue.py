"""The queue: each collection once, never two at a time, and again when it failed."""

import asyncio
from contextlib import asynccontextmanager, suppress

from imagesearch_operator.live import Key
from imagesearch_operator.queue import LAST_RETRY_SECONDS, Queue, Retry, retry_delay

BIRDS = Key("pictures", "birds")
DOGS = Key("pictures", "dogs")


class Work:
    """Remembers what it was given, and waits where it is told to."""

    def __init__(self):
        self.done = []
        self.active = 0
        self.most_active = {}
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.begun = asyncio.Event()
        self.outcomes = []

    async def __call__(self, key):
        self.begun.set()
        self.active += 1
        self.most_active[key] = max(self.most_active.get(key, 0), self.active)
        await self.may_end.wait()
        self.active -= 1
        self.done.append(key)
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@asynccontextmanager
async def running(queue, workers=4):
    task = asyncio.create_task(queue.run(workers))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_burst_of_events_is_one_reconcile():
    work = Work()
    queue = Queue(work)
    async with running(queue):
        for _ in range(50):
            queue.add(BIRDS, 0.05)
        queue.add(DOGS, 0.2)
        await until(lambda: DOGS in work.done)
    assert work.done == [BIRDS, DOGS]


async def test_a_collection_is_never_reconciled_twice_at_once_and_what_came_meanwhile_is_not_lost():
    work = Work()
    work.may_end.clear()
    queue = Queue(work)
    async with running(queue):
        queue.add(BIRDS, 0)
        await work.begun.wait()
        for _ in range(5):
            queue.add(BIRDS, 0)
        await asyncio.sleep(0.05)
        assert work.active == 1
        work.may_end.set()
        await until(lambda: len(work.done) == 2)
    assert work.most_active == {BIRDS: 1}


async def test_others_go_on_while_one_is_worked_on():
    work = Work()
    work.may_end.clear()
    queue = Queue(work)
    async with running(queue):
        queue.add(BIRDS, 0)
        queue.add(DOGS, 0)
        await until(lambda: work.active == 2)
        work.may_end.set()


async def test_an_earlier_wish_is_heeded_and_a_later_one_is_not():
    work = Work()
    queue = Queue(work)
    async with running(queue):
        queue.add(BIRDS, 1000)
        queue.add(BIRDS, 0)
        queue.add(BIRDS, 1000)
        await until(lambda: work.done == [BIRDS])


async def test_one_that_asks_to_be_looked_at_again_is():
    work = Work()
    work.outcomes = [0.01, None]
    queue = Queue(work)
    async with running(queue):
        queue.add(BIRDS, 0)
        await until(lambda: len(work.done) == 2)


async def test_one_that_failed_comes_again_by_itself_and_later_each_time():
    work = Work()
    work.outcomes = [Retry(), Retry(), None]
    asked = []
    queue = Queue(work, retry=lambda failures: asked.append(failures) or 0.01)
    async with running(queue):
        queue.add(BIRDS, 0)
        await until(lambda: len(work.done) == 3)
    assert asked == [1, 2]


async def test_what_is_due_and_not_taken_is_counted():
    queue = Queue(Work())
    queue.add(BIRDS, 0)
    queue.add(DOGS, 0)
    await until(lambda: queue.depth == 2)
    assert queue.waiting_seconds >= 0


def test_retries_become_rarer_up_to_a_limit_and_are_spread():
    assert max(retry_delay(1) for _ in range(100)) <= 2
    assert len({retry_delay(5) for _ in range(10)}) > 1
    assert all(
        LAST_RETRY_SECONDS / 2 <= retry_delay(failures) <= LAST_RETRY_SECONDS for failures in range(10, 2000, 99)
    )
