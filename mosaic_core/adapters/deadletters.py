"""Takes dead letters out of a Service Bus dead-letter queue: under lock, one by one, and only those that are meant.

There is no receiving by number here: the queue gives what it has, in its order. What is not meant is held until the
session ends and then given back; a dead-letter queue has no delivery limit, so that does it no harm. A process that
dies leaves locks that end by themselves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from mosaic_core.adapters.servicebus import client_of, closed, import_sdk
from mosaic_core.concurrency import each
from mosaic_core.config import Connection
from mosaic_core.domain import ids
from mosaic_core.domain.errors import QueueUnavailableError

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage
    from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver

log = logging.getLogger(__name__)

MOST_HELD: Final = 2_000
"""Messages that are not meant, and are held so that those behind them come."""

MOST_HELD_BYTES: Final = 64 * 1024 * 1024
_AT_ONCE: Final = 100
_SETTLED_AT_ONCE: Final = 16
_WAIT_SECONDS: Final = 1.0
_OPEN_SECONDS: Final = 15.0
_CLOSE_SECONDS: Final = 5.0


class ServiceBusDesk:
    """The `DeadLetterDesk` of a deployment."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def session(self, queue: str) -> AsyncIterator[ServiceBusSession]:
        session = ServiceBusSession(self._connection, queue)
        try:
            yield session
        finally:
            await session.close()


class ServiceBusSession:
    """Connects when it is first asked to complete something."""

    def __init__(self, connection: Connection, queue: str) -> None:
        self._connection = connection
        self._queue = queue
        self._client: ServiceBusClient | None = None
        self._credential: Any = None
        self._receiver: ServiceBusReceiver | None = None
        self._held: list[ServiceBusReceivedMessage] = []
        self._held_bytes = 0

    async def complete(self, wanted: Mapping[int, str], *, seconds: float) -> frozenset[int]:
        gone: set[int] = set()
        ends = time.monotonic() + seconds
        try:
            async with asyncio.timeout(seconds + _OPEN_SECONDS):
                receiver = await self._open()
                ends = max(ends, time.monotonic() + min(seconds, _WAIT_SECONDS))  # whatever opening took
                gone |= await self._complete_all(self._release(wanted))
                while len(gone) < len(wanted) and self._has_room:
                    wait = min(_WAIT_SECONDS, ends - time.monotonic())
                    if wait <= 0:
                        break
                    found = await receiver.receive_messages(max_message_count=_AT_ONCE, max_wait_time=wait)
                    if not found:
                        break
                    meant = [one for one in found if wanted.get(one.sequence_number or 0) == _id_of(one)]
                    for other in found:
                        if other not in meant:
                            self._hold(other)
                    gone |= await self._complete_all(meant)
        except Exception as error:
            await self._discard()
            if gone:
                return frozenset(gone)
            raise QueueUnavailableError(
                f"dead letters of {self._queue} cannot be completed ({type(error).__name__})"
            ) from error
        return frozenset(gone)

    async def close(self) -> None:
        """Give back what is held. What cannot be given back is free when its lock ends."""
        receiver = self._receiver
        if receiver is not None and self._held:

            async def give_back(message: ServiceBusReceivedMessage) -> None:
                try:
                    await receiver.abandon_message(message)
                except Exception as error:
                    log.debug("a dead letter is free when its lock ends", extra={"error": type(error).__name__})

            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await each(self._held, give_back, at_once=_SETTLED_AT_ONCE)
            except TimeoutError:
                log.info("dead letters are free when their locks end", extra={"queue": self._queue})
        self._held.clear()
        await self._discard()
        for part in (self._client, self._credential):
            if part is not None:
                await closed(part.close(), seconds=_CLOSE_SECONDS)
        self._client = self._credential = None

    @property
    def held(self) -> Mapping[int, str]:
        return {one.sequence_number or 0: _id_of(one) for one in self._held}

    def _release(self, wanted: Mapping[int, str]) -> list[ServiceBusReceivedMessage]:
        """What is held and wanted now: held no more."""
        meant = [one for one in self._held if wanted.get(one.sequence_number or 0) == _id_of(one)]
        for one in meant:
            self._held.remove(one)
            self._held_bytes -= _size(one)
        return meant

    async def _complete_all(self, meant: list[ServiceBusReceivedMessage]) -> set[int]:
        results = await each(meant, self._completed, at_once=_SETTLED_AT_ONCE)
        return {one.sequence_number or 0 for one, done in zip(meant, results, strict=True) if done}

    @property
    def _has_room(self) -> bool:
        return len(self._held) < MOST_HELD and self._held_bytes < MOST_HELD_BYTES

    def _hold(self, message: ServiceBusReceivedMessage) -> None:
        self._held.append(message)
        self._held_bytes += _size(message)

    async def _completed(self, message: ServiceBusReceivedMessage) -> bool:
        assert self._receiver is not None
        try:
            await self._receiver.complete_message(message)
        except Exception as error:
            # its lock ends, and the next session finds it where it was, or gone
            log.info("a dead letter could not be completed", extra={"error": type(error).__name__})
            return False
        return True

    async def _open(self) -> ServiceBusReceiver:
        if self._receiver is None:
            await asyncio.to_thread(import_sdk)
            from azure.servicebus import ServiceBusSubQueue

            if self._client is None:
                self._client, self._credential = client_of(self._connection, retry_total=1)
            receiver = self._client.get_queue_receiver(
                self._queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER, prefetch_count=0
            )
            # opened here: within a receive it would have no longer than that may wait
            await receiver.__aenter__()
            self._receiver = receiver
        return self._receiver

    async def _discard(self) -> None:
        """What was held by this link is free when its lock ends."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            self._held.clear()
            self._held_bytes = 0
            await closed(receiver.close(), seconds=_CLOSE_SECONDS)


def _id_of(message: ServiceBusReceivedMessage) -> str:
    return ids.message_id(message.message_id, message.sequence_number or 0)


def _size(message: ServiceBusReceivedMessage) -> int:
    body: Any = message.body
    try:
        return len(body) if isinstance(body, bytes) else sum(len(part) for part in body)
    except TypeError:
        return 0
