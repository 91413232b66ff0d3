"""Runs of any household: a page of them by filters, and one with everything that was recorded of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mosaic_core.concurrency import each, together
from mosaic_core.domain import ids
from mosaic_core.domain.errors import Detail, RequestError, StoredRowError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import AttemptOutcome, RunStatus
from mosaic_core.domain.records import Run
from mosaic_core.ports import LISTED_AHEAD, Clock, Stored, StoredKey, Stores
from mosaic_core.services.approval_pages import take as take
from mosaic_core.services.operators import record_views
from mosaic_core.services.operators.operator_views import OperatorRun, OperatorRunDetail, OperatorRuns

log = logging.getLogger(__name__)

LOOKED_AT: Final = 200
"""Listed commands, or signals, that one page looks at: what few runs match costs pages, never a scan."""

AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """None of a field: any."""

    status: RunStatus | None = None
    lane: Lane | None = None
    household_id: str | None = None
    since: datetime | None = None
    after: str = ""


@dataclass(frozen=True, slots=True)
class _Place:
    """``signal_id``: the list that it is on is one of signals."""

    run_id: str
    place: str
    signal_id: str | None = None


@dataclass(frozen=True, slots=True)
class RunReads:
    stores: Stores
    clock: Clock
    queues: Mapping[Lane, str]

    @property
    def lanes(self) -> dict[str, Lane]:
        return {queue: lane for lane, queue in self.queues.items()}

    async def page(self, wanted: RunFilter, limit: int) -> OperatorRuns:
        """At most ``limit`` runs, of the next `LOOKED_AT` that are listed."""
        as_of = self.clock.now()
        found: list[Run] = []
        looked_at, last, is_over = 0, "", False
        seen: set[str] = set()
        unreadable: list[str] = []
        # what few match is looked for in long stretches
        places = self._places(wanted, max(limit, AT_ONCE) if wanted.status is None else LISTED_AHEAD)
        while len(found) < limit and looked_at < LOOKED_AT and not is_over:
            ahead = min(limit - len(found), LOOKED_AT - looked_at)
            batch = [place async for place in take(places, ahead)]
            is_over = len(batch) < ahead
            looked_at += len(batch)
            last = batch[-1].place if batch else last
            read = await each(batch, lambda place: self._read(place.run_id, unreadable), at_once=AT_ONCE)
            for place, stored in zip(batch, read, strict=True):
                if stored is None or place.run_id in seen or not _matches(stored.value, wanted, place):
                    continue
                seen.add(place.run_id)
                found.append(stored.value)
        keys = await self._keys(found)
        return OperatorRuns(
            as_of_utc=as_of,
            runs=[self.told(run, keys.get(run.run_id)) for run in found],
            unreadable_run_ids=list(dict.fromkeys(unreadable)),
            looked_at=looked_at,
            next_cursor=None if is_over else last,
        )

    async def one(self, run_id: str) -> OperatorRunDetail:
        """Raises `RequestError` ``not_found`` where there is no such run."""
        try:
            stored = await self.stores.runs.read(run_id)
        except StoredRowError as error:
            raise RequestError("stored_row_invalid", error.rationale, [Detail("runId", run_id)]) from error
        if stored is None:
            raise RequestError("not_found", "there is no such run; no worker has begun it, or the id is another's")
        run = stored.value
        key, stages, signals, decisions = await together(
            self.key(run.queue, run.command_id),
            self.stores.stages.of_run(run_id),
            self.stores.signals.of_run(run_id),
            self.stores.decisions.of_run(run_id),
        )
        return OperatorRunDetail(
            run=self.told(run, key),
            key=record_views.key_of(key) if key is not None else None,
            stages=[record_views.stage_of(stage) for stage in stages],
            signals=[record_views.signal_of(signal) for signal in signals],
            decisions=[record_views.decision_of(decision) for decision in decisions],
        )

    def told(self, run: Run, key: StoredKey | None) -> OperatorRun:
        return record_views.run_of(run, self.lanes, key)

    async def _places(self, wanted: RunFilter, ahead: int) -> AsyncIterator[_Place]:
        """Where runs that may match are listed, newest first. Those that ask for a person are far between all others:
        across households the list of signals has them."""
        queues = [self.queues[wanted.lane]] if wanted.lane is not None else list(self.queues.values())
        if wanted.status == RunStatus.NEEDS_REVIEW and wanted.household_id is None:
            async for signal in self.stores.signals.listed(
                queues, open_only=False, since=wanted.since, after=wanted.after, ahead=ahead
            ):
                own = _own_signals(signal.run_id) if signal.run_id is not None else ()
                if signal.signal_id in own:  # a sweep's findings say nothing of their run
                    yield _Place(signal.run_id or "", signal.place, signal.signal_id)
            return
        async for command in self.stores.commands.listed(
            queues, household_id=wanted.household_id, since=wanted.since, after=wanted.after, ahead=ahead
        ):
            yield _Place(ids.run_id(command.queue, command.command_id), command.place)

    async def key(self, queue: str, command_id: str) -> StoredKey | None:
        """None as well where it cannot be read."""
        try:
            return await self.stores.keys.read(queue, command_id)
        except StoredRowError as error:
            log.warning("a key cannot be read", extra={"commandId": command_id, "rationale": error.rationale})
            return None

    async def _read(self, run_id: str, unreadable: list[str]) -> Stored[Run] | None:
        """One row that cannot be read hides no other."""
        try:
            return await self.stores.runs.read(run_id)
        except StoredRowError as error:
            log.warning("a run cannot be read", extra={"runId": run_id, "rationale": error.rationale})
            unreadable.append(run_id)
            return None

    async def _keys(self, runs: Sequence[Run]) -> dict[str, StoredKey]:
        """Of those that are not final: how many attempts count."""
        waiting = [run for run in runs if not run.is_final]
        keys = await each(waiting, lambda run: self.key(run.queue, run.command_id), at_once=AT_ONCE)
        return {run.run_id: key for run, key in zip(waiting, keys, strict=True) if key is not None}


def _own_signals(run_id: str) -> tuple[str, str]:
    return ids.failure_signal_id(run_id), ids.review_signal_id(run_id)


def _matches(run: Run, wanted: RunFilter, place: _Place) -> bool:
    if wanted.status not in (None, run.status) or wanted.household_id not in (None, run.household_id):
        return False
    if place.signal_id is None:
        return True
    # a run that failed and then asked for a review is on the list twice
    failure, review = _own_signals(run.run_id)
    return place.signal_id == (failure if run.attempt_outcome == AttemptOutcome.FAILED else review)
