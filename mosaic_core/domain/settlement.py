"""What to do with a message once its delivery is over. Values; `services.deliver` carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Complete:
    """Remove the message: its command is done, or it was a duplicate."""

    why: str = "done"


@dataclass(frozen=True, slots=True)
class Reschedule:
    """Send a copy (same MessageId, same body) that becomes visible at ``due`` (UTC), then complete the original."""

    due: datetime
    why: str


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
