"""Which lanes an operator has paused, as the workers know it: a few seconds old, and cheap.

A trigger cannot be stopped from inside: the host receives whatever the queue lets out. So a delivery of a paused lane
puts its message off, as a scheduled copy, before anything of it is looked at. What is at work goes on to its end.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mosaic_core.domain.errors import MosaicError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.records import LanePause
from mosaic_core.ports import PauseStore

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 3.0
"""What was read stands for so long; a delivery that comes later has it read again."""

PATIENCE_SECONDS: Final = 1.0
"""How long a delivery waits for that at most."""

_LEAST, _MOST = 5.0, 60.0


@dataclass(slots=True)
class _Known:
    pause: LanePause | None = None
    read_at: float = float("-inf")
    reading: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Pauses:
    """One process's knowledge. ``monotonic`` gives seconds. Where the row cannot be read, in time or at all, the lane
    is as it was last known, and open where nothing is known."""

    store: PauseStore
    monotonic: Callable[[], float] = time.monotonic
    _lanes: dict[Lane, _Known] = field(default_factory=dict)

    async def of(self, lane: Lane) -> LanePause | None:
        """The lane's pause where it is paused. Never raises."""
        known = self._lanes.setdefault(lane, _Known())
        if self.monotonic() - known.read_at >= FRESH_SECONDS:
            if known.reading is None or known.reading.done():
                known.reading = asyncio.create_task(self._read(lane, known))
            # all deliveries that come meanwhile wait for the one request
            await asyncio.wait({known.reading}, timeout=PATIENCE_SECONDS)
        return known.pause if known.pause is not None and known.pause.is_paused else None

    async def _read(self, lane: Lane, known: _Known) -> None:
        try:
            stored = await self.store.read(lane)
            known.pause = stored.value if stored is not None else None
        except MosaicError as error:
            log.warning("a lane's pause cannot be read", extra={"lane": lane.value, "rationale": error.rationale})
        except Exception:
            log.exception("a lane's pause cannot be read", extra={"lane": lane.value})
        # also where it failed: what stands still must not make each delivery ask, and wait
        known.read_at = self.monotonic()


def wait_of(pause: LanePause, now: datetime, jitter: float) -> float:
    """Seconds until a message of a paused lane is looked at again: half as long as the pause has lasted, from 5 to 60,
    so that a long pause costs little, and what waits comes within a minute of its end."""
    lasted = (now - pause.changed_at).total_seconds()
    return min(_MOST, max(_LEAST, lasted / 2)) * jitter
