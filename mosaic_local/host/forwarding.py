"""HTTP streaming: requests go on to the web server that an extension runs in the worker, and answers come back as they
are made. The platform's host is the same proxy; the invocation itself carries the route's parameters only."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from mosaic_local.host.guard import Answering
from mosaic_local.host.intake import Bounds, RefusedError

log = logging.getLogger("Host.Triggers.Http")

INVOCATION_ID: Final = "x-ms-invocation-id"
_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_START_SECONDS = 10.0
_IDLE_SECONDS = 240.0
"""For how long nothing may come back, as on the platform."""


class Forwarder:
    """To the worker's web server at ``address``. Of one event loop."""

    def __init__(self, address: str, bounds: Bounds) -> None:
        self._address, self._bounds = URL(address), bounds
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Returns once the worker's web server takes connections. Raises TimeoutError."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_read=_IDLE_SECONDS),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        async with asyncio.timeout(_START_SECONDS):
            while True:
                try:
                    _, writer = await asyncio.open_connection(self._address.host, self._address.port)
                except OSError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                return

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def forward(self, request: web.Request, invocation_id: str, answering: Answering) -> web.StreamResponse:
        """The worker's answer, sent on while it comes in. Raises aiohttp.ClientError where there is none, and
        RefusedError for too large a body."""
        assert self._session is not None
        if (request.content_length or 0) > self._bounds.body_bytes:
            raise RefusedError(413, "The request body is too large.")
        headers = _passed_on(request.headers)
        headers[INVOCATION_ID] = invocation_id
        url = self._address.join(URL(request.rel_url.raw_path_qs, encoded=True))
        body = self._body(request) if request.can_read_body else None
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as there:
            answer = web.StreamResponse(status=there.status, reason=there.reason, headers=_passed_on(there.headers))
            answering.begins()
            await answer.prepare(request)
            async for part in there.content.iter_any():
                await answer.write(part)
            await answer.write_eof()
        return answer

    async def _body(self, request: web.Request) -> AsyncIterator[bytes]:
        size = 0
        async for part in request.content.iter_any():
            size += len(part)
            if size > self._bounds.body_bytes:
                raise RefusedError(413, "The request body is too large.")
            yield part


def _passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)
