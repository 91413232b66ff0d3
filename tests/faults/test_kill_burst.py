"""kill -9 on the worker in the middle of a burst on all lanes, three times: every command in its right terminal state,
each effect once, no key Reserved."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass
from datetime import date
from functools import partial
from operator import eq, le
from typing import Any

import pytest
from azure.data.tables.aio import TableClient
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage

from mosaic_core.concurrency import each
from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import ApprovalStatus, KeyStatus, RunStatus
from mosaic_local.demo.journey import Journey, Sent, read
from mosaic_local.stack import Stack, StackOptions
from tests.support.live import ALICE, CONVERSATION, INGESTION, SWEEP, Live, batch, guid, live, message, sweep

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SETTINGS = {
    "Drill__Enabled": "true",
    "Lease__Seconds": "3",
    "Lease__RenewSeconds": "1",
    "Retry__Seconds": "0.3,0.5,0.7,1.0",
}


@dataclass(frozen=True)
class Size:
    """How many commands of each kind, and kills of the worker."""

    messages: int
    requests: int
    batches: int
    sweeps: int
    doomed: int
    kills: int

    @property
    def commands(self) -> int:
        return self.messages + self.requests + self.batches + self.sweeps + self.doomed


EVERYDAY = Size(messages=32, requests=8, batches=28, sweeps=10, doomed=2, kills=2)
WHOLE = Size(messages=80, requests=20, batches=70, sweeps=25, doomed=5, kills=3)


def burst(conversation: str, size: Size) -> list[tuple[str, dict[str, Any]]]:
    """Some are held for a while, so that each kill finds lanes in the middle of their work."""
    out = [
        (CONVERSATION, message(conversationId=conversation, clientReferenceId=f"drill-sleep-{n % 7 * 30}-{n}"))
        for n in range(size.messages)
    ]
    out += [
        (CONVERSATION, message(f"Please wire ${n + 1} to the landlord", conversationId=conversation))
        for n in range(size.requests)
    ]
    out += [
        (INGESTION, batch(*(f"burst-{n}-{k}" for k in range(3)), clientReferenceId=f"drill-sleep-{n % 5 * 40}-{n}"))
        for n in range(size.batches)
    ]
    out += [(SWEEP, sweep(clientReferenceId=f"drill-sleep-60-{n}")) for n in range(size.sweeps)]
    out += [(CONVERSATION, message(clientReferenceId=f"drill-fail-always-{n}")) for n in range(size.doomed)]
    return [out[n * 77 % len(out)] for n in range(len(out))]


async def send_all(running: Live, commands: list[tuple[str, dict[str, Any]]]) -> None:
    await each(commands, lambda command: running.record(*command), at_once=16)
    for queue in {queue for queue, _ in commands}:
        messages = [
            ServiceBusMessage(json.dumps(value), message_id=value["commandId"])
            for where, value in commands
            if where == queue
        ]
        await running.doors.send_all(queue, messages)


async def finished(keys: TableClient) -> int:
    """How many keys are final, by one request: the worker has the machine to itself."""
    await asyncio.sleep(0.2)
    rows = keys.query_entities(f"Status ne '{KeyStatus.RESERVED}'", select=["RowKey"])
    return len([row async for row in rows])


@pytest.mark.parametrize(
    "size", [pytest.param(EVERYDAY, id="everyday"), pytest.param(WHOLE, id="whole", marks=pytest.mark.slow)]
)
async def test_kill_burst(size: Size) -> None:
    conversation = guid()
    commands = burst(conversation, size)
    assert len(commands) == len({value["commandId"] for _, value in commands}) == size.commands
    with Stack(StackOptions(app_settings=SETTINGS, lock_seconds=4)) as stack:
        tables = stack.settings["TablesConnection"]
        async with live(stack) as running, TableClient.from_connection_string(tables, "IdempotencyKeys") as keys:
            await send_all(running, commands)
            for kill in range(1, size.kills + 1):
                enough = size.commands * kill // (size.kills + 2)
                await running.until(lambda: finished(keys), partial(le, enough), seconds=60)
                await asyncio.to_thread(stack.kill_worker)
                await asyncio.to_thread(stack.wait_worker)
            await running.until(lambda: finished(keys), partial(eq, size.commands), seconds=120)
            await running.until(running.doors.left, lambda left: left == 0, seconds=60)
            await check(running, commands, conversation, size)


async def check(running: Live, commands: list[tuple[str, dict[str, Any]]], conversation: str, size: Size) -> None:
    dead = await running.doors.dead_letters()
    journeys = [
        await read(running.stores, Sent(step="burst", queue=queue, command_id=value["commandId"]), dead)
        for queue, value in commands
    ]
    for journey, (_, value) in zip(journeys, commands, strict=True):
        right_end(journey, value)
    only_the_doomed_are_dead(dead, commands, size)
    # effects of kind 1: each transaction once, each finding once, each approval once
    rows = await running.stores.ledger.between(ALICE, date(2000, 1, 1), date(2100, 1, 1))
    assert sorted(t.transaction_id for t in rows) == sorted(
        f"burst-{n}-{k}" for n in range(size.batches) for k in range(3)
    )
    pending = await running.stores.approvals.of_household(ALICE, ApprovalStatus.PENDING)
    asked = {ids.run_id(CONVERSATION, v["commandId"]) for _, v in commands if "wire" in v["payload"].get("message", "")}
    assert len(pending) == size.requests
    assert {a.run_id for a in pending} == asked
    # every command of the conversation is listed once
    listed = [entry async for entry in running.stores.commands.conversation(ALICE, conversation)]
    assert len(listed) == len(set(listed)) == size.messages + size.requests


def only_the_doomed_are_dead(
    dead: list[tuple[str, ServiceBusReceivedMessage]], commands: list[tuple[str, dict[str, Any]]], size: Size
) -> None:
    """A worker that dies between the run's end and the key's leaves the key to the next delivery, and one that dies
    between a retry's copy and its original leaves two messages: either is `idempotency_rejected`, at most once for each
    kill and command."""
    doomed = {value["commandId"] for _, value in commands if is_doomed(value)}
    told: dict[str, Counter[str | None]] = {command: Counter() for command in doomed}
    for _, letter in dead:
        told[str(letter.message_id)][letter.dead_letter_reason] += 1
    for command, reasons in told.items():
        rejected = reasons.pop("idempotency_rejected", 0)
        assert rejected <= size.kills, (command, told)
        assert reasons in ({"processing_failed": 1}, {}), (command, told)
        assert reasons or rejected, (command, told)


def is_doomed(value: dict[str, Any]) -> bool:
    return "always" in (value.get("clientReferenceId") or "")


def right_end(journey: Journey, value: dict[str, Any]) -> None:
    key, run = journey.key, journey.run
    assert key is not None
    assert run is not None
    assert run.is_final
    assert run.completed_at is not None
    last = [s for s in journey.stages if s.attempt == run.attempt]
    # never a lane twice under one number
    assert len({(s.attempt, s.order) for s in journey.stages}) == len(journey.stages)
    if is_doomed(value):
        assert (key.status, run.status) == (KeyStatus.REJECTED, RunStatus.NEEDS_REVIEW)
        assert journey.failure is not None
        assert not journey.failure.is_resolved
        return
    assert key.status == KeyStatus.COMPLETED, (key, run)
    assert last
    assert journey.failure is None or journey.failure.is_resolved
    wanted = RunStatus.NEEDS_REVIEW if "wire" in value["payload"].get("message", "") else RunStatus.COMPLETED
    assert run.status == wanted, run
