"""The reconciler's and retention's timers, over the whole stack."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.errors import QueueUnavailableError
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import KeyStatus, RunStatus
from mosaic_core.services.enqueue import EnqueueService
from mosaic_ops.memory.messaging import ManualClock, MemoryPublisher, MemorySender
from tests.support import records
from tests.support.api import caller
from tests.support.live import ALICE, ALICE_USER, Live, guid

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

QUEUE = RULES[Lane.CONVERSATION].default_queue


async def test_a_command_whose_message_is_gone_is_ended_by_the_timer(running: Live) -> None:
    """Asked for three weeks ago; its message was taken out of the queue before anybody received it."""
    sender = MemorySender()
    sender.failing = sender.landing = True
    service = EnqueueService(
        stores=running.stores,
        sender=sender,
        publisher=MemoryPublisher(),
        clock=ManualClock(datetime.now(UTC) - timedelta(days=21)),
        queues={lane: rules.default_queue for lane, rules in RULES.items()},
    )
    conversation = guid()
    with pytest.raises(QueueUnavailableError):
        await service.enqueue_message(
            caller("alice", ALICE, ALICE_USER), conversation, "What did we spend?", client_id="c-1"
        )
    command_id = ids.client_command_id(ALICE, conversation, "c-1")
    # as if it had been sent
    async for shard in running.stores.outbox.shards():
        for stored in await running.stores.outbox.due(shard, datetime.now(UTC), 100):
            if stored.value.command_id == command_id:
                await running.stores.outbox.remove(stored.value, stored.etag)
    assert await running.doors.run_timer("reconciler_timer") == 202

    async def key_status() -> KeyStatus | None:
        stored = await running.stores.keys.read(QUEUE, command_id)
        return stored.value.status if stored is not None else None

    assert await running.until(key_status, lambda status: status == KeyStatus.REJECTED) == KeyStatus.REJECTED
    run = await running.stores.runs.read(ids.run_id(QUEUE, command_id))
    assert run is not None
    assert (run.value.status, run.value.is_final) == (RunStatus.NEEDS_REVIEW, True)
    assert run.value.failure_code == "message_lost"
    failure = await running.stores.signals.read(ids.failure_signal_id(run.value.run_id))
    assert failure is not None
    assert not failure.value.is_resolved


async def test_what_is_past_its_date_is_removed_by_the_timer(running: Live) -> None:
    old, command_id = datetime.now(UTC) - timedelta(days=120), guid()
    command = replace(records.COMMAND, command_id=command_id, recorded_at=old)
    run_id = ids.run_id(command.queue, command_id)
    run = replace(records.RUN, run_id=run_id, command_id=command_id, completed_at=old, created_at=old)
    await running.stores.commands.insert(command)
    await running.stores.runs.insert(run)
    await running.stores.stages.insert_all([replace(records.STAGE, run_id=run_id)])
    assert await running.doors.run_timer("retention_timer") == 202

    async def is_there() -> bool:
        return await running.stores.commands.read(command_id) is not None

    assert await running.until(is_there, lambda there: not there) is False
    assert await running.stores.runs.read(run_id) is None
    assert await running.stores.stages.of_run(run_id) == []
