"""What to do with a message once its delivery is over. Values; `services.deliver` carries them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

FIRST_ENQUEUED: Final = "firstEnqueuedAtUtc"
"""On every copy: when the command was first put on the queue."""

AWAY_SINCE: Final = "storeAwaySinceUtc"
"""On a copy that waits for storage: when this outage began. The 24 hours count from here."""

STORAGE_ENDED: Final = "storageEnded"
"""On a copy: the owner token of an attempt that an outage of storage ended, where the key could not be told."""

FAILED_STEPS: Final = "failedSteps"
"""On a copy: how many deliveries of this message a step has failed for another reason than storage's silence."""

PASSING: Final = frozenset({AWAY_SINCE, STORAGE_ENDED})
"""Marks that hold only for the delivery that the copy was sent by; what it still has to tell it says again."""


@dataclass(frozen=True, slots=True)
class Complete:
    """Remove the message: its command is done, or it was a duplicate."""

    why: str = "done"


@dataclass(frozen=True, slots=True)
class Reschedule:
    """Send a copy (same MessageId, same body) that becomes visible at ``due`` (UTC), then complete the original.
    ``marks`` are the properties that the copy bears beside the original's."""

    due: datetime
    why: str
    marks: Mapping[str, str | int] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Move the message to the dead-letter queue. ``description`` carries ids and codes only."""

    reason: str
    description: str


@dataclass(frozen=True, slots=True)
class Abandon:
    """Give the message back at once; the broker counts a delivery."""

    why: str


type Settlement = Complete | Reschedule | DeadLetter | Abandon
