"""Fault 21: clocks that are minutes apart. No wait becomes a loop, leases still exclude, nothing expires early."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.settlement import Reschedule
from mosaic_core.lanes.context import LaneContext, LaneResult, succeeded
from mosaic_core.ports import IncomingMessage
from tests.support.world import QUEUE, Skewed, Work, World, body

APART = (-300.0, 0.0, 300.0)
CLOCKS = list(itertools.product(APART, APART, APART))


def world_of(work: object, storage: float, broker: float, worker: float) -> World:
    return World(
        work,  # type: ignore[arg-type]
        max_deliveries=10,
        storage_skew=storage,
        broker_skew=broker,
        worker_skew=worker,
    )


def received(world: World) -> IncomingMessage:
    message = world.broker.receive(QUEUE)
    assert message is not None
    return message


@pytest.mark.parametrize(("storage", "broker", "worker"), CLOCKS)
@pytest.mark.parametrize("ends", [("success",), ("fail", "fail", "success"), ("fail",)])
async def test_no_wait_becomes_a_loop(ends: tuple[str, ...], storage: float, broker: float, worker: float) -> None:
    work = Work(ends)
    world = world_of(work, storage, broker, worker)
    began = world.clock.now()
    await world.send(recorded=True)
    await world.run(most=30)
    await world.check_end()
    # one more delivery for each wait at the most: the first by a clock that is behind comes back at once
    assert len(world.settlements) <= 2 * len(work.began) + 1
    waited = (world.clock.now() - began).total_seconds()
    waits = {1: 0, 3: 6, 5: 156}[len(work.began)]
    assert waits - 1 <= waited <= waits + 4 * 605


@pytest.mark.parametrize("api", APART)
@pytest.mark.parametrize(("storage", "broker", "worker"), CLOCKS)
async def test_a_lease_excludes_whoever_s_clock_is_wrong(
    storage: float, broker: float, worker: float, api: float
) -> None:
    """Two copies; the first worker stands still within its lane, the second goes by another clock."""
    entered: list[int] = []

    async def lane(context: LaneContext) -> LaneResult:
        entered.append(context.attempt)
        if len(entered) == 1:
            for _ in range(3):
                settlement = await second.deliver(Lane.CONVERSATION, replace(other, enqueued_at=now(broker)))
                assert isinstance(settlement, Reschedule)
                assert settlement.why == "in_progress"
                wait = (settlement.due - max(now(-worker), now(broker))).total_seconds()
                assert 1 <= wait <= 30
        return succeeded("done", "done")

    world = world_of(lane, storage, broker, worker)

    def now(skew: float) -> datetime:
        return Skewed(world.clock, skew).now()

    second = replace(world.service(), clock=Skewed(world.clock, -worker))
    for _ in range(2):
        created = (world.clock.now() + timedelta(seconds=api)).isoformat()
        await world.send(body(createdAtUtc=created), recorded=True)
    first, other = (received(world) for _ in range(2))
    await world.deliver(first)
    assert entered == [1]


@pytest.mark.parametrize(("storage", "broker", "worker"), CLOCKS)
async def test_an_outage_costs_few_deliveries_by_any_clock(storage: float, broker: float, worker: float) -> None:
    async def lane(context: LaneContext) -> LaneResult:
        if (world.clock.now() - began).total_seconds() < 600:
            raise StoreUnreachableError("ledger: 503")
        return succeeded("done", "done")

    world = world_of(lane, storage, broker, worker)
    began = world.clock.now()
    await world.send(recorded=True)
    await world.run(most=60)
    await world.check_end()
    assert (await world.key()).status == KeyStatus.COMPLETED
    assert len(world.settlements) <= 40


@pytest.mark.parametrize(("broker", "worker"), list(itertools.product(APART, APART)))
async def test_two_workers_whose_clocks_differ_do_not_run_a_retry_in_circles(broker: float, worker: float) -> None:
    """One writes when the next attempt is due, the other reads it five or ten minutes apart."""
    work = Work(("fail", "fail", "success"))
    world = world_of(work, 0, broker, worker)
    await world.send(recorded=True)
    deliveries = 0
    while (message := world._next()) is not None:
        deliveries += 1
        assert deliveries < 20
        skew = worker if deliveries % 2 else -worker
        await replace(world.service(), clock=Skewed(world.clock, skew)).deliver(Lane.CONVERSATION, message)
    assert work.began == [1, 2, 3]
