"""Rows as operators see them: what may hold a household's matters is left out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from mosaic_core.domain import reservation, signals
from mosaic_core.domain.ids import clean
from mosaic_core.domain.lanes import MAX_ATTEMPTS, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, AttemptOutcome, KeyStatus, StageStatus
from mosaic_core.domain.policy import approval as approvals_of
from mosaic_core.domain.records import Approval, Decision, Run, Signal, Stage
from mosaic_core.ports import StoredKey
from mosaic_core.services.operators.operator_views import (
    KeyState,
    OperatorApproval,
    OperatorDecision,
    OperatorRun,
    OperatorSignal,
    OperatorStage,
)

TECHNICAL: Final = frozenset(
    {
        signals.COMMAND_FAILED,
        signals.COMMAND_REJECTED,
        signals.HASH_MISMATCH,
        signals.NOT_RECORDED,
        signals.NOT_SENT,
        signals.STALLED,
        signals.SWEEP_NOT_ENQUEUED,
        "approval_due_not_enqueued",
        "approval_not_carried_out",
    }
)
"""Signals of the runtime about itself. All others are about what is in a ledger, or was asked for."""


def run_of(run: Run, lanes: Mapping[str, Lane], key: StoredKey | None) -> OperatorRun:
    """``lanes`` by queue."""
    parts = run.trace_parent.split("-")
    return OperatorRun(
        run_id=run.run_id,
        command_id=run.command_id,
        household_id=run.household_id or None,
        conversation_id=run.conversation_id,
        lane=lanes.get(run.queue),
        queue=run.queue,
        command_type=clean(run.command_type),
        correlation_id=clean(run.correlation_id),
        trace_id=parts[1] if len(parts) == 4 else None,
        status=run.status,
        is_final=run.is_final,
        attempt=run.attempt,
        counted_attempts=reservation.shown(key.value) if key is not None else None,
        max_attempts=MAX_ATTEMPTS,
        attempt_outcome=run.attempt_outcome,
        next_attempt_at_utc=run.next_attempt_at,
        failure_code=run.failure_code,
        failure_rationale=run.failure_rationale if run.attempt_outcome == AttemptOutcome.FAILED else None,
        replay_of_command_id=run.replay_of_command_id,
        policy_version=run.policy_version,
        created_at_utc=run.created_at,
        last_modified_at_utc=run.last_modified_at,
        completed_at_utc=run.completed_at,
    )


def key_of(stored: StoredKey) -> KeyState:
    key = stored.value
    return KeyState(
        status=key.status,
        attempt=key.attempt,
        excused=key.excused,
        counted_attempts=reservation.shown(key),
        max_attempts=MAX_ATTEMPTS,
        lease_seconds_left=stored.lease_left if key.status == KeyStatus.RESERVED else 0.0,
        next_attempt_at_utc=key.next_attempt_at,
        created_at_utc=key.created_at,
        expires_at_utc=key.expires_at,
        finalized_at_utc=key.finalized_at,
        resolution_code=key.resolution_code,
        resolution_rationale=key.resolution_rationale if key.status == KeyStatus.REJECTED else None,
    )


def stage_of(stage: Stage) -> OperatorStage:
    return OperatorStage(
        attempt=stage.attempt,
        order=stage.order,
        name=stage.name,
        executor=stage.executor,
        status=stage.status,
        confidence=stage.confidence,
        outcome_code=stage.outcome_code,
        outcome_rationale=stage.outcome_rationale if stage.status == StageStatus.FAILED else None,
        started_at_utc=stage.started_at,
        completed_at_utc=stage.completed_at,
    )


def signal_of(signal: Signal) -> OperatorSignal:
    return OperatorSignal(
        signal_id=signal.signal_id,
        signal_code=signal.signal_code,
        severity=signal.severity,
        summary=signal.summary if signal.signal_code in TECHNICAL else None,
        requires_human_review=signal.requires_human_review,
        is_resolved=signal.is_resolved,
        queue=signal.queue,
        run_id=signal.run_id,
        command_id=clean(signal.command_id) if signal.command_id else None,
        message_id=clean(signal.message_id) if signal.message_id else None,
        correlation_id=clean(signal.correlation_id) if signal.correlation_id else None,
        household_id=signal.household_id,
        attempt=signal.attempt,
        raised_at_utc=signal.raised_at,
        resolved_at_utc=signal.resolved_at,
        resolved_by=signal.resolved_by,
        resolution_note=signal.resolution_note,
    )


def decision_of(decision: Decision) -> OperatorDecision:
    return OperatorDecision(
        decision_id=decision.decision_id,
        actor=clean(decision.actor),
        action=clean(decision.action),
        outcome=decision.outcome,
        reason_code=decision.reason_code,
        policy_version=decision.policy_version,
        decided_at_utc=decision.decided_at,
        approval_id=decision.approval_id,
    )


def approval_of(approval: Approval, now: datetime) -> OperatorApproval:
    over = approval.status == ApprovalStatus.PENDING and approvals_of.is_over(approval, now)
    return OperatorApproval(
        approval_id=approval.approval_id,
        household_id=approval.household_id,
        conversation_id=approval.conversation_id,
        run_id=approval.run_id,
        command_id=approval.command_id,
        action_kind=clean(approval.action_kind),
        policy_version=approval.policy_version,
        status=ApprovalStatus.EXPIRED if over else approval.status,
        created_at_utc=approval.created_at,
        expires_at_utc=approval.expires_at,
        decided_at_utc=approval.decided_at,
        decision_run_id=approval.decision_run_id,
        carried_out_at_utc=approval.carried_out_at,
        settled_at_utc=approval.settled_at,
    )
