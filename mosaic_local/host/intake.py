"""What comes in by HTTP, bounded before the app sees any of it: sizes, times, and how much at once.

A request takes its place among those at work only once its body is there: who sends slowly holds up nobody else. What
is large is read only while few others are, so that memory does not follow from the number of those that send.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from mosaic_local.host.errors import HostConfigurationError

SIZE_SETTING: Final = "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"
PLATFORM_BODY_BYTES: Final = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Sizes in bytes, times in seconds. ``concurrent`` requests are at work and ``outstanding`` are at work or wait for
    it (host.json's figures); of bodies above ``large_bytes`` only ``large_bodies`` are in memory."""

    body_bytes: int = PLATFORM_BODY_BYTES
    concurrent: int = 100
    outstanding: int = 200
    head_seconds: float = 15.0
    body_seconds: float = 60.0
    large_bytes: int = 256 * 1024
    large_bodies: int = 4
    large_wait_seconds: float = 10.0


def body_bytes(settings: Mapping[str, str]) -> int:
    """The platform's setting, or its default. Raises HostConfigurationError."""
    text = settings.get(SIZE_SETTING, "").strip()
    if not text:
        return PLATFORM_BODY_BYTES
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) > 0):
        raise HostConfigurationError(f"the app setting {SIZE_SETTING} is no number of bytes")
    return int(text)


class RefusedError(Exception):
    """A request that is not taken in. ``answer`` ends its connection where its body was not read."""

    def __init__(self, status: int, text: str, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.retry_after = status, text, retry_after

    def answer(self) -> web.Response:
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after else {}
        response = web.Response(status=self.status, text=self.text, headers=headers)
        response.force_close()
        return response


class Intake:
    """Of one event loop."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._at_work = asyncio.Semaphore(bounds.concurrent)
        self._large = asyncio.Semaphore(bounds.large_bodies)
        self._outstanding = 0

    @asynccontextmanager
    async def taken(self, request: web.BaseRequest) -> AsyncIterator[bytes]:
        """The request's body, with a place at work until the context ends. Raises `RefusedError`: 413, 408 where the
        body does not come in time, 429 where too much is going on."""
        async with AsyncExitStack() as held:
            body = await self._body(request, held)
            async with self.place():
                yield body

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place at work until the context ends, with nothing read. Raises `RefusedError`: 429."""
        if self._outstanding >= self._bounds.outstanding:
            raise RefusedError(429, "Too many requests are outstanding.", retry_after=1)
        self._outstanding += 1
        try:
            async with self._at_work:
                yield
        finally:
            self._outstanding -= 1

    async def _body(self, request: web.BaseRequest, held: AsyncExitStack) -> bytes:
        declared = request.content_length or 0
        if declared > self._bounds.body_bytes:
            raise RefusedError(413, "The request body is too large.")
        is_large = declared > self._bounds.large_bytes
        if is_large:
            await self._large_place(held)
        body = bytearray()
        try:
            async with asyncio.timeout(self._bounds.body_seconds):
                async for part in request.content.iter_any():
                    if len(body) + len(part) > self._bounds.body_bytes:
                        body.clear()  # now: the error's traceback would keep it beyond its place
                        raise RefusedError(413, "The request body is too large.")
                    body += part
                    if not is_large and len(body) > self._bounds.large_bytes:
                        is_large = True
                        await self._large_place(held)
        except TimeoutError:
            body.clear()
            raise RefusedError(408, "The request body did not come in time.") from None
        return bytes(body)

    async def _large_place(self, held: AsyncExitStack) -> None:
        """Nothing more of the body is read until there is one."""
        try:
            async with asyncio.timeout(self._bounds.large_wait_seconds):
                await held.enter_async_context(self._large)
        except TimeoutError:
            raise RefusedError(429, "Too many large requests are under way.", retry_after=5) from None
