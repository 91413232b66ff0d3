"""Dead-lettered commands as a worker leaves them, over the memory adapters: recorded, rejected, moved."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mosaic_core.domain import ids
from mosaic_core.domain.envelope import decode
from mosaic_core.domain.errors import QueueUnavailableError
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.records import Command
from mosaic_core.ports import DeadLetterSession, OutgoingMessage, Stores
from mosaic_core.services.replay.replay_service import ReplayOrder, Selection
from mosaic_ops.memory.messaging import MemoryBroker
from tests.support import records
from tests.support.faults import Faulty, Plan

QUEUES = {lane: rules.default_queue for lane, rules in RULES.items()}
HOUSEHOLD = "a11ce000000000000000000000000001"
USER = "a11ce000000000000000000000000002"
TALK = "c0000000000000000000000000000001"
ORDER = ReplayOrder(
    lane=Lane.CONVERSATION,
    selection=Selection(reason="processing_failed"),
    reason="the provider is back",
    requested_by="rolf",
    root_cause="it was down",
    confirm_lane="conversation",
    rate=500,
)
"""All that a lane dead-lettered as failed."""


def command_id(number: int) -> str:
    return f"{number:08x}000040008000{number:012x}"


def message_body(
    number: int, *, lane: Lane = Lane.CONVERSATION, kind: str = "", payload: Mapping[str, Any] | None = None
) -> bytes:
    named = command_id(number)
    match lane:
        case Lane.CONVERSATION:
            content: Mapping[str, Any] = {
                "householdId": HOUSEHOLD,
                "conversationId": TALK,
                "householdUserId": USER,
                "message": f"What did I spend in week {number}?",
            }
            usual, correlation = "agent_message_posted", f"agent:{HOUSEHOLD}:{TALK}:{named}"
        case Lane.INGESTION:
            line = {"transactionId": "t", "postedOn": "2026-02-01", "amount": "-1", "currency": "EUR"}
            content = {
                "householdId": HOUSEHOLD,
                "batchId": f"batch-{number}",
                "source": "bank",
                "accountId": "checking",
                "transactions": [{**line, "description": "d"}],
            }
            usual, correlation = "ingestion_completed", f"ingestion:{HOUSEHOLD}:batch-{number}:{named}"
        case _:
            content = {"householdId": HOUSEHOLD, "sweepDate": "2026-02-01", "lookbackDays": 30}
            usual, correlation = "nightly_anomaly_sweep", f"sweep:{HOUSEHOLD}:20260201:{named}"
    envelope = {
        "commandId": named,
        "correlationId": correlation,
        "commandType": kind or usual,
        "createdAtUtc": "2026-03-01T07:00:00Z",
        "clientReferenceId": f"client-{number}",
        "payload": {**content, **(payload or {})},
    }
    return json.dumps(envelope).encode()


async def record(
    stores: Stores, body: bytes, lane: Lane, status: KeyStatus | None, now: datetime, subject: str = "alice"
) -> Command:
    """A command as the API records it, with its key where it has one."""
    envelope = decode(body, lane)
    command = Command(
        command_id=envelope.command_id,
        household_id=envelope.household_id,
        queue=QUEUES[lane],
        command_type=envelope.command_type,
        request_hash=envelope.request_hash,
        envelope=body.decode(),
        recorded_at=now,
        subject=subject,
    )
    await stores.commands.insert(command)
    if status is not None:
        key = replace(
            records.KEY,
            queue=QUEUES[lane],
            command_id=envelope.command_id,
            run_id=ids.run_id(QUEUES[lane], envelope.command_id),
            request_hash=envelope.request_hash,
            status=status,
            finalized_at=now if status != KeyStatus.RESERVED else None,
        )
        await stores.keys.insert(key)
    return command


async def rejected(stores: Stores, number: int) -> None:
    """The rows of a message that failed for good."""
    await record(stores, message_body(number), Lane.CONVERSATION, KeyStatus.REJECTED, records.NOW)


@dataclass(frozen=True)
class Graves:
    stores: Stores
    broker: MemoryBroker

    async def record(self, body: bytes, lane: Lane, status: KeyStatus | None, subject: str = "alice") -> Command:
        return await record(self.stores, body, lane, status, self.broker.clock.now(), subject)

    async def bury(
        self,
        body: bytes,
        lane: Lane = Lane.CONVERSATION,
        *,
        message_id: str = "",
        reason: str = "processing_failed",
        code: str = "drill_failure",
        properties: Mapping[str, str | bool | int] | None = None,
    ) -> None:
        """Into the dead-letter queue, as the worker does it."""
        queue = QUEUES[lane]
        named = message_id or json.loads(body)["commandId"]
        sent = OutgoingMessage(queue=queue, body=body, message_id=named, properties=properties or {"recorded": True})
        await self.broker.send(sent)
        while (message := self.broker.receive(queue)) is not None and message.message_id != named:
            pass
        assert message is not None
        said = f"{code}; run={ids.run_id(queue, named)}; correlation=x; attempt=5; told to fail"
        await self.broker.dead_letter(message, reason, said)

    async def dead(
        self,
        number: int,
        lane: Lane = Lane.CONVERSATION,
        *,
        status: KeyStatus | None = KeyStatus.REJECTED,
        recorded: bool = True,
        subject: str = "alice",
        kind: str = "",
        payload: Mapping[str, Any] | None = None,
        **how: Any,
    ) -> str:
        """One that failed for good; its command id."""
        body = message_body(number, lane=lane, kind=kind, payload=payload)
        if recorded:
            await self.record(body, lane, status, subject)
        await self.bury(body, lane, **how)
        return command_id(number)


@dataclass(frozen=True)
class FaultyDesk:
    """A desk whose completing follows a plan."""

    broker: MemoryBroker
    plan: Plan

    @asynccontextmanager
    async def session(self, queue: str) -> AsyncIterator[DeadLetterSession]:
        async with self.broker.session(queue) as session:
            faulty: Any = Faulty(session, "desk", self.plan, QueueUnavailableError)
            yield faulty
