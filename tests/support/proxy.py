"""A TCP proxy before a storage account that can be cut, hung and mended, to make the tables unreachable."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class CutProxy:
    """While cut, connections are reset; while hung, they are taken and nothing is answered. ``connection_string`` leads
    through it, ``target`` does not."""

    def __init__(self, target: str, host: str, port: int) -> None:
        self.target = target
        self._address = (host, port)
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._cut = False
        self._hung = False
        self.port = 0

    @classmethod
    @contextmanager
    def before(cls, connection_string: str) -> Iterator[CutProxy]:
        found = re.search(r"TableEndpoint=http://([^:/]+):(\d+)", connection_string)
        assert found is not None, "the connection string has no table endpoint"
        proxy = cls(connection_string, found[1], int(found[2]))
        thread = threading.Thread(target=proxy._loop.run_forever, name="proxy", daemon=True)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(proxy._serve, "127.0.0.1", 0), proxy._loop
        ).result(5)
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            proxy.cut()
            proxy._loop.call_soon_threadsafe(server.close)
            proxy._loop.call_soon_threadsafe(proxy._loop.stop)
            thread.join(5)
            proxy._loop.close()

    @property
    def connection_string(self) -> str:
        return re.sub(r"(TableEndpoint=http://)[^/]+", rf"\g<1>127.0.0.1:{self.port}", self.target)

    def cut(self) -> None:
        self._cut = True
        self._loop.call_soon_threadsafe(self._abort)

    def hang(self) -> None:
        self._hung = True
        self._loop.call_soon_threadsafe(self._abort)

    def mend(self) -> None:
        self._cut = self._hung = False

    def _abort(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        if self._hung:
            self._writers.add(writer)
            with suppress(OSError):
                await reader.read()  # until whoever asks gives up
            return
        with suppress(OSError):
            there_reader, there_writer = await asyncio.open_connection(*self._address)
            self._writers |= {writer, there_writer}
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        for one in (writer, there_writer):
            self._writers.discard(one)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
