"""Contract, section 5, row by row, on memory: what becomes of a message, its run, its key and its signal."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_trace_id

from mosaic_core import telemetry
from mosaic_core.domain import ids
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import KeyStatus, RunStatus, Severity, StageStatus
from mosaic_core.domain.settlement import Abandon, Complete, DeadLetter, Reschedule
from mosaic_core.lanes.context import LaneContext, LaneResult
from mosaic_core.ports import IncomingMessage, OutgoingMessage
from mosaic_core.services.limits import DeliveryLimits
from tests.support.faults import Plan
from tests.support.world import COMMAND_ID, HOUSEHOLD, QUEUE, RUN_ID, Work, World, body, record


def received(world: World) -> IncomingMessage:
    message = world.broker.receive(QUEUE)
    assert message is not None
    return message


async def test_success() -> None:
    world = World(Work(("success",)))
    await world.send(recorded=True)
    assert await world.deliver(received(world)) == Complete()
    key, run = await world.key(), await world.run_row()
    assert (key.status, key.finalized_at, key.resolution_code) == (KeyStatus.COMPLETED, world.clock.now(), "completed")
    assert (run.status, run.is_final, run.attempt) == (RunStatus.COMPLETED, True, 1)
    assert await world.failure() is None
    assert world.publisher.kinds() == ["started", "completed"]
    [stage] = await world.stores.stages.of_run(RUN_ID)
    assert (stage.status, stage.outcome_code, stage.order) == (StageStatus.SUCCEEDED, "worked", 1)


@pytest.mark.parametrize("recorded", [True, False])
async def test_the_api_s_trace_goes_on_and_any_other_producer_s_is_linked(
    monkeypatch: pytest.MonkeyPatch, recorded: bool
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "_tracer", provider.get_tracer)
    theirs = "0af7651916cd43dd8448eb211c80319c"
    world = World(Work(("fail", "success")))
    properties = {"traceparent": f"00-{theirs}-b7ad6b7169203331-01"} | ({"recorded": True} if recorded else {})
    await record(world.stored, QUEUE, Lane.CONVERSATION, body(), world.clock.now())
    await world.broker.send(OutgoingMessage(queue=QUEUE, body=body(), message_id=COMMAND_ID, properties=properties))
    await world.run()
    run = await world.run_row()
    assert (theirs in run.trace_parent) == recorded
    executed = [span for span in exporter.get_finished_spans() if span.name == "runtime.command.execute"]
    assert len(executed) == 2
    for span in executed:
        linked = {format_trace_id(link.context.trace_id) for link in span.links}
        assert span.context is not None
        assert (format_trace_id(span.context.trace_id) == theirs) == recorded
        assert (theirs in linked) != recorded
    assert all((theirs in event.trace_parent) == recorded for event in world.publisher.events)


async def test_a_plain_success_costs_six_requests() -> None:
    world = World(Work(("success",)))
    await world.send(recorded=True)
    await world.run()
    assert world.plan.log[0] == "commands.read"
    assert sorted(world.plan.log[1:3]) == ["keys.insert", "runs.insert"]
    assert world.plan.log[3:] == ["stages.insert_all", "runs.update", "keys.update", "settler.complete"]


async def test_a_duplicate_costs_four_requests_and_no_landing_write() -> None:
    world = World(Work(("success",)))
    await world.send(recorded=True)
    await world.run()
    before = (await world.key(), await world.run_row())
    world.plan.log.clear()
    await world.send(recorded=True)
    assert await world.deliver(received(world)) == Complete("duplicate")
    assert sorted(world.plan.log) == ["commands.read", "keys.insert", "keys.read", "runs.insert", "settler.complete"]
    assert (await world.key(), await world.run_row()) == before
    assert world.publisher.kinds()[-1] == "duplicate"


async def test_success_that_a_person_must_look_at() -> None:
    world = World(Work(("review",)))
    await world.send()
    await world.run()
    key, run = await world.key(), await world.run_row()
    assert (key.status, key.resolution_code) == (KeyStatus.COMPLETED, "needs_review")
    assert (run.status, run.is_final, run.failure_code) == (RunStatus.NEEDS_REVIEW, True, "look_at_it")
    stored = await world.stores.signals.read(ids.review_signal_id(RUN_ID))
    assert stored is not None
    assert (stored.value.severity, stored.value.requires_human_review) == (Severity.WARNING, True)


async def test_a_duplicate_in_progress_waits_for_the_lease() -> None:
    world = World(Work(("success",)))
    await world.send(recorded=True)
    await world.send(recorded=True)
    first, second = received(world), received(world)
    # the first dies right after it took the key
    world.plan.faults = {4: "crash_before"}
    assert await world.deliver(first) is None
    settlement = await world.deliver(second)
    assert isinstance(settlement, Reschedule)
    assert settlement.why == "in_progress"
    assert timedelta(0) < settlement.due - world.clock.now() <= timedelta(seconds=30)
    assert (await world.key()).attempt == 1
    await world.run()
    await world.check_end()


async def test_failed_attempts_wait_longer_each_time_and_recover() -> None:
    world = World(Work(("fail", "fail", "success")))
    await world.send(recorded=True)
    began = world.clock.now()
    settlement = await world.deliver(received(world))
    assert isinstance(settlement, Reschedule)
    assert settlement.due == began + timedelta(seconds=1)
    key, run, failure = await world.key(), await world.run_row(), await world.failure()
    assert (key.status, key.lease_seconds, key.next_attempt_at) == (KeyStatus.RESERVED, 0, settlement.due)
    assert (run.status, run.is_final, run.failure_code) == (RunStatus.NEEDS_REVIEW, False, "broken")
    assert (failure.signal_code, failure.severity, failure.is_resolved) == (
        "worker_command_failed",
        Severity.ERROR,
        False,
    )
    [copy] = world.broker.peek(QUEUE)
    assert (copy.message_id, copy.body) == (COMMAND_ID, body())
    assert copy.properties == {"recorded": True, "firstEnqueuedAtUtc": "2026-01-01T00:00:00Z"}
    await world.run()
    await world.check_end()
    assert world.clock.now() - began == timedelta(seconds=6)
    failure = await world.failure()
    assert (failure.is_resolved, failure.resolution_note, failure.attempt) == (True, "recovered", 3)
    assert [s.attempt for s in await world.stores.stages.of_run(RUN_ID)] == [1, 2, 3]


async def test_five_failed_attempts_dead_letter() -> None:
    world = World(Work(("fail",)))
    await world.send(recorded=True)
    began = world.clock.now()
    await world.run()
    await world.check_end()
    assert world.clock.now() - began == timedelta(seconds=1 + 5 + 30 + 120)
    [dead] = world.broker.dead_letters(QUEUE)
    assert dead.reason == "processing_failed"
    assert dead.description.startswith(f"broken; run={RUN_ID}; correlation=agent:{HOUSEHOLD}")
    assert "attempt=5" in dead.description
    key, run, failure = await world.key(), await world.run_row(), await world.failure()
    assert (key.status, key.resolution_code) == (KeyStatus.REJECTED, "failed")
    assert (run.is_final, run.attempt) == (True, 5)
    assert (failure.attempt, failure.is_resolved) == (5, False)


async def test_an_unsupported_type_is_retried_then_dead_lettered() -> None:
    work = Work(("success",))
    world = World(work)
    await world.send(body(commandType="make_coffee"))
    await world.run()
    await world.check_end()
    assert work.began == []
    run = await world.run_row()
    assert (run.failure_code, run.attempt) == ("unsupported_command_type", 5)
    assert (await world.failure()).signal_code == "worker_command_failed"


@pytest.mark.parametrize(
    ("raw", "reason"), [(b"{nope", "invalid_json"), (b'{"commandId": "x"}', "invalid_envelope"), (b"", "invalid_json")]
)
async def test_poison_is_dead_lettered_on_the_first_delivery(raw: bytes, reason: str) -> None:
    world = World(Work(("success",)))
    await world.send(raw or b" ", message_id="m-1")
    settlement = await world.deliver(received(world))
    assert isinstance(settlement, DeadLetter)
    assert settlement.reason == reason
    stored = await world.stores.signals.read(ids.rejected_message_signal_id(QUEUE, "m-1", reason))
    assert stored is not None
    assert (stored.value.signal_code, stored.value.message_id, stored.value.requires_human_review) == (
        "command_rejected",
        "m-1",
        True,
    )
    assert await world.key() is None
    assert await world.run_row() is None


@pytest.mark.parametrize("recorded", [True, False])
async def test_the_same_id_with_another_request_is_refused(recorded: bool) -> None:
    world = World(Work(("success",)))
    await world.send()
    await world.run()
    before = (await world.key(), await world.run_row())
    await world.send(body(message="something else"), recorded=recorded)
    settlement = await world.deliver(received(world))
    assert isinstance(settlement, DeadLetter)
    assert settlement.reason == "idempotency_hash_mismatch"
    assert (await world.key(), await world.run_row()) == before
    assert world.publisher.kinds()[-1] == "dead_lettered"


async def test_a_rejected_key_refuses_other_messages_and_repeats_its_first_reason() -> None:
    world = World(Work(("fail",)))
    await world.send(recorded=True)
    await world.run()
    await world.send(recorded=True)
    settlement = await world.deliver(received(world))
    assert isinstance(settlement, DeadLetter)
    assert settlement.reason == "idempotency_rejected"
    key = await world.key()
    await world.send(recorded=True)
    again = replace(received(world), sequence_number=key.sequence_number)
    settlement = await world.deliver(again)
    assert isinstance(settlement, DeadLetter)
    assert settlement.reason == "processing_failed"


@pytest.mark.parametrize("away", [(1,), (2, 3, 4)], ids=["the record", "key and run"])
async def test_tables_away_is_no_attempt(away: tuple[int, ...]) -> None:
    work = Work(("success",))
    world = World(work, plan=Plan(faults=dict.fromkeys(away, "unsent")))
    await world.send(recorded=True)
    began = world.clock.now()
    settlement = await world.deliver(received(world))
    assert settlement == Reschedule(began + timedelta(seconds=1), "store_unreachable")
    assert await world.key() is None
    await world.run()
    await world.check_end()
    assert work.began == [1]


async def test_a_draining_worker_gives_back_what_it_has_not_begun() -> None:
    world = World(Work(("success",)))
    await world.send(recorded=True)
    service = world.service()
    service.drain.begin()
    assert await service.deliver(Lane.CONVERSATION, received(world)) == Abandon("draining")
    assert await world.key() is None
    await world.run()
    await world.check_end()


async def test_a_drain_ends_a_lane_without_counting_the_attempt() -> None:
    work = Work(("success",))
    world = World(work)
    begun = asyncio.Event()

    async def slow(context: LaneContext) -> LaneResult:
        begun.set()
        await asyncio.sleep(3600)
        raise AssertionError

    await world.send(recorded=True)
    service = world.service(slow)
    delivery = asyncio.create_task(service.deliver(Lane.CONVERSATION, received(world)))
    await begun.wait()
    service.drain.begin()
    assert await delivery == Abandon("draining")
    key = await world.key()
    assert (key.status, key.lease_seconds, key.attempt, key.excused) == (KeyStatus.RESERVED, 0, 1, 1)
    await world.run()
    await world.check_end()
    assert work.began == [2]
    assert (await world.key()).excused == 1


async def test_a_lane_past_its_deadline_is_a_failed_attempt() -> None:
    async def slow(context: LaneContext) -> LaneResult:
        await asyncio.sleep(3600)
        raise AssertionError

    world = World(slow)
    await world.send(recorded=True)
    service = replace(world.service(), limits=DeliveryLimits(lane_deadline=0.01))
    assert isinstance(await service.deliver(Lane.CONVERSATION, received(world)), Reschedule)
    assert (await world.run_row()).failure_code == "lane_timeout"


async def test_an_unexpected_error_is_told_by_its_type_only() -> None:
    async def broken(context: LaneContext) -> LaneResult:
        raise RuntimeError("alice's card 4111 1111")

    world = World(broken)
    await world.send(recorded=True)
    await world.deliver(received(world))
    run = await world.run_row()
    assert run.failure_code == "unexpected_error"
    assert "RuntimeError" in run.failure_rationale
    assert "4111" not in run.failure_rationale


async def test_an_owner_whose_key_was_taken_stops_its_lane() -> None:
    world = World(Work(("success",)))
    stopped = asyncio.Event()

    async def slow(context: LaneContext) -> LaneResult:
        try:
            stored = await world.stores.keys.read(QUEUE, COMMAND_ID)
            assert stored is not None
            stolen = replace(stored.value, attempt=2, owner_token="another")
            assert await world.stores.keys.update(stolen, stored.etag)
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            stopped.set()
            raise
        raise AssertionError

    await world.send(recorded=True)
    service = replace(world.service(slow), limits=DeliveryLimits(lease_renew=0.01))
    settlement = await service.deliver(Lane.CONVERSATION, received(world))
    assert isinstance(settlement, Reschedule)
    assert settlement.why == "lease_lost"
    assert stopped.is_set()
    assert (await world.key()).owner_token == "another"


async def test_a_settlement_that_fails_changes_nothing() -> None:
    work = Work(("success",))
    world = World(work, plan=Plan(faults={7: "unsent"}))
    await world.send(recorded=True)
    await world.run()
    await world.check_end()
    assert work.began == [1]


async def test_a_purged_key_does_not_make_a_final_run_run_again() -> None:
    """The key was deleted after its seven days and the message comes once more: rolled forward from the run."""
    work = Work(("success",))
    world = World(work)
    await world.send(recorded=True)
    await world.run()
    fresh = World(work)
    fresh.clock = world.clock
    fresh.stores = replace(world.stores, keys=fresh.stores.keys)
    await fresh.send(recorded=True)
    await fresh.run()
    assert work.began == [1]
    assert (await fresh.key()).status == KeyStatus.COMPLETED
