"""The review queue: what a person should know or decide, of every household; and its resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mosaic_core.concurrency import each
from mosaic_core.domain import signals as signals_of
from mosaic_core.domain.errors import RequestError, StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import Severity
from mosaic_core.domain.records import Signal
from mosaic_core.ports import Clock, ListedSignal, Stores
from mosaic_core.services.approval_pages import take
from mosaic_core.services.operators import record_views
from mosaic_core.services.operators.operator_views import OperatorSignals, ResolvedSignal
from mosaic_core.services.operators.runs import AT_ONCE, LOOKED_AT

_TRIES: Final = 5


class Shown(StrEnum):
    OPEN = "open"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalFilter:
    """None of a field: any."""

    open_only: bool = True
    lane: Lane | None = None
    code: str | None = None
    severity: Severity | None = None
    household_id: str | None = None
    since: datetime | None = None
    after: str = ""


@dataclass(frozen=True, slots=True)
class SignalReads:
    stores: Stores
    clock: Clock
    queues: Mapping[Lane, str]

    async def page(self, wanted: SignalFilter, limit: int) -> OperatorSignals:
        """At most ``limit``, of the next `LOOKED_AT` that are listed."""
        as_of = self.clock.now()
        found: list[Signal] = []
        looked_at, last, is_over = 0, "", False
        queues = [self.queues[wanted.lane]] if wanted.lane is not None else list(self.queues.values())
        places = self.stores.signals.listed(
            queues,
            open_only=wanted.open_only,
            code=wanted.code,
            severity=wanted.severity,
            household_id=wanted.household_id,
            since=wanted.since,
            after=wanted.after,
            ahead=max(limit, AT_ONCE),
        )
        while len(found) < limit and looked_at < LOOKED_AT and not is_over:
            ahead = min(limit - len(found), LOOKED_AT - looked_at)
            listed = [place async for place in take(places, ahead)]
            is_over = len(listed) < ahead
            looked_at += len(listed)
            last = listed[-1].place if listed else last
            read = await each([place.signal_id for place in listed], self.stores.signals.read, at_once=AT_ONCE)
            for place, stored in zip(listed, read, strict=True):
                if (
                    stored is not None
                    and _is_at(stored.value, place)
                    and not (wanted.open_only and stored.value.is_resolved)
                ):
                    found.append(stored.value)
        return OperatorSignals(
            as_of_utc=as_of,
            signals=[record_views.signal_of(signal) for signal in found],
            looked_at=looked_at,
            next_cursor=None if is_over else last,
        )

    async def resolve(self, signal_id: str, *, by: str, note: str) -> ResolvedSignal:
        """Resolved as it was read, by its ETag. The same by the same person again changes nothing.

        Raises `RequestError`: ``not_found``; ``signal_already_resolved`` where somebody has resolved it with
        another word, which stands.
        """
        for _ in range(_TRIES):
            stored = await self.stores.signals.read(signal_id)
            if stored is None:
                raise RequestError("not_found", "there is no such signal")
            there = stored.value
            if there.is_resolved:
                if (there.resolved_by, there.resolution_note) != (by[:120], note[:500]):
                    raise RequestError(
                        "signal_already_resolved", "the signal was resolved before, and that resolution stands"
                    )
                return ResolvedSignal(outcome="already_resolved", signal=record_views.signal_of(there))
            resolved = signals_of.resolve(there, by=by, note=note, now=self.clock.now())
            if await self.stores.signals.update(resolved, stored.etag) is not None:
                return ResolvedSignal(outcome="resolved", signal=record_views.signal_of(resolved))
        raise StoreUnreachableError("the signal is written to without end; repeat the request")


def _is_at(signal: Signal, place: ListedSignal) -> bool:
    """Whether that row of the list is this signal's: what was never raised, or at another time, left rows too."""
    return signal.raised_at == place.raised_at
