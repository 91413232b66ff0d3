"""What no delivery will end is ended by the reconciler; what anybody may still end is left."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, cast

import pytest

from mosaic_core.domain import ids, signals
from mosaic_core.domain.envelope import decode
from mosaic_core.domain.errors import QueueUnavailableError, StoredRowError, StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import AttemptOutcome, KeyStatus
from mosaic_core.domain.records import OutboxEntry
from mosaic_core.lanes.context import LaneContext, LaneResult
from mosaic_core.ports import OutgoingMessage, Stores
from mosaic_core.services import reconciler as module
from mosaic_core.services.followed import STALLED_AFTER, follow
from mosaic_core.services.reconciler import Reconciler, ReconcileReport
from mosaic_ops.memory.messaging import EXPIRED, MAX_DELIVERIES_EXCEEDED, DeadLettered
from tests.support.faults import Plan, ProcessDied, faulty_stores
from tests.support.world import COMMAND_ID, QUEUE, RUN_ID, Work, World, body

DAY = 86_400.0
STUCK = timedelta(days=14, hours=1)


async def dies(context: LaneContext) -> LaneResult:
    raise ProcessDied("the lane")


def reconciler(world: World, stores: Stores | None = None, **changes: Any) -> Reconciler:
    parts: dict[str, Any] = {
        "stores": stores or world.stores,
        "browser": world.broker,
        "publisher": world.publisher,
        "clock": world.clock,
        "queues": {Lane.CONVERSATION: QUEUE},
        "policy_version": "test",
        "jitter": lambda: 1.0,
        **changes,
    }
    return Reconciler(**parts)


async def sent(world: World, **changes: Any) -> None:
    """As the API does: listed before it is recorded, then sent."""
    await follow(world.stored.followed, QUEUE, COMMAND_ID, world.clock.now())
    await world.send(**changes)


async def followed(world: World) -> int:
    return len([shard async for shard in world.stored.followed.shards()])


async def tick_until_nobody_is_followed(world: World, *, within: timedelta) -> None:
    """Ticks every five minutes. Fails where the list is not empty in time."""
    end = world.clock.now() + within
    while await followed(world):
        assert world.clock.now() <= end, "still followed"
        world.clock.advance(300)
        await reconciler(world).tick()


async def killed_at_every_delivery(handler: Any = dies, *, deliveries: int = 2) -> World:
    """A command whose every delivery killed its process, until the broker gave it up."""
    world = World(handler, max_deliveries=deliveries)
    await sent(world)
    for _ in range(deliveries):
        message = world._next()
        assert message is not None
        await world.deliver(message)
    assert world._next() is None
    [letter] = world.broker.dead_letters(QUEUE)
    assert letter.reason == MAX_DELIVERIES_EXCEEDED
    return world


# ----------------------------------------------------------------------------------------------- dead-lettered messages


async def test_a_message_that_the_broker_gave_up_ends_its_command() -> None:
    world = await killed_at_every_delivery()
    key = await world.key()
    assert key.status == KeyStatus.RESERVED
    world.clock.advance(751)
    assert await reconciler(world).tick() == ReconcileReport(rejected=1)
    await world.check_end()
    run, failure = await world.run_row(), await world.failure()
    assert (run.failure_code, failure.attempt) == ("deliveries_exhausted", run.attempt)
    assert "dead_lettered" in world.publisher.kinds()
    before = await world.key(), run
    world.clock.advance(301)
    assert await reconciler(world).tick() == ReconcileReport(ended=1)
    assert (await world.key(), await world.run_row()) == before
    assert await followed(world) == 0


@pytest.mark.parametrize("seconds", [1, 29, 100, 749])
async def test_a_key_that_is_too_young_is_left_and_the_cursor_waits_for_it(seconds: float) -> None:
    world = await killed_at_every_delivery()
    written = world.clock.now() - timedelta(seconds=60)  # the last delivery's lock ran out since
    world.clock.advance(max(0.0, seconds - 60))
    before = await world.key()
    assert await reconciler(world).tick() == ReconcileReport()
    assert await world.key() == before
    cursor = await world.stored.cursors.read(f"dead-letters {QUEUE}")
    assert cursor is None or cursor.value == "0"
    world.clock.advance(751 - (world.clock.now() - written).total_seconds())
    assert (await reconciler(world).tick()).rejected == 1


async def test_a_message_that_expired_before_any_delivery_is_reserved_and_rejected() -> None:
    world = World(Work(["success"]))
    await sent(world)
    world.clock.advance(14 * DAY + 1)
    [letter] = world.broker.dead_letters(QUEUE)
    assert letter.reason == EXPIRED
    assert await world.key() is None
    report = await reconciler(world).tick()
    assert report.rejected == 1
    await world.check_end()
    assert (await world.run_row()).failure_code == "message_expired"
    await tick_until_nobody_is_followed(world, within=timedelta(hours=2))


async def test_an_orphan_run_without_a_key_is_closed_with_it() -> None:
    """The process died between the two inserts of its first step, in every delivery."""
    orphan = await (await killed_at_every_delivery()).run_row()
    world = World(Work(["success"]))
    await sent(world)
    assert await world.stored.runs.insert(replace(orphan, attempt=1)) is not None
    world.clock.advance(14 * DAY + 1)
    assert await world.key() is None
    assert (await reconciler(world).tick()).rejected == 1
    assert (await world.run_row()).created_at == orphan.created_at
    await world.check_end()


async def test_a_command_that_storage_s_absence_ended_untold_is_rejected() -> None:
    world = await killed_at_every_delivery()
    letter = world.broker._queues[QUEUE].dead[0]
    world.broker._queues[QUEUE].dead[0] = replace(letter, reason="store_unreachable")
    world.clock.advance(751)
    assert (await reconciler(world).tick()).rejected == 1
    assert (await world.run_row()).failure_code == "store_unreachable"


async def test_another_copy_in_the_queue_decides_and_not_its_dead_letter() -> None:
    """Active, locked and scheduled alike, under its own message id or another."""
    for place in ("active", "locked", "scheduled", "another id"):
        world = await killed_at_every_delivery()
        message_id = "of-a-producer" if place == "another id" else COMMAND_ID
        spelt = json.loads(body())
        spelt["commandId"] = f"{{{COMMAND_ID[:8]}-{COMMAND_ID[8:12]}-2222-3333-4444-{COMMAND_ID[-12:]}}}".upper()
        raw = body() if place != "another id" else json.dumps({**spelt, "commandId": COMMAND_ID.upper()}).encode()
        copy = OutgoingMessage(queue=QUEUE, body=raw, message_id=message_id)
        world.clock.advance(751)
        due = world.clock.now() + timedelta(seconds=30) if place == "scheduled" else None
        await world.broker.send(copy, due=due)
        if place == "locked":
            assert world.broker.receive(QUEUE) is not None
        before = await world.key()
        assert await reconciler(world).tick() == ReconcileReport(), place
        assert await world.key() == before


async def test_a_run_that_is_final_already_is_rolled_forward_and_the_key_agrees() -> None:
    """The process died between the run's end and the key's, in every delivery."""
    handler = Work(["success"])
    undisturbed = World(handler)
    await undisturbed.send()
    await undisturbed.run()
    commit = max(n for n, what in enumerate(undisturbed.plan.log, 1) if what == "keys.update")
    world = World(Work(["success"]), plan=Plan({commit: "crash_before"}), max_deliveries=1)
    await sent(world)
    await world.run(most=2)
    assert (await world.run_row()).is_final
    world.clock.advance(751)
    assert await reconciler(world).tick() == ReconcileReport(rolled_forward=1)
    key = await world.key()
    assert (key.status, (await world.run_row()).attempt_outcome) == (KeyStatus.COMPLETED, AttemptOutcome.SUCCEEDED)
    failure = await world.failure()
    assert failure is None or failure.is_resolved


async def test_a_dead_letter_of_another_request_touches_nothing() -> None:
    world = World(Work(["success"]), max_deliveries=1)
    await sent(world)
    forged = OutgoingMessage(queue=QUEUE, body=body(message="send it all to me"), message_id=COMMAND_ID)
    world.broker._queues[QUEUE].dead.append(dead_letter(forged, sequence_number=99, reason=MAX_DELIVERIES_EXCEEDED))
    world.broker.remove(QUEUE, COMMAND_ID)
    world.clock.advance(3600)
    assert await reconciler(world).tick() == ReconcileReport()
    assert await world.key() is None
    assert await world.run_row() is None


def dead_letter(message: OutgoingMessage, *, sequence_number: int, reason: str) -> Any:
    return DeadLettered(message, sequence_number, reason, "")


async def test_what_the_outbox_still_announces_is_to_come() -> None:
    world = World(Work(["success"]), max_deliveries=1)
    await sent(world)
    forged = OutgoingMessage(queue=QUEUE, body=body(), message_id="somebody-else-s")
    world.broker._queues[QUEUE].dead.append(dead_letter(forged, sequence_number=99, reason=EXPIRED))
    world.broker.remove(QUEUE, COMMAND_ID)
    now = world.clock.now()
    entry = OutboxEntry(entry_id="e", command_id=COMMAND_ID, queue=QUEUE, announced_at=now, due_at=now)
    etag = await world.stored.outbox.insert(entry)
    assert etag is not None
    world.clock.advance(3600)
    assert await reconciler(world).tick() == ReconcileReport()
    assert await world.key() is None
    await world.stored.outbox.remove(entry, etag)
    assert (await reconciler(world).tick()).rejected == 1


async def test_what_nobody_recorded_is_nobody_s() -> None:
    world = World(Work(["success"]))
    world.broker._queue(QUEUE).dead.append(
        dead_letter(OutgoingMessage(queue=QUEUE, body=body(), message_id="x"), sequence_number=7, reason=EXPIRED)
    )
    world.broker._queue(QUEUE).dead.append(
        dead_letter(OutgoingMessage(queue=QUEUE, body=b"\xff", message_id="y"), sequence_number=8, reason=EXPIRED)
    )
    assert await reconciler(world).tick() == ReconcileReport()
    assert await world.key() is None


async def test_our_own_dead_letters_cost_no_request() -> None:
    world = World(Work(["fail"]))
    await world.send()
    await world.run()
    [letter] = world.broker.dead_letters(QUEUE)
    assert letter.reason == "processing_failed"
    plan = Plan()
    await reconciler(world, faulty_stores(world.stored, plan)).tick()
    assert [what for what in plan.log if not what.startswith("cursors")] == []


# -------------------------------------------------------------------------------------------------- the stored cursor


async def many_letters(world: World, count: int, *, reason: str = "processing_failed") -> None:
    for n in range(count):
        message = OutgoingMessage(queue=QUEUE, body=b"{}", message_id=f"m{n}")
        world.broker._queue(QUEUE).dead.append(dead_letter(message, sequence_number=1000 + n, reason=reason))


async def test_each_tick_looks_at_a_bounded_part_and_the_next_goes_on() -> None:
    world = await killed_at_every_delivery()
    letter = world.broker._queues[QUEUE].dead.pop()
    await many_letters(world, 2000)
    world.broker._queues[QUEUE].dead.append(replace(letter, sequence_number=5000))
    world.clock.advance(751)
    looked_at: list[tuple[int, int]] = []
    browse = world.broker.browse

    class Counting:
        async def browse(self, queue: str, *, dead: bool = False, after: int = 0, limit: int = 100) -> Any:
            page = await browse(queue, dead=dead, after=after, limit=limit)
            looked_at[-1] = (looked_at[-1][0] + 1, looked_at[-1][1] + len(page))
            return page

    rejected = 0
    for _ in range(6):
        looked_at.append((0, 0))
        rejected += (await reconciler(world, browser=Counting()).tick()).rejected
    assert rejected == 1
    assert all(messages <= module.OLDEST + module.BEYOND for _, messages in looked_at)
    assert all(requests <= 12 for requests, _ in looked_at)


async def test_the_cursor_begins_again_at_the_end_and_finds_what_came_to_lie_before_it() -> None:
    world = World(dies, max_deliveries=1)
    await many_letters(world, 700)
    for _ in range(2):
        await reconciler(world).tick()
    await sent(world)
    message = world._next()
    assert message is not None
    await world.deliver(message)
    world.clock.advance(61)
    world.broker._queue(QUEUE)
    dead = world.broker._queues[QUEUE].dead
    dead[-1] = replace(dead[-1], sequence_number=1500)  # between those that were looked at
    world.clock.advance(751)
    reports = [await reconciler(world).tick() for _ in range(3)]
    assert sum(report.rejected for report in reports) == 1


async def test_a_cursor_that_is_none_is_the_beginning() -> None:
    world = await killed_at_every_delivery()
    await world.stored.cursors.save(f"dead-letters {QUEUE}", "nonsense", None)
    world.clock.advance(751)
    assert (await reconciler(world).tick()).rejected == 1


async def test_a_queue_that_is_too_long_to_be_looked_through_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOKED_THROUGH", 20)
    world = await killed_at_every_delivery()
    for n in range(300):
        await world.broker.send(OutgoingMessage(queue=QUEUE, body=b"{}", message_id=f"m{n}"))
    world.clock.advance(751)
    assert await reconciler(world).tick() == ReconcileReport()
    cursor = await world.stored.cursors.read(f"dead-letters {QUEUE}")
    assert cursor is None or cursor.value == "0"


# --------------------------------------------------------------------------------------------------- messages that went


async def test_a_run_that_waits_for_a_copy_which_somebody_removed_ends_when_no_message_can_be_left() -> None:
    world = World(Work(["fail"]))
    await sent(world)
    message = world._next()
    assert message is not None
    await world.deliver(message)
    assert not (await world.run_row()).is_final
    assert world.broker.remove(QUEUE, COMMAND_ID) == 1
    await tick_until_nobody_is_followed(world, within=STUCK + timedelta(hours=2))
    key, run, failure = await world.key(), await world.run_row(), await world.failure()
    assert (key.status, run.is_final, run.failure_code) == (KeyStatus.REJECTED, True, "message_lost")
    assert not failure.is_resolved
    assert world.clock.now() - message.enqueued_at >= STUCK


async def test_a_command_whose_message_was_removed_before_any_delivery_ends_as_well() -> None:
    world = World(Work(["success"]))
    await sent(world)
    assert world.broker.remove(QUEUE, COMMAND_ID) == 1
    await tick_until_nobody_is_followed(world, within=STUCK + timedelta(hours=2))
    run = await world.run_row()
    assert (run.is_final, run.failure_code) == (True, "message_lost")
    assert (await world.key()).status == KeyStatus.REJECTED


async def test_a_command_that_waits_in_its_queue_is_never_ended_for_its_age_alone() -> None:
    world = World(Work(["success"]))
    world.broker._ttl = timedelta(days=60)
    await sent(world)
    for _ in range(20):
        world.clock.advance(DAY)
        assert await reconciler(world).tick() == ReconcileReport()
    await world.run()
    assert (await world.key()).status == KeyStatus.COMPLETED
    await tick_until_nobody_is_followed(world, within=timedelta(hours=2))


async def test_a_stalled_command_is_told_of_once_and_untold_when_it_ends() -> None:
    world = World(Work(["fail", "success"]))
    await sent(world)
    message = world._next()
    assert message is not None
    await world.deliver(message)
    world.clock.advance(STALLED_AFTER.total_seconds() + 1)
    key = await world.key()
    assert (await reconciler(world).tick()).stalled == 1
    assert await world.key() == key, "only told of"
    stored = await world.stored.signals.read(ids.stalled_signal_id(RUN_ID))
    assert stored is not None
    assert (stored.value.signal_code, stored.value.requires_human_review) == (signals.STALLED, False)
    world.clock.advance(301)
    assert await reconciler(world).tick() == ReconcileReport()
    await world.run()
    await tick_until_nobody_is_followed(world, within=timedelta(hours=2))
    stored = await world.stored.signals.read(ids.stalled_signal_id(RUN_ID))
    assert stored is not None
    assert stored.value.is_resolved


async def test_a_command_that_is_at_work_or_waits_briefly_has_not_stalled() -> None:
    world = World(Work(["fail"]))
    await sent(world)
    for _ in range(3):
        message = world._next()
        assert message is not None
        await world.deliver(message)
        world.clock.advance(600)
    assert (await reconciler(world).tick()).stalled == 0


async def test_a_command_that_was_listed_and_never_recorded_is_forgotten() -> None:
    world = World(Work(["success"]))
    await follow(world.stored.followed, QUEUE, COMMAND_ID, world.clock.now())
    await tick_until_nobody_is_followed(world, within=timedelta(hours=2))


async def test_a_key_that_was_deleted_after_its_run_s_end_is_not_made_again() -> None:
    world = World(Work(["success"]))
    await sent(world)
    await world.run()
    cast("Any", world.stored.keys).table.delete((QUEUE, COMMAND_ID))
    world.clock.advance(STUCK.total_seconds() + 1)
    await reconciler(world).tick()
    assert await world.key() is None


# ------------------------------------------------------------------------------------------------------ what goes wrong


@dataclass
class Unreadable:
    """A store of which no row can be read."""

    store: Any

    def __getattr__(self, name: str) -> Any:
        if name != "read":
            return getattr(self.store, name)

        async def read(*_: Any) -> Any:
            raise StoredRowError("a stored Run lacks Status")

        return read


def with_part(stores: Stores, **parts: Any) -> Stores:
    return Stores(**{f.name: parts.get(f.name, getattr(stores, f.name)) for f in fields(stores)})


async def test_a_run_that_cannot_be_read_is_no_reason_to_wait() -> None:
    world = await killed_at_every_delivery()
    world.clock.advance(751)
    stores = with_part(world.stored, runs=Unreadable(world.stored.runs))
    assert (await reconciler(world, stores).tick()).rejected == 1
    assert (await world.key()).status == KeyStatus.REJECTED
    failure = await world.failure()
    assert failure.summary.startswith("stored_row_invalid")
    assert not failure.is_resolved


async def test_a_key_that_cannot_be_read_stops_no_other_command() -> None:
    world = await killed_at_every_delivery()
    world.clock.advance(1000)
    stores = with_part(world.stored, keys=Unreadable(world.stored.keys))
    assert (await reconciler(world, stores).tick()) == ReconcileReport(failed=1)
    assert (await reconciler(world).tick()).rejected == 1
    await tick_until_nobody_is_followed(world, within=timedelta(days=1, hours=1))


async def test_an_outage_leaves_everything_to_the_next_tick() -> None:
    world = await killed_at_every_delivery()
    world.clock.advance(751)

    class Away:
        async def browse(self, *_: Any, **__: Any) -> Any:
            raise QueueUnavailableError("no broker")

    assert (await reconciler(world, browser=Away()).tick()).failed == 1
    plan = Plan(dict.fromkeys(range(1, 200), "unsent"))
    with pytest.raises(StoreUnreachableError):
        await reconciler(world, with_part(faulty_stores(world.stored, plan), followed=AwayList())).tick()
    assert (await reconciler(world).tick()).rejected == 1
    await world.check_end()


class AwayList:
    def shards(self) -> Any:
        raise StoreUnreachableError("no tables")


@pytest.mark.parametrize("kind", ["crash_before", "crash_after", "lost", "unsent"])
async def test_a_tick_that_fails_at_any_request_leaves_what_the_next_one_ends(kind: Any) -> None:
    world = await killed_at_every_delivery()
    world.clock.advance(751)
    plan = Plan()
    await reconciler(world, faulty_stores(world.stored, plan)).tick()
    for operation in range(1, len(plan.log) + 1):
        world = await killed_at_every_delivery()
        world.clock.advance(751)
        with suppress(ProcessDied, StoreUnreachableError, BaseExceptionGroup):
            await reconciler(world, faulty_stores(world.stored, Plan({operation: kind}))).tick()
        await world.check_while_it_lasts()
        for _ in range(3):
            world.clock.advance(800)
            await reconciler(world).tick()
        await world.check_end()
        assert (await world.key()).status == KeyStatus.REJECTED


async def test_two_ticks_at_once_end_a_command_once() -> None:
    world = await killed_at_every_delivery()
    world.clock.advance(751)
    reports = await asyncio.gather(reconciler(world).tick(), reconciler(world).tick())
    assert sum(report.rejected for report in reports) == 1
    await world.check_end()


async def test_a_delivery_that_wakes_up_beside_it_leaves_one_end() -> None:
    """The key is taken over between the reconciler's look and its write: it leaves the command."""
    world = await killed_at_every_delivery()
    world.clock.advance(751)
    plan = Plan({})
    quiet = Plan()
    await reconciler(world, faulty_stores(world.stored, quiet)).tick()
    takes = quiet.log.index("keys.update") + 1
    world = await killed_at_every_delivery()
    world.clock.advance(751)
    plan.faults[takes] = "pause"
    tick = asyncio.create_task(reconciler(world, faulty_stores(world.stored, plan)).tick())
    await plan.paused.wait()
    world.handler = Work(["success"])
    await world.broker.send(OutgoingMessage(queue=QUEUE, body=body(), message_id=COMMAND_ID))
    await world.run()
    plan.gate.set()
    report = await tick
    assert report.rejected == 0
    key, run = await world.key(), await world.run_row()
    assert (key.status, run.attempt_outcome) == (KeyStatus.COMPLETED, AttemptOutcome.SUCCEEDED)


async def test_a_delivery_that_took_the_key_meanwhile_is_not_disturbed() -> None:
    """The reconciler stood still before it took the key over; the delivery of a copy is at work when it goes on."""
    quiet = Plan()
    world = await killed_at_every_delivery()
    world.clock.advance(751)
    await reconciler(world, faulty_stores(world.stored, quiet)).tick()
    plan = Plan({quiet.log.index("keys.update") + 1: "pause"})
    world = await killed_at_every_delivery()
    world.clock.advance(751)
    tick = asyncio.create_task(reconciler(world, faulty_stores(world.stored, plan)).tick())
    await plan.paused.wait()
    at_work, go_on = asyncio.Event(), asyncio.Event()

    async def slow(context: LaneContext) -> LaneResult:
        at_work.set()
        await go_on.wait()
        return await Work(["success"])(context)

    world.handler = slow
    await world.broker.send(OutgoingMessage(queue=QUEUE, body=body(), message_id=COMMAND_ID))
    message = world._next()
    assert message is not None
    delivery = asyncio.create_task(world.deliver(message))
    await at_work.wait()
    before = await world.key(), await world.run_row()
    plan.gate.set()
    assert await tick == ReconcileReport()
    assert (await world.key(), await world.run_row()) == before
    go_on.set()
    await delivery
    key, run = await world.key(), await world.run_row()
    assert (key.status, run.attempt_outcome) == (KeyStatus.COMPLETED, AttemptOutcome.SUCCEEDED)


async def test_a_rejected_command_s_review_waits_for_nobody() -> None:
    world = World(Work(["fail"]))
    await sent(world)
    await world.run()
    run = await world.run_row()
    review = signals.review(replace(run, failure_code="approval_required", failure_rationale="an approval waits"))
    await world.stored.signals.insert(review)
    await tick_until_nobody_is_followed(world, within=timedelta(hours=1))
    stored = await world.stored.signals.read(review.signal_id)
    assert stored is not None
    assert stored.value.is_resolved
    assert not (await world.failure()).is_resolved, "that one is for a person"


async def test_a_successful_command_s_review_stays() -> None:
    world = World(Work(["review"]))
    await sent(world)
    await world.run()
    await tick_until_nobody_is_followed(world, within=timedelta(hours=1))
    stored = await world.stored.signals.read(ids.review_signal_id(RUN_ID))
    assert stored is not None
    assert not stored.value.is_resolved


def test_the_message_of_the_tests_is_the_world_s() -> None:
    assert decode(body(), Lane.CONVERSATION).command_id == COMMAND_ID
