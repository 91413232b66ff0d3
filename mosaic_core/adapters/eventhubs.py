"""Publishes runtime events to an event hub, as CloudEvents 1.0 in structured JSON, without ever holding a command up.

`publish` puts the event into a bounded buffer and returns. A task that lives while there is something to send gathers
for a moment, sends one batch per household (its partition key), and keeps what could not be sent for the next try.
A full buffer drops its oldest. Whatever goes wrong is one warning for each time that it begins, never an error.

One household's partition that does not take its events stops no other's: they are held aside and tried by themselves,
one household a round and behind all others, until they go through or have waited too long. Where nobody's events go
through the hub is away: everything is kept. An event that cannot be encoded is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
from collections import deque
from collections.abc import Awaitable, Iterable
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mosaic_core.adapters import refused_tokens
from mosaic_core.adapters.credentials import app_identity
from mosaic_core.config import Connection
from mosaic_core.domain.envelope import iso
from mosaic_core.ports import Finding, RuntimeEvent

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
_ENCODED_AT_ONCE: Final = 200
_MAX_KEY: Final = 128
"""Characters of a partition key that the service takes."""

_HELD_SECONDS: Final = 300.0
"""How long a household's events are held aside before they are dropped."""

_HELD_RETRY_SECONDS: Final = 2.0
"""What one try with a held household's events may cost the others. A partition that is there answers at once."""

_AWAY: Final = 2
"""Households in a row whose events do not go through: the round ends. Where nobody's did, the hub is away."""


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


@dataclass(frozen=True, slots=True)
class _Encoded:
    """An event as it is sent."""

    event_id: str
    household_id: str
    body: bytes


@dataclass(slots=True)
class _Held:
    """A household's events that its partition did not take. Times are the loop's."""

    since: float
    due: float
    wait: float
    events: deque[_Encoded] = field(default_factory=deque)


class EventHubsPublisher:
    """The `EventPublisher` of a deployment. Connects when there is first something to send.

    ``capacity`` events are kept while the hub is away, a tenth of them of a household that is held aside for
    ``held_seconds`` at most; ``linger`` seconds are waited for a batch to grow; ``retry`` is the first and the longest
    wait after a failure. ``published`` and ``dropped`` count since the start."""

    def __init__(
        self,
        connection: Connection,
        hub: str,
        *,
        capacity: int = _CAPACITY,
        linger: float = _LINGER,
        send_timeout: float = _SEND_SECONDS,
        retry: tuple[float, float] = (1.0, 30.0),
        held_seconds: float = _HELD_SECONDS,
    ) -> None:
        self._connection = connection
        self._hub = hub
        self._capacity = capacity
        self._linger = linger
        self._send_timeout = send_timeout
        self._retry = retry
        self._held_seconds = held_seconds
        self._buffer: deque[RuntimeEvent | _Encoded] = deque()
        self._held: dict[str, _Held] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._more = asyncio.Event()
        self._producer: EventHubProducerClient | None = None
        self._credential: Any = None
        self._failing = False
        self._overflowing = False
        self._awaited: dict[str, list[asyncio.Future[None]]] = {}
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

    async def confirm(self, event: RuntimeEvent, seconds: float) -> bool:
        """Hand the event over and wait for the hub to take it, ``seconds`` at most; on the loop that events are sent
        on. False: it is not known to be there, and may come yet."""
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        awaited = self._awaited.setdefault(event.event_id, [])
        awaited.append(taken)
        self.publish(event)
        try:
            async with asyncio.timeout(seconds):
                await taken
        except TimeoutError:
            return False
        finally:
            awaited.remove(taken)
            if not awaited:
                self._awaited.pop(event.event_id, None)
        return True

    async def close(self) -> None:
        """Send what is buffered, for 2 s at most, and disconnect. A later `publish` connects anew."""
        self._hurry.set()
        self._more.set()
        task = self._task
        if task is not None and self._loop is asyncio.get_running_loop():
            await asyncio.wait({task}, timeout=_FLUSH_SECONDS)
            task.cancel()
            await asyncio.wait({task})
        left = len(self._buffer) + sum(len(held.events) for held in self._held.values())
        if left:
            self.dropped += left
            log.warning("closed with events that were not published", extra={"count": left})
            self._buffer.clear()
            self._held.clear()
        await self._disconnect()
        self._hurry.clear()

    async def look(self) -> Finding:
        """Whether events can be sent to the hub now: a link is opened, as an event would be sent by."""
        producer, credential = await self._new_producer()
        try:
            await producer.create_batch()
        except Exception as error:
            reason = _reason(error)
            log.warning("the event hub cannot be reached", extra={"reason": reason, "error": type(error).__name__})
            return Finding("down", reason)
        finally:
            for part in (producer, credential):
                if part is not None:
                    await _within(part.close(), _CLOSE_SECONDS)
        return Finding()

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
            self._hurry, self._more = asyncio.Event(), asyncio.Event()
            self._release()
        if self._loop is here:
            self._start()
        elif self._task is None or self._task.done() or self._held or len(self._buffer) == 1:
            self._loop.call_soon_threadsafe(self._start)

    def _start(self) -> None:
        self._more.set()
        if self._loop is not None and self._buffer and (self._task is None or self._task.done()):
            # a context of its own: this work belongs to no delivery's trace, nor do its log lines
            self._task = self._loop.create_task(self._send_buffered(self._loop), context=Context())

    async def _send_buffered(self, loop: asyncio.AbstractEventLoop) -> None:
        wait, longest = self._retry
        while self._buffer or self._held:
            if not self._buffer:
                self._more.clear()
                await self._until(self._more, min(held.due for held in self._held.values()) - loop.time())
            await self._until(self._hurry, self._linger)
            error = await self._round(loop)
            if error is None:
                wait = self._retry[0]
                if self._failing:
                    self._failing = False
                    log.info("events are published again", extra={"dropped": self.dropped})
            else:
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
                await self._until(self._hurry, wait)
                wait = min(wait * 2, longest)
            if self._hurry.is_set() and (error is not None or not self._buffer):
                return
        self._overflowing = False

    async def _until(self, event: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await event.wait()

    async def _round(self, loop: asyncio.AbstractEventLoop) -> Exception | None:
        """Send what is buffered, household by household, then what is held of one. The error where nobody's events
        went through: all are kept then, and nobody's are held."""
        waiting: dict[str, deque[_Encoded]] = {}
        failed: dict[str, Exception] = {}
        any_sent, in_a_row = False, 0
        try:
            await self._take(waiting)
            for household in list(waiting):
                error = await self._send(waiting[household], self._send_timeout)
                if error is None:
                    del waiting[household]
                    any_sent, in_a_row = True, 0
                    continue
                failed[household] = error
                in_a_row += 1
                if in_a_row == _AWAY:
                    break
            if any_sent:
                for household, error in failed.items():
                    self._hold(household, waiting.pop(household), error, loop.time())
                failed.clear()
        finally:
            # behind those that were not tried: the next round begins with others
            again = [*(h for h in waiting if h not in failed), *(h for h in waiting if h in failed)]
            self._put_back(event for household in again for event in waiting[household])
        if failed:
            self._release()
            return next(iter(failed.values()))
        await self._retry_held(loop)
        return None

    async def _take(self, waiting: dict[str, deque[_Encoded]]) -> None:
        """What is buffered, by household. What belongs to one that is held joins it there."""
        for number in itertools.count(1):
            if not self._buffer:
                return
            event = self._encoded(self._buffer.popleft())
            if event is not None and event.household_id in self._held:
                self._join(self._held[event.household_id], event)
            elif event is not None:
                waiting.setdefault(event.household_id, deque()).append(event)
            if number % _ENCODED_AT_ONCE == 0:
                await asyncio.sleep(0)  # an outage's backlog holds the loop up for milliseconds only

    async def _send(self, events: deque[_Encoded], seconds: float) -> Exception | None:
        """Send one household's events, taking from the left what is done with. The error that stopped it."""
        try:
            while events:
                async with asyncio.timeout(seconds):
                    await self._send_batch(await self._connected(), events)
        except Exception as error:
            await self._disconnect()  # in the middle of a transfer no link is to be trusted
            return error
        return None

    async def _send_batch(self, producer: EventHubProducerClient, events: deque[_Encoded]) -> None:
        """Send the first of the events, as many as fit."""
        batch: EventDataBatch = await producer.create_batch(partition_key=events[0].household_id or None)
        count = 0
        for event in itertools.islice(events, _MAX_BATCH):
            try:
                batch.add(_event_data(event))
            except Exception as error:  # it does not fit any more
                if count == 0:  # or never will
                    self._drop_unfit(events.popleft(), error)
                    return
                break
            count += 1
        await producer.send_batch(batch)
        self.published += count
        for _ in range(count):
            for taken in self._awaited.get(events.popleft().event_id, ()):
                if not taken.done():
                    taken.set_result(None)

    # ---------------------------------------------------------------------------------- a household that is held aside

    def _hold(self, household: str, events: deque[_Encoded], error: Exception, now: float) -> None:
        first = self._retry[0]
        self._held[household] = held = _Held(since=now, due=now + first, wait=first)
        for event in events:
            self._join(held, event)
        log.warning(
            "one household's events cannot be published; they are held aside",
            extra={"householdId": household, "error": type(error).__name__, "details": str(error)[:200]},
        )

    def _join(self, held: _Held, event: _Encoded) -> None:
        held.events.append(event)
        room = max(1, self._capacity // 10)
        if len(held.events) > room or sum(len(it.events) for it in self._held.values()) > self._capacity:
            held.events.popleft()
            self.dropped += 1

    def _release(self) -> None:
        """The hub is away: a household that is held is none of its own any more."""
        for held in self._held.values():
            self._buffer.extend(held.events)
        self._held.clear()

    async def _retry_held(self, loop: asyncio.AbstractEventLoop) -> None:
        """Try the household that has been due for longest, if one is. In a hurry all of them, as there is no later."""
        for household, held in sorted(self._held.items(), key=lambda item: item[1].due):
            if held.due > loop.time() and not self._hurry.is_set():
                break
            error = await self._send(held.events, min(self._send_timeout, _HELD_RETRY_SECONDS))
            now = loop.time()
            if error is None:
                del self._held[household]
                log.info("a household's events are published again", extra={"householdId": household})
            elif now - held.since >= self._held_seconds:
                del self._held[household]
                self.dropped += len(held.events)
                log.warning(
                    "a household's events could not be published for too long; dropped",
                    extra={"householdId": household, "count": len(held.events)},
                )
            else:
                held.wait = min(held.wait * 2, self._retry[1])
                held.due = now + held.wait
            if not self._hurry.is_set():
                break

    # ------------------------------------------------------------------------------------------------------ one event

    def _encoded(self, event: RuntimeEvent | _Encoded) -> _Encoded | None:
        """None where there is no way to send it: it is dropped."""
        if isinstance(event, _Encoded):
            return event
        try:
            body = json.dumps(cloud_event(event), separators=(",", ":"), ensure_ascii=False).encode()
            if not isinstance(event.household_id, str) or len(event.household_id) > _MAX_KEY:
                raise ValueError("no partition key")
            return _Encoded(str(event.event_id), event.household_id, body)
        except Exception as error:  # whatever it is, the next event is none the worse
            self._drop_unfit(event, error)
            return None

    def _drop_unfit(self, event: RuntimeEvent | _Encoded, error: Exception) -> None:
        self.dropped += 1
        event_id = str(event.event_id) if isinstance(event, RuntimeEvent | _Encoded) else ""
        log.warning(
            "an event is too large or not encodable; dropped",
            extra={"eventId": event_id, "error": type(error).__name__},
        )

    def _put_back(self, events: Iterable[_Encoded]) -> None:
        kept = list(events)
        room = max(0, self._capacity - len(self._buffer))
        self.dropped += max(0, len(kept) - room)
        self._buffer.extendleft(reversed(kept[len(kept) - min(room, len(kept)) :]))

    async def _connected(self) -> EventHubProducerClient:
        if self._producer is None:
            self._producer, self._credential = await self._new_producer()
        return self._producer

    async def _new_producer(self) -> tuple[EventHubProducerClient, Any]:
        # importing the SDK takes up to 0.2 s, which the loop does not spend on it
        client = await asyncio.to_thread(_import_sdk)
        options: dict[str, Any] = {"eventhub_name": self._hub, "retry_total": 0, "auth_timeout": self._send_timeout}
        if not self._connection.uses_identity:
            return client.from_connection_string(self._connection.connection_string, **options), None
        credential = app_identity(self._connection.client_id)
        return client(self._connection.endpoint, credential=credential, **options), credential

    async def _disconnect(self) -> None:
        producer, self._producer = self._producer, None
        credential, self._credential = self._credential, None
        for part in (producer, credential):
            if part is not None:
                await _within(part.close(), _CLOSE_SECONDS)


def _reason(error: Exception) -> str:
    """For health."""
    from azure.core.exceptions import ClientAuthenticationError
    from azure.eventhub.exceptions import AuthenticationError

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ClientAuthenticationError):
            return "no_token"
        if getattr(seen, "error", None) == "not-found":
            return "not_found"
        if isinstance(seen, AuthenticationError) and refused_tokens.is_for_nothing(seen.__context__):
            return "not_found"
        if isinstance(seen, AuthenticationError) or getattr(seen, "error", None) == "unauthorized-access":
            return "forbidden"
        seen = seen.__cause__ or seen.__context__
    return "no_answer" if isinstance(error, TimeoutError) else "unreachable"


def _event_data(event: _Encoded) -> EventData:
    from azure.eventhub import EventData

    data = EventData(event.body)
    data.content_type = CONTENT_TYPE
    data.message_id = event.event_id
    return data


def _import_sdk() -> type[EventHubProducerClient]:
    from azure.eventhub.aio import EventHubProducerClient

    # It tells every failed try at several levels, and a dozen lines at INFO for every connection. One warning is ours.
    for name, level in (("azure.eventhub", logging.CRITICAL), ("azure.identity", logging.WARNING)):
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(level)
    refused_tokens.listen_to("azure.eventhub._pyamqp.aio._cbs_async")
    return EventHubProducerClient


async def _within(closing: Awaitable[Any], seconds: float) -> None:
    with contextlib.suppress(Exception):
        async with asyncio.timeout(seconds):
            await closing
