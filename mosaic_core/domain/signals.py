"""The signals that the runtime itself raises. Each id derives from what it is about, so a repeated step writes the
same row."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from mosaic_core.domain import ids, lifecycle
from mosaic_core.domain.lifecycle import AttemptOutcome, Severity, SignalState
from mosaic_core.domain.reasons import DeadLetterReason
from mosaic_core.domain.records import Run, Signal
from mosaic_core.domain.transactions import FindingKind

COMMAND_FAILED: Final = "worker_command_failed"
COMMAND_REJECTED: Final = "command_rejected"
HASH_MISMATCH: Final = DeadLetterReason.IDEMPOTENCY_HASH_MISMATCH.value
NOT_RECORDED: Final = "command_not_recorded"
NOT_SENT: Final = "command_not_sent"
STALLED: Final = "command_stalled"
SWEEP_NOT_ENQUEUED: Final = "sweep_enqueue_failed"

FINDINGS: Final = frozenset(kind.value for kind in FindingKind)
"""Signals of the sweep. The runtime's own (a failed command, a waiting approval) are not the household's to dismiss."""


def command_failed(run: Run, *, message_id: str, attempt: int, now: datetime) -> Signal:
    """F: one per run, updated by later attempts. ``attempt`` is the writer's."""
    return Signal(
        signal_id=ids.failure_signal_id(run.run_id),
        queue=run.queue,
        signal_code=COMMAND_FAILED,
        severity=Severity.ERROR,
        summary=f"{run.failure_code or 'failed'}: {run.failure_rationale or ''}"[:200],
        requires_human_review=True,
        raised_at=now,
        run_id=run.run_id,
        command_id=run.command_id,
        message_id=ids.clean(message_id),
        correlation_id=ids.clean(run.correlation_id),
        household_id=run.household_id or None,
        attempt=attempt,
    )


def recovered(run: Run, *, message_id: str, attempt: int, now: datetime) -> Signal:
    """F as a later attempt's success leaves it: resolved, with that attempt's number."""
    failed = command_failed(run, message_id=message_id, attempt=attempt, now=now)
    return resolve(failed, by="runtime", note="recovered", now=now)


def failure_after(run: Run, *, attempt: int, message_id: str, now: datetime) -> Signal | None:
    """5: F as attempt ``attempt`` leaves it with this outcome of its run. A plain success has none; a later one is
    resolved also where there is none yet, so that a late write of an earlier attempt cannot open it. A failure is of
    the attempt that failed, whoever rolls it forward: what a person has resolved since is not opened again."""
    if run.attempt_outcome == AttemptOutcome.FAILED:
        return command_failed(run, message_id=message_id, attempt=run.attempt, now=now)
    return recovered(run, message_id=message_id, attempt=attempt, now=now) if attempt > 1 else None


def over(there: Signal, signal: Signal) -> Signal | None:
    """F as it is to be written over the one that is there; None where that one says as much, and is of the same attempt
    or a later one."""
    if (there.attempt or 0) >= (signal.attempt or 0) and (not signal.is_resolved or there.is_resolved):
        return None
    summary = there.summary if signal.is_resolved else signal.summary
    return replace(signal, raised_at=there.raised_at, summary=summary)


def resolve(signal: Signal, *, by: str, note: str, now: datetime) -> Signal:
    lifecycle.check(SignalState.RESOLVED if signal.is_resolved else SignalState.OPEN, SignalState.RESOLVED)
    return replace(signal, is_resolved=True, resolved_at=now, resolved_by=by[:120], resolution_note=note[:500])


def review(run: Run) -> Signal:
    """A run that succeeded and that a person must look at. Wholly derived from the run: whoever rolls it forward
    writes the same."""
    return Signal(
        signal_id=ids.review_signal_id(run.run_id),
        queue=run.queue,
        signal_code=run.failure_code or "needs_review",
        severity=Severity.WARNING,
        summary=(run.failure_rationale or "a person must look at this run")[:200],
        requires_human_review=True,
        raised_at=run.last_modified_at,
        run_id=run.run_id,
        command_id=run.command_id,
        correlation_id=ids.clean(run.correlation_id),
        household_id=run.household_id or None,
        attempt=run.attempt,
    )


def command_rejected(*, queue: str, message_id: str, code: str, rationale: str, now: datetime) -> Signal:
    """A message that never decoded; known by its message id only."""
    return Signal(
        signal_id=ids.rejected_message_signal_id(queue, message_id, code),
        queue=queue,
        signal_code=COMMAND_REJECTED,
        severity=Severity.ERROR,
        summary=f"{code}: {rationale}"[:200],
        requires_human_review=True,
        raised_at=now,
        message_id=ids.clean(message_id),
    )


def hash_mismatch(
    *,
    queue: str,
    command_id: str,
    message_id: str,
    correlation_id: str,
    household_id: str,
    request_hash: str,
    now: datetime,
) -> Signal:
    """A message that carried the id of another command's request."""
    return Signal(
        signal_id=ids.mismatch_signal_id(queue, command_id, request_hash),
        queue=queue,
        signal_code=HASH_MISMATCH,
        severity=Severity.ERROR,
        summary="a message carried the id of another command's request; it was not executed",
        requires_human_review=True,
        raised_at=now,
        command_id=command_id,
        message_id=ids.clean(message_id),
        correlation_id=ids.clean(correlation_id),
        household_id=household_id or None,
    )


def not_recorded(
    *, queue: str, command_id: str, message_id: str, household_id: str, request_hash: str, now: datetime
) -> Signal:
    """A message that is no recorded command's. The household is what it claims, so the row is not the household's."""
    return Signal(
        signal_id=ids.unrecorded_signal_id(queue, command_id, request_hash),
        queue=queue,
        signal_code=NOT_RECORDED,
        severity=Severity.ERROR,
        summary=f"a message that the API did not record was not executed; it names household {household_id or 'none'}",
        requires_human_review=True,
        raised_at=now,
        command_id=command_id,
        message_id=message_id[:200],
    )


def command_not_sent(*, queue: str, command_id: str, household_id: str, why: str, now: datetime) -> Signal:
    """A recorded command that the timer cannot send, or will not send any more."""
    return Signal(
        signal_id=ids.unsent_signal_id(queue, command_id),
        queue=queue,
        signal_code=NOT_SENT,
        severity=Severity.ERROR,
        summary=why[:200],
        requires_human_review=True,
        raised_at=now,
        command_id=command_id,
        household_id=household_id or None,
    )


def command_stalled(
    *, queue: str, command_id: str, run_id: str, correlation_id: str, household_id: str, minutes: int, now: datetime
) -> Signal:
    """A command that is reserved and whose key nobody has written for so many minutes. Nobody needs to do anything:
    what waits goes on by itself, and what does not is ended by the reconciler."""
    return Signal(
        signal_id=ids.stalled_signal_id(run_id),
        queue=queue,
        signal_code=STALLED,
        severity=Severity.WARNING,
        summary=f"nothing was heard of this command for {minutes} minutes, and it has not ended",
        requires_human_review=False,
        raised_at=now,
        run_id=run_id,
        command_id=command_id,
        correlation_id=ids.clean(correlation_id),
        household_id=household_id or None,
    )


def sweep_not_enqueued(*, queue: str, household_id: str, night: str, why: str, now: datetime) -> Signal:
    """A household whose sweep of one night (yyyymmdd) could not be enqueued."""
    return Signal(
        signal_id=ids.sweep_enqueue_signal_id(household_id, night),
        queue=queue,
        signal_code=SWEEP_NOT_ENQUEUED,
        severity=Severity.ERROR,
        summary=f"the sweep of {night} could not be enqueued: {why}"[:200],
        requires_human_review=True,
        raised_at=now,
        command_id=ids.sweep_command_id(household_id, night),
        household_id=household_id,
    )
