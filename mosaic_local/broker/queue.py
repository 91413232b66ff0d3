"""A Service Bus queue: what happens to messages, and when. No sockets, no clock, no proton.

Every method takes `now`, milliseconds since 1970. A message is in exactly one of these states:

    ready ──receive──▶ locked ──complete──▶ gone
      ▲                  ├──abandon, lock ran out──▶ ready, one more delivery (at the maximum: dead letter)
      │                  ├──release──▶ ready
      │                  ├──dead-letter──▶ in the dead-letter queue, ready
      │                  └──defer──▶ deferred ──receive by number──▶ locked (from there back to deferred)
    scheduled, when due, under a new sequence number

and where its time to live ends while it is ready or deferred, it becomes a dead letter.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Protocol

from mosaic_local.broker.content import Content

MAX_DELIVERY_REASON = "MaxDeliveryCountExceeded"
DEAD_LETTERS = "/$deadletterqueue"
EXPIRED_REASON = "TTLExpiredException"


class State(IntEnum):
    """As the SDK's ServiceBusMessageState. A locked message keeps the state that it was locked in."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


class Status(StrEnum):
    """A queue's status, in the administration API's spelling."""

    ACTIVE = "Active"
    SEND_DISABLED = "SendDisabled"
    RECEIVE_DISABLED = "ReceiveDisabled"
    DISABLED = "Disabled"

    @property
    def sends(self) -> bool:
        return self in (Status.ACTIVE, Status.RECEIVE_DISABLED)

    @property
    def receives(self) -> bool:
        return self in (Status.ACTIVE, Status.SEND_DISABLED)


@dataclass(slots=True)
class Settings:
    """What an operator may change on a living queue. Times in ms."""

    lock_ms: int = 60_000
    max_delivery_count: int = 10
    ttl_ms: int = 1_209_600_000
    dead_letter_on_expiration: bool = True
    status: Status = Status.ACTIVE
    max_size_mb: int = 1024
    """Kept for the administrator and given back, as the two that follow; nothing here depends on them."""
    batched_operations: bool = True
    user_metadata: str | None = None


@dataclass(slots=True, eq=False)
class Message:
    """A message and its broker state. `count`: deliveries that ended without success. Times in ms since 1970."""

    id: int
    sequence: int
    content: Content
    enqueued: int
    state: State = State.ACTIVE
    count: int = 0
    due: int = 0
    expires: int | None = None
    token: bytes | None = None
    locked_until: int = 0
    timer: int = field(default=-1, repr=False)

    def encode(self) -> bytes:
        """As a receiver gets it that has it locked, or that has taken it."""
        until = self.locked_until if self.token is not None else None
        return self.content.for_queue(
            self.sequence, self.enqueued, self.state, self.count, until, self.token, self.time_to_live
        )

    def shown(self) -> bytes:
        """As a peek shows it."""
        return self.content.for_queue(
            self.sequence, self.enqueued, self.state, self.count, None, None, self.time_to_live
        )

    @property
    def time_to_live(self) -> int | None:
        """As the queue has it; None where the message's own stands."""
        return None if self.expires is None else self.expires - self.enqueued


@dataclass(slots=True, frozen=True)
class Counts:
    """Locked messages count as active, as in Azure."""

    active: int
    scheduled: int
    deferred: int


class Recorder(Protocol):
    """Told of every change that must survive a restart; locks are not among them."""

    def save(self, queue: Queue, message: Message) -> None: ...

    def remove(self, message: Message) -> None: ...


class NoRecorder:
    def save(self, queue: Queue, message: Message) -> None: ...

    def remove(self, message: Message) -> None: ...


class Queue:
    """A queue or, where `dead` is None, a dead-letter queue (no delivery limit, no time to live)."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        *,
        dead: Queue | None = None,
        recorder: Recorder | None = None,
        next_id: Callable[[], int] | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.dead = dead
        self.last_sequence = 0
        self._recorder = recorder or NoRecorder()
        self._next_id = next_id
        self._messages: dict[int, Message] = {}
        self._order: list[int] = []
        self._ready: list[int] = []
        self._locked: dict[bytes, Message] = {}
        self._timers: list[tuple[int, int, Message]] = []

    # -- intake --------------------------------------------------------------------------------------------------

    def put(self, content: Content, now: int) -> Message:
        """Stores a message: ready, or scheduled where its content names a time ahead."""
        sequence = self._next_sequence()
        message = Message(self._next_id() if self._next_id else sequence, sequence, content, now)
        if content.scheduled_ms is not None and content.scheduled_ms > now:
            message.state, message.due = State.SCHEDULED, content.scheduled_ms
        else:
            message.expires = self._expiry(content, now)
        self.adopt(message)
        return message

    def adopt(self, message: Message, *, stored: bool = False) -> None:
        """Takes in an unlocked message as it is: a dead letter, or one from the journal (`stored`)."""
        self._messages[message.sequence] = message
        self._place(message.sequence)
        self.last_sequence = max(self.last_sequence, message.sequence)
        if message.state is State.ACTIVE:
            heapq.heappush(self._ready, message.sequence)
        self._watch(message)
        if not stored:
            self._recorder.save(self, message)

    def cancel(self, sequences: Iterable[int]) -> bool:
        """Removes scheduled messages; False, and nothing is removed, where one of them is not scheduled."""
        found = [self._messages.get(sequence) for sequence in sequences]
        scheduled = [m for m in found if m is not None and m.state is State.SCHEDULED]
        if len(scheduled) != len(found):
            return False
        for message in scheduled:
            self._remove(message)
        return True

    # -- delivery ------------------------------------------------------------------------------------------------

    def receive(self, token: bytes, now: int) -> Message | None:
        """Locks the oldest ready message under `token`; None where there is none."""
        message = self._pop_ready(now)
        if message is not None:
            self._lock(message, token, now)
        return message

    def take(self, now: int) -> Message | None:
        """Receive-and-delete: the oldest ready message, gone from the queue."""
        message = self._pop_ready(now)
        if message is not None:
            self._remove(message)
        return message

    def receive_deferred(
        self, sequences: Iterable[int], tokens: Iterable[bytes] | None, now: int
    ) -> list[Message] | None:
        """Locks deferred messages under one of `tokens` each (None: removes them). None, and no change, where one is
        not there, not deferred, or locked."""
        self.tick(now)  # a lock or a time to live that ran out may have made one of them a dead letter
        found: list[Message] = []
        for sequence in sequences:
            message = self._messages.get(sequence)
            if message is None or message.state is not State.DEFERRED or message in found or message.token is not None:
                return None
            found.append(message)
        if tokens is None:
            for message in found:
                self._remove(message)
        else:
            for message, token in zip(found, tokens, strict=True):
                self._lock(message, token, now)
        return found

    def peek(self, first: int, count: int) -> list[Message]:
        """Up to `count` messages of any state from sequence number `first` on, in order."""
        found: list[Message] = []
        for at in range(bisect_left(self._order, first), len(self._order)):
            if len(found) >= count:
                break
            message = self._messages.get(self._order[at])
            if message is not None:
                found.append(message)
        return found

    # -- settlement: each is False where the lock is lost ----------------------------------------------------------

    def complete(self, token: bytes, now: int) -> bool:
        message = self._unlock(token, now)
        if message is None:
            return False
        self._remove(message)
        return True

    def abandon(self, token: bytes, now: int, properties: Mapping[str, object] | None = None) -> bool:
        message = self._unlock(token, now, properties)
        if message is None:
            return False
        self._failed(message, now)
        return True

    def release(self, token: bytes, now: int) -> bool:
        """Gives the message back; no delivery is counted."""
        message = self._unlock(token, now)
        if message is None:
            return False
        self._back(message, now)
        return True

    def defer(self, token: bytes, now: int, properties: Mapping[str, object] | None = None) -> bool:
        message = self._unlock(token, now, properties)
        if message is None:
            return False
        message.state, message.count = State.DEFERRED, message.count + 1
        self._watch(message)
        self._recorder.save(self, message)
        return True

    def dead_letter(
        self,
        token: bytes,
        now: int,
        reason: str | None = None,
        description: str | None = None,
        properties: Mapping[str, object] | None = None,
    ) -> bool:
        """To the dead-letter queue; a dead letter that is dead-lettered again stays where it is."""
        message = self._unlock(token, now, properties)
        if message is None:
            return False
        self._bury(message, reason, description)
        return True

    def renew(self, token: bytes, now: int) -> int | None:
        """The new end of the lock; None where it is lost."""
        self.tick(now)
        message = self._locked.get(token)
        if message is None:
            return None
        message.locked_until = now + self.settings.lock_ms
        return message.locked_until

    # -- time ----------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Does what has fallen due: locks that ran out, scheduled messages, ends of times to live."""
        while self._timers and self._timers[0][0] <= now:
            when, _, message = heapq.heappop(self._timers)
            if self._is_stale(when, message):
                continue
            message.timer = -1
            if message.token is not None:
                if message.locked_until <= now:
                    self._locked.pop(message.token)
                    message.token = None
                    self._failed(message, now)
                    continue
            elif message.state is State.SCHEDULED:
                if message.due <= now:
                    self._activate(message, now)
                    continue
            elif message.expires is not None and message.expires <= now:
                self._expire(message)
                continue
            self._watch(message)

    def next_deadline(self) -> int | None:
        """When `tick` has something to do at the earliest."""
        while self._timers and self._is_stale(self._timers[0][0], self._timers[0][2]):
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _is_stale(self, when: int, message: Message) -> bool:
        """Of a timer: its message is gone, or waits for another time now."""
        return message.timer != when or self._messages.get(message.sequence) is not message

    # -- reading -------------------------------------------------------------------------------------------------

    @property
    def has_ready(self) -> bool:
        """Whether `receive` may find something (it may still be out of date by a message whose time to live ended)."""
        return bool(self._ready)

    @property
    def is_at_work(self) -> bool:
        """Whether a message waits to be received, or is in somebody's hand."""
        return bool(self._ready or self._locked)

    def counts(self) -> Counts:
        scheduled = sum(m.state is State.SCHEDULED for m in self._messages.values())
        deferred = sum(m.state is State.DEFERRED for m in self._messages.values())
        return Counts(len(self._messages) - scheduled - deferred, scheduled, deferred)

    def bytes_held(self) -> int:
        return sum(m.content.size for m in self._messages.values())

    def messages(self) -> list[Message]:
        return list(self._messages.values())

    # -- inside --------------------------------------------------------------------------------------------------

    def _next_sequence(self) -> int:
        self.last_sequence += 1
        return self.last_sequence

    def _expiry(self, content: Content, now: int) -> int | None:
        if self.dead is None:
            return None
        own = content.ttl_ms
        return now + (self.settings.ttl_ms if own is None else min(own, self.settings.ttl_ms))

    def _pop_ready(self, now: int) -> Message | None:
        while self._ready:
            message = self._messages.get(heapq.heappop(self._ready))
            if message is None or message.state is not State.ACTIVE or message.token is not None:
                continue  # its time to live ended while it waited here
            if message.expires is not None and message.expires <= now:
                self._expire(message)
                continue
            return message
        return None

    def _lock(self, message: Message, token: bytes, now: int) -> None:
        message.token, message.locked_until = token, now + self.settings.lock_ms
        self._locked[token] = message
        self._watch(message)

    def lose(self, token: bytes, now: int) -> None:
        """The lock runs out now, whatever was left of it."""
        message = self._locked.get(token)
        if message is not None:
            message.locked_until = now

    def _unlock(self, token: bytes, now: int, properties: Mapping[str, object] | None = None) -> Message | None:
        """The message, with these properties laid over its own; where AMQP cannot carry them, its lock stands."""
        message = self._locked.get(token)
        if message is None:
            return None
        content = message.content.with_properties(properties or {})
        del self._locked[token]
        message.token = None
        if message.locked_until <= now:  # it ran out, and tick() has not come by yet
            self._failed(message, now)
            return None
        message.content = content
        return message

    def _failed(self, message: Message, now: int) -> None:
        message.count += 1
        if self.dead is not None and message.count >= self.settings.max_delivery_count:
            text = f"Message could not be consumed after {message.count} delivery attempts."
            self._bury(message, MAX_DELIVERY_REASON, text)
            return
        self._recorder.save(self, message)
        self._back(message, now)

    def _back(self, message: Message, now: int) -> None:
        if message.expires is not None and message.expires <= now:
            self._expire(message)
            return
        if message.state is State.ACTIVE:
            heapq.heappush(self._ready, message.sequence)
        self._watch(message)

    def _activate(self, message: Message, now: int) -> None:
        self._forget(message)
        message.sequence, message.state, message.enqueued = self._next_sequence(), State.ACTIVE, now
        message.expires = self._expiry(message.content, now)
        self.adopt(message)

    def _expire(self, message: Message) -> None:
        if self.settings.dead_letter_on_expiration:
            self._bury(message, EXPIRED_REASON, "The message expired and was dead lettered.")
        else:
            self._remove(message)

    def _bury(self, message: Message, reason: str | None, description: str | None) -> None:
        named = (("DeadLetterReason", reason), ("DeadLetterErrorDescription", description))
        # What made a dead letter of it stays, however often it is dead-lettered again where it is.
        stays = self.dead is None
        self._amend(message, {k: v for k, v in named if v and not (stays and message.content.has_property(k))})
        self._forget(message)
        message.state, message.expires, message.timer = State.ACTIVE, None, -1
        home = self if self.dead is None else self.dead
        home.adopt(message)

    def _amend(self, message: Message, properties: Mapping[str, object] | None) -> None:
        if properties:
            message.content = message.content.with_properties(properties)

    def _remove(self, message: Message) -> None:
        self._forget(message)
        self._recorder.remove(message)

    def _forget(self, message: Message) -> None:
        del self._messages[message.sequence]
        bound = 2 * len(self._messages) + 64
        if len(self._order) > bound:
            self._order = sorted(self._messages)
        if len(self._ready) > bound:
            self._ready = [s for s in self._ready if s in self._messages]
            heapq.heapify(self._ready)

    def _place(self, sequence: int) -> None:
        """Puts a number into the peeking order; one that left this queue and came back may still be there."""
        if not self._order or sequence > self._order[-1]:
            self._order.append(sequence)
        else:
            at = bisect_left(self._order, sequence)
            if self._order[at] != sequence:
                self._order.insert(at, sequence)

    def _watch(self, message: Message) -> None:
        """Puts the message's next deadline among the timers."""
        if message.token is not None:
            when: int | None = message.locked_until
        elif message.state is State.SCHEDULED:
            when = message.due
        else:
            when = message.expires
        if when is None or when == message.timer:
            return
        message.timer = when
        heapq.heappush(self._timers, (when, message.id, message))
        if len(self._timers) > 2 * len(self._messages) + 1024:
            alive = [e for e in self._timers if e[2].timer == e[0] and self._messages.get(e[2].sequence) is e[2]]
            heapq.heapify(alive)
            self._timers = alive
