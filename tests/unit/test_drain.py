"""The drain: what runs is ended without counting, and nothing begins any more."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.records import Run
from mosaic_core.domain.settlement import Abandon, Complete, Reschedule, Settlement
from mosaic_core.lanes.context import LaneContext, LaneHandler, LaneResult, succeeded
from mosaic_core.ports import ETag
from mosaic_core.services.drain import Drain
from mosaic_core.services.limits import DeliveryLimits
from mosaic_ops.memory.stores import MemoryRuns
from tests.support.world import QUEUE, Work, World
from tests.unit.test_config import MINIMAL, ROOT


def test_listeners_are_told_once() -> None:
    drain, told = Drain(), list[str]()
    drain.listen(lambda: told.append("a"))
    drain.listen(lambda: told.append("b"))
    drain.begin()
    drain.begin()
    assert told == ["a", "b"]


def test_who_stopped_listening_is_not_told() -> None:
    drain, told = Drain(), list[str]()

    def listener() -> None:
        told.append("told")

    drain.listen(listener)
    drain.forget(listener)
    drain.forget(listener)
    drain.begin()
    assert told == []


def test_a_listener_that_forgets_itself_meanwhile_keeps_no_other_from_being_told() -> None:
    drain, told = Drain(), list[str]()

    def first() -> None:
        drain.forget(first)
        told.append("first")

    drain.listen(first)
    drain.listen(lambda: told.append("second"))
    drain.begin()
    assert told == ["first", "second"]


def test_who_comes_late_is_told_at_once() -> None:
    drain, told = Drain(), list[str]()
    drain.begin()
    drain.listen(lambda: told.append("told"))
    assert told == ["told"]


async def test_a_drain_that_begins_while_a_command_is_reserved_lets_no_lane_begin() -> None:
    """The delivery was let in before the drain and comes to its lane after: it lets go at once, uncounted."""
    world = World(Work(("success",)))
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    drain = Drain()

    class Drains(MemoryRuns):
        async def insert(self, run: Run) -> ETag | None:
            etag = await world.stores.runs.insert(run)
            drain.begin()
            return etag

    service = replace(world.service(), stores=replace(world.stores, runs=Drains(world.clock)), drain=drain)
    settlement = await asyncio.wait_for(service.deliver(Lane.CONVERSATION, message), 5)
    assert settlement == Abandon("draining")
    work = world.handler
    assert isinstance(work, Work)
    assert work.began == []
    key = await world.key()
    assert (key.status, key.attempt, key.excused, key.lease_seconds) == (KeyStatus.RESERVED, 1, 1, 0)
    # the next worker goes on at once
    await world.run()
    await world.check_end()
    assert work.began == [2]


async def test_a_stage_that_was_cut_off_says_so() -> None:
    """Where a deadline ends an attempt, its stage is recorded: as cut off, not as an error of its own."""
    world = World(Work(("success",)))

    async def sleeper(context: LaneContext) -> LaneResult:
        async with context.log.stage("sleep", "test"):
            await asyncio.Event().wait()
        raise AssertionError("unreachable")

    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    service = world.service(sleeper)
    await replace(service, limits=replace(service.limits, lane_deadline=0.01)).deliver(Lane.CONVERSATION, message)
    run = await world.run_row()
    [stage] = await world.stores.stages.of_run(run.run_id)
    assert (run.failure_code, stage.outcome_code) == ("lane_timeout", "cut_off")


class Waiting:
    """A worker whose delivery waits for something; then the drain begins."""

    def __init__(self, lane: LaneHandler | None = None) -> None:
        self.world = World(lane or Work(("success",)))
        # an hour each, by the real clock
        limits = DeliveryLimits(company=3600, solitude=3600, threads=3600)
        self.service = replace(self.world.service(), limits=limits)

    async def drained(self, waits: Callable[[], bool]) -> Settlement:
        message = self.world.broker.receive(QUEUE)
        assert message is not None
        delivery = asyncio.create_task(self.service.deliver(Lane.CONVERSATION, message))
        for _ in range(5000):  # nobody announces it
            if waits():
                break
            await asyncio.sleep(0.0005)
        assert waits()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not delivery.done()
        self.service.drain.begin()
        return await asyncio.wait_for(delivery, 5)


async def test_a_drain_ends_the_wait_of_a_suspect_to_be_alone() -> None:
    worker = Waiting()
    world, company = worker.world, worker.service.company
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    world.plan.faults = {3: "crash_before"}
    await world.deliver(message)
    world.plan.faults = {}
    world.clock.advance(90)
    async with company.place() as neighbour:
        assert await neighbour.take(1)
        assert await worker.drained(lambda: not company._open.is_set()) == Abandon("draining")
        async with company.place() as late:
            assert late.enter(), "the suspect has left, and the door is shut"
    await world.run()
    await world.check_end()


async def test_a_drain_ends_the_wait_of_those_whom_a_suspect_keeps_out() -> None:
    worker = Waiting()
    await worker.world.send(recorded=True)
    async with worker.service.company.place() as suspect:
        assert await suspect.be_alone(1)
        assert isinstance(await worker.drained(lambda: True), Reschedule)
    await worker.world.run()
    await worker.world.check_end()


async def test_a_drain_ends_the_wait_for_threads_and_the_lane_s_result_is_kept() -> None:
    go, entered = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    async def lane(context: LaneContext) -> LaneResult:
        def work() -> None:
            loop.call_soon_threadsafe(entered.set)
            go.wait(30)

        thread = asyncio.ensure_future(asyncio.to_thread(work))
        await entered.wait()
        thread.cancel()
        return succeeded("done", "done")

    worker = Waiting(lane)
    await worker.world.send(recorded=True)
    try:
        assert await worker.drained(entered.is_set) == Complete()
    finally:
        go.set()
    await worker.world.check_end()


async def test_a_drain_reads_nothing_more() -> None:
    """It gives the key back, whatever the answer: the time that is left is the other deliveries', too."""
    begun = asyncio.Event()

    async def lane(context: LaneContext) -> LaneResult:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    worker = Waiting(lane)
    world = worker.world
    world.plan.faults = {4: "unsent"}
    await world.send(recorded=True)
    assert await worker.drained(begun.is_set) == Abandon("draining")
    assert world.plan.log == ["commands.read", "keys.insert", "runs.insert", "keys.update", "settler.abandon"]


# ------------------------------------------------------------------------------------- whoever builds, whoever ends it


_APP = """
import asyncio, os, signal, sys, threading
from mosaic_core.bootstrap import build

def say(what):
    print(what, flush=True)

async def delivery(container):
    # what a delivery does with the drain
    drain, begun = container.drain, asyncio.Event()
    with drain.delivery():
        drain.listen(begun.set)
        assert container.delivering is container.delivery
        say("at work")
        await begun.wait()
        say("let go")
"""

_BUILT_IN_A_THREAD = """
async def main():
    # as a worker would that loads functions beside its loop
    container = await asyncio.to_thread(build, os.environ)
    say(f"handler {signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL}")
    work = asyncio.create_task(delivery(container))
    await asyncio.sleep(0)
    say(f"handler {signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL}")
    await work
    sys.exit(0)

asyncio.run(main())
"""

_RUN_IN_A_THREAD = """
# as in a program that has the main thread to itself and ends in order
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
async def main():
    container = build(os.environ)
    await delivery(container)

threading.Thread(target=asyncio.run, args=(main(),), daemon=True).start()
while True:
    signal.pause()
"""


def _ended(program: str, lines: int) -> tuple[list[str], int]:
    """What the program says, SIGTERM coming after so many lines; and its exit code."""
    environ = {"PYTHONPATH": str(ROOT), **MINIMAL}
    process = subprocess.Popen([sys.executable, "-c", _APP + program], env=environ, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said: list[str] = []
    with process:
        for line in process.stdout:
            said.append(line.strip())
            if len(said) == lines:
                process.send_signal(signal.SIGTERM)
    return said, process.returncode


def test_a_container_that_was_built_in_a_thread_drains_from_its_first_message_on() -> None:
    """No signal handler can be installed there, and nothing is raised: the first message does it, on the worker's
    loop."""
    said, code = _ended(_BUILT_IN_A_THREAD, 3)
    assert said == ["handler False", "at work", "handler True", "let go"]
    assert code == 0


def test_a_worker_off_the_main_thread_drains_while_the_interpreter_ends() -> None:
    said, code = _ended(_RUN_IN_A_THREAD, 1)
    assert said == ["at work", "let go"]
    assert code == 143
