"""A command that came past the API: recorded first, judged by its record, listed by the record's time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mosaic_core.domain.envelope import decode
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.records import Command
from mosaic_core.domain.settlement import DeadLetter
from tests.support.world import COMMAND_ID, CONVERSATION, HOUSEHOLD, QUEUE, Work, World, body


async def record(world: World, raw: bytes) -> None:
    envelope = decode(raw, Lane.CONVERSATION)
    await world.stored.commands.insert(
        Command(
            command_id=envelope.command_id,
            household_id=envelope.household_id,
            queue=QUEUE,
            command_type=envelope.command_type,
            request_hash=envelope.request_hash,
            envelope=raw.decode(),
            recorded_at=world.clock.now(),
        )
    )


async def test_a_message_that_says_other_than_the_record_is_refused_before_it_takes_the_id() -> None:
    """The API has recorded the command and not sent it yet; somebody's message under its id comes first."""
    work = Work(("success",))
    world = World(work)
    await record(world, body())
    await world.send(body(message="Something else entirely"))
    message = world.broker.receive(QUEUE)
    assert message is not None
    settlement = await world.deliver(message)
    assert isinstance(settlement, DeadLetter)
    assert settlement.reason == "idempotency_hash_mismatch"
    assert (work.began, await world.key(), await world.run_row()) == ([], None, None)
    await world.send(recorded=True)
    await world.run()
    assert work.began == [1]
    assert (await world.run_row()).request_hash == decode(body(), Lane.CONVERSATION).request_hash


@pytest.mark.parametrize("claimed", ["2025-12-31T00:00:00Z", "2026-06-01T00:00:00Z"])
async def test_a_repeated_message_is_listed_once_by_the_record_s_time(claimed: str) -> None:
    world = World(Work(("success",)))
    await world.send()
    await world.run()
    await world.send(body(createdAtUtc=claimed))
    await world.run()
    assert await world.listed() == [(QUEUE, COMMAND_ID)]
    # and it stands where its own time puts it, between one before and one after
    store = world.stored.commands
    await store.index_conversation(HOUSEHOLD, CONVERSATION, datetime(2025, 12, 31, 12, tzinfo=UTC), QUEUE, "a" * 32)
    await store.index_conversation(HOUSEHOLD, CONVERSATION, datetime(2026, 1, 2, tzinfo=UTC), QUEUE, "b" * 32)
    assert [command for _, command in await world.listed()] == ["b" * 32, COMMAND_ID, "a" * 32]
