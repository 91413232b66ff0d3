"""A small world for the delivery protocol: memory stores, a memory broker, one clock, the checks of what is promised.

Workers die, answers get lost; the world goes on delivering until nothing is left to deliver.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from mosaic_core.domain import ids
from mosaic_core.domain.envelope import decode
from mosaic_core.domain.errors import PoisonError, QueueUnavailableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import AttemptOutcome, KeyStatus, RunStatus, StageStatus
from mosaic_core.domain.records import Command
from mosaic_core.domain.settlement import Settlement
from mosaic_core.lanes.context import LaneContext, LaneHandler, LaneResult
from mosaic_core.ports import IncomingMessage, OutgoingMessage, Stores
from mosaic_core.services.deliver import DeliveryService
from mosaic_core.services.limits import DeliveryLimits
from mosaic_ops.memory.messaging import ManualClock, MemoryBroker, MemoryPublisher
from mosaic_ops.memory.stores import memory_stores
from tests.support.faults import Plan, ProcessDied, faulty_messaging, faulty_stores

QUEUE = "runtime-agent-message-posted"
COMMAND_ID = "11111111222233334444555555555555"
HOUSEHOLD = "a11ce000000000000000000000000001"
USER = "a11ce000000000000000000000000002"
CONVERSATION = "c0000000000000000000000000000001"
RUN_ID = ids.run_id(QUEUE, COMMAND_ID)


def body(**changes: Any) -> bytes:
    payload = {
        "householdId": HOUSEHOLD,
        "conversationId": CONVERSATION,
        "householdUserId": USER,
        "message": changes.pop("message", "What did I spend?"),
    }
    value = {
        "commandId": COMMAND_ID,
        "correlationId": f"agent:{HOUSEHOLD}:{CONVERSATION}:{COMMAND_ID}",
        "commandType": "agent_message_posted",
        "createdAtUtc": "2026-01-01T00:00:00Z",
        "payload": payload,
    }
    return json.dumps(value | changes).encode()


async def record(stores: Stores, queue: str, lane: Lane, raw: bytes, now: datetime, *, subject: str = "") -> bool:
    """As the API does before it sends a command: recorded, then listed. False: its id was recorded before, or it is
    nothing that can be recorded."""
    try:
        envelope = decode(raw, lane)
    except PoisonError:
        return False
    command = Command(
        command_id=envelope.command_id,
        household_id=envelope.household_id,
        queue=queue,
        command_type=envelope.command_type,
        request_hash=envelope.request_hash,
        envelope=raw.decode(),
        recorded_at=now,
        subject=subject,
    )
    await stores.commands.list_recorded(command)
    is_new = await stores.commands.insert(command)
    if is_new and envelope.household_id and envelope.conversation_id:
        await stores.commands.index_conversation(
            envelope.household_id, envelope.conversation_id, now, queue, envelope.command_id
        )
    return is_new


@dataclass
class Work:
    """A lane whose attempts end as told; it counts its effects by kind.

    ``ends`` is one word per attempt (the last one repeats): success, review, fail. ``first``: an effect of kind 1 (the
    first to land wins), ``keyed`` one of kind 2 (by attempt).
    """

    ends: Sequence[str]
    first: list[int] = field(default_factory=list)
    keyed: list[int] = field(default_factory=list)
    began: list[int] = field(default_factory=list)

    def end_of(self, attempt: int) -> str:
        return self.ends[min(attempt, len(self.ends)) - 1]

    async def __call__(self, context: LaneContext) -> LaneResult:
        self.began.append(context.attempt)
        end = self.end_of(context.attempt)
        async with context.log.stage("work", "test") as stage:
            await asyncio.sleep(0)
            if not self.first:
                self.first.append(context.attempt)
            self.keyed.append(context.attempt)
            if end == "fail":
                stage.review("broken", "told to fail", confidence=0.0)
                stage.status = StageStatus.FAILED
                return LaneResult(outcome=AttemptOutcome.FAILED, code="broken", rationale="told to fail")
            stage.succeed("worked", "told to work")
        if end == "review":
            return LaneResult(outcome=AttemptOutcome.SUCCEEDED_REVIEW, code="look_at_it", rationale="told to")
        return LaneResult(outcome=AttemptOutcome.SUCCEEDED, code="worked", rationale="done")


@dataclass(frozen=True)
class Skewed:
    """A clock that is that many seconds ahead of another."""

    clock: ManualClock
    seconds: float

    def now(self) -> datetime:
        return self.clock.now() + timedelta(seconds=self.seconds)


class World:
    """``stored`` is what there is; ``stores`` is how the workers reach it, which a test may replace."""

    def __init__(
        self,
        handler: LaneHandler,
        *,
        plan: Plan | None = None,
        max_deliveries: int = 50,
        lease: int = 30,
        storage_skew: float = 0,
        broker_skew: float = 0,
        worker_skew: float = 0,
    ) -> None:
        """The skews are how many seconds the clocks of storage, broker and workers are ahead of the world's."""
        self.clock = ManualClock()
        self.stored: Stores = memory_stores(Skewed(self.clock, storage_skew))
        self.stores = self.stored
        self.broker = MemoryBroker(Skewed(self.clock, broker_skew), lock_seconds=60, max_deliveries=max_deliveries)
        self.broker_skew, self.worker_skew = broker_skew, worker_skew
        self.publisher = MemoryPublisher()
        self.plan = plan or Plan()
        self.handler = handler
        self.lease = lease
        self.settlements: list[Settlement] = []
        self._held: list[IncomingMessage] = []
        self.deaths = 0

    def service(self, handler: LaneHandler | None = None) -> DeliveryService:
        return DeliveryService(
            stores=faulty_stores(self.stores, self.plan),
            sender=faulty_messaging(self.broker, "sender", self.plan),
            settler=faulty_messaging(self.broker, "settler", self.plan),
            publisher=self.publisher,
            clock=Skewed(self.clock, self.worker_skew),
            handlers=dict.fromkeys(Lane, handler or self.handler),
            policy_version="test",
            limits=DeliveryLimits(lease=self.lease),
            jitter=lambda: 1.0,
            sleep=self._sleep,
        )

    async def _sleep(self, seconds: float) -> None:
        """Time passes; the host renews the locks of what its worker holds."""
        self.clock.advance(seconds)
        for message in self._held:
            with suppress(QueueUnavailableError):
                self.broker.renew(message)

    async def send(self, payload: bytes | None = None, *, recorded: bool = True, message_id: str = COMMAND_ID) -> None:
        """``recorded``: by the API, which records and lists it first (the first request of an id stands); otherwise it
        comes past it."""
        properties: dict[str, str | bool | int] = {"recorded": True} if recorded else {}
        if recorded:
            await record(self.stored, QUEUE, Lane.CONVERSATION, payload or body(), self.clock.now())
        await self.broker.send(
            OutgoingMessage(queue=QUEUE, body=payload or body(), message_id=message_id, properties=properties)
        )

    async def deliver(self, message: IncomingMessage, lane: Lane = Lane.CONVERSATION) -> Settlement | None:
        """One delivery by a worker of its own; None where it died."""
        self._held.append(message)
        try:
            settlement = await self.service().deliver(lane, message)
        except ProcessDied:
            self.deaths += 1
            return None
        finally:
            self._held.remove(message)
        self.settlements.append(settlement)
        return settlement

    async def overtaken(self) -> None:
        """A delivery stands still where the plan says, its lock and lease run out, others bring the command to
        its end; then it wakes up and goes on."""
        sleeper = await self._until_paused()
        self.clock.advance(120)
        await self.run()
        key, run = await self.key(), await self.run_row()
        self.plan.gate.set()
        await sleeper
        await self.run()
        for before, after in ((key, await self.key()), (run, await self.run_row())):
            final = before is not None and (getattr(before, "is_final", False) or getattr(before, "finalized_at", None))
            assert not final or before == after, "what was final has changed"

    async def _until_paused(self) -> asyncio.Task[Settlement | None]:
        paused = asyncio.create_task(self.plan.paused.wait())
        while (message := self._next()) is not None:
            delivery = asyncio.create_task(self.deliver(message))
            await asyncio.wait({delivery, paused}, return_when=asyncio.FIRST_COMPLETED)
            if paused.done():
                return delivery
        raise AssertionError("nothing was paused")

    def _next(self) -> IncomingMessage | None:
        """The next message; time passes only where nothing else can happen. None: there is none left."""
        while (message := self.broker.receive(QUEUE)) is None:
            change = self.broker.next_change()
            if change is None:
                return None
            now = Skewed(self.clock, self.broker_skew).now()
            self.clock.advance(max(0.0, (change - now).total_seconds()))
        return message

    async def run(self, *, most: int = 200) -> None:
        """Deliver until the queue is empty."""
        for _ in range(most):
            message = self._next()
            if message is None:
                return
            await self.deliver(message)
        raise AssertionError(f"not at an end after {most} steps: {self.settlements[-5:]}")

    async def key(self) -> Any:
        stored = await self.stored.keys.read(QUEUE, COMMAND_ID)
        return stored.value if stored else None

    async def run_row(self) -> Any:
        stored = await self.stored.runs.read(RUN_ID)
        return stored.value if stored else None

    async def failure(self) -> Any:
        stored = await self.stored.signals.read(ids.failure_signal_id(RUN_ID))
        return stored.value if stored else None

    async def listed(self) -> list[tuple[str, str]]:
        """The conversation as its reader sees it."""
        return [entry async for entry in self.stored.commands.conversation(HOUSEHOLD, CONVERSATION)]

    async def check_while_it_lasts(self) -> None:
        """What is promised at any moment."""
        key, run, failure = await self.key(), await self.run_row(), await self.failure()
        if key is None or key.status == KeyStatus.RESERVED:
            return
        assert run is not None
        assert run.is_final
        assert (run.attempt_outcome == AttemptOutcome.FAILED) == (key.status == KeyStatus.REJECTED)
        assert key.status == KeyStatus.COMPLETED or (failure is not None and not failure.is_resolved)

    async def check_end(self) -> None:
        """What the protocol promises once faults have stopped."""
        key, run, failure = await self.key(), await self.run_row(), await self.failure()
        stages = await self.stored.stages.of_run(RUN_ID)
        assert key is not None
        assert key.status in (KeyStatus.COMPLETED, KeyStatus.REJECTED), key
        assert key.finalized_at is not None
        assert run is not None
        assert run.is_final
        assert run.completed_at is not None
        assert run.request_hash == key.request_hash
        dead = self.broker.dead_letters(QUEUE)
        if key.status == KeyStatus.COMPLETED:
            assert run.attempt_outcome in (AttemptOutcome.SUCCEEDED, AttemptOutcome.SUCCEEDED_REVIEW)
            assert any(s.attempt == run.attempt and s.completed_at for s in stages)
            assert failure is None or failure.is_resolved
            assert not dead, dead
            if run.status == RunStatus.NEEDS_REVIEW:
                review = await self.stored.signals.read(ids.review_signal_id(RUN_ID))
                assert review is not None
                assert review.value.requires_human_review
        else:
            assert run.status == RunStatus.NEEDS_REVIEW
            assert run.attempt_outcome == AttemptOutcome.FAILED
            assert run.failure_code
            assert run.failure_rationale
            assert failure is not None
            assert not failure.is_resolved
            assert dead
        assert self.broker.count(QUEUE) == (0, 0, 0)


def each_operation(handler: Callable[[], LaneHandler]) -> list[str]:
    """The names of all operations of an undisturbed life of a command."""

    async def life() -> list[str]:
        world = World(handler())
        await world.send()
        await world.run()
        return world.plan.log

    return asyncio.run(life())
