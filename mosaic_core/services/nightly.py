"""The nightly enqueueing: one sweep command per active household and night, in UTC.

Each command's id derives from household and night, and a repeated night sends the command as it was first recorded: the
same night twice is harmless. A cursor is saved after each page, so a tick that dies is gone on with by the next one;
missed nights are caught up, the oldest first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final, Protocol

from mosaic_core.domain.records import SweepProgress
from mosaic_core.ports import Clock, ETag, HouseholdStore

log = logging.getLogger(__name__)

PAGE: Final = 100
ACTIVE_MONTHS: Final = 3
"""A household is active in the month of its last ledger activity and the two that follow."""

_AT_ONCE: Final = 8


class SweepEnqueuer(Protocol):
    async def enqueue_sweep(self, household_id: str, sweep_date: date, lookback_days: int) -> object: ...


@dataclass(frozen=True, slots=True)
class NightlyReport:
    """The nights that this tick finished, and how many commands it enqueued."""

    nights: tuple[date, ...] = ()
    enqueued: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NightlySweep:
    """``hour_utc`` is when a night's sweeps are due; at most ``catch_up_nights`` missed nights are made good."""

    households: HouseholdStore
    enqueuer: SweepEnqueuer
    clock: Clock
    hour_utc: int = 2
    lookback_days: int = 180
    catch_up_nights: int = 7
    page: int = field(default=PAGE)

    async def tick(self) -> NightlyReport:
        """Enqueue what is due. Safe to run many at once: who loses the race for the cursor stops."""
        now = self.clock.now()
        due = now.date() if now.hour >= self.hour_utc else now.date() - timedelta(days=1)
        stored = await self.households.sweep_progress()
        progress = stored.value if stored else SweepProgress(completed_night=(due - timedelta(days=1)).isoformat())
        etag: ETag | None = stored.etag if stored else None
        done: list[date] = []
        enqueued = 0
        for night in self._nights(progress, due):
            if progress.current_night != night.isoformat():
                progress = replace(progress, current_night=night.isoformat(), cursor="")
            async for page in _pages(self._active(night, progress.cursor), self.page):
                await self._enqueue(page, night)
                enqueued += len(page)
                progress = replace(progress, cursor=page[-1])
                etag = await self.households.save_sweep_progress(progress, etag)
                if etag is None:
                    return NightlyReport(tuple(done), enqueued)
            progress = SweepProgress(completed_night=night.isoformat())
            etag = await self.households.save_sweep_progress(progress, etag)
            if etag is None:
                return NightlyReport(tuple(done), enqueued)
            done.append(night)
        return NightlyReport(tuple(done), enqueued)

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

    async def _enqueue(self, page: Sequence[str], night: date) -> None:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(household_id: str) -> None:
            async with gate:
                await self.enqueuer.enqueue_sweep(household_id, night, self.lookback_days)

        await asyncio.gather(*(one(household_id) for household_id in page))


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
