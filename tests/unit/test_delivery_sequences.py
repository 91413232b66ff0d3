"""The requests of each end that the protocol's table names, in the protocol's order (docs/protocol.md, "One delivery").

What a step costs, and what may be the last that a process does, is part of the promise: a request more, or one in
another place, is a change of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mosaic_core.domain.errors import BusyError, StoredRowError, StoreUnreachableError
from mosaic_core.domain.settlement import FAILED_STEPS
from mosaic_core.lanes.context import LaneContext, LaneResult
from mosaic_core.services.delivery.states import State
from mosaic_core.services.delivery.steps import STEPS
from tests.support.world import COMMAND_ID, QUEUE, Work, World, body

RESERVE = "commands.read keys.insert runs.insert"
TAKE = f"{RESERVE} keys.read keys.update runs.read runs.update"
FINISH = "stages.insert_all runs.update"
COPY = "sender.send settler.complete"


async def away(context: LaneContext) -> LaneResult:
    raise StoreUnreachableError("the lane's store")


async def busy(context: LaneContext) -> LaneResult:
    raise BusyError("another command talks", wait=5)


async def first(world: World) -> None:
    """Nothing has happened before."""


async def failed_once(world: World) -> None:
    await deliver(world)


async def failed_four_times(world: World) -> None:
    for _ in range(4):
        await deliver(world)


async def ended(world: World) -> None:
    """And its message comes again."""
    await world.run()
    await world.send()


async def key_purged(world: World) -> None:
    await ended(world)
    assert world.stored.keys.table.delete((QUEUE, COMMAND_ID))  # type: ignore[attr-defined]


async def died_in_its_lane(world: World) -> None:
    world.plan.faults = {4: "crash_before"}
    await deliver(world)


async def died_before_the_commit(world: World) -> None:
    world.plan.faults = {6: "crash_before"}
    await deliver(world)


async def marked(world: World) -> None:
    """An operator has asked for its end, and its owner died before it saw that."""
    await died_in_its_lane(world)
    stored = await world.stored.keys.read(QUEUE, COMMAND_ID)
    assert stored is not None
    assert await world.stored.keys.update(replace(stored.value, cancel_reason="a mistake"), stored.etag) is not None


async def of_another_request(world: World) -> None:
    world.broker.receive(QUEUE)
    await world.send(body(message="Another request under the same id"), recorded=False)


async def unreadable(world: World) -> None:
    async def read(_: str) -> None:
        raise StoredRowError("a row of another version")

    await failed_once(world)
    world.stores.runs.read = read  # type: ignore[method-assign, assignment]


async def unreadable_at_last(world: World) -> None:
    await unreadable(world)
    for _ in range(4):
        await deliver(world)


async def deliver(world: World) -> Any:
    message = world._next()
    assert message is not None
    return await world.deliver(message)


# a suspect is alone before it takes the key over: it reads it once more
SUSPECT = TAKE.replace("keys.read", "keys.read keys.read")
SEQUENCES: dict[str, tuple[Any, Callable[[World], Any], str]] = {
    "success": (Work(("success",)), first, f"{RESERVE} {FINISH} keys.update settler.complete"),
    "success, look at it": (
        Work(("review",)),
        first,
        f"{RESERVE} {FINISH} signals.insert keys.update settler.complete",
    ),
    "failed, attempts left": (Work(("fail",)), first, f"{RESERVE} {FINISH} signals.insert keys.update {COPY}"),
    "failed again": (
        Work(("fail",)),
        failed_once,
        f"{TAKE} {FINISH} signals.read signals.update keys.update {COPY}",
    ),
    "success of a later attempt": (
        Work(("fail", "success")),
        failed_once,
        f"{TAKE} {FINISH} signals.read signals.update keys.update settler.complete",
    ),
    "failed, the fifth": (
        Work(("fail",)),
        failed_four_times,
        f"{TAKE} {FINISH} signals.read signals.update keys.update settler.dead_letter",
    ),
    "storage away": (away, first, f"{RESERVE} keys.update {COPY}"),
    "busy": (busy, first, f"{RESERVE} keys.update {COPY}"),
    "a step fails": (
        Work(("fail", "success")),
        unreadable,
        f"{TAKE.removesuffix(' runs.update')} keys.update {COPY}",
    ),
    "the fifth step that fails": (
        Work(("fail", "success")),
        unreadable_at_last,
        f"{TAKE.removesuffix(' runs.update')} keys.read runs.read signals.read signals.update keys.update "
        "settler.dead_letter",
    ),
    "a duplicate": (Work(("success",)), ended, f"{RESERVE} keys.read settler.complete"),
    "a rejected one again": (Work(("fail",)), ended, f"{RESERVE} keys.read settler.dead_letter"),
    "another request": (
        Work(("success",)),
        of_another_request,
        "commands.read signals.insert settler.dead_letter",
    ),
    "the run exists, final": (Work(("success",)), key_purged, f"{RESERVE} runs.read keys.update settler.complete"),
    "taken over, not final": (
        Work(("success",)),
        died_in_its_lane,
        f"{SUSPECT} {FINISH} signals.read signals.insert keys.update settler.complete",
    ),
    "taken over, final": (
        Work(("success",)),
        died_before_the_commit,
        f"{SUSPECT.removesuffix(' runs.update')} signals.read signals.insert keys.update settler.complete",
    ),
    "cancelled by an operator": (
        Work(("success",)),
        marked,
        f"{SUSPECT} {FINISH} signals.read signals.insert keys.update settler.dead_letter",
    ),
}


@pytest.mark.parametrize("end", SEQUENCES)
async def test_each_end_is_these_requests_in_this_order(end: str) -> None:
    lane, before, sequence = SEQUENCES[end]
    lane = Work(lane.ends) if isinstance(lane, Work) else lane
    world = World(lane, max_deliveries=10)
    await world.send()
    await before(world)
    world.plan.log.clear()
    world.plan.faults = {}
    await deliver(world)
    assert world.plan.log == sequence.split()


@pytest.mark.parametrize(("marks", "then"), [({}, "keys.update"), ({FAILED_STEPS: 4}, "keys.read")])
async def test_a_step_that_fails_excuses_and_the_fifth_ends(marks: dict[str, int], then: str) -> None:
    world = World(Work(("success",)))
    await world.send()

    async def refuse(_: object) -> None:
        raise StoredRowError("no stage of this version")

    world.stores.stages.insert_all = refuse  # type: ignore[method-assign, assignment]
    message = world._next()
    assert message is not None
    await world.deliver(replace(message, properties={**message.properties, **marks}))
    assert world.plan.log[: len(RESERVE.split()) + 2] == [*RESERVE.split(), "stages.insert_all", then]


def kinds(of: type[State]) -> set[type[State]]:
    return {of}.union(*(kinds(one) for one in of.__subclasses__()))


def test_every_state_has_its_line_and_every_line_its_state() -> None:
    """The driver looks a step up by its state; a missing one would be found by the first command that needs it."""
    between = {"State", "Owner", "_Loose", "Loose"}
    assert {kind.__name__ for kind in kinds(State)} - between == {kind.__name__ for kind in STEPS}
    assert len(set(STEPS.values())) == len(STEPS)
