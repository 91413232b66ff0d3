"""Every single operation of a command's life goes wrong in every way, and every pair of them in a sample of ways: the
command comes to its right end, its effects happen once, nothing is lost (faults 1 to 4, 6, 11, 12, 14, 15)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core.domain.lifecycle import KeyStatus, RunStatus
from mosaic_core.lanes.context import LaneContext, LaneResult
from tests.support.examples import examples
from tests.support.faults import KINDS, Kind, Plan, ProcessDied
from tests.support.world import Work, World, each_operation

LIVES: dict[str, tuple[str, ...]] = {
    "success": ("success",),
    "review": ("review",),
    "recovery": ("fail", "fail", "success"),
    "exhaustion": ("fail",),
}


async def _live(life: str, faults: dict[int, Kind]) -> tuple[World, Work]:
    work = Work(LIVES[life])
    world = World(work, plan=Plan(faults=faults))
    await world.send()
    await world.run()
    await world.check_end()
    return world, work


def _check(world: World, work: Work, life: str) -> None:
    key, run = asyncio.run(world.key()), asyncio.run(world.run_row())
    assert len(work.first) == 1
    # a lane never runs twice under one attempt number
    assert len(set(work.began)) == len(work.began), work.began
    assert len(work.began) - key.excused <= 5
    failures = sum(work.end_of(attempt) == "fail" for attempt in work.began)
    if life == "exhaustion":
        assert key.status == KeyStatus.REJECTED
    elif failures + world.deaths < 5:
        assert key.status == KeyStatus.COMPLETED
        assert run.status == (RunStatus.NEEDS_REVIEW if life == "review" else RunStatus.COMPLETED)
        assert run.attempt in work.keyed


@pytest.mark.parametrize("life", LIVES)
def test_every_single_operation_goes_wrong_in_every_way(life: str) -> None:
    operations = each_operation(lambda: Work(LIVES[life]))
    for at in range(1, len(operations) + 1):
        for kind in KINDS:
            faults: dict[int, Kind] = {at: kind}
            try:
                world, work = asyncio.run(_live(life, faults))
                _check(world, work, life)
            except BaseException as error:
                error.add_note(f"{kind} at operation {at}, {operations[at - 1]}, of {life}")
                raise


@settings(max_examples=examples(100, slow=300), deadline=None)
@given(
    life=st.sampled_from(sorted(LIVES)),
    faults=st.dictionaries(st.integers(1, 60), st.sampled_from(KINDS), min_size=2, max_size=4),
)
def test_several_operations_go_wrong(life: str, faults: dict[int, Kind]) -> None:
    world, work = asyncio.run(_live(life, faults))
    _check(world, work, life)


@pytest.mark.parametrize("copies", [2, 3])
def test_copies_at_the_same_instant_run_once(copies: int) -> None:
    """Fault 5: one runs, the others wait, then complete without work."""

    async def race(order: Callable[[int], int]) -> None:
        work = Work(("success",))
        world = World(work)
        for _ in range(copies):
            await world.send(recorded=True)
        messages = [world.broker.receive("runtime-agent-message-posted") for _ in range(copies)]
        await asyncio.gather(*(world.deliver(messages[order(n)]) for n in range(copies) if messages[n]))  # type: ignore[arg-type]
        await world.run()
        await world.check_end()
        assert work.began == [1]

    asyncio.run(race(lambda n: n))
    asyncio.run(race(lambda n: copies - 1 - n))


@pytest.mark.parametrize("life", LIVES)
def test_a_sleeper_that_was_overtaken_does_no_harm(life: str) -> None:
    """Faults 6 and 8: a slow first owner, paused before any one of its operations, cannot overwrite its successor."""

    async def sleep(at: int) -> None:
        work = Work(LIVES[life])
        world = World(work, plan=Plan(faults={at: "pause"}))
        await world.send()
        await world.overtaken()
        await world.check_end()
        assert len(set(work.began)) == len(work.began), work.began

    for at in range(1, len(each_operation(lambda: Work(LIVES[life]))) + 1):
        try:
            asyncio.run(sleep(at))
        except BaseException as error:
            error.add_note(f"paused before operation {at}")
            raise


class Dying(Work):
    """A lane that never lives to tell."""

    async def __call__(self, context: LaneContext) -> LaneResult:
        await super().__call__(context)
        raise ProcessDied("in the lane")


def test_a_lane_that_always_dies_is_rejected_after_the_fifth_attempt() -> None:
    """Fault 9: bounded attempts, then NeedsReview and dead-letter, without running a sixth time."""

    async def life() -> None:
        work = Dying(("success",))
        world = World(work)
        await world.send(recorded=True)
        await world.run()
        await world.check_end()
        assert work.began == [1, 2, 3, 4, 5]
        assert (await world.key()).status == KeyStatus.REJECTED
        assert (await world.run_row()).failure_code == "attempts_exhausted"

    asyncio.run(life())
