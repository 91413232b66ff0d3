"""An operator holds a lane, or lets it go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.records import LanePause
from mosaic_core.ports import Clock, Stores
from mosaic_core.services.operators.auditing import record
from mosaic_core.services.operators.operator_views import ChangedLane, PauseState

_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class LanePausing:
    stores: Stores
    clock: Clock

    async def set(self, lane: Lane, *, paused: bool, by: str, reason: str) -> ChangedLane:
        """The first word stands: who pauses what is paused changes nothing, nor who resumes what is not."""
        for _ in range(_TRIES):
            stored = await self.stores.pauses.read(lane)
            if (stored is not None and stored.value.is_paused) == paused:
                if stored is not None:
                    await self._audit(stored.value)  # where who changed it died before this
                return ChangedLane(lane=lane, is_changed=False, pause=pause_of(stored.value if stored else None))
            pause = LanePause(
                lane=lane, is_paused=paused, changed_by=by[:120], reason=reason[:500], changed_at=self.clock.now()
            )
            if await self.stores.pauses.save(pause, stored.etag if stored is not None else None) is not None:
                await self._audit(pause)
                return ChangedLane(lane=lane, is_changed=True, pause=pause_of(pause))
        raise StoreUnreachableError("the lane's pause is written to without end; repeat the request")

    async def _audit(self, pause: LanePause) -> None:
        await record(
            self.stores.decisions,
            about=f"lane:{pause.lane}",
            household_id="",
            by=pause.changed_by,
            action="lane_paused" if pause.is_paused else "lane_resumed",
            reason=pause.reason,
            at=pause.changed_at,
        )


def pause_of(pause: LanePause | None) -> PauseState | None:
    """None where the lane is not paused."""
    if pause is None or not pause.is_paused:
        return None
    return PauseState(paused_by=pause.changed_by, reason=pause.reason, paused_at_utc=pause.changed_at)
