"""The in-memory broker keeps the promises of Service Bus that the delivery protocol relies on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mosaic_core.domain.errors import QueueUnavailableError
from mosaic_core.ports import CommandSender, IncomingMessage, OutgoingMessage, Settler
from mosaic_ops.memory.messaging import (
    EXPIRED,
    MAX_DELIVERIES_EXCEEDED,
    ManualClock,
    MemoryBroker,
    MemorySender,
    MemorySettler,
)

Q = "lane"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def broker(clock: ManualClock) -> MemoryBroker:
    return MemoryBroker(clock, lock_seconds=60, max_deliveries=3, ttl_seconds=3600)


def message(name: str, **properties: str) -> OutgoingMessage:
    return OutgoingMessage(queue=Q, body=name.encode(), message_id=name, properties=properties)


def take(broker: MemoryBroker) -> IncomingMessage:
    received = broker.receive(Q)
    assert received is not None
    return received


def is_both_ports(broker: MemoryBroker) -> tuple[CommandSender, Settler]:
    return broker, broker


async def test_hands_out_in_order_with_everything_that_was_sent(broker: MemoryBroker, clock: ManualClock) -> None:
    await broker.send(message("one", traceparent="00-…"))
    clock.advance(1)
    await broker.send(message("two"))
    first, second = take(broker), take(broker)
    assert (first.body, first.properties, first.delivery_count) == (b"one", {"traceparent": "00-…"}, 1)
    assert second.enqueued_at - first.enqueued_at == timedelta(seconds=1)
    assert second.sequence_number > first.sequence_number
    assert broker.receive(Q) is None


async def test_complete_removes(broker: MemoryBroker) -> None:
    await broker.send(message("one"))
    await broker.complete(take(broker))
    assert broker.count(Q) == (0, 0, 0)
    assert broker.dead_letters(Q) == []


async def test_a_lock_that_runs_out_redelivers_in_the_old_place(broker: MemoryBroker, clock: ManualClock) -> None:
    await broker.send(message("one"))
    await broker.send(message("two"))
    lost = take(broker)
    clock.advance(59)
    assert take(broker).body == b"two"
    assert broker.receive(Q) is None
    clock.advance(1)
    again = take(broker)
    assert (again.body, again.delivery_count, again.sequence_number) == (b"one", 2, lost.sequence_number)
    with pytest.raises(QueueUnavailableError):
        await broker.complete(lost)
    await broker.complete(again)


async def test_renewing_keeps_the_lock(broker: MemoryBroker, clock: ManualClock) -> None:
    await broker.send(message("one"))
    held = take(broker)
    clock.advance(40)
    broker.renew(held)
    clock.advance(40)
    await broker.complete(held)
    with pytest.raises(QueueUnavailableError):
        broker.renew(held)


async def test_too_many_deliveries_dead_letter(broker: MemoryBroker, clock: ManualClock) -> None:
    await broker.send(message("one"))
    await broker.abandon(take(broker))
    take(broker)
    clock.advance(60)
    await broker.abandon(take(broker))
    (dead,) = broker.dead_letters(Q)
    assert (dead.reason, dead.message.body) == (MAX_DELIVERIES_EXCEEDED, b"one")
    assert broker.count(Q) == (0, 0, 0)


async def test_dead_letter_keeps_reason_and_description(broker: MemoryBroker) -> None:
    await broker.send(message("one"))
    await broker.dead_letter(take(broker), "invalid_json", "invalid_json; message=one")
    (dead,) = broker.dead_letters(Q)
    assert (dead.reason, dead.description) == ("invalid_json", "invalid_json; message=one")


async def test_a_scheduled_message_appears_when_due(broker: MemoryBroker, clock: ManualClock) -> None:
    later, sooner = clock.now() + timedelta(seconds=30), clock.now() + timedelta(seconds=5)
    await broker.send(message("later"), due=later)
    await broker.send(message("sooner"), due=sooner)
    assert broker.receive(Q) is None
    assert broker.next_change() == sooner
    clock.advance(30)
    first, second = take(broker), take(broker)
    assert (first.body, second.body) == (b"sooner", b"later")
    assert (first.enqueued_at, second.enqueued_at) == (sooner, later)
    assert first.sequence_number < second.sequence_number


async def test_due_in_the_past_is_at_once(broker: MemoryBroker, clock: ManualClock) -> None:
    await broker.send(message("one"), due=clock.now() - timedelta(seconds=1))
    assert take(broker).body == b"one"


async def test_expiry_dead_letters_but_never_under_a_lock(broker: MemoryBroker, clock: ManualClock) -> None:
    await broker.send(message("held"))
    await broker.send(message("waiting"))
    clock.advance(3590)
    held = take(broker)
    clock.advance(20)
    assert [dead.message.body for dead in broker.dead_letters(Q)] == [b"waiting"]
    assert broker.dead_letters(Q)[0].reason == EXPIRED
    await broker.complete(held)


async def test_restart_voids_locks_and_loses_nothing(broker: MemoryBroker, clock: ManualClock) -> None:
    await broker.send(message("one"))
    await broker.send(message("two"), due=clock.now() + timedelta(seconds=5))
    held = take(broker)
    broker.restart()
    with pytest.raises(QueueUnavailableError):
        await broker.complete(held)
    assert broker.count(Q) == (1, 0, 1)


async def test_faults_before_and_after_landing(broker: MemoryBroker) -> None:
    broker.fault = lambda operation, _: "refused" if operation == "send" else None
    with pytest.raises(QueueUnavailableError):
        await broker.send(message("one"))
    assert broker.peek(Q) == []

    broker.fault = lambda operation, _: "lost" if operation == "send" else None
    with pytest.raises(QueueUnavailableError):
        await broker.send(message("one"))
    assert [m.message_id for m in broker.peek(Q)] == ["one"]

    broker.fault = lambda operation, _: "refused" if operation == "complete" else None
    held = take(broker)
    with pytest.raises(QueueUnavailableError):
        await broker.complete(held)
    assert broker.count(Q) == (0, 1, 0)


async def test_recorders_fail_when_told_to(clock: ManualClock) -> None:
    sender, settler = MemorySender(), MemorySettler()
    await sender.send(message("one"), due=clock.now())
    sender.failing = True
    with pytest.raises(QueueUnavailableError):
        await sender.send(message("two"))
    sender.landing = True
    with pytest.raises(QueueUnavailableError):
        await sender.send(message("three"))
    assert [sent.message.message_id for sent in sender.sent] == ["one", "three"]
    broker = MemoryBroker(clock)
    await broker.send(message("one"))
    held = take(broker)
    settler.failing = True
    with pytest.raises(QueueUnavailableError):
        await settler.complete(held)
    settler.failing = False
    await settler.dead_letter(held, "reason", "description")
    assert [(s.operation, s.reason) for s in settler.settled] == [("dead_letter", "reason")]
