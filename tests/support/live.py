"""A running stack as a test uses it: the demo's doors and readers, with a few words more."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mosaic_core.adapters.tables import open_table_stores
from mosaic_core.config import Connection
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.ports import Stores
from mosaic_local.demo.doors import Doors
from mosaic_local.demo.journey import Journey, Sent, ended, read
from mosaic_local.recording import record
from mosaic_local.stack import Stack

ALICE = "a11ce000000000000000000000000001"
ALICE_USER = "a11ce000000000000000000000000002"
INGESTION = RULES[Lane.INGESTION].default_queue
CONVERSATION = RULES[Lane.CONVERSATION].default_queue
SWEEP = RULES[Lane.SWEEP].default_queue


def guid() -> str:
    return uuid.uuid4().hex


def envelope(command_type: str, payload: dict[str, Any], **changes: Any) -> dict[str, Any]:
    command_id = changes.pop("commandId", None) or guid()
    return {
        "commandId": command_id,
        "correlationId": f"test:{command_id}",
        "commandType": command_type,
        "createdAtUtc": "2026-11-24T00:00:00Z",
        "payload": payload,
    } | changes


def message(text: str = "What did we spend last month?", **changes: Any) -> dict[str, Any]:
    payload = {
        "householdId": ALICE,
        "conversationId": changes.pop("conversationId", None) or guid(),
        "householdUserId": ALICE_USER,
        "message": text,
    }
    return envelope("agent_message_posted", payload, **changes)


def batch(
    *ids: str, household: str = ALICE, description: str = "STARBUCKS STORE 1234", **changes: Any
) -> dict[str, Any]:
    rows = [
        {
            "transactionId": i,
            "postedOn": "2026-11-01",
            "amount": "-12.50",
            "currency": "USD",
            "description": description,
        }
        for i in ids
    ]
    payload = {
        "householdId": household,
        "batchId": guid(),
        "source": "test",
        "accountId": "checking",
        "transactions": rows,
    }
    return envelope("ingestion_completed", payload, **changes)


def sweep(household: str = ALICE, **changes: Any) -> dict[str, Any]:
    return envelope("nightly_anomaly_sweep", {"householdId": household, "sweepDate": "2026-11-23"}, **changes)


@dataclass(frozen=True, slots=True)
class Live:
    stack: Stack
    doors: Doors
    stores: Stores

    async def send(self, queue: str, value: dict[str, Any], *, recorded: bool = True) -> Sent:
        """Straight to the queue; ``recorded``: as by the API, for alice where a person asks. The first request of an id
        stands."""
        if recorded:
            await self.record(queue, value)
        body, properties = json.dumps(value).encode(), {"recorded": True} if recorded else None
        await self.doors.send(queue, body, message_id=value["commandId"], properties=properties)
        return Sent(step="test", queue=queue, command_id=value["commandId"])

    async def record(self, queue: str, value: dict[str, Any]) -> None:
        lane = next(lane for lane, rules in RULES.items() if rules.default_queue == queue)
        subject = "alice" if "householdUserId" in value["payload"] else ""
        await record(self.stores, lane, queue, json.dumps(value).encode(), subject=subject)

    async def finish(self, sent: Sent, *, seconds: float = 30) -> Journey:
        """The command's journey once its key is terminal and its message settled."""
        await ended(self.stores, [sent], seconds=seconds)
        journey = await self.journey(sent)
        if journey.key is not None and journey.key.status == "Rejected":
            # the dead letter follows the commit point
            journey = await self.until(lambda: self.journey(sent), lambda j: j.settlement != "completed")
        return journey

    async def journey(self, sent: Sent) -> Journey:
        return await read(self.stores, sent, await self.doors.dead_letters())

    async def until[T](
        self, look: Callable[[], Awaitable[T]], good: Callable[[T], object], *, seconds: float = 20
    ) -> T:
        """Look again and again until it is good."""
        seen = await look()
        try:
            async with asyncio.timeout(seconds):
                while not good(seen):
                    await asyncio.sleep(0.1)
                    seen = await look()
        except TimeoutError:
            raise AssertionError(f"not so within {seconds} s: {seen}") from None
        return seen

    async def reason(self, message_id: str) -> str:
        """Why a message is in a dead-letter queue, once it is."""

        async def look() -> list[str]:
            dead = await self.doors.dead_letters()
            return [m.dead_letter_reason or "" for _, m in dead if m.message_id == message_id]

        return (await self.until(look, bool))[0]


@asynccontextmanager
async def live(stack: Stack) -> AsyncIterator[Live]:
    tables = open_table_stores(
        Connection(connection_string=stack.settings["TablesConnection"]),
        Connection(connection_string=stack.settings["BlobsConnection"]),
    )
    async with Doors(stack) as doors:
        try:
            yield Live(stack, doors, tables.stores)
        finally:
            await tables.close()
