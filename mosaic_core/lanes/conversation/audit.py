"""The decision audit: one row for each decision that the policy or a person took, whatever the number of attempts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final

from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import DecisionOutcome
from mosaic_core.domain.policy import POLICY_VERSION
from mosaic_core.domain.records import Decision
from mosaic_core.lanes.context import LaneContext

POLICY: Final = f"policy/{POLICY_VERSION}"


async def audit(
    context: LaneContext,
    *,
    actor: str,
    action: str,
    outcome: DecisionOutcome,
    reason_code: str,
    rationale: str,
    confidence: float,
    policy_version: str,
    approval_id: str | None = None,
    subject: str = "",
) -> None:
    """Effect of kind 1: the id derives from the run and what was decided about which ``subject`` (an action's hash)."""
    decision = Decision(
        decision_id="",
        run_id=context.run_id,
        household_id=context.envelope.household_id,
        actor=actor[:120],
        action=action[:120],
        outcome=outcome,
        reason_code=reason_code,
        rationale=rationale[:500],
        policy_version=policy_version,
        confidence=confidence,
        decided_at=context.now(),
        approval_id=approval_id,
    )
    await context.stores.decisions.insert(replace(decision, decision_id=decision_id(decision, subject)))


def decision_id(decision: Decision, subject: str) -> str:
    """The id of that decision about ``subject``; of a stored one it tells whether it was about this one."""
    parts = (decision.actor, decision.action, decision.outcome, decision.reason_code, decision.approval_id or "")
    told = "\n".join((*parts, subject))
    return ids.derive("decision", decision.run_id, hashlib.sha256(told.encode()).hexdigest())
