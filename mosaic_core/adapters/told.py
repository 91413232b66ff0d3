"""Stores that tell what a person has to look at: in the log, signals raised and resolved, approvals asked for and
ended; as events (`notices`), what waits for a person anew.

One place for all who write them, so that the review queue can be followed from telemetry alone. Ids and codes only; a
row's texts stay in its row. A line follows the write: a process that dies between the two has written and not told. An
event is told also where the row is there already: whoever rolls a dead process's work forward tells what that may not
have told, under the same id.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import date, datetime

from mosaic_core import notices
from mosaic_core.domain.envelope import iso
from mosaic_core.domain.lifecycle import ApprovalStatus, Severity
from mosaic_core.domain.records import Approval, OpenFinding, Signal
from mosaic_core.ports import (
    LISTED_AHEAD,
    ApprovalStore,
    DueApproval,
    ETag,
    EventPublisher,
    ListedApproval,
    ListedSignal,
    RuntimeEvent,
    SignalStore,
    Stored,
)

log = logging.getLogger(__name__)


class ToldSignals:
    """A `SignalStore` that tells of each signal that is inserted, resolved, or written anew while it is open."""

    def __init__(self, store: SignalStore, publisher: EventPublisher) -> None:
        self._store = store
        self._publisher = publisher

    async def insert(self, signal: Signal) -> ETag | None:
        written = await self._store.insert(signal)
        if written is not None:
            _tell_signal(signal)
        _publish(self._publisher, lambda: notices.of_signal(signal))
        return written

    async def update(self, signal: Signal, etag: ETag) -> ETag | None:
        written = await self._store.update(signal, etag)
        if written is not None:
            _tell_signal(signal)
        return written

    async def read(self, signal_id: str) -> Stored[Signal] | None:
        return await self._store.read(signal_id)

    async def of_run(self, run_id: str) -> list[Signal]:
        return await self._store.of_run(run_id)

    async def about(self, told: str) -> list[Signal]:
        return await self._store.about(told)

    def listed(
        self,
        queues: Sequence[str],
        *,
        open_only: bool,
        code: str | None = None,
        severity: Severity | None = None,
        household_id: str | None = None,
        since: datetime | None = None,
        after: str = "",
        ahead: int = LISTED_AHEAD,
    ) -> AsyncIterator[ListedSignal]:
        return self._store.listed(
            queues,
            open_only=open_only,
            code=code,
            severity=severity,
            household_id=household_id,
            since=since,
            after=after,
            ahead=ahead,
        )

    async def unlist(self, queue: str, listed: ListedSignal) -> None:
        await self._store.unlist(queue, listed)

    async def index_finding(
        self, household_id: str, signal_id: str, *, day: date, transaction_ids: Sequence[str]
    ) -> None:
        await self._store.index_finding(household_id, signal_id, day=day, transaction_ids=transaction_ids)

    async def listed_findings(self, household_id: str) -> dict[str, frozenset[str]]:
        return await self._store.listed_findings(household_id)

    async def open_findings(self, household_id: str) -> list[OpenFinding]:
        return await self._store.open_findings(household_id)


class ToldApprovals:
    """An `ApprovalStore` that tells of each approval that is asked for, and of each change of one."""

    def __init__(self, store: ApprovalStore, publisher: EventPublisher) -> None:
        self._store = store
        self._publisher = publisher

    async def insert(self, approval: Approval) -> ETag | None:
        written = await self._store.insert(approval)
        if written is not None:
            _tell_approval("approval asked for", approval)
        _publish(self._publisher, lambda: [notices.approval_requested(approval)])
        return written

    async def update(self, approval: Approval, etag: ETag) -> ETag | None:
        written = await self._store.update(approval, etag)
        if written is not None:
            _tell_approval("approval changed", approval)
        return written

    async def read(self, household_id: str, approval_id: str) -> Stored[Approval] | None:
        return await self._store.read(household_id, approval_id)

    async def of_household(self, household_id: str, status: ApprovalStatus | None) -> list[Approval]:
        return await self._store.of_household(household_id, status)

    def listed(self, household_id: str, *, pending: bool, after: str = "") -> AsyncIterator[ListedApproval]:
        return self._store.listed(household_id, pending=pending, after=after)

    async def due(self, before: datetime, limit: int) -> list[DueApproval]:
        return await self._store.due(before, limit)

    async def postpone(self, due: DueApproval, later: DueApproval) -> None:
        await self._store.postpone(due, later)

    async def forget(self, due: DueApproval) -> None:
        await self._store.forget(due)

    async def list_older(self, households: int) -> bool:
        return await self._store.list_older(households)


def _tell_signal(signal: Signal) -> None:
    log.info(
        "signal resolved" if signal.is_resolved else "signal raised",
        extra={
            "signalId": signal.signal_id,
            "signalCode": signal.signal_code,
            "severity": signal.severity.value,
            "reviewRequired": signal.requires_human_review,
            "queue": signal.queue,
        },
    )


def _tell_approval(what: str, approval: Approval) -> None:
    log.info(
        what,
        extra={
            "approvalId": approval.approval_id,
            "approvalStatus": approval.status.value,
            "expiresAtUtc": iso(approval.expires_at),
        },
    )


def _publish(publisher: EventPublisher, events: Callable[[], list[RuntimeEvent]]) -> None:
    """Telemetry fails no command: not even an event that cannot be built."""
    try:
        for event in events():
            publisher.publish(event)
    except Exception as error:
        log.warning("an event could not be told", extra={"error": type(error).__name__})
