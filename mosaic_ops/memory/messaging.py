"""Messaging in memory, for tests: recorders that stand alone, and a broker that keeps Service Bus's promises.

`MemoryBroker` is deterministic: nothing happens by itself. Time is the injected clock's; locks run out, scheduled
messages fall due and messages expire when it is next asked, as of what the clock then says. A holder that crashed is
one that never settles.
"""

from __future__ import annotations

import bisect
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from mosaic_core.domain.errors import QueueUnavailableError
from mosaic_core.domain.ids import clean
from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.ports import BrowsedMessage, Clock, IncomingMessage, OutgoingMessage, RuntimeEvent

type Operation = Literal["send", "complete", "abandon", "dead_letter", "browse"]
type Fault = Literal["refused", "lost"]
"""``refused``: nothing happened. ``lost``: it happened, its answer did not arrive. The caller sees the same error."""

MAX_DELIVERIES_EXCEEDED: Final = DeadLetterReason.MAX_DELIVERY_COUNT_EXCEEDED.value
EXPIRED: Final = DeadLetterReason.TTL_EXPIRED.value


class ManualClock:
    """A clock that only `advance` moves."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


# ------------------------------------------------------------------------------------------------------------ recorders


@dataclass(frozen=True, slots=True)
class Sent:
    message: OutgoingMessage
    due: datetime | None


class MemorySender:
    """Records what is sent. ``failing`` makes every send fail, after it landed where ``landing`` is set as well."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.failing = False
        self.landing = False

    async def send(self, message: OutgoingMessage, *, due: datetime | None = None) -> None:
        if not self.failing or self.landing:
            self.sent.append(Sent(message, due))
        if self.failing:
            raise QueueUnavailableError(f"sending to {message.queue} failed (set by the test)")


@dataclass(frozen=True, slots=True)
class Settled:
    operation: Literal["complete", "abandon", "dead_letter"]
    message: IncomingMessage
    reason: str = ""
    description: str = ""


class MemorySettler:
    """Records what is settled. ``failing`` makes every settlement fail; it is then not recorded."""

    def __init__(self) -> None:
        self.settled: list[Settled] = []
        self.failing = False

    async def complete(self, message: IncomingMessage) -> None:
        self._record(Settled("complete", message))

    async def abandon(self, message: IncomingMessage) -> None:
        self._record(Settled("abandon", message))

    async def dead_letter(self, message: IncomingMessage, reason: str, description: str) -> None:
        self._record(Settled("dead_letter", message, reason, description))

    def _record(self, settled: Settled) -> None:
        if self.failing:
            raise QueueUnavailableError(f"{settled.operation} failed (set by the test)")
        self.settled.append(settled)


class MemoryPublisher:
    """Keeps the events in the order of publishing."""

    def __init__(self) -> None:
        self.events: list[RuntimeEvent] = []
        self.failing = False
        """Nothing gets through, as while the hub is away."""

    def publish(self, event: RuntimeEvent) -> None:
        if not self.failing:
            self.events.append(event)

    async def confirm(self, event: RuntimeEvent, seconds: float) -> bool:
        self.publish(event)
        return not self.failing

    def kinds(self) -> list[str]:
        """The last word of each event's type, such as ``completed``."""
        return [event.type.rpartition(".")[2] for event in self.events]


# --------------------------------------------------------------------------------------------------------------- broker


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """A message in a dead-letter queue. The broker's own reasons are `MAX_DELIVERIES_EXCEEDED` and `EXPIRED`."""

    message: OutgoingMessage
    sequence_number: int
    reason: str
    description: str


@dataclass(slots=True)
class _Entry:
    message: OutgoingMessage
    sequence_number: int
    available_at: datetime
    """When it was, or will be, enqueued."""
    deliveries: int = 0
    token: str = ""
    locked_until: datetime | None = None


@dataclass(slots=True)
class _Queue:
    scheduled: list[_Entry] = field(default_factory=list)
    active: list[_Entry] = field(default_factory=list)
    locked: dict[str, _Entry] = field(default_factory=dict)
    dead: list[DeadLettered] = field(default_factory=list)
    dead_locks: dict[int, datetime] = field(default_factory=dict)


class MemoryBroker:
    """Queues with peek-lock: a `CommandSender` and a `Settler` that `receive` feeds.

    Queues are made when first used. Messages are handed out in the order of their sequence numbers; one that comes back
    takes its old place. Times are seconds. ``fault`` is asked before each operation and decides how it fails, if at
    all."""

    def __init__(
        self, clock: Clock, *, lock_seconds: float = 60, max_deliveries: int = 10, ttl_seconds: float = 14 * 86_400
    ) -> None:
        self.clock = clock
        self.fault: Callable[[Operation, OutgoingMessage | IncomingMessage], Fault | None] = lambda _, __: None
        self._lock = timedelta(seconds=lock_seconds)
        self._max_deliveries = max_deliveries
        self._ttl = timedelta(seconds=ttl_seconds)
        self._queues: dict[str, _Queue] = {}
        self._sequence = 0
        self._tokens = 0

    # ----------------------------------------------------------------------------------------------- sender, settler

    async def send(self, message: OutgoingMessage, *, due: datetime | None = None) -> None:
        fault = self.fault("send", message)
        if fault != "refused":
            now = self.clock.now()
            queue = self._queue(message.queue)
            if due is not None and due > now:
                queue.scheduled.append(_Entry(message, self._next_number(), due))
            else:
                queue.active.append(_Entry(message, self._next_number(), now))
        self._raise(fault, "send")

    async def complete(self, message: IncomingMessage) -> None:
        fault = self.fault("complete", message)
        if fault != "refused":
            self._take(message)
        self._raise(fault, "complete")

    async def abandon(self, message: IncomingMessage) -> None:
        fault = self.fault("abandon", message)
        if fault != "refused":
            entry = self._take(message)
            self._give_back(self._queues[message.queue], entry)
        self._raise(fault, "abandon")

    async def dead_letter(self, message: IncomingMessage, reason: str, description: str) -> None:
        fault = self.fault("dead_letter", message)
        if fault != "refused":
            entry = self._take(message)
            _bury(self._queues[message.queue], entry, reason, description)
        self._raise(fault, "dead_letter")

    # ---------------------------------------------------------------------------------------------------- the holder

    def receive(self, queue: str) -> IncomingMessage | None:
        """The next message, locked from now on, or None."""
        state = self._queue(queue)
        if not state.active:
            return None
        entry = state.active.pop(0)
        self._tokens += 1
        entry.token = str(uuid.UUID(int=self._tokens))
        entry.locked_until = self.clock.now() + self._lock
        entry.deliveries += 1
        state.locked[entry.token] = entry
        sent = entry.message
        return IncomingMessage(
            queue=queue,
            body=sent.body,
            lock_token=entry.token,
            message_id=sent.message_id,
            sequence_number=entry.sequence_number,
            delivery_count=entry.deliveries,
            enqueued_at=entry.available_at,
            correlation_id=sent.correlation_id,
            subject=sent.subject,
            properties=dict(sent.properties),
        )

    def renew(self, message: IncomingMessage) -> None:
        """Lock it for another full lock time. Raises `QueueUnavailableError` where the lock is lost."""
        entry = self._queue(message.queue).locked.get(message.lock_token)
        if entry is None:
            raise _lock_lost(message)
        entry.locked_until = self.clock.now() + self._lock

    # ------------------------------------------------------------------------------------------------- looking at it

    def dead_letters(self, queue: str) -> list[DeadLettered]:
        """Oldest first."""
        return list(self._queue(queue).dead)

    def peek(self, queue: str) -> list[OutgoingMessage]:
        """Every message that is not dead: active, locked, scheduled."""
        state = self._queue(queue)
        return [entry.message for entry in (*state.active, *state.locked.values(), *state.scheduled)]

    async def browse(self, queue: str, *, dead: bool = False, after: int = 0, limit: int = 100) -> list[BrowsedMessage]:
        fault = self.fault("browse", OutgoingMessage(queue=queue, body=b"", message_id=""))
        self._raise(fault, "browse")
        state = self._queue(queue)
        if dead:
            found = [
                _browsed(letter.message, letter.sequence_number, reason=letter.reason, description=letter.description)
                for letter in state.dead
            ]
        else:
            found = [
                _browsed(
                    entry.message,
                    entry.sequence_number,
                    enqueued_at=entry.available_at,
                    delivery_count=entry.deliveries,
                    state="scheduled" if entry in state.scheduled else "active",
                )
                for entry in (*state.active, *state.locked.values(), *state.scheduled)
            ]
        beyond = (message for message in found if message.sequence_number > after)
        return sorted(beyond, key=lambda message: message.sequence_number)[:limit]

    @asynccontextmanager
    async def session(self, queue: str) -> AsyncIterator[MemoryDeadLetterSession]:
        """A `DeadLetterDesk`'s. A process that dies within it leaves its locks behind."""
        session = MemoryDeadLetterSession(self, queue)
        try:
            yield session
        except Exception:
            session.give_back()
            raise
        session.give_back()

    def take_dead(self, queue: str) -> DeadLettered | None:
        """The first dead letter that nobody has locked, locked from now on."""
        state, now = self._queue(queue), self.clock.now()
        for letter in state.dead:
            if state.dead_locks.get(letter.sequence_number, now) <= now:
                state.dead_locks[letter.sequence_number] = now + self._lock
                return letter
        return None

    def complete_dead(self, queue: str, letter: DeadLettered) -> None:
        fault = self.fault("complete", letter.message)
        if fault != "refused":
            state = self._queue(queue)
            state.dead.remove(letter)
            state.dead_locks.pop(letter.sequence_number, None)
        self._raise(fault, "complete")

    def unlock_dead(self, queue: str, letter: DeadLettered) -> None:
        self._queue(queue).dead_locks.pop(letter.sequence_number, None)

    def purge_dead(self, queue: str, sequence_number: int | None = None) -> None:
        """As an explorer's purge does, or its receive-and-delete of one."""
        state = self._queue(queue)
        state.dead = [letter for letter in state.dead if sequence_number not in (None, letter.sequence_number)]

    def remove(self, queue: str, message_id: str) -> int:
        """As somebody with an explorer who empties a queue, or takes one message out of it; how many went."""
        state = self._queue(queue)
        before = len(state.active) + len(state.scheduled)
        state.active = [entry for entry in state.active if entry.message.message_id != message_id]
        state.scheduled = [entry for entry in state.scheduled if entry.message.message_id != message_id]
        return before - len(state.active) - len(state.scheduled)

    def count(self, queue: str) -> tuple[int, int, int]:
        """How many are active, locked, scheduled."""
        state = self._queue(queue)
        return len(state.active), len(state.locked), len(state.scheduled)

    def next_change(self) -> datetime | None:
        """When, by the clock, the next lock runs out or the next scheduled message falls due. None: nothing will."""
        times = [
            moment
            for name in self._queues
            for entry in (*self._queue(name).scheduled, *self._queue(name).locked.values())
            if (moment := entry.locked_until or entry.available_at)
        ]
        return min(times, default=None)

    def queues(self) -> Iterator[str]:
        yield from self._queues

    def restart(self) -> None:
        """The broker restarts: every lock is void, nothing else is lost."""
        for state in self._queues.values():
            for entry in list(state.locked.values()):
                self._give_back(state, entry)
            state.locked.clear()

    # --------------------------------------------------------------------------------------------------------- inside

    def _queue(self, name: str) -> _Queue:
        """The queue as it is now: what the passing of time did to it is done first."""
        state = self._queues.setdefault(name, _Queue())
        now = self.clock.now()
        for entry in [e for e in state.locked.values() if e.locked_until is not None and e.locked_until <= now]:
            del state.locked[entry.token]
            self._give_back(state, entry)
        # Falling due gives a message its number; what is due first comes first, however it was sent.
        due = sorted((e for e in state.scheduled if e.available_at <= now), key=lambda e: e.available_at)
        state.scheduled = [e for e in state.scheduled if e.available_at > now]
        state.active.extend(replace(e, sequence_number=self._next_number()) for e in due)
        for entry in [e for e in state.active if e.available_at + self._ttl <= now]:
            state.active.remove(entry)
            _bury(state, entry, EXPIRED, "The message expired and was dead lettered.")
        return state

    def _take(self, message: IncomingMessage) -> _Entry:
        entry = self._queue(message.queue).locked.pop(message.lock_token, None)
        if entry is None:
            raise _lock_lost(message)
        return entry

    def _give_back(self, state: _Queue, entry: _Entry) -> None:
        entry.token, entry.locked_until = "", None
        if entry.deliveries >= self._max_deliveries:
            _bury(
                state,
                entry,
                MAX_DELIVERIES_EXCEEDED,
                f"Message could not be consumed after {self._max_deliveries} delivery attempts.",
            )
        else:
            bisect.insort(state.active, entry, key=lambda e: e.sequence_number)

    def _next_number(self) -> int:
        self._sequence += 1
        return self._sequence

    @staticmethod
    def _raise(fault: Fault | None, operation: Operation) -> None:
        if fault is not None:
            raise QueueUnavailableError(f"{operation} had no answer (set by the test)")


class MemoryDeadLetterSession:
    """Holds what it was given and does not want, until it ends."""

    def __init__(self, broker: MemoryBroker, queue: str) -> None:
        self._broker, self._queue = broker, queue
        self._held: list[DeadLettered] = []

    async def complete(self, wanted: Mapping[int, str], *, seconds: float) -> frozenset[int]:
        gone: set[int] = set()
        for known in [one for one in self._held if wanted.get(one.sequence_number) == one.message.message_id]:
            self._held.remove(known)
            self._complete(known, gone)
        while len(gone) < len(wanted) and (letter := self._broker.take_dead(self._queue)) is not None:
            if wanted.get(letter.sequence_number) != letter.message.message_id:
                self._held.append(letter)
                continue
            self._complete(letter, gone)
        return frozenset(gone)

    @property
    def held(self) -> Mapping[int, str]:
        return {letter.sequence_number: letter.message.message_id for letter in self._held}

    def _complete(self, letter: DeadLettered, gone: set[int]) -> None:
        try:
            self._broker.complete_dead(self._queue, letter)
        except QueueUnavailableError:
            return
        gone.add(letter.sequence_number)

    def give_back(self) -> None:
        for letter in self._held:
            self._broker.unlock_dead(self._queue, letter)


def _browsed(
    message: OutgoingMessage,
    sequence_number: int,
    *,
    enqueued_at: datetime | None = None,
    delivery_count: int = 0,
    state: str = "active",
    reason: str = "",
    description: str = "",
) -> BrowsedMessage:
    return BrowsedMessage(
        queue=message.queue,
        body=message.body,
        message_id=message.message_id,
        sequence_number=sequence_number,
        enqueued_at=enqueued_at,
        correlation_id=message.correlation_id,
        subject=message.subject,
        properties=dict(message.properties),
        delivery_count=delivery_count,
        state=state,
        reason=reason,
        description=description,
    )


def _bury(state: _Queue, entry: _Entry, reason: str, description: str) -> None:
    state.dead.append(DeadLettered(entry.message, entry.sequence_number, reason, description))


def _lock_lost(message: IncomingMessage) -> QueueUnavailableError:
    return QueueUnavailableError(f"the lock of message {clean(message.message_id)} on {message.queue} is lost")
