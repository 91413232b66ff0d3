"""An operator asks for one household's sweep of one night, beside the timer that asks for everybody's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from mosaic_core.domain import ids
from mosaic_core.domain.envelope import NightlyAnomalySweep, decode
from mosaic_core.domain.errors import PoisonError, RequestError
from mosaic_core.domain.lanes import Lane
from mosaic_core.services.enqueue import Enqueued, EnqueueService
from mosaic_core.services.operators.auditing import record

_REFUSED: Final = {
    "client_reference_conflict": "that night's sweep is recorded with another lookbackDays, which stand",
    "command_rejected": "that night's sweep was rejected before: replay its dead letter",
}


@dataclass(frozen=True, slots=True)
class Sweeping:
    """``lookback_days`` is what a night's sweep looks back where nobody says."""

    enqueue: EnqueueService
    lookback_days: int

    async def sweep(
        self, household_id: str, night: date | None, lookback_days: int | None, *, by: str, reason: str
    ) -> Enqueued:
        """``night`` None: today, in UTC. The same night again is the same command. The request is audited before
        anything is enqueued: a sweep whose asking cannot be kept is not begun.

        Raises `RequestError`: ``validation_failed`` for a night to come, ``client_reference_conflict`` and
        ``command_rejected``; and as `EnqueueService`.
        """
        now = self.enqueue.clock.now()
        night = night or now.date()
        if night > now.date():
            raise RequestError("validation_failed", "sweepDate is a night to come: its own sweep would be none")
        command_id = ids.sweep_command_id(household_id, f"{night:%Y%m%d}")
        days = lookback_days or await self._recorded(command_id) or self.lookback_days
        await record(
            self.enqueue.stores.decisions,
            about=ids.run_id(self.enqueue.queues[Lane.SWEEP], command_id),
            household_id=household_id,
            by=by,
            action="sweep_requested",
            reason=reason,
            at=now,
        )
        try:
            return await self.enqueue.enqueue_sweep(household_id, night, days, first_request_stands=False)
        except RequestError as error:
            if error.code not in _REFUSED:
                raise
            raise RequestError(error.code, _REFUSED[error.code], error.details) from None

    async def _recorded(self, command_id: str) -> int | None:
        """How far the night's sweep looks back as it is recorded; None: it is not."""
        command = await self.enqueue.stores.commands.read(command_id)
        if command is None:
            return None
        try:
            payload = decode(command.envelope.encode(), Lane.SWEEP).payload
        except PoisonError:  # what was recorded stands, whatever it is
            return None
        return payload.lookback_days if isinstance(payload, NightlyAnomalySweep) else None
