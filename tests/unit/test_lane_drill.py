"""Drills: failures on purpose, in the measure that the client reference orders, and never without an order."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from mosaic_core.domain.envelope import AgentMessagePosted
from mosaic_core.domain.errors import LaneError
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.domain.lifecycle import KeyStatus, RunStatus, StageStatus
from mosaic_core.domain.settlement import Complete, DeadLetter, Reschedule
from mosaic_core.lanes.context import LaneContext, LaneResult, succeeded
from mosaic_core.lanes.drill import Drilled
from tests.support.lanes import CONVERSATION, HOUSEHOLD, USER, Ended, LaneWorld


@dataclass
class Worker:
    attempts: list[int] = field(default_factory=list)

    async def __call__(self, context: LaneContext) -> LaneResult:
        self.attempts.append(context.attempt)
        return succeeded("worked", "done")


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def world(worker: Worker) -> LaneWorld:
    return LaneWorld({Lane.CONVERSATION: Drilled(worker)})


def command(world: LaneWorld, reference: str | None) -> bytes:
    payload = AgentMessagePosted(
        household_id=HOUSEHOLD, conversation_id=CONVERSATION, household_user_id=USER, message="What did I spend?"
    )
    return world.command(CommandType.AGENT_MESSAGE_POSTED, payload, reference=reference)


async def attempts(world: LaneWorld, body: bytes, count: int) -> list[Ended]:
    """Deliveries one after the other, each when the one before it allows."""
    ended = []
    for _ in range(count):
        ended.append(await world.deliver(Lane.CONVERSATION, body))
        world.clock.advance(600)
    return ended


@pytest.mark.parametrize(
    "reference",
    [
        None,
        "",
        "a client's own reference",
        "drill",
        "drill-fail",
        "drill-fail-",
        "drill-fail-x",
        "drill-fail-2x",
        "my-drill-fail-2",
        "drill-fail-123456-x",
        "DRILL-FAIL-2",
    ],
)
async def test_no_order_no_drill(world: LaneWorld, worker: Worker, reference: str | None) -> None:
    [ended] = await attempts(world, command(world, reference), 1)
    assert (ended.settlement, ended.run.status) == (Complete(), RunStatus.COMPLETED)
    assert worker.attempts == [1]


async def test_a_command_that_fails_twice_and_recovers(world: LaneWorld, worker: Worker) -> None:
    first, second, third = await attempts(world, command(world, "drill-fail-2-demo"), 3)
    for ended in (first, second):
        assert isinstance(ended.settlement, Reschedule)
        assert (ended.run.status, ended.run.is_final, ended.run.failure_code) == (
            RunStatus.NEEDS_REVIEW,
            False,
            "drill_failure",
        )
        assert ended.stage("drill").status == StageStatus.FAILED
        assert ended.codes == ["worker_command_failed"]
    assert (third.settlement, third.run.status, third.run.attempt) == (Complete(), RunStatus.COMPLETED, 3)
    [signal] = third.signals
    assert (signal.is_resolved, signal.resolution_note) == (True, "recovered")
    # the lane itself ran only where it was let
    assert worker.attempts == [3]


async def test_a_command_that_exhausts_its_attempts(world: LaneWorld, worker: Worker) -> None:
    ended = await attempts(world, command(world, "drill-fail-always"), 5)
    assert [type(e.settlement) for e in ended] == [Reschedule] * 4 + [DeadLetter]
    last = ended[-1]
    assert isinstance(last.settlement, DeadLetter)
    assert last.settlement.reason == "processing_failed"
    assert (last.run.status, last.run.is_final, last.run.failure_code) == (
        RunStatus.NEEDS_REVIEW,
        True,
        "drill_failure",
    )
    key = await world.stores.keys.read(last.run.queue, last.run.command_id)
    assert key is not None
    assert key.value.status == KeyStatus.REJECTED
    assert worker.attempts == []


@pytest.mark.parametrize("reference", ["drill-fail-0", "drill-fail-0-x"])
async def test_no_failures_ordered(world: LaneWorld, worker: Worker, reference: str) -> None:
    await attempts(world, command(world, reference), 1)
    assert worker.attempts == [1]


async def test_a_slow_command_is_held_for_as_long_as_ordered(
    world: LaneWorld, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        assert worker.attempts == []

    body = command(world, "drill-sleep-1500-x")
    context = world.context(Lane.CONVERSATION, body)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    await world.handlers[Lane.CONVERSATION](context)
    assert (slept, worker.attempts) == ([1.5], [1])


async def test_every_drill_is_loud(world: LaneWorld, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LaneError):
        await world.attempt(Lane.CONVERSATION, command(world, "drill-fail-1"))
    [record] = [r for r in caplog.records if "DRILL" in r.message]
    assert record.levelname == "WARNING"
