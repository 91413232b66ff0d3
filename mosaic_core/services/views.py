"""What the API answers, as pydantic models: the one place where these shapes are written (OpenAPI is made from them).

camelCase outside; times are UTC with ``Z``; a field that does not apply is null, never absent.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from mosaic_core.domain.assignment import Assignee
from mosaic_core.domain.envelope import iso
from mosaic_core.domain.lifecycle import (
    ApprovalStatus,
    AttemptOutcome,
    CommandOrigin,
    DecisionOutcome,
    RunStatus,
    Severity,
    StageStatus,
)

type UtcTime = Annotated[
    datetime,
    PlainSerializer(iso, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
type Id = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="A GUID as 32 lower-case hex digits.")]


type Cursor = Annotated[
    str | None, Field(description="Goes on after this page, as `cursor` of the next request; null: there is no more.")
]


class View(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True, frozen=True)


class Accepted(View):
    """The command is recorded, and the broker has acknowledged it."""

    command_id: Id
    correlation_id: str
    conversation_id: Id | None
    command_type: str
    queue: str
    policy_disposition: str | None = Field(description="A hint; the worker decides again by itself.")
    queued_at_utc: UtcTime = Field(description="When the command was first recorded.")
    status: Literal["queued"] = "queued"


class StageView(View):
    """One step of one attempt."""

    attempt: int
    order: int
    name: str
    executor: str
    status: StageStatus
    confidence: float = Field(ge=0, le=1)
    outcome_code: str
    outcome_rationale: str
    started_at_utc: UtcTime
    completed_at_utc: UtcTime
    provenance: list[str] = Field(description="Transaction ids; the first 50 of them where many runs are listed.")


class Provenance(View):
    """Where an outcome comes from: who answered, how sure, out of which ledger rows."""

    agent_name: str | None
    agent_source: str | None
    note_summary: str | None
    confidence: float | None = Field(ge=0, le=1)
    rows: list[str] = Field(description="Transaction ids; the first 50 of them where many runs are listed.")
    row_count: int


class RunView(View):
    """One command's execution, whatever the number of attempts."""

    run_id: Id
    conversation_id: Id | None
    command_id: str
    command_type: str
    correlation_id: str
    queue: str
    status: RunStatus
    is_final: bool
    attempt: int
    attempt_outcome: AttemptOutcome | None
    failure_code: str | None
    failure_rationale: str | None
    next_attempt_at_utc: UtcTime | None
    replay_of_command_id: str | None
    policy_version: str
    created_at_utc: UtcTime
    last_modified_at_utc: UtcTime
    completed_at_utc: UtcTime | None
    latest_stage: StageView | None = Field(description="The last stage of the current attempt.")
    provenance: Provenance
    pending_approval_ids: list[Id]
    assignment_hint: Assignee | None = Field(description="Who should look at it next; null where nobody needs to.")


class ActionView(View):
    """The exact action that an approval is bound to: its hash is ``actionHash``. A request in words has the name
    ``request`` and the text as its argument."""

    name: str
    arguments: dict[str, Any]


class DraftView(View):
    """What a person sends or does by hand. The system has done nothing of it."""

    kind: str
    recipient: str | None
    channel: str | None
    subject: str | None
    body: str
    instruction: str


class ApprovalView(View):
    """An action that waits, or waited, for a person's word."""

    approval_id: Id
    conversation_id: Id
    run_id: Id
    command_id: str
    requested_by: str
    action_kind: str
    action_summary: str
    action_hash: str
    policy_version: str
    status: ApprovalStatus = Field(description="A pending approval past its expiry reads as expired.")
    created_at_utc: UtcTime
    expires_at_utc: UtcTime
    decided_at_utc: UtcTime | None
    decided_by: str | None
    decision_run_id: str | None
    decision_rationale: str | None
    action: ActionView | None = Field(description="Null where the stored action is not the one that was asked for.")
    carried_out_at_utc: UtcTime | None = Field(description="When an approved action was applied, or drafted.")
    carried_out_as: str | None = Field(
        description="What applying it came to: `applied`, or how far a later choice stands against it."
    )
    draft: DraftView | None = Field(description="What an approval beyond the app's own reach came to.")


class SignalView(View):
    """Something that a person should know or decide."""

    signal_id: Id
    signal_code: str
    severity: Severity
    summary: str
    queue: str
    requires_human_review: bool
    attempt: int | None
    is_resolved: bool
    raised_at_utc: UtcTime
    resolved_at_utc: UtcTime | None
    resolved_by: str | None
    resolution_note: str | None


class DecisionView(View):
    """A decision that the policy or a person took."""

    decision_id: Id
    actor: str
    action: str
    outcome: DecisionOutcome
    reason_code: str
    rationale: str
    policy_version: str
    confidence: float = Field(ge=0, le=1)
    decided_at_utc: UtcTime
    approval_id: str | None


class ConversationStream(View):
    """A conversation's newest runs, newest command first. To follow it, ask again with ``sinceUtc`` a minute before
    ``asOfUtc``: the clocks of API and workers differ a little, and a run that comes twice does no harm."""

    conversation_id: Id
    as_of_utc: UtcTime = Field(description="When this answer was read; changes after it are not in it.")
    runs: list[RunView]
    pending_approvals: list[ApprovalView] = Field(description="Of the newest 200 that pend in the household.")
    next_cursor: Cursor


class RunDetail(View):
    """One run with everything that was recorded of it."""

    run: RunView
    stages: list[StageView] = Field(description="By attempt and order.")
    signals: list[SignalView]
    decisions: list[DecisionView]


class ApprovalList(View):
    """The household's approvals, newest first."""

    approvals: list[ApprovalView]
    next_cursor: Cursor


class SentTransaction(View):
    """One line of a batch as its source reported it; ``amount`` is decimal text, negative = money out."""

    transaction_id: str
    posted_on: date
    amount: str
    currency: str
    description: str
    merchant_name: str | None


class SentBatch(View):
    """What a producer sent past the API, with what it claimed of itself."""

    correlation_id: str
    created_at_utc: UtcTime = Field(description="As the message says; the run goes by when it was recorded.")
    source: str
    account_id: str
    batch_id: str
    transactions_blob: str | None = Field(description="Where the lines are, if they are not in the message.")
    transaction_count: int | None = Field(description="Of the lines in the message; null where they are in a blob.")
    transactions: list[SentTransaction] = Field(description="The first 50 of them.")


class CommandDetail(View):
    """A recorded command: who may have it executed, and since when."""

    command_id: Id
    command_type: str
    queue: str
    household_id: Id | None
    run_id: Id = Field(description="The run that it has, or will have.")
    origin: CommandOrigin = Field(description="`app`: by the API or a timer; `producer`: past the API.")
    subject: str | None = Field(description="Whose token it was; null where nobody called.")
    request_hash: str
    recorded_at_utc: UtcTime = Field(description="Of a producer's, when the broker took the message.")
    sent: SentBatch | None = Field(
        description="Of a producer's command, unless this version cannot read it; never of a household's own."
    )


class DependencyState(View):
    """``required``: without it the instance is not ready. ``reason`` is a code: of a dependency `unreachable`,
    `no_answer`, `no_token`, `forbidden` (a role is missing), `not_found`, `disabled`, `unusable`, `failed`; of a
    setting, file or package `setting_missing`, `setting_invalid`, `setting_unknown`, `setting_contradicts`,
    `setting_forbidden`, `file_invalid`, `package_missing`, `start_failed`. ``parts`` are the names of what it is about.
    """

    name: str
    state: Literal["up", "degraded", "down"]
    required: bool = True
    reason: str | None = None
    parts: list[str] = []


type ForOperators = Annotated[str | None, Field(description="For operators only.")]


class Health(View):
    """``dependencies`` is empty for liveness, which asks nobody. Which code answers is for operators only. An instance
    that could not be built is ``not_started``, and its dependencies are the settings, files and packages at fault."""

    status: Literal["live", "ready", "not_ready", "not_started"]
    version: ForOperators
    commit: ForOperators
    package_digest: ForOperators
    dependencies: list[DependencyState]
