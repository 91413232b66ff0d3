"""The lanes' Service Bus triggers: translate a message, deliver it. One function per lane, so that Azure scales each on
instances of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import azure.functions as func

from mosaic_core.config import QUEUE_SETTINGS
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.ports import IncomingMessage
from mosaic_core.services.deliver import DeliveryService

CONNECTION: Final = "ServiceBusConnection"


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
    async def handle(msg: func.ServiceBusMessage) -> None:
        async with gate:
            await service().deliver(lane, incoming(msg, queue))

    # the worker loads functions by name
    handle.__name__ = handle.__qualname__ = f"{lane.value}_lane"
    return handle


def incoming(message: func.ServiceBusMessage, queue: str) -> IncomingMessage:
    """A trigger's message as the services know it. A message without an id is known by its sequence number."""
    sequence_number = message.sequence_number or 0
    enqueued = message.enqueued_time_utc or datetime.now(UTC)
    return IncomingMessage(
        queue=queue,
        body=message.get_body(),
        lock_token=message.lock_token or "",
        message_id=message.message_id or f"seq-{sequence_number}",
        sequence_number=sequence_number,
        delivery_count=message.delivery_count or 1,
        enqueued_at=enqueued if enqueued.tzinfo else enqueued.replace(tzinfo=UTC),
        correlation_id=message.correlation_id or "",
        subject=message.subject or message.label or "",
        properties=_properties(message),
    )


def _properties(message: func.ServiceBusMessage) -> dict[str, str | bool | int]:
    """Application properties of the types that our own messages use; others are left out."""
    found = message.application_properties or message.user_properties or {}
    return {name: value for name, value in found.items() if isinstance(value, (str, bool, int))}
