"""The replay of 10,000 dead letters over the embedded broker and Azurite, whose driving process is killed (-9) at 20
random moments, aborted once and resumed: each is replayed exactly once, none is lost, all are audited."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient

from mosaic_core.adapters.tables import ensure_tables
from mosaic_core.concurrency import each
from mosaic_core.domain import ids
from mosaic_core.domain.lanes import Lane
from mosaic_core.services.browsing import browsed
from mosaic_core.services.replay.replay_service import ReplayService
from tests.support.azurite import Azurite, running_azurite
from tests.support.broker import running_broker
from tests.support.dead import ORDER, QUEUES, command_id, message_body, rejected
from tests.support.replay_driver import opened

ROOT = Path(__file__).resolve().parents[2]
QUEUE = QUEUES[Lane.CONVERSATION]
MESSAGES = int(os.environ.get("MOSAIC_TEST_REPLAYED", "10000"))
KILLS = 20
OTHERS = 20
LOCK_SECONDS = 15

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_ten_thousand_are_replayed_once_each_whoever_is_killed(tmp_path: Path) -> None:
    queues = [{"name": name, "lockSeconds": LOCK_SECONDS} for name in QUEUES.values()]
    with running_azurite() as azurite, running_broker(tmp_path, queues=queues) as broker:
        asyncio.run(_run(azurite, broker.connection()))


async def _run(azurite: Azurite, bus: str) -> None:
    tables, blobs = azurite.tables.connection_string, azurite.blobs.connection_string
    await ensure_tables(azurite.tables, azurite.blobs)
    chance = random.Random(20261130)
    began = time.monotonic()
    async with opened(tables, blobs, bus) as service:
        numbers = range(1, MESSAGES + OTHERS + 1)
        await each(numbers, lambda number: rejected(service.stores, number), at_once=32)
        await _bury(bus, numbers)
        print(f"\nseeded {MESSAGES + OTHERS} in {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        begun = await service.begin(ORDER)
        assert begun.total == MESSAGES
        asked = json.dumps({"tables": tables, "blobs": blobs, "bus": bus, "replayId": begun.replay_id}) + "\n"
        # so that all of them fall within the work: some ten requests a message
        longest = max(60, MESSAGES * 16 // KILLS)
        for kill in range(KILLS):
            if kill == KILLS // 2:
                await service.abort(begun.replay_id, "olga")
                assert await _drive(asked) == "aborted"
                assert (await service.one(begun.replay_id)).remaining > 0
                await service.resume(begun.replay_id, "olga")
            assert await _drive(asked, kill_after=chance.randrange(20, longest)) == "killed"
            seen = await service.one(begun.replay_id)
            print(f"kill {kill + 1}: {seen.replayed} replayed after {time.monotonic() - began:.0f} s")
        assert await _drive(asked) == "completed"
        done = await service.one(begun.replay_id)
        print(f"completed in {time.monotonic() - began:.0f} s: {done.model_dump_json()}")
        assert (done.replayed, done.refused, done.failed, done.remaining, done.clearing) == (MESSAGES, 0, 0, 0, 0)
        await _check(service)


async def _check(service: ReplayService) -> None:
    meant = {ids.replay_command_id(QUEUE, command_id(n), 1): command_id(n) for n in range(1, MESSAGES + 1)}
    waiting: Counter[str] = Counter()
    after = 0
    while page := await service.browser.browse(QUEUE, after=after, limit=250):
        for message in page:
            waiting[message.message_id] += 1
            assert json.loads(message.body)["replayOfCommandId"] == meant[message.message_id]
        after = page[-1].sequence_number
    assert waiting.keys() == meant.keys(), "each has its replay, and nothing else was sent"
    dead = [letter.message_id async for letter in browsed(service.browser, QUEUE, dead=True)]
    assert dead == [command_id(MESSAGES + n) for n in range(1, OTHERS + 1)], "others stay, what was replayed is gone"

    async def audited(new: str) -> None:
        record = await service.stores.commands.read(new)
        assert record is not None
        assert record.subject == "alice"
        [row] = await service.stores.decisions.of_run(ids.run_id(QUEUE, meant[new]))
        assert (row.actor, row.reason_code) == ("rolf", "replayed")
        assert new in row.rationale

    await each(meant, audited, at_once=32)
    print(f"{len(waiting)} commands in {waiting.total()} messages; the most of one: {max(waiting.values())}")


async def _drive(asked: str, kill_after: int | None = None) -> str:
    """Start the process, and kill it once it has sent so many requests: in whatever it is doing then."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.support.replay_driver"),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(asked.encode())
    await process.stdin.drain()
    seen = b""
    while kill_after is None or seen.count(b".") < kill_after:
        more = await process.stdout.read(64)
        if not more:
            break
        seen += more
    else:
        process.send_signal(signal.SIGKILL)
        await process.wait()
        return "killed"
    await process.wait()
    return seen.decode().split()[-1]


async def _bury(bus: str, numbers: range) -> None:
    """Into the dead-letter queue, in their order: the last are another group's."""
    async with ServiceBusClient.from_connection_string(bus) as client:
        async with client.get_queue_sender(QUEUE) as sender:
            for first in range(0, len(numbers), 100):
                some = numbers[first : first + 100]
                await sender.send_messages([ServiceBusMessage(message_body(n), message_id=command_id(n)) for n in some])
        async with client.get_queue_receiver(QUEUE) as receiver:
            buried = 0
            while buried < len(numbers):
                found = await receiver.receive_messages(max_message_count=100, max_wait_time=10)
                assert found

                async def bury(message: object) -> None:
                    named = message.message_id  # type: ignore[attr-defined]
                    other = named > command_id(MESSAGES)
                    await receiver.dead_letter_message(
                        message,  # type: ignore[arg-type]
                        reason="another_reason" if other else "processing_failed",
                        error_description=f"drill_failure; run={'1' * 32}; correlation=x; attempt=5; told to fail",
                    )

                await each(found, bury, at_once=16)
                buried += len(found)
        async with client.get_queue_receiver(QUEUE, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
            assert len(await receiver.peek_messages(max_message_count=10)) == 10
