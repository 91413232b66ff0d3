"""Contract, section 5: the rows of a part that is away, stops or dies. Each test has a worker of its own to break."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import KeyStatus, RunStatus
from mosaic_local.stack import Stack, StackOptions
from tests.e2e.conftest import FAST
from tests.support.live import CONVERSATION, INGESTION, Live, batch, live, message
from tests.support.planted_faults import DEAD_MODEL, NO_HUB
from tests.support.proxy import CutProxy

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


type Start = Callable[[dict[str, str]], None]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(StackOptions(with_worker=False, lock_seconds=5)) as running:
        yield running


@pytest.fixture
def worker(stack: Stack) -> Iterator[Start]:
    """Starts the worker with settings of the test's own; both end with the test."""
    usual = dict(stack.settings)
    yield lambda changes: stack.start_worker({**FAST, **changes})
    stack.stop_worker()
    stack.settings.clear()
    stack.settings.update(usual)


@pytest.fixture
def proxied(stack: Stack, worker: Start) -> Iterator[tuple[Stack, CutProxy]]:
    """The worker reaches the tables through a proxy that can be cut."""
    with CutProxy.before(stack.settings["TablesConnection"]) as proxy:
        worker({"TablesConnection": proxy.connection_string})
        yield stack, proxy
        stack.stop_worker()


async def test_row_tables_not_reachable(proxied: tuple[Stack, CutProxy]) -> None:
    """A scheduled copy, not an attempt; the command ends well when the tables are back."""
    stack, proxy = proxied
    async with live_directly(stack, proxy) as running:
        proxy.cut()
        sent = await running.send(CONVERSATION, message())
        await asyncio.sleep(3)
        assert await running.stores.keys.read(CONVERSATION, sent.command_id) is None
        assert await running.doors.left() == 1
        proxy.mend()
        journey = await running.finish(sent, seconds=60)
        assert journey.run is not None
        assert (journey.run.status, journey.run.attempt) == (RunStatus.COMPLETED, 1)


def live_directly(stack: Stack, proxy: CutProxy) -> AbstractAsyncContextManager[Live]:
    """The test itself reads past the proxy."""
    stack.settings["TablesConnection"] = proxy.target
    return live(stack)


async def test_row_worker_draining(stack: Stack, worker: Start) -> None:
    """SIGTERM in the middle of a lane: abandoned at once, the attempt excused, another worker goes on."""
    worker({})
    async with live(stack) as mine:
        sent = await mine.send(CONVERSATION, message(clientReferenceId="drill-sleep-4000-x"))
        run_id = ids.run_id(CONVERSATION, sent.command_id)
        await mine.until(lambda: mine.stores.runs.read(run_id), bool)
        await asyncio.to_thread(stack.stop_worker)
        key = await mine.stores.keys.read(CONVERSATION, sent.command_id)
        assert key is not None
        assert (key.value.status, key.value.lease_seconds, key.value.excused) == (KeyStatus.RESERVED, 0, 1)
        await asyncio.to_thread(stack.start_worker)
        journey = await mine.finish(sent)
        assert journey.run is not None
        assert journey.key is not None
        assert (journey.run.status, journey.run.attempt, journey.key.excused) == (RunStatus.COMPLETED, 2, 1)


@pytest.mark.slow
async def test_a_drain_costs_a_message_few_deliveries(stack: Stack, worker: Start) -> None:
    """With many receivers open, a message that goes back must not go round among them until the broker gives it up."""
    worker({})
    async with live(stack) as mine:
        busy = [await mine.send(CONVERSATION, message(clientReferenceId=f"drill-sleep-500-{n}")) for n in range(14)]
        for sent in busy:
            await mine.finish(sent)
        sent = await mine.send(CONVERSATION, message(clientReferenceId="drill-sleep-4000-y"))
        run_id = ids.run_id(CONVERSATION, sent.command_id)
        await mine.until(lambda: mine.stores.runs.read(run_id), bool)
        await asyncio.to_thread(stack.stop_worker)
        assert await mine.doors.dead_letters() == []
        await asyncio.to_thread(stack.start_worker)
        journey = await mine.finish(sent)
        assert journey.run is not None
        assert (journey.run.status, journey.run.attempt) == (RunStatus.COMPLETED, 2)


async def test_row_telemetry_publish_failed(stack: Stack, worker: Start) -> None:
    """Event Hubs away: the command is neither failed nor delayed, the log has a warning."""
    worker(NO_HUB)
    async with live(stack) as mine:
        sent = await mine.send(CONVERSATION, message())
        journey = await mine.finish(sent, seconds=10)
        assert journey.run is not None
        assert (journey.run.status, journey.run.attempt) == (RunStatus.COMPLETED, 1)
        assert journey.settlement == "completed"
        assert journey.signals == []

        async def warnings() -> list[dict[str, Any]]:
            text = (stack.state_dir / "telemetry" / "logs.jsonl").read_text("utf-8")
            told = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]  # whole lines
            return [line for line in told if "events cannot be published" in line["message"]]

        [warning] = await mine.until(warnings, bool)
        assert (warning["level"], warning["logger"]) == ("WARNING", "mosaic_core.adapters.eventhubs")
        assert warning["capacity"] == 10_000


async def test_row_agent_model_not_reachable(stack: Stack, worker: Start) -> None:
    """A provider that is set and does not answer: failed attempts, never the offline agent in silence."""
    worker(DEAD_MODEL)
    async with live(stack) as mine:
        journey = await mine.finish(await mine.send(CONVERSATION, message()), seconds=60)
        assert journey.run is not None
        assert (journey.run.status, journey.run.failure_code) == (
            RunStatus.NEEDS_REVIEW,
            "agent_runtime_unavailable",
        )
        assert journey.settlement == "dead-lettered: processing_failed"


async def test_row_process_died(stack: Stack, worker: Start) -> None:
    """kill -9 in the middle of a lane: redelivered, taken over when the lease is over, ended well."""
    worker({})
    async with live(stack) as mine:
        sent = await mine.send(INGESTION, batch("died-1", clientReferenceId="drill-sleep-2000-x"))
        run_id = ids.run_id(INGESTION, sent.command_id)
        await mine.until(lambda: mine.stores.runs.read(run_id), bool)
        await asyncio.to_thread(stack.kill_worker)
        journey = await mine.finish(sent, seconds=60)
        assert journey.run is not None
        assert (journey.run.is_final, journey.run.attempt) == (True, 2)
        assert journey.key is not None
        assert journey.key.status == KeyStatus.COMPLETED
