"""How the lanes are, by the newest of what the tables hold of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from mosaic_core.concurrency import each, together
from mosaic_core.domain import ids
from mosaic_core.domain.errors import StoredRowError
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import AttemptOutcome, RunStatus, Severity
from mosaic_core.domain.records import Run
from mosaic_core.ports import Clock, ListedCommand, ListedSignal, Stores
from mosaic_core.services.operators.operator_views import Lanes, LaneState, OpenSignals, PauseState, RecentRuns
from mosaic_core.services.operators.pausing import pause_of
from mosaic_core.services.operators.runs import AT_ONCE, take

RECENT: Final = 10
"""Of each lane's commands so many of the newest are looked at."""

COUNTED: Final = 99
"""Open signals of a lane that are counted, as they are listed: the list's rows say how severe they are."""


@dataclass(frozen=True, slots=True)
class LaneReads:
    stores: Stores
    clock: Clock
    queues: Mapping[Lane, str]

    async def all(self) -> Lanes:
        now = self.clock.now()
        states = await each(self.queues, self._lane)
        return Lanes(as_of_utc=now, lanes=states)

    async def _lane(self, lane: Lane) -> LaneState:
        queue = self.queues[lane]
        commands, listed, pause = await together(self._newest(queue), self._open(queue), self._pause(lane))
        runs = await each([ids.run_id(queue, one.command_id) for one in commands], self._run, at_once=AT_ONCE)
        return LaneState(
            lane=lane,
            queue=queue,
            command_types=sorted(RULES[lane].command_types),
            pause=pause,
            open_signals=_signals(listed),
            recent=_recent(runs),
        )

    async def _pause(self, lane: Lane) -> PauseState | None:
        """A row that cannot be read pauses nothing: that is how the workers have it, too."""
        with suppress(StoredRowError):
            stored = await self.stores.pauses.read(lane)
            return pause_of(stored.value) if stored is not None else None
        return None

    async def _run(self, run_id: str) -> Run | None:
        """None as well where it cannot be read: `runs` names those."""
        with suppress(StoredRowError):
            stored = await self.stores.runs.read(run_id)
            return stored.value if stored is not None else None
        return None

    async def _newest(self, queue: str) -> list[ListedCommand]:
        return [command async for command in take(self.stores.commands.listed([queue], ahead=RECENT), RECENT)]

    async def _open(self, queue: str) -> list[ListedSignal]:
        """One more than are counted tells whether there are more."""
        listed = self.stores.signals.listed([queue], open_only=True, ahead=COUNTED + 1)
        return [signal async for signal in take(listed, COUNTED + 1)]


def _signals(listed: Sequence[ListedSignal]) -> OpenSignals:
    counted = listed[:COUNTED]
    errors = sum(signal.severity in {Severity.ERROR, Severity.CRITICAL} for signal in counted)
    return OpenSignals(
        error=errors,
        warning=len(counted) - errors,
        oldest_raised_at_utc=min((signal.raised_at for signal in counted), default=None),
        is_more=len(listed) > COUNTED,
    )


def _recent(found: Sequence[Run | None]) -> RecentRuns:
    runs = [run for run in found if run is not None]
    unfinished = [run for run in runs if not run.is_final]
    ended = [run for run in runs if run.is_final]
    failed = sum(run.attempt_outcome == AttemptOutcome.FAILED for run in ended)
    good = [run.completed_at for run in ended if run.attempt_outcome != AttemptOutcome.FAILED and run.completed_at]
    return RecentRuns(
        looked_at=len(found),
        not_begun=len(found) - len(runs),
        running=sum(run.status == RunStatus.RUNNING for run in unfinished),
        waiting=sum(run.status != RunStatus.RUNNING for run in unfinished),
        completed=sum(run.status == RunStatus.COMPLETED for run in ended),
        needs_review=sum(
            run.status == RunStatus.NEEDS_REVIEW and run.attempt_outcome != AttemptOutcome.FAILED for run in ended
        ),
        failed=failed,
        failure_rate=round(failed / len(ended), 4) if ended else None,
        last_success_at_utc=max(good, default=None),
        oldest_unfinished_at_utc=min((run.created_at for run in unfinished), default=None),
    )
