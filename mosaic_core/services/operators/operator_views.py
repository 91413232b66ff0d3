"""What operators are shown, as pydantic models. No text of a member, an agent or a ledger has a field here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import (
    ApprovalStatus,
    AttemptOutcome,
    DecisionOutcome,
    KeyStatus,
    RunStatus,
    Severity,
    StageStatus,
)
from mosaic_core.services.views import Cursor, Id, UtcTime, View

type Told = Annotated[
    str | None, Field(description="Of what failed only: other rationales may speak of a household's matters.")
]


class OperatorRun(View):
    """One command's execution. ``countedAttempts`` are those that count of ``maxAttempts``: one that an outage, a drain
    or a busy conversation ended is not. Null where the key was not read: of a final run on a list."""

    run_id: Id
    command_id: str
    household_id: str | None
    conversation_id: str | None
    lane: Lane | None = Field(description="Null where no lane of these settings has the queue.")
    queue: str
    command_type: str
    correlation_id: str
    trace_id: str | None
    status: RunStatus
    is_final: bool
    attempt: int
    counted_attempts: int | None
    max_attempts: int
    attempt_outcome: AttemptOutcome | None
    next_attempt_at_utc: UtcTime | None = Field(description="Where another attempt is to come by itself.")
    failure_code: str | None
    failure_rationale: Told
    replay_of_command_id: str | None
    policy_version: str
    created_at_utc: UtcTime
    last_modified_at_utc: UtcTime
    completed_at_utc: UtcTime | None


class OperatorRuns(View):
    """Newest command first. A page may hold fewer than were asked for and still not be the last."""

    as_of_utc: UtcTime
    runs: list[OperatorRun]
    unreadable_run_ids: list[str] = Field(
        description="Runs whose row this version cannot read: written by hand, or by a newer version."
    )
    looked_at: int = Field(description="Commands, or signals, that were looked at for this page.")
    next_cursor: Cursor


class KeyState(View):
    """Who may execute the command, and how it ended."""

    status: KeyStatus
    attempt: int
    excused: int
    counted_attempts: int
    max_attempts: int
    lease_seconds_left: float = Field(description="0: released, or over; the next delivery takes over.")
    next_attempt_at_utc: UtcTime | None
    created_at_utc: UtcTime
    expires_at_utc: UtcTime
    finalized_at_utc: UtcTime | None
    resolution_code: str | None
    resolution_rationale: Told


class OperatorStage(View):
    attempt: int
    order: int
    name: str
    executor: str
    status: StageStatus
    confidence: float = Field(ge=0, le=1)
    outcome_code: str
    outcome_rationale: Told
    started_at_utc: UtcTime
    completed_at_utc: UtcTime


class OperatorSignal(View):
    """Something that a person should know or decide."""

    signal_id: Id
    signal_code: str
    severity: Severity
    summary: Told
    requires_human_review: bool
    is_resolved: bool
    queue: str
    run_id: str | None
    command_id: str | None
    message_id: str | None
    correlation_id: str | None
    household_id: str | None
    attempt: int | None
    raised_at_utc: UtcTime
    resolved_at_utc: UtcTime | None
    resolved_by: str | None
    resolution_note: str | None


class OperatorSignals(View):
    """Newest first. A page may hold fewer than were asked for and still not be the last."""

    as_of_utc: UtcTime
    signals: list[OperatorSignal]
    looked_at: int
    next_cursor: Cursor


class OperatorDecision(View):
    decision_id: Id
    actor: str
    action: str
    outcome: DecisionOutcome
    reason_code: str
    policy_version: str
    decided_at_utc: UtcTime
    approval_id: str | None


class OperatorRunDetail(View):
    """One run of any household with what was recorded of it, and the state of its key."""

    run: OperatorRun
    key: KeyState | None = Field(description="Null where it is gone: keys live for seven days.")
    stages: list[OperatorStage] = Field(description="By attempt and order.")
    signals: list[OperatorSignal]
    decisions: list[OperatorDecision]


class OperatorApproval(View):
    """An action that waits, or waited, for a member's word; what it is in detail the household sees."""

    approval_id: Id
    household_id: str
    conversation_id: str
    run_id: str
    command_id: str
    action_kind: str
    policy_version: str
    status: ApprovalStatus = Field(description="A pending approval past its expiry reads as expired.")
    created_at_utc: UtcTime
    expires_at_utc: UtcTime
    decided_at_utc: UtcTime | None
    decision_run_id: str | None
    carried_out_at_utc: UtcTime | None
    settled_at_utc: UtcTime | None


class OperatorApprovals(View):
    """A household's approvals, newest first."""

    as_of_utc: UtcTime
    approvals: list[OperatorApproval]
    next_cursor: Cursor


class TraceEntry(View):
    """One moment of the story. ``source`` is the table that says so."""

    at_utc: UtcTime
    source: str
    what: str
    attempt: int | None = None
    code: str | None = None
    rationale: Told = None
    ref: str | None = Field(default=None, description="The id of the signal, decision or approval.")


class Trace(View):
    """From any id to the story of one command, by the tables alone. Deliveries, spans and events are in telemetry, a
    dead letter in its queue."""

    id: str
    found_as: list[str] = Field(description="What the id is: command, run, message, correlation, signal, …")
    command_id: str | None
    run_id: str | None
    correlation_id: str | None
    household_id: str | None
    conversation_id: str | None
    queue: str | None
    trace_id: str | None
    timeline: list[TraceEntry] = Field(description="Oldest first.")
    missing: list[str] = Field(description="Parts of the story that are not there, and what that means.")
    run: OperatorRun | None
    key: KeyState | None
    signals: list[OperatorSignal]


class OpenSignals(View):
    """Of a lane's newest open signals, as they are listed; ``isMore`` where there are more than were counted."""

    error: int
    warning: int
    oldest_raised_at_utc: UtcTime | None
    is_more: bool


class RecentRuns(View):
    """Of the lane's newest commands."""

    looked_at: int
    not_begun: int = Field(description="Commands that no worker has begun.")
    running: int
    waiting: int = Field(description="For their next attempt, which comes by itself.")
    completed: int
    needs_review: int
    failed: int = Field(description="Ended for good without success; their messages are dead letters.")
    failure_rate: float | None = Field(description="Failed of those that ended; null where none did.")
    last_success_at_utc: UtcTime | None
    oldest_unfinished_at_utc: UtcTime | None


class PauseState(View):
    """A lane whose messages wait for an operator's word, and whose word it was."""

    paused_by: str = Field(description="The subject of who paused it.")
    reason: str
    paused_at_utc: UtcTime


class ChangedLane(View):
    """``pause`` is how it is now, null where the lane is at work. Not changed: it was so before, and the first word
    stands. Workers follow within seconds."""

    lane: Lane
    is_changed: bool
    pause: PauseState | None


class LaneState(View):
    lane: Lane
    queue: str
    command_types: list[str]
    pause: PauseState | None = Field(description="Null where the lane is at work.")
    open_signals: OpenSignals
    recent: RecentRuns


class Lanes(View):
    """As the tables see them. How many messages wait the queues know: ``./mosaic ops status`` asks them."""

    as_of_utc: UtcTime
    lanes: list[LaneState]


class CancelledCommand(View):
    """``requested``: it is at work, and its owner has not come to see the request yet; the same request again tells
    what became of it. What is closed is what this request closed."""

    outcome: Literal["cancelled", "already_cancelled", "requested"]
    command_id: Id
    run_id: Id
    cancelled_by: str = Field(description="Whose word it was, or will be.")
    reason: str
    closed_approvals: list[str] = Field(default_factory=list)
    resolved_signals: list[str] = Field(default_factory=list)


class Member(View):
    """A token's subject as a user of one household. One that is not ``active`` opens nothing."""

    household_id: str
    household_user_id: str
    subject: str
    role: str
    status: str
    source: str | None = Field(description="Of role `Ingest`: whose ingestions it sends.")
    created_at_utc: UtcTime


class Members(View):
    household_id: str
    members: list[Member]


class ChangedMember(View):
    """As it is now. Not changed: it was so before."""

    is_changed: bool
    member: Member


class ResolvedSignal(View):
    """The signal as it is now. ``outcome``: resolved by this request, or by the very same one before."""

    outcome: Literal["resolved", "already_resolved"]
    signal: OperatorSignal
