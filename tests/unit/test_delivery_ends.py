"""No command is endless, whatever fails on whatever step; a process killer takes only itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, cast

import pytest

from mosaic_core.domain import ids, reservation
from mosaic_core.domain.errors import StoreRefusedError, StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import AttemptOutcome, KeyStatus, RunStatus
from mosaic_core.domain.records import Run
from mosaic_core.domain.settlement import FAILED_STEPS, DeadLetter, Reschedule
from mosaic_core.lanes.context import LaneContext, LaneResult, succeeded
from mosaic_core.ports import OutgoingMessage, Stores
from mosaic_core.services import deliver
from mosaic_core.services.deliver import DeliveryService
from tests.support.faults import ProcessDied, awaited
from tests.support.world import COMMAND_ID, QUEUE, RUN_ID, Work, World, body, record

# ------------------------------------------------------------------------------------------------------------- kind 5


class Failing:
    """A store of which some operations fail for another reason than silence."""

    def __init__(self, real: object, fails: Callable[[str], Exception | None]) -> None:
        self._real, self._fails = real, fails

    def __getattr__(self, operation: str) -> Any:
        target = getattr(self._real, operation)
        if not awaited(target):
            return target

        async def call(*args: Any, **kwargs: Any) -> Any:
            error = self._fails(operation)
            if error is not None:
                raise error
            return await target(*args, **kwargs)

        return call


async def failed_once() -> World:
    """A recorded command whose lane has failed in its first delivery."""
    world = World(Work(("fail",)), max_deliveries=10)
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    await world.deliver(message)
    return world


def failing(world: World, name: str, *operations: str) -> None:
    def fails(operation: str) -> Exception | None:
        return StoreRefusedError(f"{name}.{operation}: 400") if operation in operations else None

    stores = {f.name: getattr(world.stores, f.name) for f in fields(Stores)}
    world.stores = Stores(**cast("Any", {**stores, name: Failing(stores[name], fails)}))


def edited(world: World, store: str, key: tuple[str, ...], **changes: object) -> None:
    """A row as a newer version, or a person, left it. None removes the property."""
    table = getattr(world.stored, store).table
    kept = table.read(key)
    row = {name: value for name, value in {**kept.row, **changes}.items() if value is not None}
    table.update(key, row, kept.etag)


@pytest.mark.parametrize(
    "changes",
    [{"Status": "Paused"}, {"Status": None}, {"Attempt": "many"}, {"CreatedAtUtc": "yesterday"}],
)
async def test_a_run_row_that_cannot_be_read_ends_the_command_told(changes: dict[str, object]) -> None:
    work = Work(("fail",))
    world = World(work, max_deliveries=10)
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    await world.deliver(message)  # the first attempt has failed, a copy waits
    edited(world, "runs", (RUN_ID,), **changes)
    before = world.stored.runs.table.read((RUN_ID,))  # type: ignore[attr-defined]
    began = world.clock.now()
    await world.run(most=12)
    assert len(world.settlements) <= 7
    assert (world.clock.now() - began).total_seconds() > 150, "it went round without waiting"
    key, failure = await world.key(), await world.failure()
    assert key.status == KeyStatus.REJECTED
    assert (failure.is_resolved, failure.requires_human_review) == (False, True)
    [dead] = world.broker.dead_letters(QUEUE)
    assert dead.reason == "processing_failed"
    assert work.began == [1]
    assert world.stored.runs.table.read((RUN_ID,)) == before, "a newer version's row was written over"  # type: ignore[attr-defined]


async def test_a_key_row_that_cannot_be_read_ends_the_message_told() -> None:
    work = Work(("fail", "success"))
    world = World(work, max_deliveries=10)
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    await world.deliver(message)
    edited(world, "keys", (QUEUE, COMMAND_ID), Status="Archived")
    await world.run(most=12)
    [dead] = world.broker.dead_letters(QUEUE)
    assert dead.reason == "processing_failed"
    assert "stored_row_invalid" in dead.description
    assert not (await world.failure()).is_resolved


@pytest.mark.parametrize("status", ["Pending", "Failed", "Cancelled", "Completed"])
async def test_a_run_in_a_status_that_nothing_follows_ends_the_command_told(status: str) -> None:
    """It can be read: the contract has the word. No path of this version writes it to a run that is not final."""
    world = await failed_once()
    edited(world, "runs", (RUN_ID,), Status=status)
    await world.run(most=12)
    assert (await world.key()).status == KeyStatus.REJECTED
    assert not (await world.failure()).is_resolved
    assert [d.reason for d in world.broker.dead_letters(QUEUE)] == ["processing_failed"]
    assert (await world.run_row()).status == status


async def test_a_key_in_a_status_that_nothing_follows_ends_the_message_told() -> None:
    world = await failed_once()
    edited(world, "keys", (QUEUE, COMMAND_ID), Status="Expired")
    await world.run(most=12)
    assert [d.reason for d in world.broker.dead_letters(QUEUE)] == ["processing_failed"]
    assert not (await world.failure()).is_resolved


@pytest.mark.parametrize(
    "changes",
    [
        {"Excused": 1_000_000},
        {"Excused": -1_000_000},
        {"LeaseSeconds": 1_000_000_000},
        {"NextAttemptAtUtc": "2400-01-01T00:00:00Z"},
    ],
    ids=str,
)
async def test_a_key_whose_figures_are_impossible_ends_the_message_told(changes: dict[str, object]) -> None:
    """Edited by hand: neither tried for ever nor waited for through centuries."""
    work = Work(("fail",))
    world = World(work, max_deliveries=10)
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    await world.deliver(message)
    edited(world, "keys", (QUEUE, COMMAND_ID), **changes)
    began = world.clock.now()
    await world.run(most=12)
    assert 150 < (world.clock.now() - began).total_seconds() < 600
    assert [d.reason for d in world.broker.dead_letters(QUEUE)] == ["processing_failed"]
    assert not (await world.failure()).is_resolved
    assert work.began == [1]


async def test_what_fails_around_the_steps_ends_the_message_told_and_not_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bug outside the protocol's steps. Raised out of the function, the host gives the message back at once."""
    world = World(Work(("success",)), max_deliveries=10)
    await world.send(recorded=True)

    def decode(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(deliver, "decode", decode)
    began = world.clock.now()
    await world.run(most=12)
    assert [d.reason for d in world.broker.dead_letters(QUEUE)] == ["processing_failed"]
    assert len(world.settlements) == 5
    assert (world.clock.now() - began).total_seconds() > 150
    signal = await world.stored.signals.read(ids.rejected_message_signal_id(QUEUE, COMMAND_ID, "processing_failed"))
    assert signal is not None


async def test_an_end_that_a_sleeper_wrote_meanwhile_stays() -> None:
    """The fifth failed step ends the command; between its reading the run and its write a paused owner wakes up and
    writes that it has succeeded."""
    world = await failed_once()
    failing(world, "stages", "insert_all")
    while True:
        message = world._next()
        assert message is not None
        if message.properties.get(FAILED_STEPS) == 4:
            break
        await world.deliver(message)
    runs, broken = world.stored.runs, False

    class Woken:
        def __getattr__(self, operation: str) -> Any:
            return getattr(runs, operation)

        async def update(self, run: Run, etag: str) -> str | None:
            nonlocal broken
            if run.is_final and not broken:
                broken = True
                there = await runs.read(RUN_ID)
                assert there is not None
                done = reservation.succeed(
                    replace(there.value, status=RunStatus.RUNNING), now=world.clock.now(), review=None
                )
                assert await runs.update(done, there.etag)
            return await runs.update(run, etag)

    world.stores = replace(world.stores, runs=cast("Any", Woken()))
    await world.deliver(message)
    key, run, failure = await world.key(), await world.run_row(), await world.failure()
    assert broken
    assert run.attempt_outcome == AttemptOutcome.SUCCEEDED
    assert key.status == KeyStatus.COMPLETED, "the key and the run disagree"
    assert failure is None or failure.is_resolved


async def test_a_last_failed_step_in_an_outage_is_given_up_after_a_day() -> None:
    """The key cannot be read and the run's table is away for ever: not for ever a copy a minute."""
    world = await failed_once()
    edited(world, "keys", (QUEUE, COMMAND_ID), Status="Archived")
    world.stores = replace(
        world.stores, runs=cast("Any", Failing(world.stores.runs, lambda _: StoreUnreachableError("runs: 503")))
    )
    await world.run(most=2000)
    assert [d.reason for d in world.broker.dead_letters(QUEUE)] == ["store_unreachable"]


async def test_a_row_that_can_be_read_again_goes_on() -> None:
    """A rollback that was rolled back: nothing was lost meanwhile."""
    world = World(Work(("fail", "success")), max_deliveries=10)
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    await world.deliver(message)
    was = world.stored.runs.table.read((RUN_ID,)).row["Status"]  # type: ignore[attr-defined]
    edited(world, "runs", (RUN_ID,), Status="Paused")
    for _ in range(3):
        message = world._next()
        assert message is not None
        await world.deliver(message)
    edited(world, "runs", (RUN_ID,), Status=was)
    await world.run()
    await world.check_end()
    assert (await world.key()).status == KeyStatus.COMPLETED


OPERATIONS = [
    ("keys", "insert"),
    ("keys", "read"),
    ("keys", "update"),
    ("runs", "insert"),
    ("runs", "read"),
    ("runs", "update"),
    ("stages", "insert_all"),
    ("signals", "insert"),
    ("signals", "read"),
    ("signals", "update"),
    ("commands", "read"),
]


@pytest.mark.parametrize("ends", [("success",), ("review",), ("fail",), ("fail", "success")])
@pytest.mark.parametrize(("store", "operation"), OPERATIONS)
async def test_the_limit_holds_whatever_is_refused(store: str, operation: str, ends: tuple[str, ...]) -> None:
    """Storage refuses one operation for ever (a bug, a property that is too large): the message comes to an end within
    the queue's own limit, and not by the broker's hand."""
    world = World(Work(ends), max_deliveries=10)
    failing(world, store, operation)
    await world.send(recorded=True)
    began = world.clock.now()
    await world.run(most=25)
    assert world.broker.count(QUEUE) == (0, 0, 0)
    dead = world.broker.dead_letters(QUEUE)
    assert all(d.reason == "processing_failed" for d in dead)
    key, run = await world.key(), await world.run_row()
    if store == "commands":
        # whose message it is cannot be told: no row of the command is touched, a person is told all the same
        assert (key, run, await world.failure()) == (None, None, None)
        rejected = ids.rejected_message_signal_id(QUEUE, COMMAND_ID, "store_refused")
        told = await world.stored.signals.read(rejected)
        assert told is not None
        assert told.value.requires_human_review
    elif dead and store != "signals" and (run is None or run.attempt_outcome in {None, AttemptOutcome.FAILED}):
        assert not (await world.failure()).is_resolved
    if dead and store not in {"keys", "runs"}:
        assert key is None or key.status != KeyStatus.RESERVED
        assert run is None or run.is_final
    if not dead:
        assert key.status == KeyStatus.COMPLETED
    else:
        assert (world.clock.now() - began).total_seconds() > 150


async def test_an_outage_while_the_end_is_written_does_not_lose_it() -> None:
    world = await failed_once()
    edited(world, "runs", (RUN_ID,), Status="Paused")
    while True:
        message = world._next()
        assert message is not None
        if message.properties.get(FAILED_STEPS) == 4:
            break
        await world.deliver(message)
    signals = world.stores.signals
    world.stores = replace(
        world.stores, signals=cast("Any", Failing(signals, lambda _: StoreUnreachableError("signals: 503")))
    )
    assert isinstance(await world.deliver(message), Reschedule)
    world.stores = replace(world.stores, signals=signals)
    await world.run(most=10)
    assert (await world.key()).status == KeyStatus.REJECTED
    assert not (await world.failure()).is_resolved
    assert [d.reason for d in world.broker.dead_letters(QUEUE)] == ["processing_failed"]


# ------------------------------------------------------------------------------------------------------------- kind 6


KILLER = "dddddddddddddddddddddddddddddddd"


class Process:
    """One worker process: every delivery in it dies with it, whoever's lane it was."""

    def __init__(self, town: Town) -> None:
        self.service: DeliveryService = replace(town.world.service(), handlers=dict.fromkeys(Lane, town.lane))
        self.tasks: set[asyncio.Task[Any]] = set()
        self.killed = asyncio.Event()


class Town:
    """A queue with a process killer and its neighbours, and a host that starts the worker again."""

    def __init__(self, neighbours: int, *, kills: Callable[[int], bool] = lambda _: True) -> None:
        self.world = World(self.lane, max_deliveries=10)
        self.neighbours = [f"{n:032x}" for n in range(1, neighbours + 1)]
        self.begun: dict[str, int] = {}
        self.kills = kills
        self.crashes = 0

    async def lane(self, context: LaneContext) -> LaneResult:
        command = context.envelope.command_id
        self.begun[command] = self.begun.get(command, 0) + 1
        for _ in range(12):
            await asyncio.sleep(0)
        if command == KILLER and self.kills(self.begun[command]):
            self.process.killed.set()
            await asyncio.sleep(3600)
        return succeeded("done", "done")

    async def send(self, command: str) -> None:
        payload = body(commandId=command)
        await record(self.world.stored, QUEUE, Lane.CONVERSATION, payload, self.world.clock.now())
        message = OutgoingMessage(queue=QUEUE, body=payload, message_id=command, properties={"recorded": True})
        await self.world.broker.send(message)

    async def live(self, *, at_once: int = 17) -> None:
        """Deliver until nothing is left, ``at_once`` at a time; a crash takes all that are in the process."""
        self.process = Process(self)
        for _ in range(2000):
            tasks = self.process.tasks
            while len(tasks) < at_once and (message := self.world.broker.receive(QUEUE)) is not None:
                tasks.add(asyncio.create_task(self.process.service.deliver(Lane.CONVERSATION, message)))
            if not tasks:
                message_due = self.world.broker.next_change()
                if message_due is None:
                    return
                self.world.clock.advance(max(0.0, (message_due - self.world.clock.now()).total_seconds()))
                continue
            await asyncio.sleep(0)
            if self.process.killed.is_set():
                self.crashes += 1
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                self.process = Process(self)
            for task in [t for t in tasks if t.done()]:
                tasks.discard(task)
                if not task.cancelled():
                    task.result()
        raise AssertionError("no end")

    async def status(self, command: str) -> KeyStatus:
        stored = await self.world.stored.keys.read(QUEUE, command)
        assert stored is not None
        return stored.value.status


@pytest.mark.parametrize("neighbours", [1, 16, 40])
async def test_a_process_killer_takes_only_itself(neighbours: int) -> None:
    town = Town(neighbours)
    await town.send(KILLER)
    for command in town.neighbours:
        await town.send(command)
    await town.live()
    assert await town.status(KILLER) == KeyStatus.REJECTED
    assert town.begun[KILLER] <= 5
    for command in town.neighbours:
        assert await town.status(command) == KeyStatus.COMPLETED
        stored = await town.world.stored.keys.read(QUEUE, command)
        assert stored is not None
        assert reservation.counted(stored.value) == 1, "an innocent's attempt was counted"
    assert [d.message.message_id for d in town.world.broker.dead_letters(QUEUE)] == [KILLER]
    [dead] = town.world.broker.dead_letters(QUEUE)
    assert dead.reason == "processing_failed"


async def test_two_process_killers_take_only_themselves() -> None:
    other = "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"
    town = Town(8)
    lane = town.lane

    async def two(context: LaneContext) -> LaneResult:
        if context.envelope.command_id == other:
            town.begun[other] = town.begun.get(other, 0) + 1
            await asyncio.sleep(0)
            town.process.killed.set()
            await asyncio.sleep(3600)
        return await lane(context)

    town.lane = two  # type: ignore[method-assign]
    for command in (KILLER, *town.neighbours[:4], other, *town.neighbours[4:]):
        await town.send(command)
    await town.live()
    assert {d.message.message_id for d in town.world.broker.dead_letters(QUEUE)} == {KILLER, other}
    for command in town.neighbours:
        assert await town.status(command) == KeyStatus.COMPLETED
        stored = await town.world.stored.keys.read(QUEUE, command)
        assert stored is not None
        assert reservation.counted(stored.value) == 1


async def test_what_killed_once_and_then_ends_well_has_lost_no_attempt() -> None:
    town = Town(3, kills=lambda nth: nth == 1)
    for command in (KILLER, *town.neighbours):
        await town.send(command)
    await town.live()
    assert town.crashes == 1
    for command in (KILLER, *town.neighbours):
        assert await town.status(command) == KeyStatus.COMPLETED
        stored = await town.world.stored.keys.read(QUEUE, command)
        assert stored is not None
        assert reservation.counted(stored.value) == 1


async def test_an_outage_before_the_lane_is_no_alibi() -> None:
    """The suspect's next attempt ends before its lane begins: whoever it was is still not known, and it runs alone."""
    deaths = 0

    async def lane(context: LaneContext) -> LaneResult:
        nonlocal deaths
        if context.attempt != 4:
            deaths += 1
            raise ProcessDied("in the lane")
        return succeeded("done", "done")

    world = World(lane, max_deliveries=10)
    await world.send(recorded=True)
    first = world.broker.receive(QUEUE)
    assert first is not None
    assert await world.deliver(first) is None
    runs = world.stores.runs
    away = cast("Any", Failing(runs, lambda _: StoreUnreachableError("runs: 503")))
    world.stores = replace(world.stores, runs=away)
    while (await world.key()).attempt == 1:
        message = world._next()
        assert message is not None
        await world.deliver(message)
    key = await world.key()
    assert (key.attempt, key.excused, key.solo) == (2, 1, reservation.SUSPECTED)
    assert reservation.is_released(key)
    world.stores = replace(world.stores, runs=runs)
    message = world._next()
    assert message is not None
    assert await world.deliver(message) is None  # alone, and it dies again: both count
    await world.run()
    await world.check_end()
    key = await world.key()
    assert (key.attempt, key.excused, reservation.counted(key)) == (4, 1, 3)
    assert deaths == 2


async def test_a_suspect_that_is_never_alone_waits_in_the_queue_without_an_attempt() -> None:
    """A neighbour's lane does not end: the suspect gives way, and comes again."""
    world = World(Work(("success",)))
    service = world.service()
    service = replace(service, limits=replace(service.limits, solitude=0.001))
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    world.plan.faults = {3: "crash_before"}
    with pytest.raises(ProcessDied):
        await world.service().deliver(Lane.CONVERSATION, message)
    world.plan.faults = {}
    again = world._next()
    assert again is not None
    world.clock.advance(60)
    async with service.company.place() as neighbour:
        assert await neighbour.take(1)
        settlement = await service.deliver(Lane.CONVERSATION, again)
    assert isinstance(settlement, Reschedule)
    assert settlement.why == "in_company"
    assert (await world.key()).attempt == 1
    await world.run()
    await world.check_end()


async def test_a_run_that_is_final_without_an_outcome_is_told() -> None:
    world = await failed_once()
    edited(world, "runs", (RUN_ID,), IsFinal=True, AttemptOutcome=None, Status=RunStatus.COMPLETED.value)
    await world.run(most=12)
    settlement = world.settlements[-1]
    assert isinstance(settlement, DeadLetter)
    stored = await world.stored.signals.read(ids.failure_signal_id(RUN_ID))
    assert stored is not None
    assert not stored.value.is_resolved
