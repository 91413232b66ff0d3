"""A process that drives one replay until it runs no more, for tests that kill it. Standard input: one JSON object with
the connections and the operation's id. Standard output: a byte for each request to the tables, then a line with the
operation's state."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mosaic_core.adapters.deadletters import ServiceBusDesk
from mosaic_core.adapters.queue_peeking import ServiceBusBrowser
from mosaic_core.adapters.servicebus import ServiceBusSender
from mosaic_core.adapters.tables import Observation, open_table_stores
from mosaic_core.bootstrap import SystemClock
from mosaic_core.config import Connection
from mosaic_core.domain.lanes import RULES
from mosaic_core.services.enqueue import EnqueueService
from mosaic_core.services.replay.replay_service import ReplayService
from mosaic_ops.memory.messaging import MemoryPublisher

QUEUES = {lane: rules.default_queue for lane, rules in RULES.items()}


@asynccontextmanager
async def opened(tables: str, blobs: str, bus: str, *, tell: bool = False) -> AsyncIterator[ReplayService]:
    """The service as a deployment has it, over those connections."""

    def observer(_: Observation) -> None:
        os.write(1, b".")

    storage = open_table_stores(
        Connection(connection_string=tables), Connection(connection_string=blobs), observer=observer if tell else None
    )
    connection = Connection(connection_string=bus)
    sender, browser, clock = ServiceBusSender(connection), ServiceBusBrowser(connection), SystemClock()
    try:
        yield ReplayService(
            stores=storage.stores,
            browser=browser,
            desk=ServiceBusDesk(connection),
            enqueue=EnqueueService(
                stores=storage.stores, sender=sender, publisher=MemoryPublisher(), clock=clock, queues=QUEUES
            ),
            clock=clock,
            queues=QUEUES,
        )
    finally:
        await sender.close()
        await browser.close()
        await storage.close()


async def main(asked: dict[str, Any]) -> None:
    async with opened(asked["tables"], asked["blobs"], asked["bus"], tell=True) as service:
        seen = None
        while (found := await service.advance(asked["replayId"])).state == "running":
            if seen == found.updated_at_utc:
                await asyncio.sleep(1)  # as the tool does: whoever was killed before is taken for alive for a while
            seen = found.updated_at_utc
        os.write(1, f"\n{found.state}\n".encode())


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.readline())))
