"""Sends commands to Service Bus queues.

Opening a link takes about half a second, so each queue's is opened when first needed and kept, until an error or
`close`. One link takes one send at a time: used by several callers at once, the SDK's reads get in each other's way
(35 ms a message against 0.5 ms). So what arrives while a send is under way goes out together as the next batch, which
the broker takes or refuses as a whole.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context, copy_context
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from mosaic_core.adapters import refused_tokens
from mosaic_core.adapters.credentials import app_identity
from mosaic_core.concurrency import each
from mosaic_core.config import Connection
from mosaic_core.domain.body import deflate
from mosaic_core.domain.errors import QueueUnavailableError
from mosaic_core.domain.ids import clean
from mosaic_core.ports import Finding, OutgoingMessage

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusMessage, ServiceBusMessageBatch
    from azure.servicebus.aio import ServiceBusClient
    from azure.servicebus.aio import ServiceBusReceiver as SdkReceiver
    from azure.servicebus.aio import ServiceBusSender as SdkSender

log = logging.getLogger(__name__)

CONTENT_TYPE: Final = "application/json"
_TIMEOUT: Final = 10.0
_MAX_BATCH: Final = 100
_CLOSE_SECONDS: Final = 2.0
_PROBE_SECONDS: Final = 3.0
_GOOD_FOR: Final = 15.0
_OF_A_PART: Final = frozenset({"forbidden"})
"""What may be wrong with one direction only: each has a role of its own."""


class ServiceBusSender:
    """The `CommandSender` of a deployment. Safe for any number of concurrent sends; connects when first used.

    ``timeout`` seconds bound one send as a whole: waiting for its turn, opening the link, one retry."""

    def __init__(self, connection: Connection, *, timeout: float = _TIMEOUT) -> None:
        self._connection = connection
        self._timeout = timeout
        self._namespaces: WeakKeyDictionary[asyncio.AbstractEventLoop, _Namespace] = WeakKeyDictionary()

    async def send(self, message: OutgoingMessage, *, due: datetime | None = None) -> None:
        """Enqueue, visible from ``due`` on. Returns once the broker has acknowledged it.

        Raises `QueueUnavailableError` otherwise; the message may then have been enqueued all the same."""
        namespace = self._namespace()
        try:
            async with asyncio.timeout(self._timeout):
                await namespace.load()
                await namespace.link(message.queue).send(message, due)
        except TimeoutError as error:
            raise QueueUnavailableError(
                f"{message.queue} did not acknowledge message {clean(message.message_id)} within {self._timeout:g} s"
            ) from error

    async def look_at(self, queue: str) -> Finding:
        """Whether links to send to the queue and to receive from it are known to work, or can be opened now. Nothing
        is received."""
        namespace = self._namespace()
        await namespace.load()
        link = namespace.link(queue)
        part = "send"
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await link.probe()
                part = "receive"
                await link.probe_receiving()
        except Exception as error:
            reason = _reason(error)
            log.warning(
                "a queue cannot be reached",
                extra={"target": queue, "part": part, "reason": reason, "error": type(error).__name__},
            )
            return Finding("down", reason, (part,) if reason in _OF_A_PART else ())
        return Finding()

    async def close(self) -> None:
        """Let sends under way end (2 s at most), then close what this event loop opened. A later send connects anew."""
        namespace = self._namespaces.pop(asyncio.get_running_loop(), None)
        if namespace is not None:
            await namespace.close()

    def _namespace(self) -> _Namespace:
        loop = asyncio.get_running_loop()
        namespace = self._namespaces.get(loop)
        if namespace is None:
            namespace = self._namespaces[loop] = _Namespace(self._connection, self._timeout)
        return namespace


# -------------------------------------------------------------------------------------------------------------- inside


class _Namespace:
    """One event loop's client and links."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._client: ServiceBusClient | None = None
        self._credential: Any = None
        self._links: dict[str, _Link] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._loaded = False

    async def load(self) -> None:
        """Import the SDK (0.1 to 0.4 s) on another thread, so that this loop goes on meanwhile."""
        if not self._loaded:
            await asyncio.to_thread(import_sdk)
            self._loaded = True

    def link(self, queue: str) -> _Link:
        link = self._links.get(queue)
        if link is None:
            link = self._links[queue] = _Link(self, queue, self._timeout)
        return link

    def new_sender(self, queue: str) -> SdkSender:
        if self._client is None:
            self._client = self._new_client()
        return self._client.get_queue_sender(queue)

    def new_dead_letter_receiver(self, queue: str) -> SdkReceiver:
        from azure.servicebus import ServiceBusSubQueue

        if self._client is None:
            self._client = self._new_client()
        return self._client.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)

    def _new_client(self) -> ServiceBusClient:
        # `_Link` retries, within a bound of its own
        client, self._credential = client_of(self._connection, retry_total=0)
        return client

    def close_later(self, sender: SdkSender | SdkReceiver) -> None:
        """Closing takes up to a second; nobody has to wait for it."""
        self.start(closed(sender.close()))

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def close(self) -> None:
        if self._background:
            await asyncio.wait(self._background, timeout=_CLOSE_SECONDS)
        for task in list(self._background):
            task.cancel()
        await each(self._links.values(), _Link.close)
        for part in (self._client, self._credential):
            if part is not None:
                await closed(part.close())


@dataclass(slots=True)
class _Item:
    """A message on its way, with its sender's context: the SDK adds to a message the trace that is current."""

    message: ServiceBusMessage
    message_id: str
    smaller: Callable[[], ServiceBusMessage]
    context: Context = field(default_factory=copy_context)
    acknowledged: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def fail(self, error: QueueUnavailableError) -> None:
        if not self.acknowledged.done():
            self.acknowledged.set_exception(error)


class _Link:
    """The sender link of one queue. A task runs while messages wait, and ends with them."""

    def __init__(self, namespace: _Namespace, queue: str, timeout: float) -> None:
        self._namespace = namespace
        self._queue = queue
        self._attempt_seconds = timeout / 2
        self._waiting: deque[_Item] = deque()
        self._task: asyncio.Task[None] | None = None
        self._sender: SdkSender | None = None
        self._opening = asyncio.Lock()
        self._proven_at = self._heard_at = float("-inf")

    async def send(self, message: OutgoingMessage, due: datetime | None) -> None:
        try:
            item = _Item(_to_sdk(message, due), clean(message.message_id), lambda: _to_sdk(_smaller(message), due))
        except (TypeError, ValueError) as error:
            raise QueueUnavailableError(
                f"message {clean(message.message_id)} is none that {self._queue} takes ({_name(error)})"
            ) from error
        self._waiting.append(item)
        if self._task is None or self._task.done():
            self._task = self._namespace.start(self._send_waiting())
        await item.acknowledged  # cancelled with its caller, and then left out if it is still waiting

    async def probe(self) -> None:
        """Raises what the SDK raises where there is no link to send by."""
        if self._sender is not None and time.monotonic() - self._proven_at < _GOOD_FOR:
            return
        if self._sender is None:
            await self._open()
            return
        # An open link that was idle says nothing about the broker: another one is opened to see.
        sender = self._namespace.new_sender(self._queue)
        try:
            await sender.__aenter__()
            self._proven_at = time.monotonic()
        finally:
            self._namespace.close_later(sender)

    async def probe_receiving(self) -> None:
        """The same for receiving. The link is to the dead letters: the SDK's takes a message as soon as it is open, and
        gives it back, which the lane's own messages are spared."""
        if time.monotonic() - self._heard_at < _GOOD_FOR:
            return
        receiver = self._namespace.new_dead_letter_receiver(self._queue)
        try:
            await receiver.__aenter__()
            self._heard_at = time.monotonic()
        finally:
            self._namespace.close_later(receiver)

    async def close(self) -> None:
        for item in self._waiting:
            item.fail(QueueUnavailableError(f"the sender was closed before {item.message_id} was sent"))
        self._waiting.clear()
        sender, self._sender = self._sender, None
        if sender is not None:
            await closed(sender.close())

    async def _send_waiting(self) -> None:
        while self._waiting:
            sent: list[_Item] = []
            try:
                await self._send_batch(sent)
            except BaseException as error:
                # nothing was taken from the queue where the link did not open: those who wait have waited for that
                for item in sent or self._take_all():
                    failure = QueueUnavailableError(
                        f"sending message {item.message_id} to {self._queue} failed: {_name(error)}"
                    )
                    failure.__cause__ = error
                    item.fail(failure)
                if not isinstance(error, Exception):
                    raise
            else:
                for item in sent:
                    if not item.acknowledged.done():
                        item.acknowledged.set_result(None)

    async def _send_batch(self, sent: list[_Item]) -> None:
        """Send what waits, as much as fits into one batch, and again on a new link where that fails. ``sent`` is what
        was taken from the queue."""
        from azure.servicebus.exceptions import MessageSizeExceededError

        smaller = False
        for last in (False, True):
            try:
                async with asyncio.timeout(self._attempt_seconds):
                    sender = await self._open()
                    batch = await sender.create_message_batch()
                    again = deque(sent)
                    self._fill(batch, again or self._waiting, [] if again else sent, smaller=smaller)
                    if again:
                        raise MessageSizeExceededError(message="what fitted into one batch no longer does")
                    if sent:
                        await sender.send_messages(batch)
            except Exception as error:
                self._discard()
                if last or _is_absent(error):
                    raise
                # the SDK reckons a batch a little smaller than the broker does
                smaller = isinstance(error, MessageSizeExceededError)
                log.info("reopening a link", extra={"target": self._queue, "error": _name(error)})
            else:
                self._proven_at = time.monotonic()
                return

    def _fill(self, batch: ServiceBusMessageBatch, waiting: deque[_Item], taken: list[_Item], *, smaller: bool) -> None:
        from azure.servicebus.exceptions import MessageSizeExceededError

        while waiting and len(taken) < _MAX_BATCH:
            item = waiting[0]
            if item.acknowledged.done() and waiting is self._waiting:
                waiting.popleft()  # given up by its caller
                continue
            try:
                try:
                    item.context.run(batch.add_message, item.smaller() if smaller else item.message)
                except MessageSizeExceededError:
                    if taken or smaller:
                        return
                    # a copy bears more than the message that was received, and that one may have just fitted
                    item.context.run(batch.add_message, item.smaller())
            except Exception as error:
                too_large = isinstance(error, MessageSizeExceededError)
                # this one alone: those that wait behind it have nothing to do with it
                why = "is too large" if too_large else f"cannot be encoded ({_name(error)})"
                failure = QueueUnavailableError(f"message {item.message_id} {why} for {self._queue}")
                failure.__cause__ = error
                item.fail(failure)
                waiting.popleft()
            else:
                taken.append(waiting.popleft())

    def _take_all(self) -> Iterable[_Item]:
        items = list(self._waiting)
        self._waiting.clear()
        return items

    async def _open(self) -> SdkSender:
        async with self._opening:
            if self._sender is None:
                sender = self._namespace.new_sender(self._queue)
                try:
                    await sender.__aenter__()
                except BaseException:
                    self._namespace.close_later(sender)
                    raise
                self._sender, self._proven_at = sender, time.monotonic()
            return self._sender

    def _discard(self) -> None:
        sender, self._sender = self._sender, None
        self._proven_at = float("-inf")
        if sender is not None:
            self._namespace.close_later(sender)


def client_of(connection: Connection, *, retry_total: int) -> tuple[ServiceBusClient, Any]:
    """A client, and the credential that is closed after it (None: there is none)."""
    from azure.servicebus.aio import ServiceBusClient

    options: dict[str, Any] = {"retry_total": retry_total}
    if not connection.uses_identity:
        return ServiceBusClient.from_connection_string(connection.connection_string, **options), None
    credential = app_identity(connection.client_id)
    return ServiceBusClient(connection.endpoint, credential, **options), credential


def _smaller(message: OutgoingMessage) -> OutgoingMessage:
    body, properties = deflate(message.body, message.properties)
    return replace(message, body=body, properties=properties)


def _to_sdk(message: OutgoingMessage, due: datetime | None) -> ServiceBusMessage:
    from azure.servicebus import ServiceBusMessage

    properties: dict[Any, Any] = {**message.properties}
    return ServiceBusMessage(
        message.body,
        message_id=message.message_id,
        correlation_id=message.correlation_id or None,
        subject=message.subject or None,
        content_type=CONTENT_TYPE,
        application_properties=properties or None,
        scheduled_enqueue_time_utc=due,
    )


def _is_absent(error: BaseException) -> bool:
    """Whether there is no such queue. Azure says so to the token already, of which the SDK makes an authentication
    error; where the token is for the whole namespace it says it to the link."""
    from azure.servicebus import exceptions as sdk

    if isinstance(error, sdk.MessagingEntityNotFoundError):
        return True
    refused = isinstance(error, sdk.ServiceBusAuthenticationError)
    return refused and refused_tokens.is_for_nothing(getattr(error, "inner_exception", None))


def _reason(error: Exception) -> str:
    """For health. The SDK wraps what it gave up on: the first error in the chain that says something."""
    from azure.core.exceptions import ClientAuthenticationError
    from azure.servicebus import exceptions as sdk

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ClientAuthenticationError):
            return "no_token"
        if _is_absent(seen):
            return "not_found"
        if isinstance(seen, sdk.ServiceBusAuthorizationError | sdk.ServiceBusAuthenticationError):
            return "forbidden"
        if isinstance(seen, sdk.MessagingEntityDisabledError):
            return "disabled"
        seen = seen.__cause__ or seen.__context__
    return "no_answer" if isinstance(error, TimeoutError) else "unreachable"


def import_sdk() -> None:
    """0.1 to 0.4 s: on a thread, so that the loop goes on meanwhile."""
    import azure.servicebus.aio  # noqa: F401

    # a dozen lines at INFO for every connection
    for name in ("azure.servicebus._pyamqp", "azure.identity"):
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.WARNING)
    refused_tokens.listen_to("azure.servicebus._pyamqp.aio._cbs_async")


async def closed(closing: Coroutine[Any, Any, None], *, seconds: float = _CLOSE_SECONDS) -> None:
    """Close within bounds; what is being given up need not end well."""
    try:
        async with asyncio.timeout(seconds):
            await closing
    except Exception as error:
        log.debug("a link did not close", extra={"error": _name(error)})


def _name(error: BaseException) -> str:
    return type(error).__name__
