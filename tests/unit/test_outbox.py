"""The outbox's timer: what an API left behind is sent, listed first, or told to a person."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, cast

import pytest

from mosaic_core.concurrency import each
from mosaic_core.domain import ids
from mosaic_core.domain.errors import QueueUnavailableError, StoredRowError, StoreRefusedError, StoreUnreachableError
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import KeyStatus, Severity
from mosaic_core.domain.records import Command, OutboxEntry, Signal
from mosaic_core.ports import OutgoingMessage
from mosaic_core.services.batch import Batch
from mosaic_core.services.dispatch import Recorded
from mosaic_core.services.enqueue import OUTBOX_GRACE
from mosaic_core.services.outbox import ABSENT_FOR, PER_SHARD, OutboxReport, UnsentCommands
from mosaic_ops.memory.messaging import MemorySender, Sent
from tests.support import records
from tests.support.api import ALICE_HOUSEHOLD, CONVERSATION, ApiWorld
from tests.support.faults import KINDS, Kind, Plan, ProcessDied, faulty_messaging, faulty_stores
from tests.unit.test_enqueue import CALLER, left, line, listed

QUEUE = RULES[Lane.CONVERSATION].default_queue
DUE = OUTBOX_GRACE.total_seconds() + 1
HOUR = 3600.0


def command_id(client_id: str) -> str:
    return ids.client_command_id(ALICE_HOUSEHOLD, CONVERSATION, client_id)


async def leave(world: ApiWorld, *client_ids: str) -> None:
    """Commands that are recorded, and that the broker did not take."""
    before, world.sender.failing = world.sender.failing, True
    for client_id in client_ids:
        with pytest.raises(QueueUnavailableError):
            await world.enqueue.enqueue_message(CALLER, CONVERSATION, f"hello {client_id}", client_id=client_id)
    world.sender.failing = before


async def signal(world: ApiWorld, client_id: str) -> Signal | None:
    stored = await world.stores.signals.read(ids.unsent_signal_id(QUEUE, command_id(client_id)))
    return stored.value if stored else None


def sent(world: ApiWorld) -> list[str]:
    return [item.message.message_id for item in world.sender.sent]


def same_shard(count: int) -> list[str]:
    """Client ids whose commands share a shard of the outbox."""
    shard, found, number = ids.outbox_shard(command_id("c-0")), list[str](), 0
    while len(found) < count:
        if ids.outbox_shard(command_id(f"c-{number}")) == shard:
            found.append(f"c-{number}")
        number += 1
    return found


# ------------------------------------------------------------------------------------------------------ what is sent


async def test_a_command_recorded_and_not_sent_is_sent_as_the_api_would_have() -> None:
    world, other = ApiWorld(), ApiWorld()
    await leave(world, "c-1")
    world.clock.advance(DUE)
    assert await world.unsent.tick() == OutboxReport(sent=1)
    await other.enqueue.enqueue_message(CALLER, CONVERSATION, "hello c-1", client_id="c-1")
    assert world.sender.sent == other.sender.sent
    assert world.publisher.events == other.publisher.events
    assert await listed(world) == await listed(other) == [command_id("c-1")]
    assert await left(world) == []
    assert await signal(world, "c-1") is None
    assert await world.unsent.tick() == OutboxReport()


async def test_a_command_recorded_and_not_listed_is_listed_before_it_is_sent() -> None:
    world = ApiWorld()
    real = world.stores.commands

    class NoIndex:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        async def index_conversation(self, *_: object) -> None:
            raise StoreUnreachableError("AgentIndex: 503")

    enqueue = replace(world.enqueue, stores=replace(world.stores, commands=cast("Any", NoIndex())))
    with pytest.raises(StoreUnreachableError):
        await enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-1")
    world.clock.advance(DUE)
    unsent = replace(world.unsent, stores=enqueue.stores)
    assert await unsent.tick() == OutboxReport()
    assert sent(world) == []

    class Looks(MemorySender):
        async def send(self, message: OutgoingMessage, *, due: object = None) -> None:
            assert await listed(world) == [message.message_id]
            self.sent.append(Sent(message, None))

    sender = Looks()
    world.clock.advance(DUE)
    assert await replace(world.unsent, sender=sender).tick() == OutboxReport(sent=1)
    assert len(sender.sent) == 1


async def test_every_kind_of_command_is_sent_from_its_record() -> None:
    world, other = ApiWorld(), ApiWorld()
    approval = replace(
        records.APPROVAL, household_id=ALICE_HOUSEHOLD, conversation_id=CONVERSATION, approval_id="a" * 32
    )

    async def all_of(it: ApiWorld) -> None:
        await it.stores.approvals.insert(approval)
        calls: list[Callable[[], Any]] = [
            lambda: it.enqueue.enqueue_approval(CALLER, CONVERSATION, "a" * 32, "Approve", client_id="d-1"),
            lambda: it.enqueue.enqueue_ingestion(CALLER, "b-1", "bank", "acc", Batch.of([line()])),
            lambda: it.enqueue.enqueue_ingestion(CALLER, "b-2", "bank", "acc", Batch.of(line(n) for n in range(501))),
            lambda: it.enqueue.enqueue_sweep(ALICE_HOUSEHOLD, date(2026, 3, 1), 90),
        ]
        for call in calls:
            if it.sender.failing:
                with pytest.raises(QueueUnavailableError):
                    await call()
            else:
                await call()

    world.sender.failing = True
    await all_of(world)
    await all_of(other)
    world.sender.failing = False
    world.clock.advance(DUE)
    assert await world.unsent.tick() == OutboxReport(sent=4)
    ours, theirs = ({item.message.message_id: item for item in it.sender.sent} for it in (world, other))
    assert ours == theirs


async def test_the_grace_is_left_to_the_api() -> None:
    world = ApiWorld()
    await leave(world, "c-1")
    world.clock.advance(OUTBOX_GRACE.total_seconds() - 1)
    assert await world.unsent.tick() == OutboxReport()
    assert sent(world) == []


@pytest.mark.parametrize("apart", [-300, 300])
async def test_clocks_five_minutes_apart_delay_or_repeat_and_lose_nothing(apart: float) -> None:
    world = ApiWorld()
    await leave(world, "c-1")
    world.clock.advance(apart)
    await world.unsent.tick()
    world.clock.advance(10 * 60)
    await world.unsent.tick()
    assert set(sent(world)) == {command_id("c-1")}
    assert await left(world) == []


@pytest.mark.parametrize("status", [KeyStatus.RESERVED, KeyStatus.COMPLETED, KeyStatus.REJECTED])
async def test_a_command_that_a_worker_has_had_is_not_sent_again(status: KeyStatus) -> None:
    world = ApiWorld()
    await leave(world, "c-1")
    key = replace(records.KEY, command_id=command_id("c-1"), queue=QUEUE, status=status)
    await world.stores.keys.insert(key)
    world.clock.advance(DUE)
    assert await world.unsent.tick() == OutboxReport()
    assert (sent(world), await left(world)) == ([], [])


async def test_a_key_that_cannot_be_read_is_a_key() -> None:
    world = ApiWorld()
    await leave(world, "c-1")
    world.clock.advance(DUE)
    stores = replace(world.stores, keys=cast("Any", Broken(world.stores.keys, {"read": StoredRowError("Status")})))
    assert await replace(world.unsent, stores=stores).tick() == OutboxReport()
    assert (sent(world), await left(world)) == ([], [])


async def test_an_announced_command_that_was_never_recorded_is_waited_for_and_forgotten() -> None:
    world = ApiWorld()
    entry = OutboxEntry(
        entry_id="e",
        command_id="c" * 32,
        queue=QUEUE,
        announced_at=world.clock.now(),
        due_at=world.clock.now() + OUTBOX_GRACE,
    )
    await world.stores.outbox.insert(entry)
    world.clock.advance(DUE)
    await world.unsent.tick()
    [there] = await left(world)
    # a slow API records it now, and dies: it is found all the same
    assert (there.command_id, there.due_at - there.announced_at) == ("c" * 32, ABSENT_FOR)
    world.clock.advance(HOUR)
    assert await world.unsent.tick() == OutboxReport()
    assert await left(world) == []


async def test_a_command_that_was_recorded_late_is_sent() -> None:
    world, other = ApiWorld(), ApiWorld()
    await other.enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-1")
    command = await other.stores.commands.read(command_id("c-1"))
    assert command is not None
    now = world.clock.now()
    await world.stores.outbox.insert(
        OutboxEntry(entry_id="e", command_id=command.command_id, queue=QUEUE, announced_at=now, due_at=now)
    )
    await world.unsent.tick()
    await world.stores.commands.insert(command)
    world.clock.advance(HOUR)
    assert await world.unsent.tick() == OutboxReport(sent=1)
    assert sent(world) == [command.command_id]


async def test_a_command_older_than_its_key_would_live_goes_to_a_person_and_not_to_a_worker() -> None:
    world = ApiWorld()
    await leave(world, "c-1")
    world.clock.advance(7 * 86_400)
    assert await world.unsent.tick() == OutboxReport(refused=1)
    assert (sent(world), await left(world)) == ([], [])
    told = await signal(world, "c-1")
    assert told is not None
    assert (told.signal_code, told.severity, told.requires_human_review) == ("command_not_sent", Severity.ERROR, True)
    assert (told.household_id, told.command_id, told.is_resolved) == (ALICE_HOUSEHOLD, command_id("c-1"), False)
    # and whoever asked may still ask again
    await world.enqueue.enqueue_message(CALLER, CONVERSATION, "hello c-1", client_id="c-1")
    assert sent(world) == [command_id("c-1")]


async def test_ticks_at_once_send_what_there_is_and_leave_nothing() -> None:
    world = ApiWorld()
    names = [f"c-{n}" for n in range(20)]
    await leave(world, *names)
    world.clock.advance(DUE)
    await each(range(4), lambda _: world.unsent.tick(), at_once=4)
    assert set(sent(world)) == {command_id(name) for name in names}
    assert await left(world) == []


async def test_a_backlog_is_worked_off_in_bounds_the_oldest_first() -> None:
    world = ApiWorld()
    names = same_shard(PER_SHARD + 5)
    for name in names:
        await leave(world, name)
        world.clock.advance(1)
    world.clock.advance(DUE)
    assert (await world.unsent.tick()).sent == PER_SHARD
    assert sent(world) == [command_id(name) for name in names[:PER_SHARD]]
    assert (await world.unsent.tick()).sent == 5


# ------------------------------------------------------------------------------------------------ one stops nobody else


@dataclass
class Broken:
    """A port of which some operations fail, for everybody or for the commands in ``only``."""

    port: object
    errors: dict[str, Exception] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    calls: int = 0

    def __getattr__(self, name: str) -> Any:
        target = getattr(self.port, name)
        if name not in self.errors:
            return target

        async def call(first: Any, *rest: Any, **named: Any) -> Any:
            self.calls += 1
            subject = first.message_id if isinstance(first, OutgoingMessage) else first
            if not self.only or subject in self.only:
                raise self.errors[name]
            return await target(first, *rest, **named)

        return call


def broken_commands(world: ApiWorld, error: Exception, *client_ids: str) -> UnsentCommands:
    commands = Broken(world.stores.commands, {"read": error}, tuple(map(command_id, client_ids)))
    return replace(world.unsent, stores=replace(world.stores, commands=cast("Any", commands)))


@pytest.mark.parametrize("error", [StoredRowError("lacks Envelope"), StoreRefusedError("400"), ValueError("secret")])
async def test_a_command_that_cannot_be_sent_stops_no_other_and_is_told(error: Exception) -> None:
    world = ApiWorld()
    names = same_shard(5)
    await leave(world, names[0])  # in front of the others
    world.clock.advance(1)
    await leave(world, *names[1:])
    world.clock.advance(DUE)
    sick = broken_commands(world, error, names[0])
    assert await sick.tick() == OutboxReport(sent=4, failed=1)
    assert set(sent(world)) == {command_id(name) for name in names[1:]}
    told = await signal(world, names[0])
    assert told is not None
    assert not told.is_resolved
    assert "secret" not in told.summary
    # tried again, later and later, until it is mended
    tries = 0
    for _ in range(24 * 60):
        world.clock.advance(60)
        tries += (await sick.tick()).failed
    assert 20 <= tries <= 40
    world.clock.advance(HOUR)
    assert await world.unsent.tick() == OutboxReport(sent=1)
    told = await signal(world, names[0])
    assert told is not None
    assert (told.is_resolved, told.resolution_note) == (True, "sent")
    assert await left(world) == []


async def test_an_envelope_that_the_api_did_not_write_is_told() -> None:
    world = ApiWorld()
    now = world.clock.now()
    for n, envelope in enumerate(
        ("{", "[]", "{}", '{"correlationId":1,"payload":{}}', '{"correlationId":"c","payload":1}')
    ):
        await world.stores.commands.insert(replace(records.COMMAND, command_id=f"{n}", envelope=envelope))
        await world.stores.outbox.insert(
            OutboxEntry(entry_id="e", command_id=f"{n}", queue=QUEUE, announced_at=now, due_at=now)
        )
    assert await world.unsent.tick() == OutboxReport(failed=5)
    for n in range(5):
        assert await world.stores.signals.read(ids.unsent_signal_id(QUEUE, f"{n}")) is not None
    # a person decides in the end, whatever it is
    world.clock.advance(8 * 86_400)
    await world.unsent.tick()
    assert await left(world) == []


@pytest.mark.parametrize("error", [StoreUnreachableError("its partition"), QueueUnavailableError("it alone")])
async def test_one_that_fails_in_passing_stops_no_other_and_is_told_when_it_goes_on(error: Exception) -> None:
    world = ApiWorld()
    names = same_shard(40)
    sick, healthy = names[0], names[1:]
    await leave(world, sick)
    if isinstance(error, StoreUnreachableError):
        unsent = broken_commands(world, error, sick)
    else:
        sender = Broken(world.sender, {"send": error}, (command_id(sick),))
        unsent = replace(world.unsent, sender=cast("Any", sender))
    for n in range(3):
        assert await signal(world, sick) is None
        await leave(world, healthy[n])
        world.clock.advance(HOUR)
        await unsent.tick()
    assert sent(world) == [command_id(name) for name in healthy[:3]]
    assert await signal(world, sick) is not None
    world.clock.advance(HOUR)
    assert (await world.unsent.tick()).sent == 1
    told = await signal(world, sick)
    assert told is not None
    assert told.is_resolved


@pytest.mark.parametrize("what", ["queue", "commands"])
async def test_an_outage_stops_the_tick_and_accuses_no_command(what: str) -> None:
    world = ApiWorld()
    names = same_shard(30)
    await leave(world, *names)
    world.clock.advance(DUE)
    if what == "queue":
        broken = Broken(world.sender, {"send": QueueUnavailableError("away")})
        unsent = replace(world.unsent, sender=cast("Any", broken))
    else:
        broken = Broken(world.stores.commands, {"read": StoreUnreachableError("away")})
        unsent = replace(world.unsent, stores=replace(world.stores, commands=cast("Any", broken)))
    for _ in range(12 * 60):
        assert (await unsent.tick()).stopped <= 1
        world.clock.advance(60)
    assert broken.calls <= 3 * 12 * 60  # it does not hammer
    assert sent(world) == []
    assert [name for name in names if await signal(world, name) is not None] == []
    for _ in range(10):
        await world.unsent.tick()
        world.clock.advance(60)
    assert set(sent(world)) == {command_id(name) for name in names}
    assert await left(world) == []


async def test_one_queue_away_stops_no_other_queue() -> None:
    world = ApiWorld()
    world.sender.failing = True
    for n in range(60):
        with pytest.raises(QueueUnavailableError):
            await world.enqueue.enqueue_ingestion(CALLER, f"b-{n}", "bank", "acc", Batch.of([line()]))
    world.sender.failing = False
    await leave(world, *(f"c-{n}" for n in range(20)))
    world.clock.advance(DUE)

    class OneAway(MemorySender):
        async def send(self, message: OutgoingMessage, *, due: object = None) -> None:
            if message.queue != QUEUE:
                raise QueueUnavailableError("away")
            self.sent.append(Sent(message, None))

    sender = OneAway()
    assert (await replace(world.unsent, sender=sender).tick()).sent == 20


async def test_after_a_day_in_vain_a_person_is_told_whatever_the_reason() -> None:
    world = ApiWorld()
    await leave(world, "c-1")
    unsent = broken_commands(world, StoreUnreachableError("its partition is away"), "c-1")
    world.clock.advance(86_400)
    await unsent.tick()
    assert await signal(world, "c-1") is not None
    world.clock.advance(7 * 86_400)
    await unsent.tick()
    assert await left(world) == []
    told = await signal(world, "c-1")
    assert told is not None
    assert not told.is_resolved
    assert "will not be" in told.summary


async def test_tables_away_altogether_is_a_failed_tick_that_changes_nothing() -> None:
    world = ApiWorld()
    await leave(world, "c-1")
    world.clock.advance(DUE)
    before = await left(world)

    class Away:
        def __getattr__(self, name: str) -> Any:
            raise StoreUnreachableError("no answer")

    with pytest.raises(StoreUnreachableError):
        await replace(world.unsent, stores=replace(world.stores, outbox=cast("Any", Away()))).tick()
    assert await left(world) == before


async def test_a_signal_that_a_person_resolved_is_opened_again_while_the_command_is_not_sent() -> None:
    world = ApiWorld()
    await leave(world, "c-1")
    unsent = broken_commands(world, StoredRowError("lacks Envelope"), "c-1")
    world.clock.advance(DUE)
    await unsent.tick()
    stored = await world.stores.signals.read(ids.unsent_signal_id(QUEUE, command_id("c-1")))
    assert stored is not None
    resolved = replace(stored.value, is_resolved=True, resolved_at=world.clock.now(), resolved_by="me")
    await world.stores.signals.update(resolved, stored.etag)
    world.clock.advance(HOUR)
    await unsent.tick()
    told = await signal(world, "c-1")
    assert told is not None
    assert not told.is_resolved


def test_a_recorded_command_of_an_earlier_version_is_read() -> None:
    command = Command(
        command_id="c",
        household_id="h",
        queue="q",
        command_type="agent_message_posted",
        request_hash="x",
        envelope='{"correlationId":"agent:h:k:c","payload":{"conversationId":"k"}}',
        recorded_at=records.NOW,
    )
    message = Recorded.of(command).message()
    assert dict(message.properties) == {"recorded": True, "householdId": "h", "conversationId": "k"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mended", [False, True])
async def test_a_tick_that_dies_or_hears_nothing_loses_neither_the_command_nor_its_signal(
    kind: Kind, mended: bool
) -> None:
    """At each operation of a tick that puts a sick command back, and of one that sends it once it is mended."""
    for at in range(1, 12):
        world = ApiWorld()
        await leave(world, "c-1")
        world.clock.advance(DUE)
        unsent = broken_commands(world, StoredRowError("lacks Envelope"), "c-1")
        if mended:
            assert (await unsent.tick()).failed == 1
            world.clock.advance(HOUR)
            unsent = world.unsent
        plan = Plan({at: kind})
        stores = faulty_stores(unsent.stores, plan)
        with suppress(ProcessDied):
            await replace(unsent, stores=stores, sender=faulty_messaging(world.sender, "sender", plan)).tick()
        for _ in range(4):
            world.clock.advance(HOUR)
            await world.unsent.tick()
        assert set(sent(world)) == {command_id("c-1")}
        assert await left(world) == []
        told = await signal(world, "c-1")
        assert told is None or told.is_resolved
