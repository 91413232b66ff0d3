"""The nightly enqueueing: one sweep command per active household and night, in UTC.

Each command's id derives from household and night, and a repeated night sends the command as it was first recorded: the
same night twice is harmless. A cursor is saved after each page, so a tick that dies is gone on with by the next one;
missed nights are caught up, the oldest first.

A household that cannot be enqueued is left behind and stops nobody: it is tried again at every tick, and a person is
told. An outage is another thing: the tick ends where it is, without a word about any household.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final, Protocol

from mosaic_core.concurrency import each
from mosaic_core.config import table
from mosaic_core.domain import ids, signals
from mosaic_core.domain.errors import MosaicError, TransientError
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.records import SweepProgress
from mosaic_core.ports import Clock, ETag, HouseholdStore, SignalStore

log = logging.getLogger(__name__)

PAGE: Final = 100
ACTIVE_MONTHS: Final = 3
"""A household is active in the month of its last ledger activity and the two that follow."""

LEFT_BEHIND: Final = 200
"""Households that are remembered to be tried again; of more a person is told at once. As many fit into a row."""


class SweepEnqueuer(Protocol):
    async def enqueue_sweep(self, household_id: str, sweep_date: date, lookback_days: int) -> object: ...


@dataclass(frozen=True, slots=True)
class NightlyReport:
    """The nights that this tick finished, how many commands it enqueued, and how many households are left behind."""

    nights: tuple[date, ...] = ()
    enqueued: int = 0
    left_behind: int = 0


@dataclass(frozen=True, slots=True)
class _Failed:
    """A household's sweep of one night that could not be enqueued, and why."""

    household_id: str
    night: date
    error: Exception

    @property
    def in_passing(self) -> bool:
        return isinstance(self.error, TransientError)

    @property
    def why(self) -> str:
        return self.error.code if isinstance(self.error, MosaicError) else type(self.error).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class NightlySweep:
    """``hour_utc`` is when a night's sweeps are due; at most ``catch_up_nights`` missed nights are made good. Without
    ``signals`` nobody but the log is told of households that are left behind; ``queue`` is the sweep lane's."""

    households: HouseholdStore
    enqueuer: SweepEnqueuer
    clock: Clock
    hour_utc: int = table.SWEEP_HOUR.default
    lookback_days: int = table.LOOKBACK_DAYS.default
    catch_up_nights: int = table.CATCH_UP_NIGHTS.default
    page: int = field(default=PAGE)
    signals: SignalStore | None = None
    queue: str = RULES[Lane.SWEEP].default_queue

    async def tick(self) -> NightlyReport:
        """Enqueue what is due. Safe to run many at once: who loses the race for the cursor stops.

        Raises what storage or queue raised where they do not answer for a whole page: the cursor then stays."""
        now = self.clock.now()
        due = now.date() if now.hour >= self.hour_utc else now.date() - timedelta(days=1)
        stored = await self.households.sweep_progress()
        progress = stored.value if stored else SweepProgress(completed_night=(due - timedelta(days=1)).isoformat())
        etag: ETag | None = stored.etag if stored else None
        done: list[date] = []
        enqueued = 0
        if progress.left_behind:
            progress, enqueued, failed = await self._again(progress, due)
            etag = await self.households.save_sweep_progress(progress, etag)
            if etag is None:
                return NightlyReport((), enqueued)
            await self._tell(failed)
        for night in self._nights(progress, due):
            if progress.current_night != night.isoformat():
                progress = replace(progress, current_night=night.isoformat(), cursor="")
            async for page in _pages(self._active(night, progress.cursor), self.page):
                failed = await self._enqueue(page, night)
                if self._is_an_outage(page, failed, is_newest=night == due):
                    raise failed[0].error
                enqueued += len(page) - len(failed)
                remembered = failed[: max(0, LEFT_BEHIND - len(progress.left_behind))]
                left = (*progress.left_behind, *(_left(it.night, it.household_id) for it in remembered))
                progress = replace(progress, cursor=page[-1], left_behind=left)
                etag = await self.households.save_sweep_progress(progress, etag)
                if etag is None:
                    return NightlyReport(tuple(done), enqueued)
                # once they are remembered, so that whoever succeeds with them resolves the signal. What failed in
                # passing is told of when it fails again
                await self._tell([it for it in failed if not it.in_passing or it not in remembered])
            progress = replace(progress, completed_night=night.isoformat(), current_night="", cursor="")
            etag = await self.households.save_sweep_progress(progress, etag)
            if etag is None:
                return NightlyReport(tuple(done), enqueued)
            done.append(night)
        return NightlyReport(tuple(done), enqueued, len(progress.left_behind))

    def _nights(self, progress: SweepProgress, due: date) -> list[date]:
        first = date.fromisoformat(progress.completed_night) + timedelta(days=1)
        oldest = due - timedelta(days=self.catch_up_nights - 1)
        if first < oldest:
            log.error(
                "missed nights are too old to be caught up",
                extra={"first": first.isoformat(), "skipped": (oldest - first).days},
            )
            first = oldest
        return [first + timedelta(days=n) for n in range((due - first).days + 1)]

    def _active(self, night: date, after: str) -> AsyncIterator[str]:
        return merged([self.households.active(month, after) for month in months(night, ACTIVE_MONTHS)])

    async def _enqueue(self, page: Sequence[str], night: date) -> list[_Failed]:
        """Those that failed, in the page's order. One of them cancels no other."""
        outcomes = await each(page, lambda household_id: self._try(household_id, night))
        return [outcome for outcome in outcomes if outcome is not None]

    async def _try(self, household_id: str, night: date) -> _Failed | None:
        try:
            await self.enqueuer.enqueue_sweep(household_id, night, self.lookback_days)
        except Exception as error:
            return _Failed(household_id, night, error)
        return None

    def _is_an_outage(self, page: Sequence[str], failed: Sequence[_Failed], *, is_newest: bool) -> bool:
        """Nobody of a page went through. A last page that is short says little: for a reason of the households' own it
        is no outage, and one in passing holds the night up only until the next night is due."""
        if len(failed) < len(page) or len(page) < 2:
            return False
        return len(page) == self.page or (is_newest and all(it.in_passing for it in failed))

    # ---------------------------------------------------------------------------------------------------- left behind

    async def _again(self, progress: SweepProgress, due: date) -> tuple[SweepProgress, int, list[_Failed]]:
        """Try those that were left behind. The progress without who went through, how many that were, and of whom a
        person is to be told. Who failed again goes to the end, so that it holds up no other."""
        oldest = due - timedelta(days=self.catch_up_nights - 1)
        known = [it for text in progress.left_behind if (it := _of_left(text)) is not None]
        waiting = [it for it in known if it[0] >= oldest]
        if len(waiting) < len(known):
            log.error(
                "households stay without a sweep of a night that is too old", extra={"count": len(known) - len(waiting)}
            )
        failed: list[_Failed] = []
        kept: list[tuple[date, str]] = []
        enqueued = 0
        for at in range(0, len(waiting), self.page):
            part = waiting[at : at + self.page]
            outcomes = await each(part, lambda it: self._try_again(*it))
            lost = [outcome for outcome in outcomes if outcome is not None]
            enqueued += len(part) - len(lost)
            several = len({it.household_id for it in lost}) > 1
            if several and len(lost) == len(part) and all(it.in_passing for it in lost):
                # an outage, so nobody's own failure; but one of a day is a person's affair
                failed += [it for it in lost if it.night < due]
                kept = waiting[at:] + kept
                break
            failed += lost
            kept += [(it.night, it.household_id) for it in lost]
        return replace(progress, left_behind=tuple(_left(*it) for it in kept)), enqueued, failed

    async def _try_again(self, night: date, household_id: str) -> _Failed | None:
        failed = await self._try(household_id, night)
        if failed is None and self.signals is not None:
            try:
                await self._resolve(self.signals, household_id, night)
            except Exception as error:  # left behind until its signal is resolved as well
                return _Failed(household_id, night, error)
        return failed

    async def _resolve(self, store: SignalStore, household_id: str, night: date) -> None:
        there = await store.read(ids.sweep_enqueue_signal_id(household_id, f"{night:%Y%m%d}"))
        if there is not None and not there.value.is_resolved:
            resolved = signals.resolve(there.value, by="runtime", note="enqueued", now=self.clock.now())
            await store.update(resolved, there.etag)

    async def _tell(self, failed: Sequence[_Failed]) -> None:
        now = self.clock.now()
        await each(failed, lambda it: self._tell_one(it, now))

    async def _tell_one(self, failed: _Failed, now: datetime) -> None:
        log.error(
            "a household's sweep could not be enqueued",
            extra={"householdId": failed.household_id, "night": failed.night.isoformat(), "code": failed.why},
        )
        if self.signals is None:
            return
        signal = signals.sweep_not_enqueued(
            queue=self.queue,
            household_id=failed.household_id,
            night=f"{failed.night:%Y%m%d}",
            why=failed.why,
            now=now,
        )
        try:
            await self.signals.insert(signal)
        except MosaicError as error:  # it is told when the household fails again
            log.warning("a signal could not be stored", extra={"code": signal.signal_code, "error": error.code})


def _left(night: date, household_id: str) -> str:
    return f"{night:%Y%m%d}:{household_id}"


def _of_left(text: str) -> tuple[date, str] | None:
    night, _, household_id = text.partition(":")
    try:
        return date.fromisoformat(night), household_id
    except ValueError:  # somebody edited the row: one that cannot be read stops nobody either
        log.error("a household that was left behind cannot be read from the progress row")
        return None


def months(night: date, count: int) -> list[str]:
    """The month of ``night`` and those before it, ``count`` in all, as yyyymm."""
    last = night.year * 12 + night.month - 1
    return [f"{m // 12:04}{m % 12 + 1:02}" for m in range(last, last - count, -1)]


async def merged(sources: Sequence[AsyncIterator[str]]) -> AsyncIterator[str]:
    """Ascending sources as one ascending stream without repetitions."""
    heads: dict[int, str] = {}
    for n, source in enumerate(sources):
        await _advance(heads, n, source)
    while heads:
        lowest = min(heads.values())
        yield lowest
        for n in [n for n, head in heads.items() if head == lowest]:
            await _advance(heads, n, sources[n])


async def _advance(heads: dict[int, str], n: int, source: AsyncIterator[str]) -> None:
    heads.pop(n, None)
    async for value in source:
        heads[n] = value
        return


async def _pages(source: AsyncIterator[str], size: int) -> AsyncIterator[list[str]]:
    page: list[str] = []
    async for value in source:
        page.append(value)
        if len(page) == size:
            yield page
            page = []
    if page:
        yield page
