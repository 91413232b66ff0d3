"""From enqueueing to the commit point on an idle stack, as a multiple of one table insert of the same moments.

The lane's handler is instant. The clock starts when the sender is asked to send, past the API, and stops when the
worker's write of the key, Completed, was answered: what the embedded stack's span of that request says. Both processes
read the machine's one clock.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from statistics import median
from typing import Any, Final

from bench import load
from bench.results import Row, at_most, typical
from mosaic_core.adapters.servicebus import ServiceBusSender
from mosaic_core.adapters.tables import TableStores, open_table_stores
from mosaic_core.adapters.tables.stores import INDEX, KEYS
from mosaic_core.config import Connection
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.ports import OutgoingMessage
from mosaic_local.stack import Stack, StackOptions
from mosaic_local.telemetry import SPANS_FILE

ROWS: Final = ("enqueue_to_completed_p50", "enqueue_to_completed_ms", "table_insert_ms")
WARM_UP: Final = 20
COMMANDS: Final = 60
ROUNDS: Final = 5
IDLE_SECONDS: Final = 0.05
_WAIT_SECONDS: Final = 20.0


async def measure(quick: bool) -> list[Row]:
    commands, rounds = (15, 2) if quick else (COMMANDS, ROUNDS)
    async with Stack(StackOptions(app=load.APPS / "instant")) as stack:
        tables = open_table_stores(
            Connection(connection_string=stack.settings["TablesConnection"]),
            Connection(connection_string=stack.settings["BlobsConnection"]),
        )
        sender = ServiceBusSender(Connection(connection_string=stack.settings["ServiceBusConnection"]))
        try:
            for _ in range(WARM_UP):
                await _one(tables, sender)
            measured = [[await _one(tables, sender) for _ in range(commands)] for _ in range(rounds)]
            ended = await _commits(stack, {command for part in measured for command, _, _ in part})
        finally:
            await sender.close()
            await tables.close()
    inserts = [median(insert for _, _, insert in part) * 1000 for part in measured]
    waits = [median(ended[command] - began for command, began, _ in part) * 1000 for part in measured]
    return [
        typical(
            "enqueue_to_completed_p50", [w / i for w, i in zip(waits, inserts, strict=True)], "inserts", at_most(12)
        ),
        typical("enqueue_to_completed_ms", waits, "ms"),
        typical("table_insert_ms", inserts, "ms"),
    ]


async def _one(tables: TableStores, sender: ServiceBusSender) -> tuple[str, float, float]:
    """One command through the idle stack. Its id, when it was enqueued (Unix seconds), and how long one table insert
    took right before (seconds)."""
    value = load.question_envelope()
    before = time.perf_counter()
    await tables.tables.insert(INDEX, "bench", uuid.uuid4().hex, {"Filler": "x" * 200})
    insert = time.perf_counter() - before
    await asyncio.sleep(IDLE_SECONDS)
    await load.record_question(tables.stores, value)
    began = time.time()
    await sender.send(
        OutgoingMessage(
            queue=load.QUEUE,
            body=json.dumps(value).encode(),
            message_id=value["commandId"],
            properties={"recorded": True},
        )
    )
    await _completed(tables, value)
    return value["commandId"], began, insert


async def _completed(tables: TableStores, value: Mapping[str, Any]) -> None:
    """Until the command's key is Completed. Looked at rarely: the time is not taken from here."""
    async with asyncio.timeout(_WAIT_SECONDS):
        while True:
            await asyncio.sleep(IDLE_SECONDS)
            stored = await tables.stores.keys.read(load.QUEUE, value["commandId"])
            if stored is not None and stored.value.status == KeyStatus.COMPLETED:
                return


async def _commits(stack: Stack, commands: set[str]) -> dict[str, float]:
    """When each command's last write of its key was answered, Unix seconds."""
    file = stack.state_dir / "telemetry" / SPANS_FILE
    async with asyncio.timeout(_WAIT_SECONDS):
        # the spans' file tells nobody that it grew
        while commands - (ended := _key_writes(file.read_text("utf-8").splitlines())).keys():  # noqa: ASYNC110
            await asyncio.sleep(IDLE_SECONDS)
    return ended


def _key_writes(lines: list[str]) -> dict[str, float]:
    spans = [json.loads(line) for line in lines]
    command_of = {
        span["traceId"]: span["attributes"]["commandId"] for span in spans if "commandId" in span["attributes"]
    }
    ended: dict[str, float] = {}
    for span in spans:
        command = command_of.get(span["traceId"])
        if command and span["name"] == f"update {KEYS}":
            moment = datetime.fromisoformat(span["endTime"]).timestamp()
            ended[command] = max(moment, ended.get(command, 0.0))
    return ended
