"""The demo's ways in: the HTTP API with a token, the queues with the Service Bus SDK, the host's admin endpoint."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
from azure.eventhub.aio import EventHubConsumerClient
from azure.servicebus import ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient

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
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.close()
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
        async with self._bus.get_queue_sender(queue) as sender:
            message = ServiceBusMessage(
                body,
                message_id=message_id,
                content_type="application/json",
                application_properties=dict(properties or {}),
            )
            await sender.send_messages(message)

    async def dead_letters(self) -> list[tuple[str, ServiceBusReceivedMessage]]:
        """(queue, message) of every dead letter, looked at without taking it."""

        async def peek(queue: str) -> list[tuple[str, ServiceBusReceivedMessage]]:
            async with self._bus.get_queue_receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER) as receiver:
                return [(queue, message) for message in await receiver.peek_messages(max_message_count=100)]

        return [found for part in await asyncio.gather(*map(peek, queues())) for found in part]

    async def left(self) -> int:
        """How many messages are still in the queues, scheduled and locked ones included."""

        async def peek(queue: str) -> int:
            async with self._bus.get_queue_receiver(queue) as receiver:
                return len(await receiver.peek_messages(max_message_count=100))

        return sum(await asyncio.gather(*map(peek, queues())))

    async def events(self, seconds: float) -> list[dict[str, Any]]:
        """What the telemetry stream tells from its beginning on, read for at most ``seconds``."""
        found: list[dict[str, Any]] = []
        quiet = asyncio.Event()

        async def keep(partition: Any, event: Any) -> None:
            if event is None:
                quiet.set()
            else:
                found.append(json.loads(event.body_as_str()))

        consumer = EventHubConsumerClient.from_connection_string(
            self._stack.settings["EventHubsConnection"], consumer_group=CONSUMER_GROUP, eventhub_name=TELEMETRY_HUB
        )
        async with consumer:
            reading = asyncio.create_task(consumer.receive(on_event=keep, starting_position="-1", max_wait_time=0.5))
            try:
                async with asyncio.timeout(seconds):
                    await quiet.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(0.2)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return found


def queues() -> list[str]:
    return [rules.default_queue for rules in RULES.values()]
