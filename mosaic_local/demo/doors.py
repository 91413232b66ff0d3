"""The demo's ways in: the HTTP API with a token, the queues with the Service Bus SDK, the host's admin endpoint."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, cast

import aiohttp
from azure.eventhub.aio import EventHubConsumerClient
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender

from mosaic_core.domain.lanes import RULES
from mosaic_local.stack import CONSUMER_GROUP, TELEMETRY_HUB, Stack


class Doors:
    """Opened once, kept for the whole demo: an SDK link takes half a second to open."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._tokens = {"alice": stack.token("alice", "Mosaic.Ingest"), "bob": stack.token("bob")}

    async def __aenter__(self) -> Self:
        # the stack's own addresses are on this machine: no proxy is asked
        self._http = aiohttp.ClientSession(self._stack.api_base_url, trust_env=False)
        self._bus = ServiceBusClient.from_connection_string(self._stack.settings["ServiceBusConnection"])
        self._senders: dict[str, ServiceBusSender] = {}
        self._peekers: dict[tuple[str, ServiceBusSubQueue | None], ServiceBusReceiver] = {}
        # a link takes one call at a time
        self._using: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._told: list[dict[str, Any]] = []
        self._heard = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # each takes its time to close: all at once
        closing: list[Awaitable[Any]] = [link.close() for link in (*self._senders.values(), *self._peekers.values())]
        if self._listening is not None:
            self._listening.cancel()
            closing.append(self._listening)
        await asyncio.gather(self._http.close(), *closing, return_exceptions=True)
        await self._bus.close()

    async def call(
        self, method: str, path: str, *, body: Any = None, user: str | None = "alice", headers: Any = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a request to the API, as ``user`` (None: without a token)."""
        token = {"Authorization": f"Bearer {self._tokens[user]}"} if user else {}
        async with self._http.request(
            method, f"/api/v1/agent{path}", json=body, headers={**token, **(headers or {})}
        ) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else {}

    async def run_timer(self, function: str) -> int:
        """Run a timer function now, as the platform's admin endpoint does."""
        async with self._http.post(f"/admin/functions/{function}", json={"input": ""}) as answer:
            return answer.status

    async def send(
        self, queue: str, body: bytes, *, message_id: str, properties: Mapping[str, Any] | None = None
    ) -> None:
        """Straight to the queue, past the API."""
        message = ServiceBusMessage(
            body,
            message_id=message_id,
            content_type="application/json",
            application_properties=cast("Any", dict(properties or {})),
        )
        await self.send_all(queue, [message])

    async def send_all(self, queue: str, messages: list[ServiceBusMessage]) -> None:
        async with self._using[queue]:
            if queue not in self._senders:
                self._senders[queue] = self._bus.get_queue_sender(queue)
            await self._senders[queue].send_messages(messages)

    async def dead_letters(self) -> list[tuple[str, ServiceBusReceivedMessage]]:
        """(queue, message) of every dead letter, looked at without taking it."""
        found = await asyncio.gather(*(self._peek(queue, ServiceBusSubQueue.DEAD_LETTER) for queue in queues()))
        return [(queue, message) for queue, part in zip(queues(), found, strict=True) for message in part]

    async def left(self) -> int:
        """How many messages are still in the queues, scheduled and locked ones included."""
        return len(await self.waiting())

    async def waiting(self) -> list[tuple[str, ServiceBusReceivedMessage]]:
        """(queue, message) of every message that is still in a queue, scheduled and locked ones included."""
        found = await asyncio.gather(*(self._peek(queue, None) for queue in queues()))
        return [(queue, message) for queue, part in zip(queues(), found, strict=True) for message in part]

    async def _peek(self, queue: str, part: ServiceBusSubQueue | None) -> list[ServiceBusReceivedMessage]:
        """Every message of the queue, or of its dead letters."""
        async with self._using[f"{queue}/{part}"]:
            if (queue, part) not in self._peekers:
                self._peekers[queue, part] = self._bus.get_queue_receiver(queue, sub_queue=part)
            found: list[ServiceBusReceivedMessage] = []
            while page := await self._peekers[queue, part].peek_messages(
                max_message_count=250, sequence_number=(found[-1].sequence_number or 0) + 1 if found else 1
            ):
                found += page
            return found

    def listen(self) -> None:
        """Begin to read the telemetry stream, from its beginning on. Safe to repeat."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._read_events())

    async def events(self, enough: Callable[[list[dict[str, Any]]], bool], *, seconds: float) -> list[dict[str, Any]]:
        """What the telemetry stream has told so far, once it is enough or ``seconds`` have passed."""
        self.listen()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not enough(self._told):
                    self._heard.clear()
                    await self._heard.wait()
        return self._told

    async def _read_events(self) -> None:
        async def keep(partition: Any, event: Any) -> None:
            if event is not None:
                self._told.append(json.loads(event.body_as_str()))
                self._heard.set()

        consumer = EventHubConsumerClient.from_connection_string(
            self._stack.settings["EventHubsConnection"], consumer_group=CONSUMER_GROUP, eventhub_name=TELEMETRY_HUB
        )
        async with consumer:
            await consumer.receive(on_event=keep, starting_position="-1")


def queues() -> list[str]:
    return [rules.default_queue for rules in RULES.values()]
