"""Enqueueing beside HTTP: the nightly sweep, the trace that travels along, and what a batch is."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import format_trace_id

from mosaic_core.domain import ids
from mosaic_core.domain.envelope import NightlyAnomalySweep, TransactionLine, decode
from mosaic_core.domain.errors import QueueUnavailableError, RequestError
from mosaic_core.domain.lanes import Lane
from mosaic_core.ports import Principal
from mosaic_core.services.batch import Batch
from mosaic_core.services.membership import Caller
from tests.support.api import ALICE_HOUSEHOLD, ALICE_USER, CONVERSATION, ApiWorld

NIGHT = date(2026, 3, 1)
CALLER = Caller(principal=Principal("alice", frozenset()), household_id=ALICE_HOUSEHOLD, household_user_id=ALICE_USER)


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
    assert (refused.value.status, refused.value.code) == (400, "validation_failed")
