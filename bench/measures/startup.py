"""How long until something works: the stack's first message, the demo, the demo on a bare clone."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench import load
from bench.results import Row, at_most, typical
from mosaic_core.adapters.servicebus import ServiceBusSender
from mosaic_core.adapters.tables import open_table_stores
from mosaic_core.config import Connection
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.ports import OutgoingMessage
from mosaic_local.stack import Stack, StackOptions

STACK_ROWS: Final = ("stack_start_to_first_message", "stack_start")
DEMO_ROWS: Final = ("demo_warm",)
COLD_ROWS: Final = ("demo_cold",)
ROUNDS: Final = 3
ROOT: Final = Path(__file__).resolve().parents[2]
_WAIT_SECONDS: Final = 30.0


async def measure_stack(quick: bool) -> list[Row]:
    """The product's own stack, from nothing to a command whose key says Completed, sent as soon as there is a
    worker."""
    firsts, starts = [], []
    for _ in range(1 if quick else ROUNDS):
        began = time.perf_counter()
        async with Stack(StackOptions()) as stack:
            starts.append(time.perf_counter() - began)
            await _first_message(stack)
            firsts.append(time.perf_counter() - began)
    return [
        typical("stack_start_to_first_message", firsts, "s", at_most(4)),
        typical("stack_start", starts, "s"),
    ]


async def _first_message(stack: Stack) -> None:
    value = load.question_envelope()
    tables = open_table_stores(
        Connection(connection_string=stack.settings["TablesConnection"]),
        Connection(connection_string=stack.settings["BlobsConnection"]),
    )
    sender = ServiceBusSender(Connection(connection_string=stack.settings["ServiceBusConnection"]))
    body = json.dumps(value).encode()
    try:
        await load.record_question(tables.stores, value)
        await sender.send(OutgoingMessage(queue=load.QUEUE, body=body, message_id=value["commandId"]))
        async with asyncio.timeout(_WAIT_SECONDS):
            while True:
                stored = await tables.stores.keys.read(load.QUEUE, value["commandId"])
                if stored is not None and stored.value.status == KeyStatus.COMPLETED:
                    return
                await asyncio.sleep(0.01)
    finally:
        await sender.close()
        await tables.close()


async def measure_demo(quick: bool) -> list[Row]:
    """``./mosaic demo`` where everything is installed."""
    return [typical("demo_warm", [await _demo(ROOT, {})], "s", at_most(20))]


async def measure_cold_demo(quick: bool) -> list[Row]:
    """``./mosaic demo`` in a bare clone of the last commit, with empty caches: packages come over the network."""
    with tempfile.TemporaryDirectory(prefix="mosaic-cold-") as folder:
        clone, cache = Path(folder) / "clone", Path(folder) / "cache"
        await _run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], Path(folder), {})
        empty = {
            "XDG_CACHE_HOME": str(cache),
            "UV_CACHE_DIR": str(cache / "uv"),
            "PIP_CACHE_DIR": str(cache / "pip"),
            "npm_config_cache": str(cache / "npm"),
        }
        return [typical("demo_cold", [await _demo(clone, empty)], "s", at_most(240))]


async def _demo(checkout: Path, environment: Mapping[str, str]) -> float:
    began = time.perf_counter()
    await _run([str(checkout / "mosaic"), "demo"], checkout, environment)
    return time.perf_counter() - began


async def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Raises RuntimeError with the program's last words where it fails."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**kept, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode:
        tail = "\n".join(said.decode("utf-8", "replace").splitlines()[-15:])
        raise RuntimeError(f"{Path(command[0]).name} {command[1]} ended with {process.returncode}:\n{tail}")
