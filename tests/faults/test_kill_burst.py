"""kill -9 on the worker in the middle of a burst on all lanes, three times: every command in its right terminal state,
each effect once, no key Reserved."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import date
from functools import partial
from operator import eq, ge
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage

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
KILLS = 3
MESSAGES, REQUESTS, BATCHES, SWEEPS, DOOMED = 80, 20, 70, 25, 5


def burst(conversation: str) -> list[tuple[str, dict[str, Any]]]:
    """200 commands. Some are held for a while, so that each kill finds lanes in the middle of their work."""
    out = [
        (CONVERSATION, message(conversationId=conversation, clientReferenceId=f"drill-sleep-{n % 7 * 30}-{n}"))
        for n in range(MESSAGES)
    ]
    out += [
        (CONVERSATION, message(f"Please wire ${n + 1} to the landlord", conversationId=conversation))
        for n in range(REQUESTS)
    ]
    out += [
        (INGESTION, batch(*(f"burst-{n}-{k}" for k in range(3)), clientReferenceId=f"drill-sleep-{n % 5 * 40}-{n}"))
        for n in range(BATCHES)
    ]
    out += [(SWEEP, sweep(clientReferenceId=f"drill-sleep-60-{n}")) for n in range(SWEEPS)]
    out += [(CONVERSATION, message(clientReferenceId=f"drill-fail-always-{n}")) for n in range(DOOMED)]
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


class Unfinished:
    """The commands whose key is not final yet. A final key stays so, so that only the others are asked for again."""

    def __init__(self, running: Live, commands: list[tuple[str, dict[str, Any]]]) -> None:
        self._keys = running.stores.keys
        self._left = [(queue, value["commandId"]) for queue, value in commands]

    async def count(self) -> int:
        await asyncio.sleep(0.2)
        keys = await each(self._left, lambda command: self._keys.read(*command), at_once=16)
        self._left = [
            command
            for command, key in zip(self._left, keys, strict=True)
            if key is None or key.value.status == KeyStatus.RESERVED
        ]
        return len(self._left)


async def test_kill_burst() -> None:
    conversation = guid()
    commands = burst(conversation)
    assert len(commands) == len({value["commandId"] for _, value in commands}) == 200
    with Stack(StackOptions(app_settings=SETTINGS, lock_seconds=4)) as stack:
        async with live(stack) as running:
            await send_all(running, commands)
            unfinished = Unfinished(running, commands)
            for kill in range(1, KILLS + 1):
                await running.until(unfinished.count, partial(ge, len(commands) - kill * 40), seconds=60)
                await asyncio.to_thread(stack.kill_worker)
                await asyncio.to_thread(stack.wait_worker)
            await running.until(unfinished.count, partial(eq, 0), seconds=120)
            await running.until(running.doors.left, lambda left: left == 0, seconds=60)
            await check(running, commands, conversation)


async def check(running: Live, commands: list[tuple[str, dict[str, Any]]], conversation: str) -> None:
    dead = await running.doors.dead_letters()
    journeys = [
        await read(running.stores, Sent(step="burst", queue=queue, command_id=value["commandId"]), dead)
        for queue, value in commands
    ]
    for journey, (_, value) in zip(journeys, commands, strict=True):
        right_end(journey, value)
    reasons = Counter(m.dead_letter_reason for _, m in dead)
    assert reasons == {"processing_failed": DOOMED}, reasons
    # effects of kind 1: each transaction once, each finding once, each approval once
    rows = await running.stores.ledger.between(ALICE, date(2000, 1, 1), date(2100, 1, 1))
    assert sorted(t.transaction_id for t in rows) == sorted(f"burst-{n}-{k}" for n in range(BATCHES) for k in range(3))
    pending = await running.stores.approvals.of_household(ALICE, ApprovalStatus.PENDING)
    asked = {ids.run_id(CONVERSATION, v["commandId"]) for _, v in commands if "wire" in v["payload"].get("message", "")}
    assert len(pending) == REQUESTS
    assert {a.run_id for a in pending} == asked
    # every command of the conversation is listed once
    listed = [entry async for entry in running.stores.commands.conversation(ALICE, conversation)]
    assert len(listed) == len(set(listed)) == MESSAGES + REQUESTS


def right_end(journey: Journey, value: dict[str, Any]) -> None:
    key, run = journey.key, journey.run
    assert key is not None
    assert run is not None
    assert run.is_final
    assert run.completed_at is not None
    last = [s for s in journey.stages if s.attempt == run.attempt]
    # never a lane twice under one number
    assert len({(s.attempt, s.order) for s in journey.stages}) == len(journey.stages)
    if "always" in (value.get("clientReferenceId") or ""):
        assert (key.status, run.status) == (KeyStatus.REJECTED, RunStatus.NEEDS_REVIEW)
        assert journey.failure is not None
        assert not journey.failure.is_resolved
        return
    assert key.status == KeyStatus.COMPLETED, (key, run)
    assert last
    assert journey.failure is None or journey.failure.is_resolved
    wanted = RunStatus.NEEDS_REVIEW if "wire" in value["payload"].get("message", "") else RunStatus.COMPLETED
    assert run.status == wanted, run
