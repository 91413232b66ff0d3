"""What the API promises of a command, over the whole stack: found where it was left, told of where it was rejected."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.errors import QueueUnavailableError
from mosaic_core.domain.lanes import RULES
from mosaic_core.domain.lifecycle import RunStatus
from mosaic_core.ports import Stores
from mosaic_core.services.enqueue import EnqueueService
from mosaic_local.demo.journey import Sent
from mosaic_ops.memory.messaging import ManualClock, MemoryPublisher, MemorySender
from mosaic_ops.memory.stores import memory_stores
from tests.support.api import caller
from tests.support.live import ALICE, ALICE_USER, CONVERSATION, Live, guid

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

ALICE_CALLS = caller("alice", ALICE, ALICE_USER)


def api_without_a_broker(stores: Stores, now: datetime) -> EnqueueService:
    sender = MemorySender()
    sender.failing = True
    return EnqueueService(
        stores=stores,
        sender=sender,
        publisher=MemoryPublisher(),
        clock=ManualClock(now),
        queues={lane: rules.default_queue for lane, rules in RULES.items()},
    )


async def test_a_command_that_was_recorded_and_never_sent_is_sent_by_the_timer_and_listed(running: Live) -> None:
    conversation = guid()
    before = datetime.now(UTC) - timedelta(minutes=10)
    # listed nowhere yet: this API's index is another
    stores = replace(running.stores, commands=_Unlisted(running.stores.commands, memory_stores(ManualClock()).commands))  # type: ignore[arg-type]
    with pytest.raises(QueueUnavailableError):
        await api_without_a_broker(stores, before).enqueue_message(
            ALICE_CALLS, conversation, "What did we spend last month?", client_id="c-1"
        )
    assert await running.doors.run_timer("unsent_commands_timer") == 202
    sent = Sent(step="test", queue=CONVERSATION, command_id=ids.client_command_id(ALICE, conversation, "c-1"))
    journey = await running.finish(sent)
    assert journey.run is not None
    assert (journey.run.status, journey.run.attempt) == (RunStatus.COMPLETED, 1)
    status, stream = await running.doors.call("GET", f"/conversations/{conversation}/stream")
    assert status == 200
    assert [run["commandId"] for run in stream["runs"]] == [sent.command_id]

    async def left() -> int:
        far = datetime.now(UTC) + timedelta(days=1)
        shards = [shard async for shard in running.stores.outbox.shards()]
        return len([1 for shard in shards for _ in await running.stores.outbox.due(shard, far, 100)])

    assert await running.until(left, lambda count: count == 0) == 0


class _Unlisted:
    """The commands of one store and the index of another."""

    def __init__(self, commands: object, index: object) -> None:
        self._commands, self._index = commands, index

    def __getattr__(self, name: str) -> object:
        return getattr(self._index if name == "index_conversation" else self._commands, name)


async def test_a_repetition_of_a_rejected_command_is_told_its_run_and_adds_no_dead_letter(running: Live) -> None:
    path = f"/conversations/{guid()}/messages"
    body = {"message": "hello", "clientMessageId": f"drill-fail-always-{guid()}"}
    status, accepted = await running.doors.call("POST", path, body=body)
    assert status == 202
    sent = Sent(step="test", queue=accepted["queue"], command_id=accepted["commandId"])
    assert (await running.finish(sent)).settlement == "dead-lettered: processing_failed"
    for _ in range(3):
        status, answer = await running.doors.call("POST", path, body=body)
        assert (status, answer["error"]["code"]) == (409, "command_rejected")
        run_id = ids.run_id(sent.queue, sent.command_id)
        assert answer["error"]["details"] == [{"field": "runId", "issue": run_id}]
    assert await running.doors.left() == 0
    dead = [m for _, m in await running.doors.dead_letters() if m.message_id == sent.command_id]
    assert len(dead) == 1
