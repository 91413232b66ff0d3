"""The real lanes on memory stores: a command is delivered as a worker would, or one attempt of its lane run by itself.

What a lane test asks about is what was stored; `Ended` gathers it.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Never

import pytest

from mosaic_core.computing import checkpoint
from mosaic_core.domain import ids
from mosaic_core.domain.envelope import Envelope, Payload, decode, encode
from mosaic_core.domain.lanes import RULES, CommandType, Lane
from mosaic_core.domain.records import Membership, Run, Signal, Stage
from mosaic_core.domain.settlement import Settlement
from mosaic_core.lanes.context import LaneContext, LaneHandler, LaneResult, StageLog
from mosaic_core.ports import IncomingMessage, Stores
from mosaic_core.services.deliver import DeliveryService
from mosaic_ops.memory.messaging import ManualClock, MemoryPublisher, MemorySender, MemorySettler
from mosaic_ops.memory.stores import memory_stores
from tests.support.world import record

HOUSEHOLD = "a11ce000000000000000000000000001"
USER = "a11ce000000000000000000000000002"
OTHER_HOUSEHOLD = "b0b00000000000000000000000000001"
CONVERSATION = "c0000000000000000000000000000001"
START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def subject_of(user: str) -> str:
    """Of the token of a household user; nobody's where there is none."""
    return f"subject-{user}" if user else ""


@dataclass(frozen=True)
class Ended:
    """What is stored of a command after a delivery of it."""

    settlement: Settlement
    run: Run
    stages: list[Stage]
    signals: list[Signal]

    def stage(self, name: str) -> Stage:
        """The last attempt's stage of that name."""
        return [s for s in self.stages if s.name == name][-1]

    @property
    def codes(self) -> list[str]:
        return [s.signal_code for s in self.signals]


class LaneWorld:
    """``stores`` are what everybody sees; a test may hand the lane others (such as failing ones)."""

    def __init__(self, handlers: Mapping[Lane, LaneHandler]) -> None:
        self.clock = ManualClock(START)
        self.stores: Stores = memory_stores(self.clock)
        self.handlers = handlers
        self.settler = MemorySettler()
        self.sender = MemorySender()
        self.publisher = MemoryPublisher()
        self._sequence = itertools.count(1)
        self._ids = (f"{n:032x}" for n in itertools.count(0xC0FFEE))

    def command(
        self,
        kind: CommandType,
        payload: Payload,
        *,
        command_id: str | None = None,
        reference: str | None = None,
        created_at: datetime | None = None,
    ) -> bytes:
        """A message body; created now, with an id of its own, unless said otherwise."""
        command_id = command_id or next(self._ids)
        return encode(
            command_id=command_id,
            correlation_id=f"test:{command_id}",
            command_type=kind,
            created_at=created_at or self.clock.now(),
            payload=payload,
            client_reference_id=reference,
        ).encode()

    async def deliver(self, lane: Lane, body: bytes, *, stores: Stores | None = None, recorded: bool = True) -> Ended:
        """One delivery by a worker of its own. ``recorded``: by the API, for the member that the body names."""
        envelope, queue = decode(body, lane), RULES[lane].default_queue
        if recorded:
            subject = await self.enrol(envelope)
            await record(self.stores, queue, lane, body, envelope.created_at, subject=subject)
        number = next(self._sequence)
        service = DeliveryService(
            stores=stores or self.stores,
            sender=self.sender,
            settler=self.settler,
            publisher=self.publisher,
            clock=self.clock,
            handlers=self.handlers,
            policy_version="test",
            jitter=lambda: 1.0,
        )
        message = IncomingMessage(
            queue=queue,
            body=body,
            lock_token=f"lock-{number}",
            message_id=envelope.command_id,
            sequence_number=number,
            delivery_count=1,
            enqueued_at=self.clock.now(),
        )
        settlement = await service.deliver(lane, message)
        run_id = ids.run_id(queue, envelope.command_id)
        run = await self.stores.runs.read(run_id)
        assert run is not None
        stages, signals = await self.stores.stages.of_run(run_id), await self.stores.signals.of_run(run_id)
        return Ended(settlement, run.value, stages, signals)

    async def enrol(self, envelope: Envelope) -> str:
        """Whoever the body names is a member; the subject of their token."""
        user = getattr(envelope.payload, "household_user_id", "")
        if user:
            membership = Membership(
                subject=subject_of(user),
                household_id=envelope.household_id,
                household_user_id=user,
                role="Member",
                status="Active",
                created_at=START,
            )
            await self.stores.members.insert(membership)
        return subject_of(user)

    def context(self, lane: Lane, body: bytes, *, attempt: int = 1, stores: Stores | None = None) -> LaneContext:
        """One attempt by itself: nothing of it is recorded but its effects."""
        envelope: Envelope = decode(body, lane)
        queue = RULES[lane].default_queue
        return LaneContext(
            envelope=envelope,
            run_id=ids.run_id(queue, envelope.command_id),
            attempt=attempt,
            queue=queue,
            stores=stores or self.stores,
            log=StageLog(self.clock.now),
            now=self.clock.now,
            subject=subject_of(getattr(envelope.payload, "household_user_id", "")),
        )

    async def attempt(self, lane: Lane, body: bytes, *, attempt: int = 1, stores: Stores | None = None) -> LaneResult:
        await self.enrol(decode(body, lane))
        return await self.handlers[lane](self.context(lane, body, attempt=attempt, stores=stores))


async def cut_off_in(
    computation: str, monkeypatch: pytest.MonkeyPatch, world: LaneWorld, lane: Lane, body: bytes
) -> bool:
    """Cut off an attempt whose ``computation`` (its dotted name) never ends. True: by then its thread has ended."""
    began, ended = threading.Event(), threading.Event()

    def endless(*_: object, **__: object) -> Never:
        began.set()
        try:
            while True:
                checkpoint()
        finally:
            ended.set()

    monkeypatch.setattr(computation, endless)
    attempt = asyncio.create_task(world.attempt(lane, body))
    assert await asyncio.to_thread(began.wait, 10)
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
    return ended.is_set()
