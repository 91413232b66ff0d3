"""What an operator changed, in the decision audit beside the policy's and the household's own decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from mosaic_core.domain import ids
from mosaic_core.domain.lifecycle import DecisionOutcome
from mosaic_core.domain.records import Decision
from mosaic_core.ports import DecisionStore

BY_OPERATOR: Final = "operator"
"""The policy version of what no policy decided."""


async def record(
    decisions: DecisionStore,
    *,
    about: str,
    household_id: str,
    by: str,
    action: str,
    reason: str,
    at: datetime,
    outcome: DecisionOutcome = DecisionOutcome.APPLIED,
) -> None:
    """``about`` is the run's id, or what else was changed (``lane:sweep``): the rows of one are listed together. What
    was changed at one time is one row, however often it is recorded, and by whomever: the first to record it stands."""
    await decisions.insert(
        Decision(
            decision_id=ids.derive("operator", about, action, at.isoformat()),
            run_id=about,
            household_id=household_id,
            actor=by[:120],
            action=action,
            outcome=outcome,
            reason_code=f"{action}_by_operator",
            rationale=reason[:500],
            policy_version=BY_OPERATOR,
            confidence=1.0,
            decided_at=at,
        )
    )
