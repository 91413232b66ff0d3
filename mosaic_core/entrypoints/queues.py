"""The lanes' Service Bus triggers: translate a message, deliver it. One function per lane, so that Azure scales each on
instances of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import azure.functions as func

from mosaic_core.config import QUEUE_SETTINGS
from mosaic_core.domain.body import inflate
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.ports import IncomingMessage
from mosaic_core.services.deliver import DeliveryService

CONNECTION: Final = "ServiceBusConnection"

WAITERS: Final = 4
WAIT_SECONDS: Final = 5.0
"""How many deliveries may wait for a place in their lane within their invocation, and how long. More, or longer, and
they would outlive the host's limits for an invocation: those go back to the queue for a while."""


def create_blueprint(
    service: Callable[[], DeliveryService], *, queues: Mapping[Lane, str], concurrency: Mapping[Lane, int]
) -> func.Blueprint:
    """The three lane functions. ``service`` is asked for at the first message; ``queues`` are the real names, and
    ``concurrency`` how many deliveries of a lane run at once in this process (host.json has one figure for the app)."""
    blueprint = func.Blueprint()
    for lane in Lane:
        handler = _handler(lane, service, queues[lane], asyncio.Semaphore(concurrency[lane]))
        trigger = blueprint.service_bus_queue_trigger(
            arg_name="msg",
            queue_name=_queue_name(lane),
            connection=CONNECTION,
            auto_complete_messages=False,
        )
        blueprint.function_name(f"{lane.value}_lane")(trigger(handler))
    return blueprint


def _queue_name(lane: Lane) -> str:
    """The setting's name for the host to resolve; the contract's default where the setting is absent, since the host
    refuses a name that it cannot resolve."""
    setting = QUEUE_SETTINGS[lane]
    return f"%{setting}%" if os.environ.get(setting) else RULES[lane].default_queue


def _handler(
    lane: Lane, service: Callable[[], DeliveryService], queue: str, gate: asyncio.Semaphore
) -> Callable[[func.ServiceBusMessage], Coroutine[Any, Any, None]]:
    waiting = 0

    async def place() -> bool:
        nonlocal waiting
        if gate.locked() and waiting >= WAITERS:
            return False
        waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await gate.acquire()
        except TimeoutError:
            return False
        finally:
            waiting -= 1
        return True

    async def handle(msg: func.ServiceBusMessage) -> None:
        message = incoming(msg, queue)
        if not await place():
            await service().deliver(lane, replace(message, crowded=True))
            return
        try:
            await service().deliver(lane, message)
        finally:
            gate.release()

    # the worker loads functions by name
    handle.__name__ = handle.__qualname__ = f"{lane.value}_lane"
    return handle


def incoming(message: func.ServiceBusMessage, queue: str) -> IncomingMessage:
    """A trigger's message as the services know it. A message without an id is known by its sequence number."""
    sequence_number = message.sequence_number or 0
    enqueued = message.enqueued_time_utc or datetime.now(UTC)
    body, properties = inflate(message.get_body(), _properties(message))
    return IncomingMessage(
        queue=queue,
        body=body,
        lock_token=message.lock_token or "",
        message_id=message.message_id or f"seq-{sequence_number}",
        sequence_number=sequence_number,
        delivery_count=message.delivery_count or 1,
        enqueued_at=enqueued if enqueued.tzinfo else enqueued.replace(tzinfo=UTC),
        correlation_id=message.correlation_id or "",
        subject=message.subject or message.label or "",
        properties=properties,
    )


def _properties(message: func.ServiceBusMessage) -> dict[str, str | bool | int]:
    """Application properties of the types that our own messages use; others are left out."""
    found = message.application_properties or message.user_properties or {}
    return {name: value for name, value in found.items() if isinstance(value, (str, bool, int))}
