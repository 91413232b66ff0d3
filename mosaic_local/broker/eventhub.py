"""An event hub: partitions that are appended to and read from any position. No sockets, no clock, no proton."""

from __future__ import annotations

import re
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from mosaic_local.broker.content import Content
from mosaic_local.broker.errors import ArgumentError, OutOfRangeError
from mosaic_local.broker.paths import whole_number

DEFAULT_GROUP = "$default"
_SELECTOR = re.compile(
    r"amqp\.annotation\.(x-opt-offset|x-opt-sequence-number|x-opt-enqueued-time)\s*(>=?)\s*'?(@latest|-?[0-9]{1,19}(?![0-9]))'?"
)


@dataclass(slots=True, frozen=True)
class Event:
    """`enqueued`: ms since 1970."""

    sequence: int
    enqueued: int
    content: Content


@dataclass(slots=True, frozen=True)
class Retention:
    """What a partition keeps at most; the oldest events go first."""

    events: int = 50_000
    bytes: int = 64 * 1024 * 1024


@dataclass(slots=True, frozen=True)
class HubSettings:
    """What an administrator chose; by default what Azure chooses. `retention_days` is kept and told; what goes, and
    when, `Retention` decides."""

    partitions: int = 16
    retention_days: int = 7
    metadata: str | None = None


@dataclass(slots=True)
class Group:
    """A consumer group. `created`, `updated`: ms since 1970."""

    shown: str
    created: int
    updated: int
    metadata: str | None = None


class EventRecorder(Protocol):
    def append(self, hub: str, partition: int, event: Event) -> None: ...

    def trim(self, hub: str, partition: int, first_kept: int) -> None: ...


class NoEventRecorder:
    def append(self, hub: str, partition: int, event: Event) -> None: ...

    def trim(self, hub: str, partition: int, first_kept: int) -> None: ...


@dataclass(slots=True)
class Partition:
    """The log of one partition: a list whose first element has the sequence number `first`."""

    hub: str
    index: int
    retention: Retention
    recorder: EventRecorder = field(default_factory=NoEventRecorder)
    first: int = 0
    events: list[Event] = field(default_factory=list)
    bytes_held: int = 0
    last_enqueued: int = 0

    @property
    def next(self) -> int:
        """The sequence number that the next event gets."""
        return self.first + len(self.events)

    def append(self, content: Content, now: int) -> Event:
        event = Event(self.next, now, content)
        self.restore(event)
        self.recorder.append(self.hub, self.index, event)
        self._trim()
        return event

    def restore(self, event: Event) -> None:
        """Takes in an event from the journal; they come in order."""
        if not self.events:
            self.first = event.sequence
        self.events.append(event)
        self.bytes_held += event.content.size
        self.last_enqueued = event.enqueued

    def read(self, position: int, limit: int) -> Sequence[Event]:
        """Up to `limit` events from `position` on; a position that retention has passed starts at the oldest kept."""
        at = max(position - self.first, 0)
        return self.events[at : at + limit]

    def position(self, selector: str) -> int:
        """Where a consumer with this filter starts; without one, at the oldest event. ArgumentError for a filter that
        is not understood, and for the number of an event that has not come yet."""
        if not selector:
            return self.first
        match = _SELECTOR.search(selector)
        if match is None:
            raise ArgumentError(f"a filter that is not understood: {selector[:200]}")
        name, comparison, value = match.groups()
        if value == "@latest":
            return self.next
        number = int(value)
        if name == "x-opt-enqueued-time":
            cut = number if comparison == ">" else number - 1
            return self.first + bisect_right(self.events, cut, key=lambda event: event.enqueued)
        if number == -1 and name == "x-opt-offset":
            return self.first
        if number >= self.next:  # as of a checkpoint of a hub that was deleted and made again
            what = "offset" if name == "x-opt-offset" else "sequence number"
            raise ArgumentError(
                f"The supplied {what} '{number}' is invalid. The last {what} in the system is '{self.next - 1}'"
            )
        return max(number + (comparison == ">"), self.first)

    def _trim(self) -> None:
        # In steps, so that dropping the head of a long list stays cheap for each event.
        slack = 1 + self.retention.events // 50
        if len(self.events) < self.retention.events + slack and self.bytes_held <= self.retention.bytes:
            return
        drop, held = max(len(self.events) - self.retention.events, 0), self.bytes_held
        held -= sum(event.content.size for event in self.events[:drop])
        while held > self.retention.bytes * 0.98 and drop < len(self.events) - 1:
            held -= self.events[drop].content.size
            drop += 1
        del self.events[:drop]
        self.first += drop
        self.bytes_held = held
        self.recorder.trim(self.hub, self.index, self.first)


class EventHub:
    """`created`: ms since 1970."""

    def __init__(
        self,
        name: str,
        partitions: int,
        groups: Sequence[str],
        created: int,
        retention: Retention | None = None,
        recorder: EventRecorder | None = None,
    ) -> None:
        self.name = name
        self.created = self.updated = created
        self.settings = HubSettings(partitions)
        named = {group.lower(): group for group in ("$Default", *groups)}
        self.groups = {lower: Group(shown, created, created) for lower, shown in named.items()}
        keep, record = retention or Retention(), recorder or NoEventRecorder()
        self.partitions = [Partition(name.lower(), index, keep, record) for index in range(partitions)]
        self._turn = count()

    def partition(self, number: str) -> Partition:
        index = whole_number(number)
        if index is not None and index < len(self.partitions):
            return self.partitions[index]
        raise OutOfRangeError(
            f"The specified partition {number[:20]!r} is invalid for an EventHub partition sender or receiver. "
            f"It should be between 0 and {len(self.partitions) - 1}."
        )

    def choose(self, partition_key: bytes | None) -> Partition:
        """The partition of a key, always the same; without a key, each in turn."""
        index = next(self._turn) if partition_key is None else zlib.crc32(partition_key)
        return self.partitions[index % len(self.partitions)]
