"""The embedded broker for contract tests, and a TCP proxy that breaks connections on command."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mosaic_core.config import Connection

QUEUES = ("lane-one", "lane-two")
HUB = "telemetry"
PARTITIONS = 2


def connection(port: int) -> Connection:
    return Connection(
        connection_string=(
            f"Endpoint=sb://localhost:{port};SharedAccessKeyName=k;SharedAccessKey=v;UseDevelopmentEmulator=true;"
        )
    )


@contextlib.contextmanager
def running_broker(folder: Path) -> Iterator[int]:
    """A broker process of this test module's own; its AMQP port."""
    config = folder / "broker.json"
    queues = [
        {"name": name, "lockSeconds": 30, "maxDeliveryCount": 10, "ttlSeconds": 3600} for name in (*QUEUES, "spare")
    ]
    hub = {"name": HUB, "partitions": PARTITIONS, "consumerGroups": ["mosaic-money-runtime"]}
    config.write_text(
        json.dumps(
            {
                "host": "127.0.0.1",
                "amqpPort": 0,
                "adminPort": 0,
                "stateDir": None,
                "queues": queues,
                "eventHubs": [hub],
            }
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "mosaic_local.broker", "--config", str(config)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.stdout is not None
        yield int(json.loads(process.stdout.readline())["amqpPort"])
    finally:
        process.terminate()
        process.communicate(timeout=10)


@dataclass
class Proxy:
    """Forwards a port of its own to ``target``. ``cut`` drops every connection; while ``silent`` it accepts and reads
    but forwards nothing; while ``refusing`` it closes what connects."""

    target: int
    port: int = 0
    silent: bool = False
    refusing: bool = False
    connections: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.sleep(0.05)  # for the clients on this loop to see it, too, and to let go of their sockets
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.refusing:
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            self._open.add(sink)
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                if not self.silent:
                    sink.write(data)
                    await sink.drain()
        except OSError:
            pass
        finally:
            self._open.discard(sink)
            sink.transport.abort()
