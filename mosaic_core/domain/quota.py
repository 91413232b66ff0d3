"""How many commands a household may ask for: a bucket that holds a minute's worth and fills evenly.

Every time is the storage service's, so that instances whose clocks differ count alike.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

COMMANDS_PER_MINUTE: Final = 300
"""Far above what people and their banks' feeds ask for, far below what a lane would drown in."""

_MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a household has ``left`` (commands) at ``counted_at``; None: when the row was written."""

    household_id: str
    left: float
    counted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """``granted`` of those that asked, and what is left. ``wait``: seconds until one more will be there."""

    allowance: Allowance
    granted: int
    wait: float


def grant(before: Allowance, now: datetime, *, asked: int, per_minute: int) -> Grant:
    """Take as many as there are, at most ``asked``. A bucket that was last counted in the future does not fill."""
    counted_at = before.counted_at or now
    passed = max(0.0, (now - counted_at).total_seconds())
    left = min(float(per_minute), max(0.0, before.left) + passed * per_minute / _MINUTE)
    granted = min(asked, int(left))
    left -= granted
    wait = max(0.0, 1.0 - left) * _MINUTE / per_minute
    return Grant(replace(before, left=left, counted_at=max(now, counted_at)), granted, wait)


def full(household_id: str, *, asked: int, per_minute: int) -> Grant:
    """The first commands of a household: its bucket is full."""
    granted = min(asked, per_minute)
    wait = 0.0 if granted < per_minute else _MINUTE / per_minute
    return Grant(Allowance(household_id=household_id, left=float(per_minute - granted)), granted, wait)
