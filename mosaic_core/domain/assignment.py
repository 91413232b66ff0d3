"""Who should look at a run next: a hint for whoever shows it, derived from the run and never stored."""

from __future__ import annotations

from enum import StrEnum

from mosaic_core.domain.lifecycle import AttemptOutcome, RunStatus
from mosaic_core.domain.records import Run


class Assignee(StrEnum):
    """``another_household_member``: not the one who asked (setting ``Approval__RequireOtherPerson``)."""

    HOUSEHOLD_MEMBER = "household_member"
    ANOTHER_HOUSEHOLD_MEMBER = "another_household_member"
    OPERATOR = "operator"


def assignee(run: Run, *, has_undecided_approvals: bool, require_other_person: bool) -> Assignee | None:
    """None where nobody needs to look: the run is under way, will be tried again, is well, or its approvals are
    decided. What the household's own data or wishes are about goes to a member (an expired approval, too: to
    ask again, or not), what went wrong to an operator."""
    if run.status != RunStatus.NEEDS_REVIEW or not run.is_final:
        return None
    if run.attempt_outcome == AttemptOutcome.FAILED:
        return Assignee.OPERATOR
    if has_undecided_approvals:
        return Assignee.ANOTHER_HOUSEHOLD_MEMBER if require_other_person else Assignee.HOUSEHOLD_MEMBER
    return None if run.failure_code == "approval_required" else Assignee.HOUSEHOLD_MEMBER
