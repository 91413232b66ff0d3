"""An operator ends a command: wherever it is, and whatever happens beside it, it comes to one end."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from mosaic_core.domain import ids, signals
from mosaic_core.domain.errors import BusyError, RequestError, StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, AttemptOutcome, KeyStatus, RunStatus
from mosaic_core.domain.records import Key
from mosaic_core.domain.reservation import CANCELLED
from mosaic_core.domain.settlement import DeadLetter
from mosaic_core.lanes.context import LaneContext, LaneHandler, LaneResult, succeeded
from mosaic_core.ports import AnnotationStore, ApprovalStore, DecisionStore, LedgerStore, SignalStore, Stores
from mosaic_core.services.effects_begun import EffectsBegun
from mosaic_core.services.limits import DeliveryLimits
from mosaic_core.services.operators.cancelling import Cancelling
from tests.support import records
from tests.support.api import ApiWorld
from tests.support.faults import KINDS, Kind, Plan, ProcessDied, faulty_stores
from tests.support.world import COMMAND_ID, HOUSEHOLD, QUEUE, RUN_ID, Work, World, each_operation

REPLAY = "rolf+Mosaic.Operator.Replay"
ENDS: dict[str, Callable[[], LaneHandler]] = {
    "success": lambda: Work(("success",)),
    "review": lambda: Work(("review",)),
    "fail-once": lambda: Work(("fail", "success")),
}


def cancelling(world: World, stores: Stores | None = None) -> Cancelling:
    async def sleep(seconds: float) -> None:
        world.clock.advance(seconds)
        await asyncio.sleep(0)

    return Cancelling(
        stores=stores or world.stored,
        publisher=world.publisher,
        clock=world.clock,
        queues={Lane.CONVERSATION: QUEUE},
        policy_version="test",
        jitter=lambda: 1.0,
        sleep=sleep,
    )


async def cancel(world: World, reason: str = "a mistake", by: str = "rolf", stores: Stores | None = None) -> str:
    """The outcome, or the code of the refusal."""
    try:
        return (await cancelling(world, stores).cancel(COMMAND_ID, by=by, reason=reason)).outcome
    except RequestError as refusal:
        return refusal.code


async def one_delivery(world: World) -> Any:
    message = world._next()
    assert message is not None
    return await world.deliver(message)


async def check(world: World, *, is_cancelled: bool) -> None:
    """One end, told alike by key, run and signals, with a name and a reason."""
    key, run, failure = await world.key(), await world.run_row(), await world.failure()
    assert run.is_final
    assert run.completed_at is not None
    assert (run.failure_code == CANCELLED) is is_cancelled
    if not is_cancelled:
        await world.check_end()
        return
    assert key.status == KeyStatus.REJECTED
    assert (run.status, run.attempt_outcome, run.failure_rationale) == (
        RunStatus.NEEDS_REVIEW,
        AttemptOutcome.FAILED,
        "a mistake",
    )
    assert failure is not None
    assert failure.is_resolved
    assert failure.resolved_by == "rolf"
    assert world.broker.count(QUEUE) == (0, 0, 0)
    audited = await world.stored.decisions.of_run(RUN_ID)
    assert [d.actor for d in audited if d.action == "command_cancelled"] == ["rolf"]


# ------------------------------------------------------------------------------------------------ wherever it waits


async def test_one_that_waits_in_its_queue_never_runs() -> None:
    world = World(Work(("success",)))
    await world.send()
    assert await cancel(world) == "cancelled"
    assert isinstance(await one_delivery(world), DeadLetter)
    await world.run()
    await check(world, is_cancelled=True)
    assert isinstance(world.handler, Work)
    assert world.handler.began == []
    [letter] = world.broker.dead_letters(QUEUE)
    assert CANCELLED in letter.description


async def test_one_that_was_recorded_and_not_sent_yet_never_runs() -> None:
    world = World(Work(("success",)))
    await world.send()
    held = world._next()
    assert held is not None
    assert await cancel(world) == "cancelled"
    await world.deliver(held)
    await check(world, is_cancelled=True)


async def test_one_that_waits_for_its_next_attempt_has_had_its_last() -> None:
    world = World(Work(("fail", "success")))
    await world.send()
    await one_delivery(world)
    failure = await world.failure()
    assert not failure.is_resolved
    assert await cancel(world) == "cancelled"
    await world.run()
    await check(world, is_cancelled=True)
    assert isinstance(world.handler, Work)
    assert world.handler.began == [1]


async def test_one_that_waits_for_its_conversations_turn_is_ended() -> None:
    async def busy(context: LaneContext) -> LaneResult:
        raise BusyError("another command talks", wait=5)

    world = World(busy)
    await world.send()
    await one_delivery(world)
    assert await cancel(world) == "cancelled"
    await world.run()
    await check(world, is_cancelled=True)


# ------------------------------------------------------------------------------------------------------ at work


class AtWork:
    """A delivery whose lane stands still where the test says, renewing its lease all the while."""

    def __init__(self, *, writes: bool) -> None:
        self.entered, self.go_on = asyncio.Event(), asyncio.Event()
        self.writes = writes
        self.world = World(self)
        self.ended = False

    async def __call__(self, context: LaneContext) -> LaneResult:
        if self.writes:
            await context.stores.signals.insert(replace(records.SIGNAL, signal_id="5" * 32))
        self.entered.set()
        await self.go_on.wait()
        self.ended = True
        return succeeded("worked", "done")

    async def begin(self) -> asyncio.Task[Any]:
        await self.world.send()
        message = self.world._next()
        assert message is not None
        service = replace(self.world.service(), limits=DeliveryLimits(lease=30, lease_renew=0.001))
        task = asyncio.create_task(service.deliver(Lane.CONVERSATION, message))
        await self.entered.wait()
        return task


async def test_one_at_work_without_an_effect_is_stopped_at_the_next_renewal() -> None:
    work = AtWork(writes=False)
    delivery = await work.begin()
    asked = asyncio.create_task(cancel_in_real_time(work.world))
    assert isinstance(await asyncio.wait_for(delivery, 5), DeadLetter)
    assert await asyncio.wait_for(asked, 5) == "cancelled"
    assert not work.ended
    await work.world.run()
    await check(work.world, is_cancelled=True)
    stages = await work.world.stored.stages.of_run(RUN_ID)
    assert [stage.outcome_code for stage in stages] == [CANCELLED]


async def test_one_whose_effect_is_written_goes_on_to_its_end_and_says_so() -> None:
    work = AtWork(writes=True)
    delivery = await work.begin()
    assert await cancel(work.world) == "requested"
    assert not delivery.done()
    work.go_on.set()
    await asyncio.wait_for(delivery, 5)
    assert work.ended
    with pytest.raises(RequestError) as told:
        await cancelling(work.world).cancel(COMMAND_ID, by="rolf", reason="a mistake")
    assert told.value.code == "command_already_ended"
    assert {detail.field: detail.issue for detail in told.value.details} == {"status": "Completed", "attempt": "1"}
    await work.world.run()
    await check(work.world, is_cancelled=False)


WRITES = {"insert", "insert_all", "update", "unlist", "index_finding", "postpone", "forget", "list_older"}
EFFECTS = {
    "ledger": LedgerStore,
    "approvals": ApprovalStore,
    "annotations": AnnotationStore,
    "decisions": DecisionStore,
    "signals": SignalStore,
}


@pytest.mark.parametrize("store", EFFECTS)
async def test_whatever_a_lane_reads_it_can_still_be_stopped(store: str) -> None:
    """Each of a port's calls is a write that the test knows, or begins no effect."""

    class Anything:
        def __getattr__(self, name: str) -> Any:
            async def call(*_: object) -> None: ...

            return call

    calls = [name for name, call in vars(EFFECTS[store]).items() if inspect.iscoroutinefunction(call)]
    assert "insert" in calls or "insert_all" in calls
    for name in calls:
        anything: Any = Anything()
        effects = EffectsBegun(replace(World(Work(("success",))).stored, **{store: anything}))
        await getattr(getattr(effects.stores, store), name)()
        assert effects.begun is (name in WRITES), f"{store}.{name}"


async def test_one_that_fails_after_it_was_asked_is_not_tried_again() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def fails(context: LaneContext) -> LaneResult:
        entered.set()
        await go_on.wait()
        raise ValueError("boom")

    world = World(fails)
    await world.send()
    message = world._next()
    assert message is not None
    delivery = asyncio.create_task(world.deliver(message))
    await entered.wait()
    assert await cancel(world) == "requested"
    go_on.set()
    await delivery
    await world.run()
    run = await world.run_row()
    assert (run.is_final, run.failure_code) == (True, CANCELLED)
    assert await cancel(world) == "already_cancelled"
    await check(world, is_cancelled=True)


async def test_one_whose_worker_died_is_ended_when_its_lease_is_over() -> None:
    async def dies(context: LaneContext) -> LaneResult:
        raise ProcessDied("the lane")

    world = World(dies)
    await world.send()
    await one_delivery(world)
    assert await cancel(world) == "requested"
    world.clock.advance(31)
    assert await cancel(world) == "cancelled"
    await world.run()
    await check(world, is_cancelled=True)
    assert world.deaths == 1


async def test_a_mark_survives_a_drain_and_a_dead_worker() -> None:
    """Whoever takes the key over next makes the end, without anybody asking again."""
    work = AtWork(writes=True)
    message_task = await work.begin()
    assert await cancel(work.world) == "requested"
    message_task.cancel()  # as the host cuts off an invocation
    with pytest.raises(asyncio.CancelledError):
        await message_task
    work.world.clock.advance(120)
    work.go_on.set()
    await work.world.run()
    run = await work.world.run_row()
    assert (run.failure_code, work.ended) == (CANCELLED, False)


class RenewedMeanwhile:
    """A key whose owner renews it whenever somebody is about to mark it, and each time the operator's patience ends."""

    def __init__(self, world: World, times: int) -> None:
        self.world, self.times = world, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.world.stored.keys, name)

    async def update(self, key: Key, etag: str) -> str | None:
        stored = await self.world.stored.keys.read(key.queue, key.command_id)
        assert stored is not None
        if key.cancel_reason is not None and stored.value.cancel_reason is None and self.times:
            self.times -= 1
            await self.world.stored.keys.update(stored.value, stored.etag)
            self.world.clock.advance(20)
        return await self.world.stored.keys.update(key, etag)


@pytest.mark.parametrize(("renewals", "outcome"), [(1, "requested"), (5, "requested"), (99, "storage")])
async def test_nobody_is_told_of_a_mark_that_lost_its_race(renewals: int, outcome: str) -> None:
    work = AtWork(writes=True)
    delivery = await work.begin()
    keys: Any = RenewedMeanwhile(work.world, renewals)
    stores = replace(work.world.stored, keys=keys)
    try:
        told = await cancel(work.world, stores=stores)
    except StoreUnreachableError:
        told = "storage"
    assert told == outcome
    assert ((await work.world.key()).cancel_reason is not None) is (outcome == "requested")
    work.go_on.set()
    await asyncio.wait_for(delivery, 5)


async def cancel_in_real_time(world: World) -> str:
    service = replace(cancelling(world), sleep=lambda _: asyncio.sleep(0.001))
    return (await service.cancel(COMMAND_ID, by="rolf", reason="a mistake")).outcome


# ----------------------------------------------------------------------------------------- beside a delivery, anywhere

PLACES = [(name, n) for name, handler in ENDS.items() for n in range(1, len(each_operation(handler)) + 1)]


@pytest.mark.parametrize(("end", "place"), PLACES)
async def test_beside_a_delivery_that_stands_still_at_any_request(end: str, place: int) -> None:
    """The delivery waits before its n-th request, the cancellation comes and goes, then it wakes up and goes on."""
    world = World(ENDS[end](), plan=Plan({place: "pause"}))
    await world.send()
    sleeper = await world._until_paused()
    outcome = await cancel(world)
    world.plan.gate.set()
    await sleeper
    await world.run()
    after = await cancel(world)
    assert outcome in {"cancelled", "requested", "command_already_ended"}
    assert after in {"already_cancelled", "cancelled", "command_already_ended"}
    if outcome != "requested":
        assert after == {"cancelled": "already_cancelled"}.get(outcome, outcome)
    await world.run()
    await check(world, is_cancelled=after != "command_already_ended")


@pytest.mark.parametrize(("end", "place"), PLACES)
async def test_beside_a_delivery_whose_lease_ran_out_while_it_stood_still(end: str, place: int) -> None:
    world = World(ENDS[end](), plan=Plan({place: "pause"}))
    await world.send()
    sleeper = await world._until_paused()
    world.clock.advance(120)
    outcome = await cancel(world)
    key, run = await world.key(), await world.run_row()
    world.plan.gate.set()
    await sleeper
    await world.run()
    assert outcome in {"cancelled", "command_already_ended"}
    assert (await world.run_row(), await world.key()) == (run, key), "what was final has changed"
    await check(world, is_cancelled=outcome == "cancelled")


async def test_what_was_resolved_stays_so_whoever_rolls_the_end_forward() -> None:
    """The key expires while a copy waits, as in a lane that is paused for days; who takes the copy dies once."""
    world = World(Work(("success",)))
    await world.send()
    assert await cancel(world) == "cancelled"
    stored: Any = world.stored
    key = await stored.keys.read(QUEUE, COMMAND_ID)
    assert await stored.aged.remove_key(key.value, key.etag)
    world.plan.faults[4] = "crash_before"  # the key is its own by then, and not at its end
    await world.run()
    assert world.deaths == 1
    await check(world, is_cancelled=True)


def requests_of_a_cancellation(*, waits: bool) -> int:
    async def count() -> int:
        world, plan = World(Work(("fail", "success"))), Plan()
        await world.send()
        if waits:
            await one_delivery(world)
        assert await cancel(world, stores=faulty_stores(world.stored, plan)) == "cancelled"
        return len(plan.log)

    return asyncio.run(count())


FAULTS = [
    (w, n, kind) for w in (False, True) for n in range(1, requests_of_a_cancellation(waits=w) + 1) for kind in KINDS
]


async def cut_off(waits: bool, place: int, kind: Kind) -> World:
    """After a cancellation that failed at one of its requests."""
    world = World(Work(("fail", "success")))
    await world.send()
    if waits:
        await one_delivery(world)
    with suppress(ProcessDied, StoreUnreachableError):
        await cancel(world, stores=faulty_stores(world.stored, Plan({place: kind})))
    return world


@pytest.mark.parametrize(("waits", "place", "kind"), FAULTS)
async def test_a_cancellation_that_fails_at_any_request_leaves_what_the_same_again_ends(
    waits: bool, place: int, kind: Kind
) -> None:
    world = await cut_off(waits, place, kind)
    world.clock.advance(31)
    assert await cancel(world) in {"cancelled", "already_cancelled"}
    await world.run()
    await check(world, is_cancelled=True)


@pytest.mark.parametrize(("waits", "place", "kind"), FAULTS)
async def test_a_cancellation_that_fails_at_any_request_keeps_no_delivery_from_its_end(
    waits: bool, place: int, kind: Kind
) -> None:
    """Nobody asks again: the command ends all the same, one way or the other."""
    world = await cut_off(waits, place, kind)
    await world.run()
    key, run = await world.key(), await world.run_row()
    assert key.status in {KeyStatus.COMPLETED, KeyStatus.REJECTED}
    assert run.is_final
    assert (run.failure_code == CANCELLED) == (key.status == KeyStatus.REJECTED)


# ------------------------------------------------------------------------------------------------- one word, and names


async def test_the_first_word_stands() -> None:
    world = World(Work(("success",)))
    await world.send()
    assert await cancel(world) == "cancelled"
    assert await cancel(world) == "already_cancelled"
    assert await cancel(world, reason="another reason") == "command_already_cancelled"
    assert await cancel(world, by="eve") == "command_already_cancelled"
    await world.run()
    await check(world, is_cancelled=True)


async def test_of_two_at_once_one_word_stands_and_both_are_told() -> None:
    for _ in range(5):
        world = World(Work(("success",)))
        await world.send()
        outcomes = await asyncio.gather(cancel(world), cancel(world, by="eve", reason="another"))
        assert sorted(outcomes) in (["cancelled", "command_already_cancelled"], ["already_cancelled"] * 2)


async def test_what_it_asked_for_is_void_and_its_reviews_are_closed() -> None:
    world = World(Work(("fail",)))
    await world.send()
    await one_delivery(world)
    run = await world.run_row()
    own = replace(
        records.APPROVAL,
        household_id=HOUSEHOLD,
        run_id=RUN_ID,
        command_id=COMMAND_ID,
        status=ApprovalStatus.PENDING,
        created_at=world.clock.now(),
        expires_at=world.clock.now() + timedelta(days=1),
        decided_at=None,
        decided_by=None,
        settled_at=None,
        turn_id=None,
    )
    others = replace(own, approval_id="7" * 32, run_id="8" * 32)
    resumed = replace(own, approval_id="9" * 32, turn_id="6" * 32)
    for approval in (own, others, resumed):
        await world.stored.approvals.insert(approval)
    await world.stored.signals.insert(signals.review(replace(run, failure_code="x", failure_rationale="y")))
    done = await cancelling(world).cancel(COMMAND_ID, by="rolf", reason="a mistake")
    assert done.closed_approvals == [own.approval_id]
    assert set(done.resolved_signals) == {ids.failure_signal_id(RUN_ID), ids.review_signal_id(RUN_ID)}
    stored = await world.stored.approvals.read(HOUSEHOLD, own.approval_id)
    assert stored is not None
    assert (stored.value.status, stored.value.decided_by) == (ApprovalStatus.EXPIRED, "operator/rolf")
    assert stored.value.settled_at is not None
    pending = await world.stored.approvals.of_household(HOUSEHOLD, ApprovalStatus.PENDING)
    assert {one.approval_id for one in pending} == {others.approval_id, resumed.approval_id}


# ------------------------------------------------------------------------------------------------------------- the API


@pytest.mark.parametrize(
    ("command_id", "reason", "token", "status", "code"),
    [
        ("f" * 32, "why", REPLAY, 404, "not_found"),
        ("nonsense", "why", REPLAY, 400, "validation_failed"),
        (COMMAND_ID, "", REPLAY, 400, "validation_failed"),
        (COMMAND_ID, "a\x1b[2Jb", REPLAY, 400, "validation_failed"),
        (COMMAND_ID, "x" * 501, REPLAY, 400, "validation_failed"),
        (COMMAND_ID, "why", "olga+Mosaic.Operator.Read", 403, "role_required"),
        (COMMAND_ID, "why", "ada+Mosaic.Operator.Admin", 403, "role_required"),
        (COMMAND_ID, "why", "alice", 403, "role_required"),
        (COMMAND_ID, "why", None, 401, "member_context_required"),
    ],
)
async def test_who_may_not_cancels_nothing(
    command_id: str, reason: str, token: str | None, status: int, code: str
) -> None:
    world = World(Work(("success",)))
    await world.send()
    api = ApiWorld(clock=world.clock)
    api.stores = world.stored
    answer = await api.post(f"/ops/commands/{command_id}/cancel", {"reason": reason}, token=token)
    assert (answer.status, answer.code) == (status, code)
    await world.run()
    await check(world, is_cancelled=False)


async def test_by_the_api_it_is_cancelled_once() -> None:
    world = World(Work(("success",)))
    await world.send()
    api = ApiWorld(clock=world.clock)
    api.stores = world.stored
    for outcome in ("cancelled", "already_cancelled"):
        answer = await api.post(f"/ops/commands/{COMMAND_ID}/cancel", {"reason": "a mistake"}, token=REPLAY)
        assert (answer.status, answer.json["outcome"], answer.json["cancelledBy"]) == (200, outcome, "rolf")
    await world.run()
    await check(world, is_cancelled=True)


async def test_what_cannot_be_read_is_said_and_left(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(Work(("success",)))
    await world.send()
    service = replace(cancelling(world), queues={Lane.SWEEP: "another"})
    with pytest.raises(RequestError) as told:
        await service.cancel(COMMAND_ID, by="rolf", reason="a mistake")
    assert told.value.code == "stored_row_invalid"
    await world.run()
    await check(world, is_cancelled=False)
