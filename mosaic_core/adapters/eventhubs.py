"""Publishes runtime events to an event hub, as CloudEvents 1.0 in structured JSON, without ever holding a command up.

`publish` puts the event into a bounded buffer and returns. A task that lives while there is something to send gathers
for a moment, sends one batch per household (its partition key), and keeps what could not be sent for the next try.
A full buffer drops its oldest. Whatever goes wrong is one warning for each time that it begins, never an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import Awaitable, Iterable
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final

from mosaic_core.adapters.credentials import app_identity
from mosaic_core.config import Connection
from mosaic_core.domain.envelope import iso
from mosaic_core.ports import RuntimeEvent

if TYPE_CHECKING:
    from azure.eventhub import EventData, EventDataBatch
    from azure.eventhub.aio import EventHubProducerClient

log = logging.getLogger(__name__)

CONTENT_TYPE: Final = "application/cloudevents+json"
_CAPACITY: Final = 10_000
_LINGER: Final = 0.2
_SEND_SECONDS: Final = 10.0
_FLUSH_SECONDS: Final = 2.0
_CLOSE_SECONDS: Final = 1.0
_MAX_BATCH: Final = 500


def cloud_event(event: RuntimeEvent) -> dict[str, Any]:
    """The event as a CloudEvents 1.0 JSON object. Household and trace are the extensions ``partitionkey`` and
    ``traceparent``, where there are any."""
    out: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.event_id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": iso(event.occurred_at),
        "datacontenttype": "application/json",
    }
    if event.household_id:
        out["partitionkey"] = event.household_id
    if event.trace_parent:
        out["traceparent"] = event.trace_parent
    out["data"] = dict(event.data)
    return out


class EventHubsPublisher:
    """The `EventPublisher` of a deployment. Connects when there is first something to send.

    ``capacity`` events are kept while the hub is away; ``linger`` seconds are waited for a batch to grow; ``retry`` is
    the first and the longest wait after a failure. ``published`` and ``dropped`` count since the start."""

    def __init__(
        self,
        connection: Connection,
        hub: str,
        *,
        capacity: int = _CAPACITY,
        linger: float = _LINGER,
        send_timeout: float = _SEND_SECONDS,
        retry: tuple[float, float] = (1.0, 30.0),
    ) -> None:
        self._connection = connection
        self._hub = hub
        self._capacity = capacity
        self._linger = linger
        self._send_timeout = send_timeout
        self._retry = retry
        self._buffer: deque[RuntimeEvent] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._producer: EventHubProducerClient | None = None
        self._credential: Any = None
        self._failing = False
        self._overflowing = False
        self.published = 0
        self.dropped = 0

    # ------------------------------------------------------------------------------------------------------- the port

    def publish(self, event: RuntimeEvent) -> None:
        """Hand the event over and return at once. May be called from any thread; never raises."""
        try:
            if len(self._buffer) >= self._capacity:
                self._drop()
            self._buffer.append(event)
            self._wake()
        except Exception as error:  # telemetry must not fail a command, whatever happens in here
            log.warning("an event could not be handed over", extra={"error": type(error).__name__})

    async def close(self) -> None:
        """Send what is buffered, for 2 s at most, and disconnect. A later `publish` connects anew."""
        self._hurry.set()
        task = self._task
        if task is not None and self._loop is asyncio.get_running_loop():
            await asyncio.wait({task}, timeout=_FLUSH_SECONDS)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._buffer:
            self.dropped += len(self._buffer)
            log.warning("closed with events that were not published", extra={"count": len(self._buffer)})
            self._buffer.clear()
        await self._disconnect()
        self._hurry.clear()

    # -------------------------------------------------------------------------------------------------------- inside

    def _drop(self) -> None:
        with contextlib.suppress(IndexError):  # another thread was first
            self._buffer.popleft()
        self.dropped += 1
        if not self._overflowing:
            self._overflowing = True
            log.warning("the telemetry buffer is full; dropping the oldest events", extra={"capacity": self._capacity})

    def _wake(self) -> None:
        try:
            here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if self._loop is None or self._loop.is_closed():
            if here is None:
                return  # the app is being imported: the next event takes this one along
            # what belonged to a loop that is gone is gone with it
            self._loop, self._task, self._producer, self._credential = here, None, None, None
            self._hurry = asyncio.Event()
        if self._loop is here:
            self._start()
        elif self._task is None or self._task.done() or len(self._buffer) == 1:
            self._loop.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        if self._loop is not None and self._buffer and (self._task is None or self._task.done()):
            # a context of its own: this work belongs to no delivery's trace, nor do its log lines
            self._task = self._loop.create_task(self._send_buffered(), context=Context())

    async def _send_buffered(self) -> None:
        wait, longest = self._retry
        while self._buffer:
            await self._pause(self._linger)
            try:
                await self._send_once()
            except Exception as error:
                if not self._failing:
                    self._failing = True
                    log.warning(
                        "events cannot be published; keeping the newest until they can",
                        extra={
                            "error": type(error).__name__,
                            "details": str(error)[:200],
                            "capacity": self._capacity,
                        },
                    )
                await self._disconnect()
                if self._hurry.is_set():
                    return
                await self._pause(wait)
                wait = min(wait * 2, longest)
            else:
                wait = self._retry[0]
        self._overflowing = False

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    async def _send_once(self) -> None:
        """Send a batch for each household that has events. Raises on the first that fails; it and those after it are
        back in the buffer, before what came meanwhile, as far as there is room."""
        taken: dict[str, list[RuntimeEvent]] = {}
        while self._buffer:
            event = self._buffer.popleft()
            taken.setdefault(event.household_id, []).append(event)
        try:
            for household in list(taken):
                async with asyncio.timeout(self._send_timeout):
                    producer = await self._connected()
                    while taken[household]:
                        sent = await self._send_batch(producer, household, taken[household])
                        del taken[household][:sent]
        except BaseException:
            self._put_back(event for events in taken.values() for event in events)
            raise
        if self._failing:
            self._failing = False
            log.info("events are published again", extra={"dropped": self.dropped})

    async def _send_batch(self, producer: EventHubProducerClient, household: str, events: list[RuntimeEvent]) -> int:
        """Send the first of the events, as many as fit; how many of them are done with."""
        batch: EventDataBatch = await producer.create_batch(partition_key=household or None)
        count = 0
        for event in events[:_MAX_BATCH]:
            try:
                batch.add(_event_data(event))
            except (TypeError, ValueError) as error:  # it does not fit any more
                if count == 0:  # or never will
                    self._drop_unfit(event, error)
                    return 1
                break
            count += 1
        await producer.send_batch(batch)
        self.published += count
        return count

    def _drop_unfit(self, event: RuntimeEvent, error: Exception) -> None:
        self.dropped += 1
        log.warning(
            "an event is too large or not encodable; dropped",
            extra={"eventId": event.event_id, "eventType": event.type, "error": type(error).__name__},
        )

    def _put_back(self, events: Iterable[RuntimeEvent]) -> None:
        kept = list(events)
        room = max(0, self._capacity - len(self._buffer))
        self.dropped += max(0, len(kept) - room)
        self._buffer.extendleft(reversed(kept[len(kept) - min(room, len(kept)) :]))

    async def _connected(self) -> EventHubProducerClient:
        if self._producer is None:
            # importing the SDK takes up to 0.2 s, which the loop does not spend on it
            client = await asyncio.to_thread(_import_sdk)
            options: dict[str, Any] = {
                "eventhub_name": self._hub,
                "retry_total": 0,
                "auth_timeout": self._send_timeout,
            }
            if self._connection.uses_identity:
                self._credential = app_identity(self._connection.client_id)
                self._producer = client(self._connection.endpoint, credential=self._credential, **options)
            else:
                self._producer = client.from_connection_string(self._connection.connection_string, **options)
        return self._producer

    async def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        credential, self._credential = self._credential, None
        for part in (producer, credential):
            if part is not None:
                await _within(part.close(), _CLOSE_SECONDS)


def _event_data(event: RuntimeEvent) -> EventData:
    from azure.eventhub import EventData

    data = EventData(json.dumps(cloud_event(event), separators=(",", ":"), ensure_ascii=False).encode())
    data.content_type = CONTENT_TYPE
    data.message_id = event.event_id
    return data


def _import_sdk() -> type[EventHubProducerClient]:
    from azure.eventhub.aio import EventHubProducerClient

    # It tells every failed try at several levels, and a dozen lines at INFO for every connection. One warning is ours.
    for name, level in (("azure.eventhub", logging.CRITICAL), ("azure.identity", logging.WARNING)):
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(level)
    return EventHubProducerClient


async def _within(closing: Awaitable[Any], seconds: float) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(seconds):
            await closing
