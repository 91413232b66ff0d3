"""Commands for the bench apps: made, queued, and followed until they are handled."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
from azure.data.tables.aio import TableServiceClient
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender

from mosaic_core.adapters.tables import ensure_tables, open_table_stores
from mosaic_core.adapters.tables.stores import KEYS, RUNS, STAGES
from mosaic_core.concurrency import each
from mosaic_core.config import Connection
from mosaic_core.domain.envelope import iso
from mosaic_core.domain.lanes import RULES, CommandType, Lane
from mosaic_core.ports import Stores
from mosaic_local.recording import record
from mosaic_local.sample import HOUSEHOLD_ID
from mosaic_local.seed import SAMPLE
from mosaic_local.stack import Stack, StackOptions

APPS: Final = Path(__file__).resolve().parent / "apps"
QUEUE: Final = RULES[Lane.CONVERSATION].default_queue
USER_ID: Final = SAMPLE[0].household_user_id
POLL_SECONDS: Final = 0.2
PATIENCE_SECONDS: Final = 60.0
"""How long nothing may be handled before it counts as stuck."""

_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Told:
    """A bench app's own account: settled since the gate opened, seconds from the first to the last of them, CPU
    seconds of the worker process meanwhile."""

    handled: int
    seconds: float
    cpu_seconds: float


class BenchApp:
    """A stack that runs one of the bench apps, with an open link to its queue. Made by `running`."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession, sender: ServiceBusSender, stores: Stores) -> None:
        self.stack = stack
        self._stores = stores
        self._http = http
        self._sender = sender

    async def send(self, count: int) -> list[str]:
        """Record and queue that many new commands; their ids."""
        sent = [question_envelope() for _ in range(count)]
        await each(sent, lambda value: record_question(self._stores, value), at_once=16)
        for start in range(0, count, _BATCH):
            await self._sender.send_messages([to_message(it) for it in sent[start : start + _BATCH]])
        return [it["commandId"] for it in sent]

    async def burst(self, count: int) -> Told:
        """Queue ``count`` commands behind the closed gate, open it, and wait until all are handled: their sender takes
        no part in what is measured."""
        await self._call("POST", "hold")
        await self.send(count)
        await self._call("POST", "release")
        return await self.until(count)

    async def release(self) -> None:
        await self._call("POST", "release")

    async def until(self, count: int) -> Told:
        """Until ``count`` were handled since the gate opened. Raises TimeoutError where nothing moves any more."""
        last, moved = -1, asyncio.get_running_loop().time()
        while (told := await self.told()).handled < count:
            now = asyncio.get_running_loop().time()
            if told.handled != last:
                last, moved = told.handled, now
            elif now - moved > PATIENCE_SECONDS:
                raise TimeoutError(f"{told.handled} of {count} messages were handled, then none any more")
            await asyncio.sleep(POLL_SECONDS)
        return told

    async def empty_tables(self) -> None:
        """Those that a command writes to: Azurite slows with every row, which has nothing to do with what is measured.
        Nothing may be in flight."""
        connection = self.stack.settings["TablesConnection"]
        async with TableServiceClient.from_connection_string(connection) as service:
            for table in (KEYS, RUNS, STAGES):
                await service.delete_table(table)
        await ensure_tables(Connection(connection_string=connection))

    async def told(self) -> Told:
        return await self._call("GET", "progress")

    async def _call(self, method: str, path: str) -> Told:
        async with self._http.request(method, f"/api/{path}") as answer:
            answer.raise_for_status()
            told = await answer.json()
            return Told(told["handled"], told["seconds"], told["cpuSeconds"])


@asynccontextmanager
async def running(name: str) -> AsyncIterator[BenchApp]:
    """The bench app of that name, on a stack of its own that keeps nothing."""
    async with (
        Stack(StackOptions(app=APPS / name)) as stack,
        _stores_of(stack) as stores,
        aiohttp.ClientSession(stack.api_base_url, trust_env=False) as http,
        ServiceBusClient.from_connection_string(stack.settings["ServiceBusConnection"]) as bus,
        bus.get_queue_sender(QUEUE) as sender,
    ):
        yield BenchApp(stack, http, sender, stores)


@asynccontextmanager
async def _stores_of(stack: Stack) -> AsyncIterator[Stores]:
    tables = open_table_stores(
        Connection(connection_string=stack.settings["TablesConnection"]),
        Connection(connection_string=stack.settings["BlobsConnection"]),
    )
    try:
        yield tables.stores
    finally:
        await tables.close()


async def record_question(stores: Stores, value: dict[str, Any]) -> None:
    """As the API records what it sends."""
    await record(stores, Lane.CONVERSATION, QUEUE, json.dumps(value).encode(), subject=SAMPLE[0].subject)


def question_envelope(text: str = "What did we spend on groceries last month?") -> dict[str, Any]:
    """A question of the sample household's member, as the API would write it; the same envelope but for its ids."""
    conversation = uuid.uuid4().hex
    return envelope(
        CommandType.AGENT_MESSAGE_POSTED,
        {
            "householdId": HOUSEHOLD_ID,
            "conversationId": conversation,
            "householdUserId": USER_ID,
            "message": text,
            "policyDisposition": "advisory_only",
        },
    )


def envelope(command_type: CommandType, payload: dict[str, Any]) -> dict[str, Any]:
    command_id = uuid.uuid4().hex
    return {
        "commandId": command_id,
        "correlationId": f"bench:{command_id}",
        "commandType": command_type.value,
        "createdAtUtc": iso(datetime.now(UTC)),
        "schemaVersion": 1,
        "payload": payload,
    }


def to_message(value: dict[str, Any]) -> ServiceBusMessage:
    """Its message, as the API sends a command that it has recorded."""
    return ServiceBusMessage(
        json.dumps(value, separators=(",", ":")).encode(),
        message_id=value["commandId"],
        correlation_id=value["correlationId"],
        subject=value["commandType"],
        content_type="application/json",
        application_properties={"recorded": True, "householdId": value["payload"]["householdId"]},
    )
