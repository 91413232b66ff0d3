"""The ways into a target: its API and host by HTTP, its queues, its hub, its tables, its workspace."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiohttp

from mosaic_core.config import Settings
from mosaic_core.ports import Stores
from mosaic_ops.smoke.errors import NotReachableError
from mosaic_ops.smoke.target import Listed, Target

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.servicebus import ServiceBusReceivedMessage
    from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver

CONSUMER_GROUP: Final = "mosaic-money-runtime"
_REQUEST_SECONDS: Final = 30.0
_PAGE: Final = 100
_PEEKED_AT_MOST: Final = 2_000
_TAKEN_AT_MOST: Final = 500
"""Dead letters that are taken in hand, at most, to find one of ours: the others are put back."""

_CLOCKS: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Answer:
    """``body`` is the JSON, empty where there is none; ``date`` the service's own time, as HTTP has it."""

    status: int
    body: Mapping[str, Any]
    date: str = ""

    @property
    def words(self) -> str:
        error = self.body.get("error")
        return f"{self.status} {error.get('code', '')}".strip() if isinstance(error, Mapping) else str(self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """An event as the hub kept it."""

    event: Mapping[str, Any]
    partition: str
    sequence_number: int
    enqueued_at: datetime | None


class Doors(Protocol):
    """What the checks need. Each raises `NotReachableError` where nobody answers."""

    async def functions(self) -> list[Listed]: ...
    async def call(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """A request to the API below ``/api/v1/agent``, with the token where there is one."""
        ...

    async def send_unsent(self) -> None:
        """Lets the app look now for what is recorded and not sent, where its host takes such an order. Elsewhere its
        timer does within two minutes."""
        ...

    async def send(self, queue: str, body: bytes, message_id: str) -> None:
        """Straight to a queue, past the API."""
        ...

    async def dead_letter(self, queue: str, message_id: str) -> str | None:
        """Why the message was dead-lettered, if it was."""
        ...

    async def remove_dead_letter(self, queue: str, message_id: str) -> bool:
        """False: it was not found among the first ones."""
        ...

    async def events(self, command_id: str) -> list[str]:
        """Types of the events about the command that the hub has told since the doors were opened."""
        ...


@asynccontextmanager
async def opened(target: Target, token: str) -> AsyncIterator[OpenDoors]:
    # what is on this machine is asked past any proxy
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS), trust_env=not target.is_embedded
    ) as session:
        doors = OpenDoors(target, session, token)
        try:
            yield doors
        finally:
            await doors.close()


@asynccontextmanager
async def opened_stores(settings: Settings) -> AsyncIterator[Stores]:
    from mosaic_core.adapters.tables import open_table_stores

    tables = open_table_stores(settings.tables, settings.blobs)
    try:
        yield tables.stores
    finally:
        await tables.close()


@dataclass(slots=True)
class OpenDoors:
    """`Doors` by the SDKs. ``settings`` are asked for when something but HTTP is first needed."""

    target: Target
    session: aiohttp.ClientSession
    token: str
    _known: Settings | None = None
    _bus: ServiceBusClient | None = None
    _receivers: dict[str, ServiceBusReceiver] = field(default_factory=dict)
    _credential: AsyncTokenCredential | None = None
    _told: list[Heard] = field(default_factory=list)
    _listening: asyncio.Task[None] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _peeking: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One look at a time: a receiver serves no two."""

    async def settings(self) -> Settings:
        async with self._lock:
            if self._known is None:
                self._known = await asyncio.to_thread(self.target.settings)
            return self._known

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._listening
        for receiver in self._receivers.values():
            await receiver.close()
        if self._bus is not None:
            await self._bus.close()
        if self._credential is not None:
            await self._credential.close()

    # -- HTTP ----------------------------------------------------------------------------------------------------

    async def functions(self) -> list[Listed]:
        listed = await self.target.functions()
        if listed is not None:
            return listed
        answer = await self._request("GET", "/admin/functions")
        if answer.status != 200 or not isinstance(answer.body.get("list"), list):
            raise NotReachableError(f"{self.target.url}/admin/functions answered {answer.status}")
        return [Listed(str(item["name"]), bool(item.get("isDisabled", False))) for item in answer.body["list"]]

    async def call(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        token = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return await self._request(method, f"/api/v1/agent{path}", body=body, headers={**token, **(headers or {})})

    async def send_unsent(self) -> None:
        with contextlib.suppress(NotReachableError):
            await self._request("POST", "/admin/functions/unsent_commands_timer", body={"input": ""})

    async def _request(
        self, method: str, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        url = f"{self.target.url.rstrip('/')}{path}"
        try:
            async with self.session.request(method, url, json=body, headers=headers, allow_redirects=False) as answer:
                text = await answer.text(errors="replace")
                return Answer(answer.status, _json(text), answer.headers.get("Date", ""))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise NotReachableError(f"{self.target.url} does not answer ({type(error).__name__})") from error

    # -- queues --------------------------------------------------------------------------------------------------

    async def send(self, queue: str, body: bytes, message_id: str, **properties: Any) -> None:
        """``properties`` are the message's own (``correlation_id``, ``subject``, ``application_properties``)."""
        from azure.servicebus import ServiceBusMessage

        message = ServiceBusMessage(body, message_id=message_id, content_type="application/json", **properties)
        bus = await self._service_bus()
        async with _named(f"sending to {queue}"), bus.get_queue_sender(queue) as sender:
            await sender.send_messages(message)

    async def dead_letter(self, queue: str, message_id: str) -> str | None:
        found = await self.dead_letters(queue, message_id)
        return found[0].dead_letter_reason or "" if found else None

    async def dead_letters(self, queue: str, message_id: str) -> list[ServiceBusReceivedMessage]:
        """Those with that message id among the first ones, peeked."""
        found: list[ServiceBusReceivedMessage] = []
        async with _named(f"the dead letters of {queue}"), self._peeking:
            receiver = await self._buried(queue)
            seen, after = 0, 1
            while seen < _PEEKED_AT_MOST:
                page = await receiver.peek_messages(max_message_count=_PAGE, sequence_number=after)
                if not page:
                    break
                found += [message for message in page if message.message_id == message_id]
                seen += len(page)
                after = (page[-1].sequence_number or 0) + 1
        return found

    async def remove_dead_letter(self, queue: str, message_id: str) -> bool:
        async with _named(f"the dead letters of {queue}"):
            receiver = await self._buried(queue)
            others: list[ServiceBusReceivedMessage] = []
            try:
                while len(others) < _TAKEN_AT_MOST:
                    page = await receiver.receive_messages(max_message_count=_PAGE, max_wait_time=5)
                    if not page:
                        return False
                    found = [message for message in page if message.message_id == message_id]
                    others += [message for message in page if message.message_id != message_id]
                    for message in found:
                        await receiver.complete_message(message)
                    if found:
                        return True
                return False
            finally:
                for message in others:
                    await receiver.abandon_message(message)

    async def _buried(self, queue: str) -> ServiceBusReceiver:
        """One for all looks: opening a link takes half a second."""
        from azure.servicebus import ServiceBusSubQueue

        if queue not in self._receivers:
            bus = await self._service_bus()
            self._receivers[queue] = bus.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)
        return self._receivers[queue]

    async def _service_bus(self) -> ServiceBusClient:
        from azure.servicebus.aio import ServiceBusClient

        connection = (await self.settings()).service_bus
        if self._bus is None:
            if connection.uses_identity:
                self._bus = ServiceBusClient(connection.endpoint, self._identity())
            else:
                self._bus = ServiceBusClient.from_connection_string(connection.connection_string)
        return self._bus

    # -- hub -----------------------------------------------------------------------------------------------------

    async def listen(self) -> None:
        """Begins to read the hub from now on."""
        settings = await self.settings()
        self._listening = asyncio.create_task(self._listen(settings, datetime.now(UTC) - _CLOCKS))

    async def events(self, command_id: str) -> list[str]:
        return [
            str(heard.event.get("type"))
            for heard in self.heard()
            if heard.event.get("data", {}).get("commandId") == command_id
        ]

    def heard(self) -> list[Heard]:
        """All that the hub has told since `listen`, whoever it is about. Raises `NotReachableError`."""
        if self._listening is not None and self._listening.done() and (error := self._listening.exception()):
            raise NotReachableError(f"the hub cannot be read ({type(error).__name__})") from error
        return list(self._told)

    async def _listen(self, settings: Settings, since: datetime) -> None:
        from azure.eventhub.aio import EventHubConsumerClient

        hub, connection = settings.telemetry_hub, settings.event_hubs
        if connection.uses_identity:
            client = EventHubConsumerClient(connection.endpoint, hub, CONSUMER_GROUP, self._identity())
        else:
            client = EventHubConsumerClient.from_connection_string(
                connection.connection_string, CONSUMER_GROUP, eventhub_name=hub
            )

        async def keep(partition: Any, event: Any) -> None:
            if event is not None:
                told = _json(event.body_as_str())
                if told:
                    self._told.append(
                        Heard(
                            event=told,
                            partition=str(partition.partition_id),
                            sequence_number=event.sequence_number or 0,
                            enqueued_at=event.enqueued_time,
                        )
                    )

        async with client:
            await client.receive(on_event=keep, starting_position=since)

    def _identity(self) -> AsyncTokenCredential:
        from azure.identity.aio import DefaultAzureCredential

        if self._credential is None:
            self._credential = DefaultAzureCredential()
        return self._credential


@asynccontextmanager
async def _named(what: str) -> AsyncIterator[None]:
    from azure.core.exceptions import AzureError

    try:
        yield
    except AzureError as error:
        raise NotReachableError(
            f"{what}: {type(error).__name__}; the roles that this needs are in the guide"
        ) from error


def _json(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    if isinstance(value, list):
        return {"list": value}
    return value if isinstance(value, dict) else {}
