"""Service Bus triggers: peek-lock receivers, lock renewal, and the metadata that a classic binding decodes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import struct
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.amqp import AmqpMessageBodyType
from azure.servicebus.exceptions import MessageLockLostError, ServiceBusAuthenticationError

from mosaic_local.host.config import HostJson
from mosaic_local.host.errors import HostConfigurationError
from mosaic_local.host.functions import Function, ServiceBusTrigger
from mosaic_local.host.guard import Guard
from mosaic_local.host.invocations import Invoker
from mosaic_local.host.messages import RpcTraceContext, TypedData
from mosaic_local.host.settlement import InFlight, Settlement
from mosaic_local.host.worker import WorkerExitedError

log = logging.getLogger("Host.Triggers.ServiceBus")

_FIRST_SLOTS = 2
_POLL_SECONDS = 1.0
_RENEW_BUFFER = timedelta(seconds=10)
_RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_REOPEN_SECONDS = 0.1
_NEVER = datetime.max.replace(tzinfo=UTC)
"""When what has no time to live expires, in .NET as well."""
_DECODING_ERRORS = (TypeError, ValueError, LookupError, RecursionError, struct.error)
"""What the SDK's decoder raises for a message that is beyond it; links and sockets fail otherwise."""


class _ReceiverEndedError(Exception):
    """The SDK's receiver gives nothing more: it was handed a message that it cannot decode."""


class UnreadableBodyError(Exception):
    """A message whose body no function can be given."""


class ServiceBusListener:
    """One function's queue. Each slot has a receiver of its own: on a shared one, settlements wait behind receives.

    Two slots open at start, the rest (up to ``maxConcurrentCalls``) once both are busy: an idle lane costs two
    connections."""

    def __init__(
        self,
        function: Function,
        trigger: ServiceBusTrigger,
        host_json: HostJson,
        invoker: Invoker,
        settlement: Settlement,
        guard: Guard | None = None,
    ) -> None:
        self._function, self._trigger, self._host_json = function, trigger, host_json
        self._invoker, self._settlement, self._guard = invoker, settlement, guard or Guard()
        self._client: ServiceBusClient | None = None
        self._slots: set[asyncio.Task[None]] = set()
        self._idle = 0
        self._open = 0
        self._attached = 0
        self._holding = 0
        self._stopping = asyncio.Event()
        self._go = asyncio.Event()
        self._opened = asyncio.Event()
        self._unreachable = False
        self._halted = False

    @property
    def name(self) -> str:
        return self._trigger.queue

    @property
    def listening(self) -> bool:
        """Whether a receiver is open."""
        return self._attached > 0

    async def open(self) -> None:
        """Opens the first slots' links without receiving; returns when one stands, or the queue is not reachable: it is
        then tried again and again while the host runs, as on the platform. Raises HostConfigurationError."""
        try:
            self._client = ServiceBusClient.from_connection_string(self._trigger.connection_string, retry_total=1)
        except ValueError as exc:
            raise HostConfigurationError(
                f"function {self._function.name!r}: its connection string is not usable: {exc}"
            ) from None
        self._add_slots(min(_FIRST_SLOTS, self._host_json.max_concurrent_calls))
        await self._opened.wait()

    def start(self) -> None:
        """Lets the slots receive."""
        self._go.set()

    async def stop(self) -> None:
        """Receives nothing more; what is in flight goes on. Returns when every slot is idle."""
        self._stopping.set()
        self._go.set()
        await asyncio.gather(*self._slots, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    async def abandon(self, tokens: Sequence[str]) -> None:
        """Hands back messages of receivers that are gone. By management, which the SDK offers for its own receivers'
        messages only."""
        assert self._client is not None
        try:
            async with self._client.get_queue_receiver(self._trigger.queue) as receiver:
                settle: Any = receiver._settle_message_via_mgmt_link
                for token in tokens:
                    with contextlib.suppress(MessageLockLostError):  # it ran out meanwhile, or was given back
                        await settle("abandoned", [uuid.UUID(token)])
        except Exception as exc:
            log.warning("queue %s: what was in hand before could not be handed back: %s", self._trigger.queue, exc)

    async def halt(self) -> None:
        """No further invocation; a message that still comes in joins those in flight. Returns when no slot receives."""
        self._halted = True
        self._stopping.set()
        while self._idle:  # noqa: ASYNC110 - counted on this loop only, for one poll at most
            await asyncio.sleep(0.02)

    def _add_slots(self, count: int) -> None:
        for _ in range(count):
            task = asyncio.create_task(self._slot(), name=f"{self._function.name}-slot")
            self._slots.add(task)
            task.add_done_callback(self._slots.discard)

    async def _slot(self) -> None:
        attempt = 0
        while not self._stopping.is_set():
            self._open += 1
            try:
                assert self._client is not None
                async with self._client.get_queue_receiver(self._trigger.queue) as receiver:
                    self._opened.set()
                    self._attached += 1
                    try:
                        await self._go.wait()
                        if self._unreachable:
                            self._unreachable = False
                            log.warning("queue %s is reachable again", self._trigger.queue)
                        attempt = 0
                        await self._receive(receiver)
                    finally:
                        self._attached -= 1
            except _ReceiverEndedError as exc:
                log.error(
                    "function %s: queue %s gave a message that the client library cannot decode; no function sees it. "
                    "Its lock runs out, which counts a delivery, until it is dead-lettered. Others go on. (%s)",
                    self._function.name,
                    self._trigger.queue,
                    exc,
                )
                # Opening again takes the SDK half a second: what waits behind such messages must not wait for one slot.
                self._add_slots(self._host_json.max_concurrent_calls - len(self._slots))
                await self._pause(_REOPEN_SECONDS)
            except Exception as exc:
                if not self._unreachable and not self._stopping.is_set():
                    self._unreachable = True
                    log.error(
                        "function %s does not listen: queue %s is not reachable, trying again: %s: %s%s",
                        self._function.name,
                        self._trigger.queue,
                        type(exc).__name__,
                        exc,
                        # the SDK's error says neither
                        " There is no such queue (declare it: up --queue), or the key is not the namespace's."
                        if isinstance(exc, ServiceBusAuthenticationError)
                        else "",
                    )
                self._opened.set()
                await self._pause(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
                attempt += 1
            finally:
                self._open -= 1

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _receive(self, receiver: ServiceBusReceiver) -> None:
        while not self._stopping.is_set():
            self._idle += 1
            began = time.monotonic()
            try:
                messages = await receiver.receive_messages(max_message_count=1, max_wait_time=_POLL_SECONDS)
            except AzureError as exc:
                if isinstance(exc.inner_exception, _DECODING_ERRORS):
                    raise _ReceiverEndedError(str(exc.inner_exception)) from exc
                raise
            finally:
                self._idle -= 1
            if not messages and time.monotonic() - began < _POLL_SECONDS / 2 and not self._stopping.is_set():
                raise _ReceiverEndedError("it ended without a word")
            for message in messages:
                if self._halted:
                    self._settlement.in_flight[str(message.lock_token)] = InFlight(receiver, message)
                    await asyncio.Event().wait()  # the process is about to end; its receiver must not close before
                self._holding += 1
                try:
                    if self._stopping.is_set():
                        await self._hand_back(receiver, message)
                        continue
                    if self._idle == 0:
                        self._add_slots(self._host_json.max_concurrent_calls - len(self._slots))
                    with self._guard.held(self._trigger.queue, str(message.lock_token)):
                        await self._handle(receiver, message)
                finally:
                    self._holding -= 1

    async def _hand_back(self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage) -> None:
        """A message that came in after the stop began. It is held until no receiver of this queue could be given it
        again: from one to the next, each abandoning it at once, it would reach its maximum delivery count."""
        token = str(message.lock_token)
        entry = self._settlement.in_flight[token] = InFlight(receiver, message)
        try:
            while self._open > self._holding:  # noqa: ASYNC110 - counted on this loop only
                await asyncio.sleep(0.02)
            async with entry.lock:
                if not entry.settled:
                    await receiver.abandon_message(message)
        except Exception as exc:
            log.warning("a message could not be handed back, its lock runs out by itself: %s", type(exc).__name__)
        finally:
            self._settlement.in_flight.pop(token, None)

    async def _handle(self, receiver: ServiceBusReceiver, message: ServiceBusReceivedMessage) -> None:
        token = str(message.lock_token)
        entry = InFlight(receiver, message)
        self._settlement.in_flight[token] = entry
        renewal = _Renewal(entry, self._host_json.max_auto_lock_renewal)
        succeeded = False
        try:
            properties = plain(message.application_properties or {})
            response = await self._invoker.run(
                self._function,
                self._data(message),
                trigger_metadata(message, properties),
                _trace_context(properties),
            )
            succeeded = response.succeeded
        except WorkerExitedError:
            await self.halt()  # or this dying process would be given it again
        except Exception as exc:  # this message's fault or this invocation's, and no other's
            log.error(
                "function %s: the message %s (sequence number %s) was not handled: %s: %s",
                self._function.name,
                plain(message.message_id),
                message.sequence_number,
                type(exc).__name__,
                exc,
            )
        finally:
            renewal.stop()
            async with entry.lock:
                try:
                    if entry.settled:
                        pass
                    elif not succeeded:  # as the platform, whatever autoCompleteMessages says
                        await receiver.abandon_message(message)
                        entry.settled = True
                    elif self._trigger.auto_complete:
                        await receiver.complete_message(message)
                        entry.settled = True
                except Exception as exc:
                    log.warning(
                        "function %s: the message could not be settled, its lock runs out by itself: %s: %s",
                        self._function.name,
                        type(exc).__name__,
                        exc,
                    )
                self._settlement.in_flight.pop(token, None)

    def _data(self, message: ServiceBusReceivedMessage) -> TypedData:
        """The body as the trigger's data type has it: text unless that says binary. Bytes that are no UTF-8 are lost
        then, as on the platform."""
        body = body_of(message)
        if self._trigger.binary:
            return TypedData(bytes=body)
        try:
            return TypedData(string=body.decode())
        except UnicodeDecodeError:
            log.warning(
                "function %s: the body of message %s is not UTF-8 and was made text of; data_type=binary keeps bytes",
                self._function.name,
                plain(message.message_id),
            )
            return TypedData(string=body.decode("utf-8", "replace"))


class _Renewal:
    """Renews one message's lock until stopped, for at most ``limit``; ten seconds or half of the lock ahead of its
    end."""

    def __init__(self, entry: InFlight, limit: timedelta) -> None:
        self._entry = entry
        self._until = datetime.now(UTC) + limit
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._plan()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _plan(self) -> None:
        locked_until = self._entry.message.locked_until_utc
        now = datetime.now(UTC)
        if locked_until is None or now >= self._until:
            return
        remaining = max(locked_until - now, timedelta(0))
        delay = remaining - min(remaining / 2, _RENEW_BUFFER)
        self._timer = asyncio.get_running_loop().call_later(delay.total_seconds(), self._start)

    def _start(self) -> None:
        self._task = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        try:
            async with self._entry.lock:
                if self._entry.settled:
                    return
                await self._entry.receiver.renew_message_lock(self._entry.message)
        except Exception as exc:
            log.warning("a message lock could not be renewed: %s: %s", type(exc).__name__, exc)
            return
        self._plan()


def trigger_metadata(message: ServiceBusReceivedMessage, properties: dict[str, Any]) -> dict[str, TypedData]:
    """What the platform's Service Bus extension hands to a worker beside the body: texts as text, all else as JSON.

    DeliveryCount counts the current delivery, so a first one is 1. The times that end in Utc carry no offset: .NET
    serialises ``DateTimeOffset.DateTime`` so, and azure.functions makes naive datetimes of them."""
    fields = {
        "MessageId": message.message_id,
        "LockToken": str(message.lock_token),
        "ContentType": message.content_type,
        "CorrelationId": message.correlation_id,
        "Subject": message.subject,
        "Label": message.subject,
        "To": message.to,
        "ReplyTo": message.reply_to,
        "SessionId": message.session_id,
        "ReplyToSessionId": message.reply_to_session_id,
        "PartitionKey": message.partition_key,
        "DeadLetterSource": message.dead_letter_source,
    }
    metadata = {name: TypedData(string=str(plain(value))) for name, value in fields.items() if value is not None}
    application = TypedData(json=json.dumps(properties, default=str) if properties else "{}")
    metadata["ApplicationProperties"] = metadata["UserProperties"] = application
    metadata["DeliveryCount"] = TypedData(json=str((message.delivery_count or 0) + 1))
    metadata["SequenceNumber"] = TypedData(json=str(message.sequence_number))
    times = {"EnqueuedTime": message.enqueued_time_utc, "ExpiresAt": message.expires_at_utc or _NEVER}
    for name, moment in times.items():
        if moment is not None:
            metadata[name] = TypedData(json=f'"{moment.isoformat()}"')
            metadata[f"{name}Utc"] = TypedData(json=f'"{moment.replace(tzinfo=None).isoformat()}"')
    return metadata


def body_of(message: ServiceBusReceivedMessage) -> bytes:
    """What the function is given: data sections joined, the text or binary of an AMQP value, nothing where there is no
    body. Raises UnreadableBodyError for what the platform's converter refuses as well."""
    kind, body = message.body_type, message.body
    if body is None:
        return b""
    if kind == AmqpMessageBodyType.DATA:
        return body if isinstance(body, bytes) else b"".join(body)
    if kind == AmqpMessageBodyType.VALUE and isinstance(body, bytes):
        return body
    what = "an AMQP sequence" if kind == AmqpMessageBodyType.SEQUENCE else f"an AMQP value of type {_kind(body)}"
    raise UnreadableBodyError(f"its body is {what}, which no function can be given; send text or data")


def _kind(value: Any) -> str:
    return "map" if isinstance(value, dict) else type(value).__name__


def plain(value: Any) -> Any:
    """A decoded AMQP value as texts, numbers, lists and maps with textual keys."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(plain(key)): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def _trace_context(properties: dict[str, Any]) -> RpcTraceContext:
    parent = properties.get("traceparent") or properties.get("Diagnostic-Id") or ""
    state = properties.get("tracestate") or ""
    return RpcTraceContext(str(parent), str(state))
