"""The lanes' Service Bus triggers: translate a message, deliver it. One function per lane, so that Azure scales each on
instances of its own."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import azure.functions as func

from mosaic_core.config import QUEUE_SETTINGS
from mosaic_core.domain import ids
from mosaic_core.domain.body import inflate
from mosaic_core.domain.lanes import HOUSEHOLD_CONCURRENCY, RULES, WAIT_SECONDS, WAITERS, Lane
from mosaic_core.ports import IncomingMessage
from mosaic_core.services.deliver import DeliveryService

LINE_SECONDS: Final = 60.0
"""The longest that a household's line in one process makes a delivery wait: another process may be free sooner."""

_WEIGHT: Final = 0.1
_LINES: Final = 1000

CONNECTION: Final = "ServiceBusConnection"
HOUSEHOLD: Final = "householdId"
"""The application property that a command's household stands in."""


def create_blueprint(
    service: Callable[[], DeliveryService],
    *,
    queues: Mapping[Lane, str],
    concurrency: Mapping[Lane, int],
    household_concurrency: int = HOUSEHOLD_CONCURRENCY,
) -> func.Blueprint:
    """The three lane functions. ``service`` is asked for at the first message; ``queues`` are the real names, and
    ``concurrency`` how many deliveries of a lane run at once in this process (host.json has one figure for the app),
    ``household_concurrency`` how many of one household's among them."""
    blueprint = func.Blueprint()
    for lane in Lane:
        handler = _handler(lane, service, queues[lane], asyncio.Semaphore(concurrency[lane]), household_concurrency)
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


class _Turns:
    """How many deliveries of each household are at work in a lane. A household without any is forgotten.

    Those that are sent back come again when their household's turn may have come, one after the other at the pace at
    which it gets through its work: all at once, they would be sent back again and again, at everybody's cost.
    """

    def __init__(self, at_once: int, now: Callable[[], float] = time.monotonic) -> None:
        self._at_once, self._now = at_once, now
        self._present: dict[str, tuple[asyncio.Semaphore, int]] = {}
        self._waiting = 0
        self._typical = 0.0
        self._line_ends: dict[str, float] = {}

    async def take(self, household: str) -> bool:
        """False: the household has its share, and no more may wait, or long enough was waited."""
        turn, present = self._present.get(household) or (asyncio.Semaphore(self._at_once), 0)
        if turn.locked() and self._waiting >= WAITERS:
            return False
        self._present[household] = (turn, present + 1)
        self._waiting += 1
        taken = False
        try:
            taken = await _within(turn, WAIT_SECONDS)
        finally:
            self._waiting -= 1
            if not taken:
                self._forget(household)
        return taken

    def give_back(self, household: str, took: float = 0.0) -> None:
        """``took``: the seconds that it was at work."""
        self._typical += (took - self._typical) * _WEIGHT
        self._present[household][0].release()
        self._forget(household)

    def line_up(self, household: str) -> float:
        """Seconds until a delivery that found no turn should come again; the next one later."""
        now = self._now()
        if len(self._line_ends) >= _LINES:
            self._line_ends = {name: end for name, end in self._line_ends.items() if end > now}
        end = max(now, self._line_ends.get(household, now)) + self._typical / self._at_once
        self._line_ends[household] = min(end, now + LINE_SECONDS)
        return self._line_ends[household] - now

    def _forget(self, household: str) -> None:
        turn, present = self._present.pop(household)
        if present > 1:
            self._present[household] = (turn, present - 1)


async def _within(places: asyncio.Semaphore, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await places.acquire()
    except TimeoutError:
        return False
    return True


def _handler(
    lane: Lane,
    service: Callable[[], DeliveryService],
    queue: str,
    gate: asyncio.Semaphore,
    household_concurrency: int = HOUSEHOLD_CONCURRENCY,
) -> Callable[[func.ServiceBusMessage], Coroutine[Any, Any, None]]:
    waiting = 0
    # a household has one sweep a night
    turns = _Turns(sys.maxsize if lane == Lane.SWEEP else household_concurrency)

    async def place() -> bool:
        nonlocal waiting
        if gate.locked() and waiting >= WAITERS:
            return False
        waiting += 1
        try:
            return await _within(gate, WAIT_SECONDS)
        finally:
            waiting -= 1

    async def handle(msg: func.ServiceBusMessage) -> None:
        message = incoming(msg, queue)
        household = household_of(message)
        if await turns.take(household):
            began = time.monotonic()
            try:
                if await place():
                    began = time.monotonic()
                    try:
                        await service().deliver(lane, message)
                        return
                    finally:
                        gate.release()
            finally:
                turns.give_back(household, time.monotonic() - began)
        await service().deliver(lane, replace(message, crowded=True, crowded_seconds=turns.line_up(household)))

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
        message_id=ids.message_id(message.message_id, sequence_number),
        sequence_number=sequence_number,
        delivery_count=message.delivery_count or 1,
        enqueued_at=enqueued if enqueued.tzinfo else enqueued.replace(tzinfo=UTC),
        correlation_id=message.correlation_id or "",
        subject=message.subject or message.label or "",
        properties=properties,
    )


def household_of(message: IncomingMessage) -> str:
    """Whose turn a delivery takes: what the message says of itself, which is trusted for nothing else. Those that name
    no household share the turns of one."""
    named = message.properties.get(HOUSEHOLD)
    return ids.guid_or_empty(named)


def _properties(message: func.ServiceBusMessage) -> dict[str, str | bool | int]:
    """Application properties of the types that our own messages use; others are left out."""
    found = message.application_properties or message.user_properties or {}
    return {name: value for name, value in found.items() if isinstance(value, (str, bool, int))}
