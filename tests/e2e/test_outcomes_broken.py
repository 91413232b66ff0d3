"""Contract, section 5: the rows of a part that is away, stops or dies. Each test breaks a stack of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
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


@pytest.fixture
def proxied() -> Iterator[tuple[Stack, CutProxy]]:
    """A stack whose worker reaches the tables through a proxy that can be cut."""
    with (
        Stack(StackOptions(with_worker=False)) as stack,
        CutProxy.before(stack.settings["TablesConnection"]) as proxy,
    ):
        stack.start_worker({**FAST, "TablesConnection": proxy.connection_string})
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


async def test_row_worker_draining() -> None:
    """SIGTERM in the middle of a lane: abandoned at once, the attempt excused, another worker goes on."""
    with Stack(StackOptions(app_settings=FAST)) as stack:
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
async def test_a_drain_costs_a_message_few_deliveries() -> None:
    """With many receivers open, a message that goes back must not go round among them until the broker gives it up."""
    with Stack(StackOptions(app_settings=FAST)) as stack:
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


async def test_row_telemetry_publish_failed() -> None:
    """Event Hubs away: the command is neither failed nor delayed, the log has a warning."""
    with Stack(StackOptions(app_settings={**FAST, **NO_HUB})) as stack:
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


async def test_row_agent_model_not_reachable() -> None:
    """A provider that is set and does not answer: failed attempts, never the offline agent in silence."""
    with Stack(StackOptions(app_settings={**FAST, **DEAD_MODEL})) as stack:
        async with live(stack) as mine:
            journey = await mine.finish(await mine.send(CONVERSATION, message()), seconds=60)
            assert journey.run is not None
            assert (journey.run.status, journey.run.failure_code) == (
                RunStatus.NEEDS_REVIEW,
                "agent_runtime_unavailable",
            )
            assert journey.settlement == "dead-lettered: processing_failed"


async def test_row_process_died() -> None:
    """kill -9 in the middle of a lane: redelivered, taken over when the lease is over, ended well."""
    with Stack(StackOptions(app_settings=FAST, lock_seconds=5)) as stack:
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
