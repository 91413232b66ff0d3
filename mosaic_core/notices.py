"""Events that tell a household and its operators what waits for a person: an approval that is asked for or soon over,
a finding, a review.

They go the way of a command's events (`telemetry`), ids and codes alone: what an approval is about is asked of the API
by who may see it. The id derives from what is told of, so that a repetition is the same event.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

from mosaic_core.domain.envelope import iso
from mosaic_core.domain.ids import derive
from mosaic_core.domain.policy.approval import expires_soon_at
from mosaic_core.domain.records import Approval, Signal
from mosaic_core.domain.signals import FINDINGS
from mosaic_core.ports import RuntimeEvent
from mosaic_core.telemetry import WORKER, trace_parent

TYPE_PREFIX: Final = "mosaic.runtime."

type NoticeKind = Literal["approval_requested", "approval_expiring", "finding_raised", "review_opened"]
NOTICES: Final[tuple[NoticeKind, ...]] = (
    "approval_requested",
    "approval_expiring",
    "finding_raised",
    "review_opened",
)


def approval_requested(approval: Approval) -> RuntimeEvent:
    return _of_approval("approval_requested", approval, approval.created_at)


def approval_expiring(approval: Approval) -> RuntimeEvent:
    """A quarter of its life before it is over. Whenever it is told, it is of the same time."""
    return _of_approval("approval_expiring", approval, expires_soon_at(approval))


def of_signal(signal: Signal) -> list[RuntimeEvent]:
    """What an open signal tells: a finding, a review that a person has to do, or nothing."""
    if signal.is_resolved:
        return []
    kinds: list[NoticeKind] = ["finding_raised"] if signal.signal_code in FINDINGS else []
    if signal.requires_human_review:
        kinds.append("review_opened")
    return [_of_signal(kind, signal) for kind in kinds]


def _of_approval(kind: NoticeKind, approval: Approval, at: datetime) -> RuntimeEvent:
    return RuntimeEvent(
        event_id=derive("event", kind, approval.household_id, approval.approval_id),
        source=WORKER,
        type=TYPE_PREFIX + kind,
        subject=approval.approval_id,
        household_id=approval.household_id,
        occurred_at=at,
        data={
            "approvalId": approval.approval_id,
            "householdId": approval.household_id,
            "conversationId": approval.conversation_id,
            "runId": approval.run_id,
            "commandId": approval.command_id,
            "expiresAtUtc": iso(approval.expires_at),
            "occurredAtUtc": iso(at),
        },
        trace_parent=trace_parent(),
    )


def _of_signal(kind: NoticeKind, signal: Signal) -> RuntimeEvent:
    at = signal.raised_at
    return RuntimeEvent(
        event_id=derive("event", kind, signal.signal_id),
        source=WORKER,
        type=TYPE_PREFIX + kind,
        subject=signal.signal_id,
        household_id=signal.household_id or "",
        occurred_at=at,
        data={
            "signalId": signal.signal_id,
            "signalCode": signal.signal_code,
            "severity": signal.severity.value,
            "queue": signal.queue,
            "householdId": signal.household_id,
            "runId": signal.run_id,
            "commandId": signal.command_id,
            "occurredAtUtc": iso(at),
        },
        trace_parent=trace_parent(),
    )
