"""What to do with a message once its delivery is over. Values; `services.deliver` carries them out. And what a
copy says of those before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from mosaic_core.domain.lanes import LEAST_WAIT_SECONDS, STORE_BACKOFF_MAX_SECONDS

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


# -------------------------------------------------------------------------------------- what the copies before it said


def failed_steps(properties: Mapping[str, object]) -> int:
    """How many deliveries of the message a step has failed before this one."""
    value = properties.get(FAILED_STEPS, 0)
    return value if isinstance(value, int) and value >= 0 else 0


def ended_by_storage(properties: Mapping[str, object]) -> tuple[str, ...]:
    """Owner tokens of attempts that an outage ended, where K could not be told."""
    return tuple(str(properties.get(STORAGE_ENDED, "")).split())


def outage(properties: Mapping[str, object], now: datetime) -> tuple[datetime, float]:
    """When the outage that a copy waits for began (now, where it waits for none), and how many seconds ago."""
    since = min(now, _time(properties, AWAY_SINCE) or now)
    return since, (now - since).total_seconds()


def first_enqueued(properties: Mapping[str, object], enqueued_at: datetime) -> datetime:
    """When the command was first put on the queue, however many copies of it came since."""
    return _time(properties, FIRST_ENQUEUED) or enqueued_at


def _time(properties: Mapping[str, object], name: str) -> datetime | None:
    """A time that a copy bears; None where it bears none that can be read."""
    text = properties.get(name)
    try:
        moment = datetime.fromisoformat(str(text)) if text else None
        return moment.astimezone(UTC) if moment is not None and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


# ------------------------------------------------------------------------------------------------------------ the waits


def outage_wait(away: float, jitter: float) -> float:
    """Seconds until storage is asked again: the longer it has been away, the longer."""
    return min(STORE_BACKOFF_MAX_SECONDS, max(LEAST_WAIT_SECONDS, away / 2) * jitter)


def step_wait(failed: int, waits: Sequence[float], jitter: float) -> float:
    """Seconds after the ``failed``-th failed step; the last wait repeats."""
    return waits[min(failed, len(waits)) - 1] * jitter
