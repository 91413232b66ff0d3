"""The worker's end: once it drains, no delivery begins and every lane that runs is ended without counting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress


class Drain:
    """A one-way switch that running deliveries listen to, and the count of those. Not thread-safe: use it on the
    worker's event loop."""

    def __init__(self) -> None:
        self.draining = False
        self._listeners: list[Callable[[], object]] = []
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self) -> None:
        if not self.draining:
            self.draining = True
            for listener in tuple(self._listeners):
                listener()

    def listen(self, listener: Callable[[], object]) -> None:
        """Call ``listener`` when the drain begins; at once where it has begun: a delivery that was let in before may
        come to its lane only now."""
        if self.draining:
            listener()
        else:
            self._listeners.append(listener)

    def forget(self, listener: Callable[[], object]) -> None:
        with suppress(ValueError):
            self._listeners.remove(listener)

    async def pause[T](self, waiting: Awaitable[T]) -> T | None:
        """What ``waiting`` comes to; None where the drain begins before, and ends it."""
        begun = asyncio.Event()
        self.listen(begun.set)
        work, end = asyncio.ensure_future(waiting), asyncio.ensure_future(begun.wait())
        try:
            await asyncio.wait({work, end}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.forget(begun.set)
            for task in (work, end):
                task.cancel()
            await asyncio.wait({work, end})
        return None if work.cancelled() else work.result()

    @contextmanager
    def delivery(self) -> Iterator[None]:
        """One delivery is under way within the block."""
        self._running += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def idle(self) -> None:
        """Wait until no delivery is under way."""
        await self._idle.wait()
