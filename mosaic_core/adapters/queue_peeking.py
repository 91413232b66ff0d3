"""Looks at Service Bus queues by peeking: nothing is received, locked or counted by it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from mosaic_core.adapters.servicebus import client_of, closed, import_sdk
from mosaic_core.config import Connection
from mosaic_core.domain import ids
from mosaic_core.domain.errors import QueueUnavailableError
from mosaic_core.ports import BrowsedMessage

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage
    from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver

log = logging.getLogger(__name__)

_SECONDS: Final = 20.0
_STATES: Final = {1: "deferred", 2: "scheduled"}


class ServiceBusBrowser:
    """The `QueueBrowser` of a deployment. Links are opened when first needed and kept until an error or `close`;
    ``timeout`` seconds bound one look, opening included."""

    def __init__(self, connection: Connection, *, timeout: float = _SECONDS) -> None:
        self._connection = connection
        self._timeout = timeout
        self._namespaces: WeakKeyDictionary[asyncio.AbstractEventLoop, _Namespace] = WeakKeyDictionary()

    async def browse(self, queue: str, *, dead: bool = False, after: int = 0, limit: int = 100) -> list[BrowsedMessage]:
        namespace = self._namespace()
        for last in (False, True):
            try:
                async with asyncio.timeout(self._timeout), namespace.one_at_a_time:
                    receiver = await namespace.receiver(queue, dead)
                    # a link shows from where it left off where no number is given: it is always given
                    found = await receiver.peek_messages(limit, sequence_number=after + 1, timeout=self._timeout)
                    return [browsed(queue, message) for message in found]
            except Exception as error:
                await namespace.discard(queue, dead)
                if last:
                    raise QueueUnavailableError(f"{queue} cannot be browsed ({type(error).__name__})") from error
                log.info("reopening a link", extra={"target": queue, "error": type(error).__name__})
        raise AssertionError

    async def close(self) -> None:
        """Close what this event loop opened. A later look connects anew."""
        namespace = self._namespaces.pop(asyncio.get_running_loop(), None)
        if namespace is not None:
            await namespace.close()

    def _namespace(self) -> _Namespace:
        return self._namespaces.setdefault(asyncio.get_running_loop(), _Namespace(self._connection))


@dataclass(slots=True)
class _Namespace:
    """One event loop's client and links."""

    connection: Connection
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _client: ServiceBusClient | None = None
    _credential: Any = None
    _receivers: dict[tuple[str, bool], ServiceBusReceiver] = field(default_factory=dict)

    async def receiver(self, queue: str, dead: bool) -> ServiceBusReceiver:
        there = self._receivers.get((queue, dead))
        if there is None:
            await asyncio.to_thread(import_sdk)
            from azure.servicebus import ServiceBusSubQueue

            if self._client is None:
                self._client, self._credential = client_of(self.connection, retry_total=0)
            sub_queue = ServiceBusSubQueue.DEAD_LETTER if dead else None
            # no credit is given on a link that only peeks: no message comes by it
            there = self._client.get_queue_receiver(queue, sub_queue=sub_queue, prefetch_count=0)
            self._receivers[queue, dead] = there
        return there

    async def discard(self, queue: str, dead: bool) -> None:
        receiver = self._receivers.pop((queue, dead), None)
        if receiver is not None:
            await closed(receiver.close())

    async def close(self) -> None:
        for key in list(self._receivers):
            await self.discard(*key)
        for part in (self._client, self._credential):
            if part is not None:
                await closed(part.close())


def browsed(queue: str, message: ServiceBusReceivedMessage) -> BrowsedMessage:
    """A message that was peeked at, as the port has it."""
    enqueued = message.enqueued_time_utc
    return BrowsedMessage(
        queue=queue,
        body=_body(message),
        message_id=ids.message_id(message.message_id, message.sequence_number or 0),
        sequence_number=message.sequence_number or 0,
        enqueued_at=enqueued if enqueued is None or enqueued.tzinfo else enqueued.replace(tzinfo=UTC),
        correlation_id=message.correlation_id or "",
        subject=message.subject or "",
        properties=_properties(message.application_properties or {}),
        delivery_count=message.delivery_count or 0,
        state=_STATES.get(int(message.state), "active"),
        reason=message.dead_letter_reason or "",
        description=message.dead_letter_error_description or "",
        user_id=_user_id(message),
    )


def _user_id(message: ServiceBusReceivedMessage) -> str:
    properties = message.raw_amqp_message.properties
    found = _text(properties.user_id) if properties is not None else None
    return found if isinstance(found, str) else ""


def _body(message: ServiceBusReceivedMessage) -> bytes:
    """As bytes; empty where it is a value or a sequence, which no message of ours is."""
    body: Any = message.body
    try:
        return body if isinstance(body, bytes) else b"".join(body)
    except TypeError:
        return b""


def _properties(found: Mapping[Any, Any]) -> dict[str, str | bool | int]:
    """Of the types that our own messages use; others are left out."""
    plain = {_text(name): _text(value) for name, value in found.items()}
    return {name: value for name, value in plain.items() if isinstance(value, (str, bool, int))}


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
