"""An outage of storage is not an attempt, however it is shaped; its day counts from its beginning (contract, 5)."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core.domain import ids, reservation
from mosaic_core.domain.errors import BusyError, StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import AttemptOutcome, KeyStatus, RunStatus
from mosaic_core.domain.settlement import AWAY_SINCE, STORAGE_ENDED, DeadLetter, Reschedule
from mosaic_core.lanes.context import LaneContext, LaneHandler, LaneResult, succeeded
from mosaic_core.ports import Stores
from mosaic_core.services.limits import DeliveryLimits
from tests.support.examples import examples
from tests.support.faults import Plan, awaited
from tests.support.world import HOUSEHOLD, QUEUE, Work, World

DAY = 24 * 3600.0


class Outage:
    """Stores of which some do not answer for a while. ``away`` says, for a store's and an operation's name, whether
    this request is lost: ``""`` it is not, ``"unsent"`` it never arrives, ``"lost"`` its answer does not."""

    def __init__(self, world: World, away: Callable[[str, str], str]) -> None:
        self._away = away
        world.stores = Stores(**cast("Any", {f.name: self._store(world.stores, f.name) for f in fields(Stores)}))

    def _store(self, stores: Stores, name: str) -> object:
        real, outage = getattr(stores, name), self

        class Store:
            def __getattr__(self, operation: str) -> Any:
                target = getattr(real, operation)
                if not awaited(target):
                    return target

                async def call(*args: Any, **kwargs: Any) -> Any:
                    fate = outage._away(name, operation)
                    if fate == "unsent":
                        raise StoreUnreachableError(f"{name}.{operation}: 503")
                    answer = await target(*args, **kwargs)
                    if fate == "lost":
                        raise StoreUnreachableError(f"{name}.{operation}: answer lost")
                    return answer

                return call

        return Store()


def away_for(world: World, seconds: float, *names: str) -> None:
    """Those stores (all where none is named) are away from now on."""
    until = world.clock.now() + timedelta(seconds=seconds)
    Outage(world, lambda name, _: "unsent" if (not names or name in names) and world.clock.now() < until else "")


async def life(world: World, *, most: int = 3000) -> None:
    await world.send(recorded=True)
    await world.run(most=most)
    await world.check_end()


def touches(*names: str) -> LaneHandler:
    """A healthy lane that needs these stores."""

    async def lane(context: LaneContext) -> LaneResult:
        for name in names:
            match name:
                case "blobs":
                    await context.stores.blobs.get("x")
                case "ledger":
                    day = context.now().date()
                    await context.stores.ledger.between(HOUSEHOLD, day, day)
                case "approvals":
                    await context.stores.approvals.read(HOUSEHOLD, "x")
                case "conversations":
                    await context.stores.conversations.read(HOUSEHOLD, "x")
        return succeeded("done", "done")

    return lane


@pytest.mark.parametrize("seconds", [1, 100, 180, 3600, pytest.param(20 * 3600, marks=pytest.mark.slow)])
@pytest.mark.parametrize("away", ["keys", "runs", "stages", "signals", "ledger", "blobs", "approvals", "all"])
async def test_an_outage_of_one_table_or_of_all_is_no_attempt(away: str, seconds: float) -> None:
    world = World(touches("ledger", "blobs", "approvals"), max_deliveries=10)
    began = world.clock.now()
    away_for(world, seconds, *(() if away == "all" else (away,)))
    await life(world)
    key = await world.key()
    assert key.status == KeyStatus.COMPLETED
    assert reservation.counted(key) == 1
    took = (world.clock.now() - began).total_seconds()
    assert took <= seconds + 60 * 1.2 + 31, "it waits long after the outage has ended"
    requests = len(world.plan.log)
    assert requests <= 40 * (10 + seconds / 40), f"{requests} requests within {seconds} s: it hammers"


async def test_an_outage_inside_the_lane_excuses_the_attempt_and_releases_the_key() -> None:
    world = World(touches("ledger"))
    away_for(world, 30, "ledger")
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    settlement = await world.deliver(message)
    assert isinstance(settlement, Reschedule)
    assert (settlement.why, dict(settlement.marks)) == ("store_unreachable", {AWAY_SINCE: "2026-01-01T00:00:00Z"})
    key, run = await world.key(), await world.run_row()
    assert (key.status, key.lease_seconds, key.attempt, key.excused) == (KeyStatus.RESERVED, 0, 1, 1)
    assert (run.status, run.attempt_outcome) == (RunStatus.RUNNING, None)
    await world.run()
    await world.check_end()


@pytest.mark.parametrize("requests", [2, 30])
@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("p", [0.05, 0.2, 0.4])
def test_a_brownout_rejects_nobody(p: float, copies: int, requests: int) -> None:
    """Each request goes unanswered with a probability, for an hour; every other of those has landed."""

    async def one(seed: int) -> None:
        chance = random.Random(seed)

        async def lane(context: LaneContext) -> LaneResult:
            for _ in range(requests):
                await context.stores.households.sweep_progress()
            return succeeded("done", "done")

        world = World(lane, max_deliveries=10)
        until = world.clock.now() + timedelta(hours=1)
        Outage(
            world,
            lambda *_: chance.choice(("unsent", "lost")) if world.clock.now() < until and chance.random() < p else "",
        )
        for _ in range(copies):
            await world.send(recorded=True)
        await world.run(most=5000)
        await world.check_end()
        assert (await world.key()).status == KeyStatus.COMPLETED

    for seed in range(examples(3, slow=8)):
        asyncio.run(one(seed))


async def test_what_the_key_cannot_be_told_the_copy_tells() -> None:
    """The keys' table goes away within the attempt: its owner cannot release it."""
    away = False

    async def lane(context: LaneContext) -> LaneResult:
        nonlocal away
        if context.attempt == 1:
            away = True
            raise StoreUnreachableError("ledger: 503")
        return succeeded("done", "done")

    world = World(lane)
    Outage(world, lambda name, _: "unsent" if away and name == "keys" else "")
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    settlement = await world.deliver(message)
    assert isinstance(settlement, Reschedule)
    [token] = str(settlement.marks[STORAGE_ENDED]).split()
    away = False
    assert (await world.key()).owner_token == token
    await world.run()
    await world.check_end()
    key = await world.key()
    assert (key.attempt, key.excused, key.solo) == (2, 1, reservation.IN_COMPANY)


async def test_a_takeover_without_an_answer_excuses_nobody_else() -> None:
    """The first owner died in company; whoever comes next cannot reach the key: the suspicion stands."""
    world = World(touches())
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    world.plan.faults = {3: "crash_before"}
    assert await world.deliver(message) is None
    world.plan.faults = {}
    updates = 0

    def away(name: str, operation: str) -> str:
        nonlocal updates
        if (name, operation) == ("keys", "update"):
            updates += 1
        return "unsent" if name == "keys" and 1 <= updates < 2 else ""

    Outage(world, away)
    while updates == 0:
        message = world._next()
        assert message is not None
        await world.deliver(message)
        if updates:
            break
    key = await world.key()
    assert (key.attempt, key.excused) == (1, 0)
    updates = 2
    await world.run()
    await world.check_end()
    key = await world.key()
    assert (key.attempt, key.excused, reservation.counted(key)) == (2, 1, 1)


@pytest.mark.parametrize("lost", [1, 2])
async def test_an_attempt_is_excused_once_whatever_answer_is_lost(lost: int) -> None:
    left = lost
    world = World(touches("ledger"))

    def away(name: str, operation: str) -> str:
        nonlocal left
        if name == "ledger" and left:
            return "unsent"
        if (name, operation) == ("keys", "update") and left:
            left -= 1
            return "lost"
        return ""

    Outage(world, away)
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    await world.deliver(message)
    key = await world.key()
    assert (key.attempt, key.excused, key.lease_seconds) == (1, 1, 0)
    await world.run()
    await world.check_end()
    key = await world.key()
    assert reservation.counted(key) == 1
    assert key.excused == 1


async def test_a_lease_that_storage_did_not_renew_is_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(touches())
    renewals = asyncio.Event()
    seconds = itertools.count(0, 20)
    monkeypatch.setattr("mosaic_core.services.lease.time", SimpleNamespace(monotonic=lambda: next(seconds)))

    async def slow(context: LaneContext) -> LaneResult:
        if context.attempt == 1:
            await asyncio.sleep(3600)
        return succeeded("done", "done")

    def away(name: str, operation: str) -> str:
        if (name, operation) == ("keys", "update") and not renewals.is_set():
            return "unsent"
        return ""

    Outage(world, away)
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    service = replace(world.service(slow), limits=DeliveryLimits(lease_renew=0.001))
    settlement = await service.deliver(Lane.CONVERSATION, message)
    assert isinstance(settlement, Reschedule)
    assert settlement.why == "store_unreachable"
    renewals.set()
    world.handler = slow
    await world.run()
    await world.check_end()
    assert reservation.counted(await world.key()) == 1


# ------------------------------------------------------------------------------------------------------------ the day


async def test_the_longer_the_outage_the_longer_the_wait() -> None:
    world = World(touches())
    world.clock.advance(7 * DAY)
    await world.send(recorded=True)
    world.clock.advance(3 * DAY)  # a backlog: it says nothing of the outage
    away_for(world, 30 * DAY)
    waits = []
    for _ in range(20):
        message = world._next()
        assert message is not None
        settlement = await world.deliver(message)
        assert isinstance(settlement, Reschedule)
        waits.append((settlement.due - world.clock.now()).total_seconds())
    assert waits[0] == 1
    assert waits == sorted(waits)
    assert waits[-1] == 60


@pytest.mark.parametrize("faults", [{1: "unsent", 2: "unsent", 3: "unsent"}, {4: "unsent", 5: "unsent", 6: "unsent"}])
async def test_a_backlog_is_not_given_up_by_the_first_hiccup(faults: dict[int, Any]) -> None:
    """The lane was paused over the weekend: an outage of today is a day old tomorrow."""
    work = Work(("success",))
    world = World(work, max_deliveries=10)
    await world.send(recorded=True)
    world.clock.advance(60 * 3600)
    world.plan.faults = faults
    await world.run()
    await world.check_end()
    assert (await world.key()).status == KeyStatus.COMPLETED


async def test_a_day_after_the_outage_began_the_message_is_dead_lettered() -> None:
    world = World(touches(), max_deliveries=10)
    await world.send(recorded=True)
    world.clock.advance(3 * DAY)
    began = world.clock.now()
    away_for(world, 30 * DAY)
    await world.run(most=3000)
    [dead] = world.broker.dead_letters(QUEUE)
    assert dead.reason == "store_unreachable"
    assert timedelta(days=1) <= world.clock.now() - began <= timedelta(days=1, minutes=2)


async def test_after_an_outage_that_ended_the_next_one_has_its_own_day() -> None:
    """23 hours, an hour of health in which the lane failed, and two hours more: no day of outage."""
    world = World(Work(("fail", "success")), max_deliveries=10)
    began = world.clock.now()

    def away(*_: str) -> str:
        hours = (world.clock.now() - began).total_seconds() / 3600
        return "unsent" if hours < 23 or 23.5 < hours < 25 else ""

    Outage(world, away)
    await world.send(recorded=True)
    await world.run(most=4000)
    await world.check_end()
    assert (await world.key()).status == KeyStatus.COMPLETED


@pytest.mark.parametrize("away", ["ledger", "stages"])
async def test_what_is_given_up_has_an_end_as_far_as_storage_answers(away: str) -> None:
    world = World(touches("ledger"), max_deliveries=10)
    away_for(world, 30 * DAY, away)
    await world.send(recorded=True)
    await world.run(most=4000)
    [dead] = world.broker.dead_letters(QUEUE)
    assert dead.reason == "store_unreachable"
    key, run, failure = await world.key(), await world.run_row(), await world.failure()
    assert (key.status, run.is_final, run.attempt_outcome) == (KeyStatus.REJECTED, True, AttemptOutcome.FAILED)
    assert run.failure_code == "store_unreachable"
    assert not failure.is_resolved


# ----------------------------------------------------------------------------------------------- only the lane's own


@settings(max_examples=examples(50, slow=150), deadline=None)
@given(
    ends=st.lists(st.sampled_from(("away", "busy", "fail", "success")), min_size=1, max_size=14),
    copies=st.integers(1, 2),
)
def test_only_the_lane_s_own_failures_count(ends: list[str], copies: int) -> None:
    async def one() -> None:
        begun: list[str] = []

        async def lane(context: LaneContext) -> LaneResult:
            end = ends[min(len(begun), len(ends) - 1)]
            if len(begun) >= 40 and end in {"away", "busy"}:
                end = "success"
            begun.append(end)
            match end:
                case "away":
                    raise StoreUnreachableError("blobs: 503")
                case "busy":
                    raise BusyError("another message of the conversation", wait=2)
                case "fail":
                    return LaneResult(outcome=AttemptOutcome.FAILED, code="broken", rationale="told to fail")
            return succeeded("done", "done")

        world = World(lane, max_deliveries=10)
        for _ in range(copies):
            await world.send(recorded=True)
        await world.run(most=500)
        await world.check_end()
        key = await world.key()
        assert begun.count("fail") <= 5
        assert (key.status == KeyStatus.REJECTED) == (begun.count("fail") == 5)
        assert reservation.counted(key) == begun.count("fail") + begun.count("success")

    asyncio.run(one())


async def test_a_busy_conversation_is_no_attempt_and_no_failure() -> None:
    async def lane(context: LaneContext) -> LaneResult:
        if context.attempt < 9:
            raise BusyError("another message of the conversation", wait=2)
        return succeeded("done", "done")

    world = World(lane, max_deliveries=10)
    began = world.clock.now()
    await life(world)
    assert (await world.failure()).is_resolved
    assert world.clock.now() - began == timedelta(seconds=16)


# ------------------------------------------------------------------------------------------------------------- poison


@pytest.mark.parametrize("lost", [1, 2])
async def test_poison_keeps_its_signal_through_unanswered_requests(lost: int) -> None:
    world = World(touches(), plan=Plan(faults=dict.fromkeys(range(1, lost + 1), "unsent")))
    await world.send(b"{nope", message_id="m-1")
    message = world.broker.receive(QUEUE)
    assert message is not None
    settlement = await world.deliver(message)
    assert isinstance(settlement, DeadLetter)
    assert [s.signal_code for s in await _signals(world)] == ["command_rejected"]


async def test_poison_waits_for_its_signal_in_an_outage() -> None:
    world = World(touches(), max_deliveries=10)
    away_for(world, 3600)
    await world.send(b"{nope", message_id="m-1")
    await world.run(most=500)
    assert [d.reason for d in world.broker.dead_letters(QUEUE)] == ["invalid_json"]
    assert [s.signal_code for s in await _signals(world)] == ["command_rejected"]


async def test_poison_of_a_backlog_waits_for_its_signal_like_any_other() -> None:
    """The day is the outage's, not the message's: two days in the queue, then one minute without the signals."""
    world = World(touches(), max_deliveries=10)
    await world.send(b"{nope", message_id="m-1")
    world.clock.advance(2 * DAY)
    away_for(world, 60)
    await world.run(most=500)
    assert [d.reason for d in world.broker.dead_letters(QUEUE)] == ["invalid_json"]
    assert [s.signal_code for s in await _signals(world)] == ["command_rejected"]


async def test_poison_is_a_dead_letter_at_last_whatever_storage_does() -> None:
    world = World(touches(), max_deliveries=10)
    away_for(world, 30 * DAY)
    await world.send(b"{nope", message_id="m-1")
    await world.run(most=4000)
    assert [d.reason for d in world.broker.dead_letters(QUEUE)] == ["invalid_json"]


async def _signals(world: World) -> list[Any]:
    stored = await world.stored.signals.read(ids.rejected_message_signal_id(QUEUE, "m-1", "invalid_json"))
    return [stored.value] if stored else []
