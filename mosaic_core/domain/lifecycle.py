"""States, and the ONE table of what may follow what. Every state change in the product goes through `check`."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from mosaic_core.domain.errors import IllegalTransitionError


class RunStatus(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    NEEDS_REVIEW = "NeedsReview"
    CANCELLED = "Cancelled"


class StageStatus(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    NEEDS_REVIEW = "NeedsReview"
    SKIPPED = "Skipped"


class KeyStatus(StrEnum):
    RESERVED = "Reserved"
    COMPLETED = "Completed"
    REJECTED = "Rejected"
    EXPIRED = "Expired"


class SignalState(StrEnum):
    OPEN = "Open"
    RESOLVED = "Resolved"


class ApprovalStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Severity(StrEnum):
    INFO = "Info"
    WARNING = "Warning"
    ERROR = "Error"
    CRITICAL = "Critical"


class CommandOrigin(StrEnum):
    """Who recorded a command."""

    APP = "app"
    """The API, for a verified caller, or one of the app's own timers."""
    PRODUCER = "producer"
    """The worker, for a message that came past the API and may."""


class AttemptOutcome(StrEnum):
    SUCCEEDED = "succeeded"
    SUCCEEDED_REVIEW = "succeeded_review"
    FAILED = "failed"


class DecisionOutcome(StrEnum):
    APPLIED = "Applied"
    NEEDS_REVIEW = "NeedsReview"
    REJECTED = "Rejected"
    DEFERRED = "Deferred"


ABSENT: Final = "absent"
"""The state of a row that does not exist yet."""

type State = RunStatus | StageStatus | KeyStatus | SignalState | ApprovalStatus

# What may follow what. A run's or key's finality is checked beside it: nothing follows a final row.
# Pending, Failed, Cancelled (runs) and Expired (keys) are reserved by the contract: no path writes them today.
TRANSITIONS: Final[dict[type[StrEnum], dict[str, frozenset[str]]]] = {
    RunStatus: {
        ABSENT: frozenset({RunStatus.RUNNING}),
        RunStatus.RUNNING: frozenset({RunStatus.RUNNING, RunStatus.COMPLETED, RunStatus.NEEDS_REVIEW}),
        RunStatus.NEEDS_REVIEW: frozenset({RunStatus.RUNNING, RunStatus.NEEDS_REVIEW}),
    },
    StageStatus: {
        ABSENT: frozenset({StageStatus.SUCCEEDED, StageStatus.FAILED, StageStatus.NEEDS_REVIEW, StageStatus.SKIPPED}),
    },
    KeyStatus: {
        ABSENT: frozenset({KeyStatus.RESERVED}),
        KeyStatus.RESERVED: frozenset({KeyStatus.RESERVED, KeyStatus.COMPLETED, KeyStatus.REJECTED}),
    },
    SignalState: {
        ABSENT: frozenset({SignalState.OPEN, SignalState.RESOLVED}),
        SignalState.OPEN: frozenset({SignalState.OPEN, SignalState.RESOLVED}),
        # a later attempt's failure after an earlier one's recovery; never by the same or a lower attempt
        SignalState.RESOLVED: frozenset({SignalState.OPEN, SignalState.RESOLVED}),
    },
    ApprovalStatus: {
        ABSENT: frozenset({ApprovalStatus.PENDING}),
        ApprovalStatus.PENDING: frozenset({ApprovalStatus.APPROVED, ApprovalStatus.REJECTED, ApprovalStatus.EXPIRED}),
    },
}


def check(before: State | None, after: State, *, final: bool = False) -> None:
    """Raise IllegalTransitionError where ``after`` may not follow ``before`` (None: the row is new), or where the row
    as it stands is ``final``."""
    table = TRANSITIONS[type(after)]
    if final or after not in table.get(before if before is not None else ABSENT, frozenset()):
        was = f"{before}{' (final)' if final else ''}" if before is not None else ABSENT
        raise IllegalTransitionError(f"{type(after).__name__}: {was} -> {after}")
