"""Faults of a running stack, planted for real: what an engineer who is called at night would find.

Each is an async context manager: within it the fault is there, and has done its damage. ``Planted.settled`` says
whether the stack stands still, so that two looks at it must be alike to the last byte.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from azure.servicebus import ServiceBusMessageState
from azure.servicebus.aio.management import ServiceBusAdministrationClient

from mosaic_core.domain.lanes import Lane
from mosaic_local.stack import Stack, StackOptions
from mosaic_local.state import ROOT
from tests.e2e.conftest import FAST
from tests.support.live import CONVERSATION, INGESTION, SWEEP, Live, batch, guid, live, message
from tests.support.proxy import CutProxy

DEAD_MODEL: Final = {
    "Agent__Provider": "openai",
    "Agent__Endpoint": "http://127.0.0.1:9/v1",
    "Agent__Model": "a-model",
    "Agent__ApiKey": "no-key",
    "Agent__MaxRetries": "0",
}
_KEY: Final = "SharedAccessKeyName=k;SharedAccessKey=v"  # pragma: allowlist secret
NO_HUB: Final = {"EventHubsConnection": f"Endpoint=sb://localhost:9;{_KEY};UseDevelopmentEmulator=true;"}
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
    has_queues: bool = True
    """Whether every queue can be looked at."""


type Fault = Callable[[Path], AbstractAsyncContextManager[Planted]]


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
        await running.finish(sent, seconds=60)


async def _paused(running: Live, lane: Lane, reason: str) -> None:
    """By an administrator other than who is called at night."""
    token = running.stack.token("olga", "Mosaic.Operator.Admin")
    path = f"/ops/lanes/{lane}/pause"
    status, _ = await running.doors.call(
        "POST", path, body={"reason": reason}, user=None, headers={"Authorization": f"Bearer {token}"}
    )
    assert status == 200


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
            await asyncio.to_thread(stack.start_worker, {**FAST, "TablesConnection": proxy.connection_string})
            stack.settings["TablesConnection"] = proxy.target
            async with live(stack) as running:
                await _a_good_day(running)
                proxy.cut()
                await running.send(CONVERSATION, message())
                await running.until(running.doors.left, bool)
                yield Planted(running, settled=False)
                await asyncio.to_thread(stack.stop_worker)


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
    async with _running(NO_HUB) as running:
        await _a_good_day(running)
        yield Planted(running)


@asynccontextmanager
async def paused_lane(_: Path) -> AsyncIterator[Planted]:
    """An administrator paused a lane and went to bed."""
    async with _running() as running:
        await _a_good_day(running)
        await _paused(running, Lane.CONVERSATION, "the new model is looked at")

        async def held() -> bool:
            """A worker knows of a pause a few seconds later: what came before was worked on."""
            waiting = await running.doors.waiting()
            if not waiting:
                await running.send(CONVERSATION, message())
            return any(one.state == ServiceBusMessageState.SCHEDULED for _, one in waiting)

        await running.until(held, bool)
        yield Planted(running, settled=False)


@asynccontextmanager
async def two_groups(_: Path) -> AsyncIterator[Planted]:
    """The model was away and is back; a producer is broken and still sends."""
    async with _running(DEAD_MODEL) as running:
        await running.finish(await running.send(CONVERSATION, message()), seconds=60)
        for name in DEAD_MODEL:
            del running.stack.settings[name]
        await asyncio.to_thread(running.stack.restart_worker)
        await _a_good_day(running)
        await running.doors.send(INGESTION, b"{not json", message_id="feed-1")
        assert await running.reason("feed-1") == "invalid_json"
        yield Planted(running)


# ------------------------------------------------------------------------------------------- others of the same kinds


@asynccontextmanager
async def stranger_sends(_: Path) -> AsyncIterator[Planted]:
    """A well-formed message past the API, from a source that the household does not list."""
    async with _running() as running:
        await _a_good_day(running)
        sent = await running.send(CONVERSATION, message(), recorded=False)
        assert await running.reason(sent.command_id) == "not_recorded"
        yield Planted(running)


@asynccontextmanager
async def queue_missing(_: Path) -> AsyncIterator[Planted]:
    """One lane's queue is not there."""
    async with _running() as running:
        await _a_good_day(running)
        connection = running.stack.description()["environment"]["ServiceBusAdministrationConnection"]
        async with ServiceBusAdministrationClient.from_connection_string(
            connection, connection_verify=str(running.stack.ca_file)
        ) as administration:
            await administration.delete_queue(SWEEP)
        yield Planted(running, has_queues=False)


@asynccontextmanager
async def issuer_gone(_: Path) -> AsyncIterator[Planted]:
    """The token issuer's keys cannot be fetched, and never could."""
    async with _running({"Auth__JwksUri": "http://127.0.0.1:9/keys"}) as running:
        sent = await running.send(CONVERSATION, message())
        await running.finish(sent, seconds=60)
        yield Planted(running)


@asynccontextmanager
async def hub_of_another_name(_: Path) -> AsyncIterator[Planted]:
    """The hub that the settings name is not there."""
    async with _running({"TelemetryHub": "no-such-hub"}) as running:
        await _a_good_day(running)
        yield Planted(running)


@asynccontextmanager
async def tables_slow(_: Path) -> AsyncIterator[Planted]:
    """The tables take the connection and say nothing."""
    async with Stack(StackOptions(with_worker=False)) as stack:
        with CutProxy.before(stack.settings["TablesConnection"]) as proxy:
            await asyncio.to_thread(stack.start_worker, {**FAST, "TablesConnection": proxy.connection_string})
            stack.settings["TablesConnection"] = proxy.target
            async with live(stack) as running:
                await _a_good_day(running)
                proxy.hang()
                yield Planted(running, settled=False)
                proxy.cut()
                await asyncio.to_thread(stack.kill_worker, restart=False)


@asynccontextmanager
async def setting_wrong(_: Path) -> AsyncIterator[Planted]:
    """A deploy with a setting that the app cannot be built with."""
    async with _running() as running:
        await _a_good_day(running)
        await asyncio.to_thread(running.stack.restart_worker, {"Lane__DeadlineSeconds": "many"})
        yield Planted(running)


@asynccontextmanager
async def worker_gone(_: Path) -> AsyncIterator[Planted]:
    """The app's process is gone and stays so."""
    async with _running() as running:
        await _a_good_day(running)
        await asyncio.to_thread(running.stack.kill_worker, restart=False)
        yield Planted(running)
