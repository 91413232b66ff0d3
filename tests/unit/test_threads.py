"""An attempt is over when its threads are."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from mosaic_core.domain.lanes import Lane
from mosaic_core.lanes.context import LaneContext, LaneResult, succeeded
from mosaic_core.services.limits import DeliveryLimits
from mosaic_core.services.threads import Threads
from tests.support.world import QUEUE, World


async def test_no_attempt_begins_beside_the_thread_of_one_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline cannot cut a thread off: the next attempt waits for it."""
    at_work, most, begun = 0, 0, 0
    go = threading.Event()
    entered, cut_off = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    now, ahead = loop.time, 0.0
    # the deadline is the test's to reach: a machine that stands still would reach it before the thread has begun
    monkeypatch.setattr(loop, "time", lambda: now() + ahead)

    def grind() -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        loop.call_soon_threadsafe(entered.set)
        go.wait(30)
        at_work -= 1

    async def lane(context: LaneContext) -> LaneResult:
        nonlocal begun
        begun += 1
        if begun == 1:
            try:
                await asyncio.to_thread(grind)
            finally:
                cut_off.set()
        return succeeded("done", "done")

    world = World(lane)
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    service = replace(world.service(), limits=DeliveryLimits(lane_deadline=30.0))
    delivery = asyncio.create_task(service.deliver(Lane.CONVERSATION, message))
    await entered.wait()
    ahead = 31.0
    await cut_off.wait()
    for _ in range(50):
        await asyncio.sleep(0)
    assert not delivery.done(), "the attempt has ended, its thread has not"
    assert (await world.run_row()).attempt_outcome is None
    go.set()
    await delivery
    assert (await world.run_row()).failure_code == "lane_timeout"
    await world.run()
    await world.check_end()
    assert (at_work, most, begun) == (0, 1, 2)


async def test_threads_of_others_are_not_waited_for() -> None:
    go = threading.Event()
    other = asyncio.ensure_future(asyncio.to_thread(go.wait, 30))
    threads = Threads()

    async def attempt() -> None:
        threads.begin()
        await asyncio.to_thread(int)

    await asyncio.create_task(attempt())
    assert await threads.ended(10)
    go.set()
    assert await other


async def test_a_thread_that_never_ends_is_given_up() -> None:
    go, entered = threading.Event(), asyncio.Event()
    threads, loop = Threads(), asyncio.get_running_loop()

    def work() -> None:
        loop.call_soon_threadsafe(entered.set)
        go.wait(30)

    async def attempt() -> None:
        threads.begin()
        await asyncio.to_thread(work)

    task = asyncio.create_task(attempt())
    await entered.wait()
    task.cancel()
    await asyncio.wait({task})
    assert not await threads.ended(0.01)
    go.set()
    assert await threads.ended(10)
