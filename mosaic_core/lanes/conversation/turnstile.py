"""One conversation, one attempt at a time in a process. Across processes the conversation's row says whose it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

from mosaic_core.domain.errors import BusyError

WAIT_SECONDS: Final = 10.0
"""How long a message waits within its invocation before it goes back to the queue."""

MOST_WAITING: Final = 4
"""How many messages of one conversation wait at once: each of them has a worker's slot, which others need as well."""

BUSY_SECONDS: Final = 2.0
"""When who has found a conversation busy looks again."""


class _Gate:
    """A lock that knows how many wait for it."""

    __slots__ = ("__weakref__", "lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0


class Turnstile:
    """Gates by household and conversation; one that nobody uses is forgotten."""

    def __init__(self, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._gates: WeakValueDictionary[tuple[str, str], _Gate] = WeakValueDictionary()

    @asynccontextmanager
    async def one_at_a_time(self, household_id: str, conversation_id: str) -> AsyncIterator[None]:
        """Raises BusyError where the conversation does not get free in time, or too many wait for it already."""
        gate = self._gates.setdefault((household_id, conversation_id), _Gate())
        if gate.lock.locked() and gate.waiting >= MOST_WAITING:
            raise busy()
        gate.waiting += 1
        try:
            async with asyncio.timeout(self._wait_seconds):
                await gate.lock.acquire()
        except TimeoutError:
            raise busy() from None
        finally:
            gate.waiting -= 1
        try:
            yield
        finally:
            gate.lock.release()


def busy() -> BusyError:
    return BusyError("another message of this conversation is being worked on", wait=BUSY_SECONDS)
