"""Faults of a running stack, planted for real: what an engineer who is called at night would find.

Each is an async context manager: within it the fault is there, and has done its damage. ``Planted.settled`` says
whether the stack stands still, so that two looks at it must be alike to the last byte.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mosaic_local.stack import ROOT, Stack, StackOptions
from tests.support.live import CONVERSATION, INGESTION, Live, batch, guid, live, message
from tests.support.proxy import CutProxy

FAST: Final = {
    "Drill__Enabled": "true",
    "Retry__Seconds": "0.4,0.4,0.5,0.6",
    "Lease__Seconds": "3",
    "Lease__RenewSeconds": "1",
}
DEAD_MODEL: Final = {
    "Agent__Provider": "openai",
    "Agent__Endpoint": "http://127.0.0.1:9/v1",
    "Agent__Model": "a-model",
    "Agent__ApiKey": "no-key",
    "Agent__MaxRetries": "0",
}
KILLER: Final = """import os
import signal

from mosaic_core.lanes import drill

obeys = drill.Drilled.__call__


async def poisoned(self, context):
    if (context.envelope.client_reference_id or "").startswith("poison-"):
        os.kill(os.getpid(), signal.SIGKILL)
    return await obeys(self, context)


drill.Drilled.__call__ = poisoned
"""
"""Before the app itself: a lane that takes its process along where a command asks for it."""


@dataclass(frozen=True, slots=True)
class Planted:
    live: Live
    settled: bool = True


type Fault = Callable[[Path], AbstractAsyncContextManager[Planted]]


def _nowhere(name: str) -> str:
    key = f"SharedAccessKeyName={name};SharedAccessKey=v"
    return f"Endpoint=sb://localhost:9;{key};UseDevelopmentEmulator=true;"


@asynccontextmanager
async def _running(settings: Mapping[str, str] = {}, **options: object) -> AsyncIterator[Live]:
    async with Stack(StackOptions(app_settings={**FAST, **settings}, **options)) as stack, live(stack) as running:  # type: ignore[arg-type]
        yield running


async def _a_good_day(running: Live) -> None:
    """One command of each kind that ended well before anything was wrong."""
    for sent in (
        await running.send(CONVERSATION, message()),
        await running.send(INGESTION, batch(f"good-{guid()}")),
    ):
        await running.finish(sent)


@asynccontextmanager
async def bad_producer(_: Path) -> AsyncIterator[Planted]:
    """A foreign producer leaves a field out, message after message."""
    async with _running() as running:
        await _a_good_day(running)
        for number in range(3):
            value = batch(f"t-{number}")
            del value["createdAtUtc"]
            await running.doors.send(INGESTION, json.dumps(value).encode(), message_id=f"feed-{number}")
            assert await running.reason(f"feed-{number}") == "invalid_envelope"
        yield Planted(running)


@asynccontextmanager
async def dead_model(_: Path) -> AsyncIterator[Planted]:
    """The model's endpoint refuses every connection."""
    async with _running(DEAD_MODEL) as running:
        for _number in range(2):
            await running.finish(await running.send(CONVERSATION, message()), seconds=60)
        yield Planted(running)


@asynccontextmanager
async def tables_away(_: Path) -> AsyncIterator[Planted]:
    """The worker's way to the tables is cut; the test itself reads past it."""
    async with Stack(StackOptions(with_worker=False)) as stack:
        with CutProxy.before(stack.settings["TablesConnection"]) as proxy:
            stack.start_worker({**FAST, "TablesConnection": proxy.connection_string})
            stack.settings["TablesConnection"] = proxy.target
            async with live(stack) as running:
                await _a_good_day(running)
                proxy.cut()
                await running.send(CONVERSATION, message())
                await running.until(running.doors.left, bool)
                yield Planted(running, settled=False)
                stack.stop_worker()


@asynccontextmanager
async def poison(folder: Path) -> AsyncIterator[Planted]:
    """One command ends the process of every attempt at it."""
    app = folder / "app"
    app.mkdir()
    real = (ROOT / "function_app.py").read_text("utf-8").replace("from __future__ import annotations\n", "", 1)
    (app / "function_app.py").write_text(f"{KILLER}\n\n{real}", "utf-8")
    shutil.copy(ROOT / "host.json", app)
    async with _running(app=app, lock_seconds=4, say=lambda line: None) as running:
        await _a_good_day(running)
        sent = await running.send(CONVERSATION, message(clientReferenceId=f"poison-{guid()}"))
        await running.finish(sent, seconds=120)
        yield Planted(running)


@asynccontextmanager
async def hub_gone(_: Path) -> AsyncIterator[Planted]:
    """Nothing answers where the event hub should be."""
    async with _running({"EventHubsConnection": _nowhere("k")}) as running:
        await _a_good_day(running)
        yield Planted(running)


@asynccontextmanager
async def paused_lane(_: Path) -> AsyncIterator[Planted]:
    """An administrator paused a lane and went to bed."""
    async with _running() as running:
        await _a_good_day(running)
        await paused(running, "conversation", "the new model is looked at")
        await running.send(CONVERSATION, message())
        await running.until(running.doors.left, bool)
        yield Planted(running, settled=False)


@asynccontextmanager
async def two_groups(_: Path) -> AsyncIterator[Planted]:
    """The model was away and is back; a producer is broken and still sends."""
    async with _running(DEAD_MODEL) as running:
        await running.finish(await running.send(CONVERSATION, message()), seconds=60)
        running.stack.restart_worker({"Agent__Provider": "offline"})
        await _a_good_day(running)
        await running.doors.send(INGESTION, b"{not json", message_id="feed-1")
        assert await running.reason("feed-1") == "invalid_json"
        yield Planted(running)


async def paused(running: Live, lane: str, reason: str) -> None:
    from tests.e2e.test_runbook_drill import ops

    assert (await ops(running, "lane", "pause", lane, "--reason", reason)).code == 0
