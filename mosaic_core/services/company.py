"""Who works beside whom in this process.

A lane that kills its process takes every neighbour along, and nobody can tell who it was. So whoever was cut off
without a word is a suspect, and its next attempt runs by itself: if the process dies again, it was that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Place:
    """One delivery's place among the others."""

    def __init__(self, company: Company) -> None:
        self._company = company
        self._counted = False
        self.is_alone = False

    def enter(self) -> bool:
        """Work beside the others, if nobody works alone or waits to."""
        self._counted = self._company._enter()
        return self._counted

    async def take(self, seconds: float) -> bool:
        """Work beside the others. False: within ``seconds`` somebody worked alone, or waited to, all the time."""
        self._counted = await self._company._entered(seconds)
        return self._counted

    async def be_alone(self, seconds: float) -> bool:
        """Give up the place among the others, let nobody in any more, and wait until all have left. False: they have
        not within ``seconds``; the place is lost."""
        self.leave()
        self.is_alone = await self._company._emptied(seconds)
        return self.is_alone

    def leave(self) -> None:
        if self._counted:
            self._counted = False
            self._company._left()
        if self.is_alone:
            self.is_alone = False
            self._company._opened()


class Company:
    """The deliveries of one process. Not thread-safe: use it on the worker's event loop."""

    def __init__(self) -> None:
        self._working = 0
        self._turn = asyncio.Lock()  # one suspect at a time
        self._open = asyncio.Event()
        self._open.set()
        self._empty = asyncio.Event()
        self._empty.set()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Place]:
        """A place that is left at the end of the block, whatever was made of it."""
        place = Place(self)
        try:
            yield place
        finally:
            place.leave()

    async def _entered(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while not self._open.is_set():
                    await self._open.wait()
        except TimeoutError:
            return False
        return self._enter()

    def _enter(self) -> bool:
        if not self._open.is_set():
            return False
        self._working += 1
        self._empty.clear()
        return True

    async def _emptied(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._turn.acquire()
                self._open.clear()
                try:
                    await self._empty.wait()
                except BaseException:
                    self._opened()
                    raise
        except TimeoutError:
            return False
        return True

    def _left(self) -> None:
        self._working -= 1
        if not self._working:
            self._empty.set()

    def _opened(self) -> None:
        self._turn.release()
        if not self._turn.locked():
            self._open.set()
