"""The rows of the runtime as values (contract, section 4). Immutable; changed through `lifecycle` only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import (
    ApprovalStatus,
    AttemptOutcome,
    CommandOrigin,
    DecisionOutcome,
    KeyStatus,
    RunStatus,
    Severity,
    StageStatus,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """AgentCommands: the command as it was received, the source of truth of a replay.
    ``envelope`` is the message body as text; ``household_id`` is empty where an unsupported command names none.

    ``origin`` says who recorded it. ``subject`` is the verified caller's, empty where nobody called (a timer's, a
    producer's, or an earlier version's). Of a producer's ``recorded_at`` is when the broker took the message."""

    command_id: str
    household_id: str
    queue: str
    command_type: str
    request_hash: str
    envelope: str
    recorded_at: datetime
    origin: CommandOrigin = CommandOrigin.APP
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """IdempotencyKeys: who may execute a command, and how it ended.

    ``attempt`` never goes down; ``excused`` of them do not count: a drain or an outage of storage ended them, or they
    died beside a process killer. ``owner_token`` is the delivery that took it last and stays after a release.
    ``lease_seconds`` counts from the row's storage timestamp, 0 = released. ``sequence_number`` is the message that it
    was last taken for. ``solo`` says whether this attempt has to run by itself, and why (`reservation`).
    ``cancel_reason`` is set once an operator has asked its owner to make an end, and stays.
    """

    queue: str
    command_id: str
    request_hash: str
    status: KeyStatus
    run_id: str
    correlation_id: str
    attempt: int
    excused: int
    owner_token: str
    lease_seconds: int
    sequence_number: int
    created_at: datetime
    expires_at: datetime
    solo: int = 0
    next_attempt_at: datetime | None = None
    finalized_at: datetime | None = None
    resolution_code: str | None = None
    resolution_rationale: str | None = None
    cancel_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """AgentRuns: one command's execution, whatever the number of attempts."""

    run_id: str
    household_id: str
    command_id: str
    command_type: str
    correlation_id: str
    queue: str
    policy_version: str
    request_hash: str
    status: RunStatus
    is_final: bool
    attempt: int
    created_at: datetime
    last_modified_at: datetime
    conversation_id: str | None = None
    attempt_outcome: AttemptOutcome | None = None
    failure_code: str | None = None
    failure_rationale: str | None = None
    next_attempt_at: datetime | None = None
    replay_of_command_id: str | None = None
    trace_parent: str = ""
    agent_name: str | None = None
    agent_source: str | None = None
    agent_note_summary: str | None = None
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """AgentRunStages: one step of one attempt, written when the attempt's lane has ended.

    ``confidence`` is 0 to 1. ``provenance`` names the ledger rows that the outcome was computed from.
    """

    run_id: str
    command_id: str
    correlation_id: str
    queue: str
    attempt: int
    order: int
    name: str
    executor: str
    status: StageStatus
    confidence: float
    outcome_code: str
    outcome_rationale: str
    started_at: datetime
    completed_at: datetime
    provenance: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """AgentSignals: something that a person should know or decide."""

    signal_id: str
    queue: str
    signal_code: str
    severity: Severity
    summary: str
    requires_human_review: bool
    raised_at: datetime
    run_id: str | None = None
    command_id: str | None = None
    message_id: str | None = None
    correlation_id: str | None = None
    household_id: str | None = None
    attempt: int | None = None
    is_resolved: bool = False
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    resolution_note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFinding:
    """A finding of the sweep that nobody has resolved: its signal, and the ids of the ledger rows that it is about
    (none where a row is absent)."""

    signal: Signal
    transaction_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """AgentApprovals: an action that waits for a person's word, bound to household, conversation, run and the
    hash of the exact action.

    ``action_json`` is that action. ``batch`` names the blob with the proposals that were made together with it and the
    agent's session, None where it was asked for by itself. ``carried_out_at`` is set when an approved action has been
    done, and ``carried_out_as`` says what it came to; ``draft`` (JSON) is what a person is to send or do, of an action
    that the app never does itself. ``turn_id`` is the exchange that asked for it (None: the run's own message).
    ``settled_at`` is set when all that its end leads to is done: carried out, the review closed, the agent told. The
    subjects are those of the tokens of who asked and who decided, empty where an earlier version did not keep them.
    """

    approval_id: str
    household_id: str
    conversation_id: str
    run_id: str
    command_id: str
    requested_by: str
    action_kind: str
    action_summary: str
    action_hash: str
    policy_version: str
    status: ApprovalStatus
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None = None
    decided_by: str | None = None
    decision_run_id: str | None = None
    decision_rationale: str | None = None
    action_json: str | None = None
    batch: str | None = None
    carried_out_at: datetime | None = None
    carried_out_as: str | None = None
    draft: str | None = None
    turn_id: str | None = None
    settled_at: datetime | None = None
    requested_by_subject: str = ""
    decided_by_subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """AgentDecisionAudit: a decision that the policy or a person took. Append-only; the id derives from its content."""

    decision_id: str
    run_id: str
    household_id: str
    actor: str
    action: str
    outcome: DecisionOutcome
    reason_code: str
    rationale: str
    policy_version: str
    confidence: float
    decided_at: datetime
    approval_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """HouseholdMembers: a token's subject as a user of one household. ``source`` is the one whose ingestions a member
    of role ``Ingest`` may send, empty for other roles."""

    subject: str
    household_id: str
    household_user_id: str
    role: str
    status: str
    created_at: datetime
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LanePause:
    """Whether a lane's messages wait for an operator's word: who said so last, when and why. ``changed_by`` is the
    token's subject. A lane that nobody ever paused has none."""

    lane: Lane
    is_paused: bool
    changed_by: str
    reason: str
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepProgress:
    """How far the nightly enqueueing has come: every household of every night up to ``completed_night``, and those of
    ``current_night`` up to ``cursor`` (the last household id of the last full page). ``left_behind`` are the exceptions
    that are tried again, as ``{night}:{household}``."""

    completed_night: str
    current_night: str = ""
    cursor: str = ""
    left_behind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """A command that is recorded, or about to be, and not known to be sent. Never changed: put back, it is another row.

    ``entry_id`` tells the tries apart that may announce one command; ``announced_at`` is when this one began, on its
    clock. ``due_at`` is when the timer looks next, ``tries`` how often that failed for a reason of the command's own.
    """

    entry_id: str
    command_id: str
    queue: str
    announced_at: datetime
    due_at: datetime
    tries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One exchange of a conversation. ``turn_id`` is the run's id, or derives from the proposals that were decided.
    ``replies`` name the blobs with an agent's replies that led to proposals, in order: what has landed here is what
    every later attempt goes on from."""

    turn_id: str
    run_id: str
    attempt: int
    command_id: str
    created_at: datetime
    question: str
    answer: str = ""
    replies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """AgentConversations: what was said, oldest first by ``created_at``, bounded. ``run_id`` and ``attempt`` name who
    changed it last; the ``holder`` is the attempt that is asking the agent now, empty where none is."""

    household_id: str
    conversation_id: str
    turns: tuple[Turn, ...]
    run_id: str
    attempt: int
    last_modified_at: datetime
    holder_queue: str = ""
    holder_command_id: str = ""
    holder_attempt: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """HouseholdAnnotations: what a household's people (or an agent for them) said of its ledger, by kind and subject.

    Kinds: ``category`` (of a transaction id), ``learned`` (a category of a merchant key), ``recurring`` (a cadence of a
    transaction id), ``note`` (by an id of its own). ``asked_at`` is when it was asked for: a later request replaces an
    earlier one, whatever the order in which they are executed.
    """

    household_id: str
    kind: str
    subject: str
    value: str
    set_by: str
    run_id: str
    attempt: int
    asked_at: datetime
    created_at: datetime
    approval_id: str | None = None
