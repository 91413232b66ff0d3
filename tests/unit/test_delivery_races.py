"""What only a person or a long pause brings about: a key deleted by hand, a run that is ahead of its key or another
request's, a lease that goes while its lane runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from mosaic_core.domain import ids, signals
from mosaic_core.domain.errors import StoreRefusedError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import AttemptOutcome, KeyStatus
from mosaic_core.domain.settlement import FAILED_STEPS, Abandon, Complete, DeadLetter, Reschedule
from mosaic_core.lanes.context import LaneContext, LaneResult, succeeded
from mosaic_core.services.drain import Drain
from mosaic_core.services.followed import follow
from mosaic_core.services.limits import DeliveryLimits
from mosaic_core.services.reconciler import Reconciler
from tests.support.world import COMMAND_ID, QUEUE, RUN_ID, Work, World, body

OTHER = body(message="Another request under the same id")


class Before:
    """A store of which the ``nth`` call of one operation finds something done just before it."""

    def __init__(self, real: object, operation: str, nth: int, do: Callable[[], Awaitable[object]]) -> None:
        self._real, self._operation, self._nth, self._do = real, operation, nth, do
        self.done = False

    def __getattr__(self, operation: str) -> Any:
        target = getattr(self._real, operation)
        if operation != self._operation:
            return target

        async def call(*args: Any, **kwargs: Any) -> Any:
            self._nth -= 1
            if not self._nth:
                self.done = True
                await self._do()
            return await target(*args, **kwargs)

        return call


def before(world: World, store: str, operation: str, nth: int, do: Callable[[], Awaitable[object]]) -> Before:
    there = Before(getattr(world.stores, store), operation, nth, do)
    world.stores = replace(world.stores, **cast("Any", {store: there}))
    return there


def delete(world: World, store: str, *key: str) -> None:
    """By hand, or by retention."""
    assert getattr(world.stored, store).table.delete(key)


async def delete_key(world: World) -> None:
    delete(world, "keys", QUEUE, COMMAND_ID)


async def deliver(world: World) -> Any:
    message = world._next()
    assert message is not None
    return await world.deliver(message)


async def failed_twice(*, then: str = "success") -> tuple[World, Work]:
    """Its run says attempt 2, and its key was deleted by hand."""
    work = Work(("fail", "fail", then))
    world = World(work)
    await world.send()
    await deliver(world)
    await deliver(world)
    await delete_key(world)
    return world, work


# --------------------------------------------------------------------------------------------- the run ahead of its key


async def test_a_run_that_is_ahead_of_a_new_key_lifts_the_key_s_number_above_it() -> None:
    world, work = await failed_twice()
    assert await deliver(world) == Complete()
    await world.check_end()
    assert work.began == [1, 2, 3], "a lane ran twice under one number"
    key, failure = await world.key(), await world.failure()
    assert (key.attempt, failure.attempt, failure.is_resolved) == (3, 3, True)


async def test_a_key_that_is_deleted_while_its_run_is_ahead_is_reserved_anew() -> None:
    world, work = await failed_twice()
    hook = before(world, "keys", "read", 1, lambda: delete_key(world))
    assert await deliver(world) == Complete()
    assert hook.done
    await world.check_end()
    assert work.began == [1, 2, 3]


async def take(world: World) -> None:
    """Another delivery, which the broker let out as well, owns the key from now on."""
    stored = await world.stored.keys.read(QUEUE, COMMAND_ID)
    assert stored is not None
    theirs = replace(stored.value, owner_token="another", attempt=stored.value.attempt + 1)
    assert await world.stored.keys.update(theirs, stored.etag) is not None


async def test_a_key_that_another_takes_while_its_run_is_ahead_is_the_other_s() -> None:
    world, work = await failed_twice()
    hook = before(world, "keys", "read", 1, lambda: take(world))
    settlement = await deliver(world)
    assert hook.done
    assert isinstance(settlement, Reschedule)
    assert settlement.why == "in_progress"
    key = await world.key()
    assert (key.owner_token, key.attempt, work.began) == ("another", 2, [1, 2])


async def test_a_key_that_is_written_while_its_number_is_lifted_is_read_again() -> None:
    world, work = await failed_twice()

    async def marked() -> None:
        stored = await world.stored.keys.read(QUEUE, COMMAND_ID)
        assert stored is not None
        assert await world.stored.keys.update(stored.value, stored.etag) is not None

    hook = before(world, "keys", "update", 1, marked)
    assert await deliver(world) == Complete()
    assert hook.done
    await world.check_end()
    assert work.began == [1, 2, 3]


def reconciler(world: World) -> Reconciler:
    return Reconciler(
        stores=world.stores,
        browser=world.broker,
        publisher=world.publisher,
        clock=world.clock,
        queues={Lane.CONVERSATION: QUEUE},
        policy_version="test",
    )


async def forgotten(world: World) -> None:
    """Its copy is taken out of the queue by hand, and time passes until nothing can be left of it."""
    message = world._next()
    assert message is not None
    await world.broker.complete(message)
    stored = await world.stored.commands.read(COMMAND_ID)
    assert stored is not None
    await follow(world.stored.followed, QUEUE, COMMAND_ID, stored.recorded_at)
    world.clock.advance(timedelta(days=15).total_seconds())


async def test_the_reconciler_ends_a_run_that_is_ahead_of_its_key() -> None:
    world, work = await failed_twice()
    await forgotten(world)
    report = await reconciler(world).tick()
    assert report.rejected == 1
    key, run = await world.key(), await world.run_row()
    assert (key.status, key.attempt) == (KeyStatus.REJECTED, 3)
    assert (run.is_final, run.attempt, run.failure_code) == (True, 3, "message_lost")
    assert work.began == [1, 2]


@pytest.mark.parametrize("taken", [True, False])
async def test_the_reconciler_leaves_a_run_ahead_whose_key_is_no_longer_its_own(taken: bool) -> None:
    world, _ = await failed_twice()
    await forgotten(world)
    # first it looks whether there is a key at all: twice
    hook = before(world, "keys", "read", 3, (lambda: take(world)) if taken else (lambda: delete_key(world)))
    report = await reconciler(world).tick()
    assert hook.done
    assert (report.rejected, report.rolled_forward) == (0, 0)
    key, run = await world.key(), await world.run_row()
    assert (key.owner_token if key is not None else None) == ("another" if taken else None)
    assert not run.is_final


# ------------------------------------------------------------------------------------------------ another request's run


async def ended_and_forgotten(end: str) -> World:
    """A command has ended; key and record are gone, its run is not, and its id is used for another request."""
    world = World(Work((end,)))
    await world.send()
    await world.run()
    await delete_key(world)
    delete(world, "commands", COMMAND_ID)
    await world.send(OTHER)
    return world


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [
        ("success", KeyStatus.COMPLETED, "completed"),
        ("review", KeyStatus.COMPLETED, "needs_review"),
        ("fail", KeyStatus.REJECTED, "failed"),
    ],
)
async def test_a_final_run_of_another_request_is_never_adopted(end: str, status: KeyStatus, code: str) -> None:
    world = await ended_and_forgotten(end)
    run = await world.run_row()
    dead = len(world.broker.dead_letters(QUEUE))
    began = len(cast("Work", world.handler).began)
    settlement = await deliver(world)
    assert isinstance(settlement, DeadLetter)
    assert settlement.reason == signals.HASH_MISMATCH
    key = await world.key()
    assert (key.status, key.resolution_code, key.request_hash) == (status, code, run.request_hash)
    assert await world.run_row() == run
    assert len(cast("Work", world.handler).began) == began
    command = await world.stored.commands.read(COMMAND_ID)
    assert command is not None
    told = await world.stored.signals.read(ids.mismatch_signal_id(QUEUE, COMMAND_ID, command.request_hash))
    assert told is not None
    assert len(world.broker.dead_letters(QUEUE)) == dead + 1


@pytest.mark.parametrize("nth", [1, 2, 3])
async def test_a_foreign_run_whose_key_has_no_answer_is_told_as_such_all_the_same(nth: int) -> None:
    """The key's write, the signal's, and the read that follows: whichever is unanswered."""
    world = await ended_and_forgotten("success")
    run = await world.run_row()
    world.plan.log.clear()
    world.plan.faults = {4 + n: "lost" for n in range(1, nth + 1)}
    await world.run()
    key = await world.key()
    assert (key.status, key.request_hash) == (KeyStatus.COMPLETED, run.request_hash)
    assert [d.reason for d in world.broker.dead_letters(QUEUE)] == [signals.HASH_MISMATCH]
    assert await world.run_row() == run


async def test_a_key_that_is_written_meanwhile_is_read_again_before_it_takes_a_foreign_run_s_end() -> None:
    world = await ended_and_forgotten("success")

    async def marked() -> None:
        stored = await world.stored.keys.read(QUEUE, COMMAND_ID)
        assert stored is not None
        assert await world.stored.keys.update(stored.value, stored.etag) is not None

    hook = before(world, "keys", "update", 1, marked)
    await world.run()
    assert hook.done
    assert (await world.key()).status == KeyStatus.COMPLETED
    assert [d.reason for d in world.broker.dead_letters(QUEUE)] == [signals.HASH_MISMATCH]


# ------------------------------------------------------------------------------------------------------ the key is gone


@pytest.mark.parametrize("end", ["success", "review"])
async def test_a_key_that_is_gone_at_the_commit_is_reserved_again_and_rolled_forward(end: str) -> None:
    work = Work((end,))
    world = World(work)
    await world.send()
    hook = before(world, "keys", "update", 1, lambda: delete_key(world))
    assert await deliver(world) == Complete()
    assert hook.done
    await world.check_end()
    assert work.began == [1]


async def test_a_last_failure_whose_key_is_gone_is_rejected_as_a_run_that_exists() -> None:
    work = Work(("fail",))
    world = World(work)
    await world.send()
    for _ in range(4):
        await deliver(world)
    hook = before(world, "keys", "update", 2, lambda: delete_key(world))  # the takeover's is the first
    settlement = await deliver(world)
    assert hook.done
    assert isinstance(settlement, DeadLetter)
    assert settlement.reason == "idempotency_rejected"
    await world.check_end()
    assert work.began == [1, 2, 3, 4, 5]


async def test_a_key_that_is_gone_before_its_run_is_inserted_begins_anew() -> None:
    """The run's insert has no answer, and what is there is read: no key."""
    work = Work(("success",))
    world = World(work)
    await world.send()
    world.plan.faults = {3: "unsent"}
    hook = before(world, "runs", "read", 1, lambda: delete_key(world))
    await world.run()
    assert hook.done
    await world.check_end()
    assert work.began == [1]


async def test_another_request_s_key_is_not_taken_when_the_fifth_failed_step_ends_its_command() -> None:
    world = World(Work(("success",)))
    await world.send()

    class Refusing:
        async def insert_all(self, stages: object) -> None:
            raise StoreRefusedError("stages: 400")

    async def another_s() -> None:
        stored = await world.stored.keys.read(QUEUE, COMMAND_ID)
        assert stored is not None
        theirs = replace(stored.value, request_hash="0" * 64, owner_token="another", lease_seconds=0)
        assert await world.stored.keys.update(theirs, stored.etag) is not None

    world.stores = replace(world.stores, stages=cast("Any", Refusing()))
    hook = before(world, "keys", "read", 1, another_s)
    message = world._next()
    assert message is not None
    settlement = await world.deliver(replace(message, properties={**message.properties, FAILED_STEPS: 4}))
    assert hook.done
    assert isinstance(settlement, DeadLetter)
    assert settlement.reason == signals.HASH_MISMATCH
    key, run = await world.key(), await world.run_row()
    assert (key.owner_token, key.status, run.is_final) == ("another", KeyStatus.RESERVED, False)


# ------------------------------------------------------------------------------------------------------------ the lease


class Standing:
    """A lane that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.entered, self.go_on = asyncio.Event(), asyncio.Event()
        self.cut_off = asyncio.Event()

    async def __call__(self, context: LaneContext) -> LaneResult:
        self.entered.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cut_off.set()
            raise
        return succeeded("done", "done")


async def at_work(lane: Standing, **more: Any) -> tuple[World, asyncio.Task[Any], Drain]:
    world = World(lane)
    await world.send()
    message = world._next()
    assert message is not None
    drain = Drain()
    message = replace(message, **more)
    service = replace(world.service(), drain=drain, limits=DeliveryLimits(lease=30, lease_renew=0))
    task = asyncio.ensure_future(service.deliver(Lane.CONVERSATION, message))
    await lane.entered.wait()
    return world, task, drain


async def test_a_lane_whose_key_another_took_is_cut_off_and_its_message_comes_again_after_the_lease() -> None:
    lane = Standing()
    world, task, _ = await at_work(lane)
    now = world.clock.now()
    await take(world)
    settlement = await task
    assert lane.cut_off.is_set()
    assert isinstance(settlement, Reschedule)
    assert (settlement.why, settlement.due) == ("lease_lost", now + timedelta(seconds=30))
    key, run = await world.key(), await world.run_row()
    assert (key.owner_token, run.attempt_outcome) == ("another", None)


async def test_a_lane_that_has_ended_as_its_key_was_taken_keeps_its_result_from_the_run() -> None:
    """It swallows the cut-off and gives a result: the key is another's, who writes the run's end."""

    class Deaf(Standing):
        async def __call__(self, context: LaneContext) -> LaneResult:
            try:
                return await super().__call__(context)
            except asyncio.CancelledError:
                return succeeded("done", "done all the same")

    lane = Deaf()
    world, task, _ = await at_work(lane)
    await take(world)
    settlement = await task
    assert isinstance(settlement, Reschedule)
    assert settlement.why == "in_progress"
    assert (await world.run_row()).attempt_outcome is None
    assert await world.stored.stages.of_run(RUN_ID) == []


async def test_a_lane_whose_key_is_deleted_while_it_works_is_cut_off_and_the_command_ends() -> None:
    lane = Standing()
    world, task, _ = await at_work(lane)
    await delete_key(world)
    settlement = await task
    assert isinstance(settlement, Reschedule)
    assert settlement.why == "lease_lost"
    lane.go_on.set()
    await world.run()
    await world.check_end()


async def test_a_delivery_that_is_cut_off_itself_cuts_off_its_lane_and_renews_no_more() -> None:
    lane = Standing()
    world, task, _ = await at_work(lane)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await lane.cut_off.wait()
    world.plan.log.clear()
    for _ in range(20):
        await asyncio.sleep(0)
    assert world.plan.log == []
    assert (await world.key()).status == KeyStatus.RESERVED


@pytest.mark.parametrize("deliveries", [1, 4, 5, 9])
async def test_a_drain_gives_a_message_back_and_from_its_fifth_delivery_on_sends_a_copy(deliveries: int) -> None:
    lane = Standing()
    world, task, drain = await at_work(lane, delivery_count=deliveries)
    drain.begin()
    settlement = await task
    key = await world.key()
    assert (key.excused, key.lease_seconds) == (1, 0)
    assert type(settlement) is (Reschedule if deliveries >= 5 else Abandon)
    assert settlement.why == "draining"


# ------------------------------------------------------------------------------------------------------- the 24 hours


async def test_a_final_run_is_rolled_forward_when_its_command_is_given_up() -> None:
    """A day after the outage began the run turns out to be final: the command has its own end, not the outage's."""
    work = Work(("success",))
    world = World(work)
    await world.send()
    world.plan.faults = {6: "crash_before"}  # the run is final, the key is not
    assert await deliver(world) is None
    run = await world.run_row()
    assert run.attempt_outcome == AttemptOutcome.SUCCEEDED
    world.plan.faults = {}
    message = world._next()
    assert message is not None
    since = world.clock.now() - timedelta(days=2)
    message = replace(message, properties={**message.properties, "storeAwaySinceUtc": since.isoformat()})
    # the takeover lands; then three reads have no answer, of run, key and run, and the next one has
    at = ["commands.read", "keys.insert", "runs.insert", "keys.read", "keys.read", "keys.update"]  # a suspect, alone
    world.plan.log.clear()
    world.plan.faults = {len(at) + n: "unsent" for n in (1, 2, 3)}
    assert await world.deliver(message) == Complete()
    assert world.plan.log[len(at) : len(at) + 4] == ["runs.read", "keys.read", "keys.read", "runs.read"]
    await world.check_end()
    assert work.began == [1]
