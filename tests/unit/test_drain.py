"""The drain: what runs is ended without counting, and nothing begins any more."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from mosaic_core.adapters.memory import MemoryRuns
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.records import Run
from mosaic_core.domain.settlement import Abandon
from mosaic_core.lanes.context import LaneContext, LaneResult
from mosaic_core.ports import ETag
from mosaic_core.services.drain import Drain
from tests.support.world import QUEUE, Work, World


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
