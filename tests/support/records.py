"""Records of every kind, with every field set, to be changed by `dataclasses.replace`."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from mosaic_core.domain.lifecycle import (
    ApprovalStatus,
    AttemptOutcome,
    DecisionOutcome,
    KeyStatus,
    RunStatus,
    Severity,
    StageStatus,
)
from mosaic_core.domain.records import (
    Annotation,
    Approval,
    Command,
    Conversation,
    Decision,
    Key,
    Membership,
    Run,
    Signal,
    Stage,
    SweepProgress,
    Turn,
)
from mosaic_core.domain.transactions import Transaction

NOW = datetime(2026, 11, 24, 8, 30, 15, 123456, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
HASH = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

COMMAND = Command(
    command_id="c0000000000000000000000000000001",
    household_id="a11ce000000000000000000000000001",
    queue="runtime-agent-message-posted",
    command_type="agent_message_posted",
    request_hash=HASH,
    envelope='{"commandId":"c0000000000000000000000000000001","message":"wie viel für Café? 😀"}',
    recorded_at=NOW,
)
KEY = Key(
    queue="runtime-agent-message-posted",
    command_id="c0000000000000000000000000000001",
    request_hash=HASH,
    status=KeyStatus.COMPLETED,
    run_id="d0000000000000000000000000000001",
    correlation_id="agent:h:c:1",
    attempt=3,
    excused=1,
    owner_token="0123456789abcdef0123456789abcdef",
    lease_seconds=30,
    sequence_number=2**53 + 1,
    created_at=NOW,
    expires_at=NOW + timedelta(days=7),
    next_attempt_at=LATER,
    finalized_at=LATER,
    resolution_code="needs_review",
    resolution_rationale="done",
)
RUN = Run(
    run_id="d0000000000000000000000000000001",
    household_id="a11ce000000000000000000000000001",
    command_id="c0000000000000000000000000000001",
    command_type="agent_message_posted",
    correlation_id="agent:h:c:1",
    queue="runtime-agent-message-posted",
    policy_version="1",
    request_hash=HASH,
    status=RunStatus.NEEDS_REVIEW,
    is_final=True,
    attempt=3,
    created_at=NOW,
    last_modified_at=LATER,
    conversation_id="e0000000000000000000000000000001",
    attempt_outcome=AttemptOutcome.SUCCEEDED_REVIEW,
    failure_code="approval_required",
    failure_rationale="a person must decide",
    next_attempt_at=LATER,
    replay_of_command_id="c0000000000000000000000000000002",
    trace_parent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    agent_name="offline",
    agent_source="rules 1",
    agent_note_summary="12 transactions",
    completed_at=LATER,
)
STAGE = Stage(
    run_id="d0000000000000000000000000000001",
    command_id="c0000000000000000000000000000001",
    correlation_id="agent:h:c:1",
    queue="runtime-agent-message-posted",
    attempt=3,
    order=1,
    name="answer",
    executor="offline",
    status=StageStatus.SUCCEEDED,
    confidence=0.1,
    outcome_code="answered",
    outcome_rationale="12 transactions",
    started_at=NOW,
    completed_at=LATER,
    provenance=("t-1", 'a "quoted" id', "ü😀"),
)
SIGNAL = Signal(
    signal_id="f0000000000000000000000000000001",
    queue="runtime-nightly-anomaly-sweep",
    signal_code="duplicate_charge",
    severity=Severity.ERROR,
    summary="two charges",
    requires_human_review=True,
    raised_at=NOW,
    run_id="d0000000000000000000000000000001",
    command_id="c0000000000000000000000000000001",
    message_id="c0000000000000000000000000000001",
    correlation_id="sweep:h:20261123:c",
    household_id="a11ce000000000000000000000000001",
    attempt=1,
    is_resolved=True,
    resolved_at=LATER,
    resolved_by="recovered",
    resolution_note="attempt 2 succeeded",
)
APPROVAL = Approval(
    approval_id="b0000000000000000000000000000001",
    household_id="a11ce000000000000000000000000001",
    conversation_id="e0000000000000000000000000000001",
    run_id="d0000000000000000000000000000001",
    command_id="c0000000000000000000000000000001",
    requested_by="a11ce000000000000000000000000002",
    action_kind="transfer",
    action_summary="transfer 100 EUR",
    action_hash=HASH,
    policy_version="1",
    status=ApprovalStatus.APPROVED,
    created_at=NOW,
    expires_at=NOW + timedelta(hours=72),
    decided_at=LATER,
    decided_by="a11ce000000000000000000000000003",
    decision_run_id="d0000000000000000000000000000002",
    decision_rationale="fine",
)
CARRIED_OUT = replace(
    APPROVAL,
    action_json='{"action":"draft_message","arguments":{"body":"wir kündigen 😀","recipient":"gym"}}',
    batch="agent/a11ce000000000000000000000000001/9f86",
    carried_out_at=LATER,
    draft='{"body":"wir kündigen 😀"}',
)
CONVERSATION = Conversation(
    household_id="a11ce000000000000000000000000001",
    conversation_id="e0000000000000000000000000000001",
    turns=(
        Turn(
            turn_id="d0000000000000000000000000000001",
            run_id="d0000000000000000000000000000001",
            attempt=2,
            command_id="c0000000000000000000000000000001",
            created_at=NOW,
            question='wie viel für "Café"? 😀',
            answer="12 €\n",
            replies=("agent/a11ce0/1", "agent/a11ce0/2"),
        ),
        Turn(
            turn_id="d0000000000000000000000000000002",
            run_id="d0000000000000000000000000000003",
            attempt=1,
            command_id="c0000000000000000000000000000002",
            created_at=LATER,
            question="and?",
        ),
    ),
    run_id="d0000000000000000000000000000003",
    attempt=1,
    last_modified_at=LATER,
)
ANNOTATION = Annotation(
    household_id="a11ce000000000000000000000000001",
    kind="learned",
    subject="+blue bottle/é#",
    value="FOOD_AND_DRINK",
    set_by="a11ce000000000000000000000000002",
    run_id="d0000000000000000000000000000001",
    attempt=2,
    asked_at=NOW,
    created_at=LATER,
    approval_id="b0000000000000000000000000000001",
)
DECISION = Decision(
    decision_id="80000000000000000000000000000001",
    run_id="d0000000000000000000000000000001",
    household_id="a11ce000000000000000000000000001",
    actor="policy",
    action="transfer",
    outcome=DecisionOutcome.NEEDS_REVIEW,
    reason_code="high_impact",
    rationale="moves money",
    policy_version="1",
    confidence=1.0,
    decided_at=NOW,
    approval_id="b0000000000000000000000000000001",
)
MEMBERSHIP = Membership(
    subject="auth0|alice/ä?#",
    household_id="a11ce000000000000000000000000001",
    household_user_id="a11ce000000000000000000000000002",
    role="owner",
    status="active",
    created_at=NOW,
)
TRANSACTION = Transaction(
    transaction_id="2026/11#0001?",
    account_id="acc-1",
    posted_on=date(2026, 11, 23),
    amount=Decimal("-1234.50"),
    currency="EUR",
    description="SQ *BLUE BTL 0423 SF CA",
    merchant_name="Blue Bottle",
    category_hint="coffee",
    counterparty_account_id="acc-2",
    category="FOOD_AND_DRINK",
    category_confidence=0.93,
    category_source="lexicon 1",
)
PROGRESS = SweepProgress(completed_night="2026-11-22", current_night="2026-11-23", cursor="a11ce0")


def new_id() -> str:
    return uuid.uuid4().hex
