"""``python -m mosaic_local.broker.namespaces``: many namespaces in one process, with entities and ports of their own.

A line of stdin, a JSON object, each: ``{"open": ID, "config": {…}}`` (a `BrokerConfig`), ``{"close": ID}``. Answers, a
line each: ``{"id", "amqpPort", "adminPort"}``, ``{"id", "closed": true}``, ``{"id", "error": "one line"}``. Ends with
stdin. Starting a process costs half a second; opening a namespace in one that runs, some milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from typing import Any

from pydantic import ValidationError

from mosaic_local.broker.config import BrokerConfig
from mosaic_local.broker.errors import StartError
from mosaic_local.broker.server import listening


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


async def _keep(number: int, config: BrokerConfig, close: asyncio.Event) -> None:
    """One namespace, until ``close`` is set."""

    def ready(amqp_port: int, admin_port: int | None) -> None:
        _say({"id": number, "amqpPort": amqp_port, "adminPort": admin_port})

    try:
        async with listening(config, ready):
            await close.wait()
    except StartError as error:
        _say({"id": number, "error": str(error)})
    else:
        _say({"id": number, "closed": True})


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, name="stdin", daemon=True).start()
    kept: dict[int, tuple[asyncio.Event, asyncio.Task[None]]] = {}
    while line := await lines.get():
        told = json.loads(line)
        if "close" in told:
            kept.pop(told["close"])[0].set()
            continue
        number, close = int(told["open"]), asyncio.Event()
        try:
            config = BrokerConfig.model_validate(told["config"])
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            _say({"id": number, "error": faults})
            continue
        kept[number] = close, loop.create_task(_keep(number, config, close))
    for close, _ in kept.values():
        close.set()
    await asyncio.gather(*(task for _, task in kept.values()))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    asyncio.run(_serve())
