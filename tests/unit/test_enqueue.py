"""Enqueueing beside HTTP: the nightly sweep, the trace that travels along, and what a batch is."""

from __future__ import annotations

import asyncio
import inspect
import json
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_trace_id

from mosaic_core.domain import ids
from mosaic_core.domain.envelope import NightlyAnomalySweep, TransactionLine, decode
from mosaic_core.domain.errors import (
    QueueUnavailableError,
    RequestError,
    StoredRowError,
    StoreRefusedError,
    StoreUnreachableError,
)
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.records import Command, OutboxEntry
from mosaic_core.ports import RuntimeEvent
from mosaic_core.services.batch import Batch
from mosaic_core.services.enqueue import EnqueueService
from tests.support import records
from tests.support.api import ALICE_HOUSEHOLD, ALICE_USER, CONVERSATION, ApiWorld, caller

NIGHT = date(2026, 3, 1)
CALLER = caller("alice", ALICE_HOUSEHOLD, ALICE_USER)


def line(number: int = 1, amount: str = "-12.50") -> TransactionLine:
    return TransactionLine.model_validate(
        {
            "transactionId": f"tx-{number}",
            "postedOn": "2026-03-01",
            "amount": amount,
            "currency": "EUR",
            "description": "COFFEE",
        }
    )


async def test_a_night_s_sweep_is_one_command() -> None:
    world = ApiWorld()
    first = await world.enqueue.enqueue_sweep(ALICE_HOUSEHOLD, NIGHT, 180)
    world.clock.advance(600)
    again = await world.enqueue.enqueue_sweep(ALICE_HOUSEHOLD, NIGHT, 365)

    assert again == first
    assert first.command_id == ids.sweep_command_id(ALICE_HOUSEHOLD, "20260301")
    assert first.correlation_id == f"sweep:{ALICE_HOUSEHOLD}:20260301:{first.command_id}"
    assert (first.queue, first.conversation_id) == ("runtime-nightly-anomaly-sweep", None)
    one, two = (sent.message for sent in world.sender.sent)
    assert one.body == two.body
    envelope = decode(one.body, Lane.SWEEP)
    assert isinstance(envelope.payload, NightlyAnomalySweep)
    assert (envelope.payload.sweep_date, envelope.payload.lookback_days) == (NIGHT, 180)
    command = await world.stores.commands.read(first.command_id)
    assert command is not None
    assert command.request_hash == envelope.request_hash


async def test_another_night_is_another_command() -> None:
    world = ApiWorld()
    first = await world.enqueue.enqueue_sweep(ALICE_HOUSEHOLD, NIGHT, 180)
    second = await world.enqueue.enqueue_sweep(ALICE_HOUSEHOLD, date(2026, 3, 2), 180)
    assert first.command_id != second.command_id


async def test_a_sweep_that_was_recorded_and_not_sent_is_sent_the_next_time() -> None:
    world = ApiWorld()
    world.sender.failing = True
    with pytest.raises(QueueUnavailableError):
        await world.enqueue.enqueue_sweep(ALICE_HOUSEHOLD, NIGHT, 180)
    assert world.publisher.events == []
    world.sender.failing = False
    await world.enqueue.enqueue_sweep(ALICE_HOUSEHOLD, NIGHT, 180)
    assert len(world.sender.sent) == len(world.publisher.events) == 1


# ----------------------------------------------------------------------------------------- the order of what is written


@dataclass
class Steps:
    """A port whose awaited calls are noted by name; ``failing`` ones raise instead."""

    port: object
    done: list[str]
    failing: dict[str, Exception] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        target = getattr(self.port, name)
        if not inspect.iscoroutinefunction(target):
            return target

        async def call(*args: Any, **kwargs: Any) -> Any:
            self.done.append(name)
            if name in self.failing:
                raise self.failing[name]
            return await target(*args, **kwargs)

        return call


def watched(world: ApiWorld, **failing: Exception) -> tuple[EnqueueService, list[str]]:
    done: list[str] = []
    commands, outbox, keys, sender = (
        Steps(port, done, failing)
        for port in (world.stores.commands, world.stores.outbox, world.stores.keys, world.sender)
    )
    stores = replace(world.stores, commands=cast("Any", commands), outbox=cast("Any", outbox), keys=cast("Any", keys))
    return replace(world.enqueue, stores=stores, sender=cast("Any", sender)), done


async def listed(world: ApiWorld) -> list[str]:
    return [command async for _, command in world.stores.commands.conversation(ALICE_HOUSEHOLD, CONVERSATION)]


async def left(world: ApiWorld) -> list[OutboxEntry]:
    """What is in the outbox, whenever it is due."""
    later = world.clock.now() + timedelta(days=3650)
    shards = [shard async for shard in world.stores.outbox.shards()]
    return [stored.value for shard in shards for stored in await world.stores.outbox.due(shard, later, 1000)]


async def test_a_command_is_listed_before_it_is_sent() -> None:
    world = ApiWorld()
    enqueue, done = watched(world)
    await enqueue.enqueue_message(CALLER, CONVERSATION, "hello")
    # announced, recorded, listed, sent, withdrawn
    assert done == ["insert", "insert", "list_recorded", "index_conversation", "send", "remove"]
    assert await left(world) == []


async def test_a_command_without_a_conversation_is_listed_under_household_and_queue() -> None:
    world = ApiWorld()
    enqueue, done = watched(world)
    await enqueue.enqueue_sweep(ALICE_HOUSEHOLD, NIGHT, 180)
    assert done == ["insert", "insert", "list_recorded", "send", "remove"]
    queue = world.enqueue.queues[Lane.SWEEP]
    for household in (ALICE_HOUSEHOLD, None):
        [found] = [one async for one in world.stores.commands.listed([queue], household_id=household)]
        assert (found.queue, found.household_id) == (queue, ALICE_HOUSEHOLD)


async def test_a_failed_listing_sends_nothing_and_leaves_the_command_to_the_timer() -> None:
    world = ApiWorld()
    enqueue, _ = watched(world, index_conversation=StoreUnreachableError("AgentIndex: 503"))
    with pytest.raises(StoreUnreachableError):
        await enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-1")
    assert (world.sender.sent, world.publisher.events, await listed(world)) == ([], [], [])
    [entry] = await left(world)
    assert entry.command_id == ids.client_command_id(ALICE_HOUSEHOLD, CONVERSATION, "c-1")


async def test_a_repetition_is_listed_by_the_time_at_which_it_was_recorded() -> None:
    """However much later, and where the first try listed it or not: one row, at one place."""
    world = ApiWorld()
    enqueue, _ = watched(world, index_conversation=StoreUnreachableError("AgentIndex: 503"))
    with pytest.raises(StoreUnreachableError):
        await enqueue.enqueue_message(CALLER, CONVERSATION, "first", client_id="c-1")
    first = ids.client_command_id(ALICE_HOUSEHOLD, CONVERSATION, "c-1")
    world.clock.advance(60)
    second = await world.enqueue.enqueue_message(CALLER, CONVERSATION, "second")
    for _ in range(3):
        world.clock.advance(3600)
        await world.enqueue.enqueue_message(CALLER, CONVERSATION, "first", client_id="c-1")
    assert await listed(world) == [second.command_id, first]


async def test_without_an_entry_nothing_is_recorded() -> None:
    world = ApiWorld()
    done: list[str] = []
    outbox = Steps(world.stores.outbox, done, {"insert": StoreUnreachableError("AgentIndex: 503")})
    enqueue = replace(world.enqueue, stores=replace(world.stores, outbox=cast("Any", outbox)))
    with pytest.raises(StoreUnreachableError):
        await enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-1")
    assert done == ["insert"]
    assert world.sender.sent == []
    assert await world.stores.commands.read(ids.client_command_id(ALICE_HOUSEHOLD, CONVERSATION, "c-1")) is None


@pytest.mark.parametrize("error", [StoreUnreachableError("no answer"), StoreRefusedError("403")])
async def test_an_entry_that_cannot_be_withdrawn_costs_the_caller_nothing(error: Exception) -> None:
    world = ApiWorld()
    enqueue, _ = watched(world, remove=error)
    enqueued = await enqueue.enqueue_message(CALLER, CONVERSATION, "hello")
    assert [sent.message.message_id for sent in world.sender.sent] == [enqueued.command_id]
    assert [entry.command_id for entry in await left(world)] == [enqueued.command_id]


async def test_a_withdrawal_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mosaic_core.services.enqueue._WITHDRAW_SECONDS", 0.01)
    world = ApiWorld()

    class Hole:
        def __getattr__(self, name: str) -> Any:
            return getattr(world.stores.outbox, name)

        async def remove(self, *_: object) -> bool:
            await asyncio.Event().wait()
            return True

    enqueue = replace(world.enqueue, stores=replace(world.stores, outbox=Hole()))
    await enqueue.enqueue_message(CALLER, CONVERSATION, "hello")
    assert len(world.sender.sent) == 1


async def test_a_client_that_repeats_itself_through_an_outage_leaves_one_entry() -> None:
    world = ApiWorld()
    world.sender.failing = True
    for _ in range(20):
        with pytest.raises(QueueUnavailableError):
            await world.enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-1")
        world.clock.advance(5)
    assert len(await left(world)) == 1
    world.sender.failing = False
    await world.enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-1")
    assert len(world.sender.sent) == 1


async def test_a_recording_whose_lost_answer_says_that_it_was_there_keeps_its_entry() -> None:
    """The storage client repeats an insert by itself and finds its own row. The send then fails: the entry is the only
    one that knows of the command."""
    world = ApiWorld()
    real = world.stores.commands

    class Twice:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        async def insert(self, command: Command) -> bool:
            await real.insert(command)
            return await real.insert(command)

    world.sender.failing = True
    enqueue = replace(world.enqueue, stores=replace(world.stores, commands=Twice()))
    with pytest.raises(QueueUnavailableError):
        await enqueue.enqueue_message(CALLER, CONVERSATION, "hello")
    assert len(await left(world)) == 1


async def test_a_conflict_leaves_no_entry() -> None:
    world = ApiWorld()
    await world.enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-1")
    world.clock.advance(1)
    with pytest.raises(RequestError):
        await world.enqueue.enqueue_message(CALLER, CONVERSATION, "another", client_id="c-1")
    assert await left(world) == []


async def test_a_publisher_that_raises_makes_no_failure_of_a_sent_command() -> None:
    world = ApiWorld()

    class Raises:
        def publish(self, event: RuntimeEvent) -> None:
            raise RuntimeError("telemetry")

    await replace(world.enqueue, publisher=Raises()).enqueue_message(CALLER, CONVERSATION, "hello")
    assert len(world.sender.sent) == 1
    assert await left(world) == []


async def test_an_event_that_cannot_be_built_makes_no_failure_of_a_sent_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(**_: object) -> RuntimeEvent:
        raise ValueError("no such event")

    monkeypatch.setattr("mosaic_core.telemetry.enqueued_event", broken)
    world = ApiWorld()
    await world.enqueue.enqueue_message(CALLER, CONVERSATION, "hello")
    assert len(world.sender.sent) == 1


# ----------------------------------------------------------------------------------------------- a command was rejected


async def reject(world: ApiWorld, command_id: str, lane: Lane = Lane.CONVERSATION) -> str:
    queue = RULES[lane].default_queue
    run = ids.run_id(queue, command_id)
    key = replace(records.KEY, command_id=command_id, queue=queue, status=KeyStatus.REJECTED, run_id=run)
    assert await world.stores.keys.insert(key)
    return run


async def test_a_repetition_of_a_rejected_command_is_told_so_and_sends_nothing() -> None:
    world = ApiWorld()
    first = await world.enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-1")
    run = await reject(world, first.command_id)
    world.clock.advance(60)
    with pytest.raises(RequestError) as told:
        await world.enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-1")
    assert told.value.code == "command_rejected"
    assert run in told.value.rationale
    assert [(detail.field, detail.issue) for detail in told.value.details] == [("runId", run)]
    assert len(world.sender.sent) == len(world.publisher.events) == 1
    assert await left(world) == []


@pytest.mark.parametrize("status", [KeyStatus.RESERVED, KeyStatus.COMPLETED])
async def test_a_repetition_of_any_other_command_is_sent_again(status: KeyStatus) -> None:
    world = ApiWorld()
    first = await world.enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-1")
    queue = RULES[Lane.CONVERSATION].default_queue
    await world.stores.keys.insert(replace(records.KEY, command_id=first.command_id, queue=queue, status=status))
    assert await world.enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-1") == first
    assert len(world.sender.sent) == 2


@pytest.mark.parametrize("error", [StoreUnreachableError("503"), StoredRowError("a stored Key lacks Status")])
async def test_a_key_that_cannot_be_read_is_in_no_repetition_s_way(error: Exception) -> None:
    world = ApiWorld()
    first = await world.enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-1")
    enqueue, _ = watched(world, read=error)
    enqueue = replace(enqueue, stores=replace(enqueue.stores, commands=world.stores.commands))
    assert await enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-1") == first
    assert len(world.sender.sent) == 2


async def test_a_rejected_sweep_is_done_and_not_sent_again() -> None:
    world = ApiWorld()
    first = await world.enqueue.enqueue_sweep(ALICE_HOUSEHOLD, NIGHT, 180)
    await reject(world, first.command_id, Lane.SWEEP)
    world.clock.advance(60)
    assert await world.enqueue.enqueue_sweep(ALICE_HOUSEHOLD, NIGHT, 180) == first
    assert len(world.sender.sent) == 1
    assert await left(world) == []


# ---------------------------------------------------------------------------------------------- trace, events, batches


async def test_the_trace_travels_in_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    tracer = TracerProvider().get_tracer("test")
    monkeypatch.setattr("mosaic_core.telemetry._tracer", lambda _: tracer)
    world = ApiWorld()
    with tracer.start_as_current_span("request") as span:
        await world.enqueue.enqueue_message(CALLER, CONVERSATION, "hello")
    trace_id = format_trace_id(span.get_span_context().trace_id)
    assert str(world.sender.sent[0].message.properties["traceparent"]).split("-")[1] == trace_id
    assert world.publisher.events[0].trace_parent.split("-")[1] == trace_id


async def test_the_event_carries_ids_and_codes_only() -> None:
    world = ApiWorld()
    await world.enqueue.enqueue_message(CALLER, CONVERSATION, "my very private question", client_id="ref-17")
    (event,) = world.publisher.events
    assert "private" not in json.dumps(dict(event.data))
    assert event.data["state"] == "Pending"
    assert event.data["messageId"] == event.data["commandId"]


def test_a_batch_is_the_same_bytes_however_it_is_spelt() -> None:
    assert Batch.of([line(amount="-12.50")]) == Batch.of([line(amount=" -012.5 ".strip())])
    assert Batch.of([line()]).json_lines.endswith(b'"transactionId":"tx-1"}\n')
    assert Decimal(json.loads(Batch.of([line()]).json_lines)["amount"]) == Decimal("-12.5")


def test_a_large_batch_is_not_kept_as_objects() -> None:
    assert Batch.of(line(n) for n in range(500)).few is not None
    large = Batch.of(line(n) for n in range(501))
    assert (large.few, large.count, large.json_lines.count(b"\n")) == (None, 501, 501)


@pytest.mark.parametrize("lines", [[], [line(1), line(1, "5")]])
def test_an_empty_or_contradictory_batch_is_refused(lines: list[TransactionLine]) -> None:
    with pytest.raises(RequestError) as refused:
        Batch.of(lines)
    assert refused.value.code == "validation_failed"
