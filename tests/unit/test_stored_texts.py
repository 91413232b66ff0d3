"""Every text that is stored fits its property, and every row its table: what would not is refused at the door."""

from __future__ import annotations

import json
import types
from dataclasses import fields, replace
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from pydantic import ValidationError

from mosaic_core.adapters import record_rows
from mosaic_core.adapters.record_rows import PROPERTY_UNITS, utf16_length
from mosaic_core.adapters.tables.stores import ENVELOPE_UNITS
from mosaic_core.domain import conversation
from mosaic_core.domain.envelope import (
    GROWTH,
    AgentApprovalSubmitted,
    AgentMessagePosted,
    decode,
    normal_length,
)
from mosaic_core.domain.errors import InvalidEnvelopeError, StoredRowError
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.domain.policy import ImpactClass
from mosaic_core.domain.policy import approval as approvals
from mosaic_core.domain.policy.actions import LONGEST_ARGUMENTS, REQUEST, InvalidProposalError, validated
from mosaic_core.domain.policy.approval import Action
from mosaic_core.domain.records import (
    Annotation,
    Approval,
    Command,
    Decision,
    Key,
    LanePause,
    Membership,
    OutboxEntry,
    Run,
    Signal,
    Stage,
    SweepProgress,
    Turn,
)
from mosaic_core.domain.replay import Replay, ReplayClaim, ReplayState
from mosaic_core.domain.settlement import Complete
from mosaic_core.domain.text import normalise
from mosaic_core.domain.transactions import Transaction
from mosaic_core.lanes.conversation import ConversationLane
from mosaic_core.services.nightly import LEFT_BEHIND
from tests.support import records
from tests.support.agents import AnsweringAgent
from tests.support.api import CONVERSATION as API_CONVERSATION
from tests.support.api import ApiWorld
from tests.support.lanes import CONVERSATION, HOUSEHOLD, USER, Ended, LaneWorld
from tests.unit.test_lane_conversation import SpendingAgent

LETTERS = {
    "grows eighteenfold": "\ufdfa",
    "grows eightfold": "\ufdfb",
    "two units": "\U0001f4b8",
    "two units and folds": "\U0001d538",
    "quotes": '"',
    "backslashes": "\\",
    "private use": "\U000f0000",
    "folds in three": "\u0390",
}
ROW_BYTES = 1024 * 1024


def message(**changes: Any) -> dict[str, Any]:
    return {
        "householdId": HOUSEHOLD,
        "conversationId": CONVERSATION,
        "householdUserId": USER,
        "message": "hi",
    } | changes


def body(payload: dict[str, Any], kind: CommandType) -> bytes:
    return json.dumps(
        {
            "commandId": "c" * 32,
            "correlationId": "c",
            "commandType": kind,
            "createdAtUtc": "2026-11-24T09:00:00Z",
            "payload": payload,
        }
    ).encode()


def checked(row: dict[str, Any]) -> None:
    """What Table Storage would refuse of a row."""
    for name, value in row.items():
        if isinstance(value, str):
            assert utf16_length(value) <= PROPERTY_UNITS, name
            value.encode()
    assert sum(2 * utf16_length(name) + 2 * utf16_length(str(value)) + 8 for name, value in row.items()) < ROW_BYTES


# ------------------------------------------------------------------------------------------------------------ the door


@pytest.mark.parametrize(
    ("kind", "field", "limit"),
    [
        (CommandType.AGENT_MESSAGE_POSTED, "message", 2000),
        (CommandType.AGENT_MESSAGE_POSTED, "userNote", 600),
        (CommandType.AGENT_APPROVAL_SUBMITTED, "rationale", 500),
    ],
)
def test_a_text_whose_normal_form_is_too_long_is_no_envelope(kind: CommandType, field: str, limit: int) -> None:
    payload = message(approvalId="d" * 32, decision="Approve")
    most = GROWTH * limit // 18
    decode(body(payload | {field: "\ufdfa" * most}, kind), Lane.CONVERSATION)
    with pytest.raises(InvalidEnvelopeError) as refused:
        decode(body(payload | {field: "\ufdfa" * (most + 1)}, kind), Lane.CONVERSATION)
    assert f"payload.{field}" in refused.value.rationale
    assert f"longer than {GROWTH * limit} characters in its normal form" in refused.value.rationale


async def test_the_api_says_that_a_normal_form_is_too_long() -> None:
    world = await ApiWorld().with_members()
    path = f"/conversations/{API_CONVERSATION}/messages"
    answer = await world.post(path, {"message": "\ufdfa" * 1970, "userNote": "\ufdfa" * 67})
    assert answer.status == 400
    assert answer.json["error"]["code"] == "validation_failed"
    assert answer.json["error"]["details"] == [
        {"field": "message", "issue": "is longer than 4000 characters in its normal form (NFKC, case folded)"},
        {"field": "userNote", "issue": "is longer than 1200 characters in its normal form (NFKC, case folded)"},
    ]
    assert world.sender.sent == []
    assert (await world.post(path, {"message": "\ufdfa" * 222, "userNote": "\ufdfa" * 66})).status == 202


async def test_the_api_bounds_the_normal_form_of_a_rationale() -> None:
    world = await ApiWorld().with_members()
    answer = await world.post(
        f"/conversations/{API_CONVERSATION}/approvals/{'a' * 32}", {"decision": "Approve", "rationale": "\ufdfa" * 56}
    )
    assert (answer.status, answer.json["error"]["details"][0]["field"]) == (400, "rationale")


@pytest.mark.parametrize("text", ["plain", "ﷺ", "Straße", "𝔸😀", "ΐΐ", "한국어", "e\u0301", "İ"])
def test_no_form_that_is_stored_is_longer_than_the_normal_length(text: str) -> None:
    assert utf16_length(normalise(text)) <= normal_length(text)
    assert utf16_length(text.casefold()) <= max(normal_length(text), 3 * len(text))


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
async def test_whatever_the_door_lets_in_can_become_an_approval(letter: str) -> None:
    """The longest message and note of that letter that are taken, asking for something of high impact."""
    world = LaneWorld({Lane.CONVERSATION: ConversationLane(agent=AnsweringAgent(SpendingAgent()))})
    asks = "Send 900 dollars to my landlord. "

    def posted(times: int, noted: int) -> AgentMessagePosted:
        return AgentMessagePosted.model_validate(message(message=asks + letter * times, userNote=letter * noted))

    payload, times, noted = posted(1, 1), 2000 - len(asks), 600
    while True:
        try:
            payload = posted(times, noted)
            break
        except ValidationError:
            times, noted = int(times * 0.95), int(noted * 0.95)
    ended: Ended = await world.deliver(Lane.CONVERSATION, world.command(CommandType.AGENT_MESSAGE_POSTED, payload))
    assert isinstance(ended.settlement, Complete)
    assert ended.run.failure_code == "approval_required"
    (approval,) = await world.stores.approvals.of_household(HOUSEHOLD, None)
    action = approvals.stored_action(approval)
    assert action is not None
    draft = json.dumps(approvals.draft(action, approval.action_kind), ensure_ascii=False)
    checked(record_rows.APPROVAL.encode(replace(approval, draft=draft, decision_rationale="\U0001f600" * 500)))


# --------------------------------------------------------------------------------------------------------------- drafts


def _proposed(letter: str) -> list[tuple[str, dict[str, Any]]]:
    """Arguments as long as they may be, in every place of which a draft makes a text."""
    found: list[tuple[str, dict[str, Any]]] = []
    for make in (
        lambda text: {"to": text},
        lambda text: {"account": [text]},
        lambda text: {"payee": {"name": [[text]]}},
        lambda text: {text: 1},
        lambda text: {"items": [text[:1]] * (len(text) // 6)},
    ):
        for times in (8000, 4000, 2700, 1300, 440):
            try:
                arguments = validated("wire_money", make(letter * times))
            except InvalidProposalError:
                continue
            found.append(("wire_money", arguments))
            break
    found.append(("draft_message", {"recipient": letter * 200, "body": letter * 2000, "subject": letter * 200}))
    found.append((REQUEST, {"message": (letter * 4000)[:4000], "note": letter * 1200}))
    return found


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_the_draft_of_every_action_fits_its_property(letter: str) -> None:
    for name, arguments in _proposed(letter):
        action = Action(name, arguments)
        draft = json.dumps(approvals.draft(action, ImpactClass.MONEY_MOVEMENT.value), ensure_ascii=False)
        summary = approvals.summary(action, ImpactClass.MONEY_MOVEMENT)
        row = replace(records.APPROVAL, action_json=action.json, draft=draft, action_summary=summary)
        checked(record_rows.APPROVAL.encode(row))


# -------------------------------------------------------------------------------------------------------- conversations


@pytest.mark.parametrize("letter", [*LETTERS.values(), "\x00", "\ud800", "\x85"])
def test_a_conversation_of_the_longest_exchanges_fits_its_property(letter: str) -> None:
    state = None
    for number in range(conversation.KEPT_TURNS + 2):
        turn = replace(
            records.CONVERSATION.turns[0],
            turn_id=f"{number:032x}",
            question=letter * 4000,
            answer=letter * 100_000,
            replies=tuple(f"agent/{HOUSEHOLD}/turn/{number:032x}/reply-{n}" for n in range(3)),
        )
        _, landed = conversation.land(
            state, turn, household_id=HOUSEHOLD, conversation_id=CONVERSATION, now=records.NOW
        )
        state = landed or state
        assert state is not None
        row = record_rows.encode_conversation(state)
        checked(row)
        assert record_rows.decode_conversation(row).turns[-1].turn_id == turn.turn_id


# ------------------------------------------------------------------------------------------------------------ all texts

GUID, LINE, SENTENCE = 32, 120, 500
QUEUE = 260
MAXIMA: dict[type[Any], dict[str, int]] = {
    # Longest values in characters, of two units each. Ids and hashes are ours; a line of an envelope has at most 120
    # characters, a code 120, a rationale 500. What else there is says where it is cut.
    Command: {
        "command_id": GUID,
        "household_id": GUID,
        "queue": QUEUE,
        "command_type": LINE,
        "request_hash": 64,
        "envelope": ENVELOPE_UNITS // 2,  # what is longer lies in a blob
        "subject": 2000,
    },
    Key: {
        "queue": QUEUE,
        "command_id": GUID,
        "request_hash": 64,
        "run_id": GUID,
        "correlation_id": LINE,
        "owner_token": GUID,
        "cancel_reason": SENTENCE,
        "resolution_code": 120,
        "resolution_rationale": SENTENCE,
    },
    LanePause: {"changed_by": 120, "reason": SENTENCE},
    Replay: {
        "replay_id": GUID,
        "queue": QUEUE,
        "reason": SENTENCE,
        "requested_by": 2000,
        "root_cause": SENTENCE,
        "edit_blob": LINE,
        "holder": GUID,
    },
    ReplayClaim: {"queue": QUEUE, "command_id": GUID, "new_command_id": GUID, "replay_id": GUID},
    Run: {
        "run_id": GUID,
        "household_id": GUID,
        "command_id": GUID,
        "command_type": LINE,
        "correlation_id": LINE,
        "queue": QUEUE,
        "policy_version": 80,
        "request_hash": 64,
        "conversation_id": GUID,
        "failure_code": 120,
        "failure_rationale": SENTENCE,
        "replay_of_command_id": GUID,
        "trace_parent": 55,
        "agent_name": 120,
        "agent_source": 120,
        "agent_note_summary": 600,
    },
    Stage: {
        "run_id": GUID,
        "command_id": GUID,
        "correlation_id": LINE,
        "queue": QUEUE,
        "name": 120,
        "executor": 120,
        "outcome_code": 120,
        "outcome_rationale": SENTENCE,
    },
    Signal: {
        "signal_id": GUID,
        "queue": QUEUE,
        "signal_code": 120,
        "summary": 200,
        "run_id": GUID,
        "command_id": GUID,
        "message_id": 200,
        "correlation_id": LINE,
        "household_id": GUID,
        "resolved_by": 120,
        "resolution_note": SENTENCE,
    },
    Approval: {
        "approval_id": GUID,
        "household_id": GUID,
        "conversation_id": GUID,
        "run_id": GUID,
        "command_id": GUID,
        "requested_by": GUID,
        "action_kind": 120,
        "action_summary": 200,
        "action_hash": 64,
        "policy_version": 80,
        "decided_by": 120,
        "decision_run_id": GUID,
        "decision_rationale": 500,
        "action_json": LONGEST_ARGUMENTS + 2500,  # a request: 4,000 and 1,200 units, each may be escaped
        "batch": 200,
        "carried_out_as": 300,
        "draft": PROPERTY_UNITS // 2,  # see the tests of drafts above
        "turn_id": GUID,
        "requested_by_subject": 2000,
        "decided_by_subject": 2000,
    },
    Decision: {
        "decision_id": GUID,
        "run_id": GUID,
        "household_id": GUID,
        "actor": 120,
        "action": 120,
        "reason_code": 120,
        "rationale": SENTENCE,
        "policy_version": 80,
        "approval_id": GUID,
    },
    Membership: {
        "subject": 2000,
        "household_id": GUID,
        "household_user_id": GUID,
        "role": 120,
        "status": 120,
        "source": LINE,
    },
    OutboxEntry: {"entry_id": GUID, "command_id": GUID, "queue": QUEUE},
    Annotation: {
        "household_id": GUID,
        "kind": 20,
        "subject": 400,  # a transaction's id, or a merchant's words
        "value": LONGEST_ARGUMENTS,
        "set_by": 120,
        "run_id": GUID,
        "approval_id": GUID,
    },
    Transaction: {
        "transaction_id": 200,
        "account_id": LINE,
        "currency": 3,
        "description": 200,
        "merchant_name": 200,
        "category_hint": 120,
        "counterparty_account_id": 120,
        "category": 40,
        "category_source": 120,
    },
}
SAMPLES: dict[type[Any], Any] = {type(value): value for value in vars(records).values() if type(value) in MAXIMA} | {
    OutboxEntry: OutboxEntry(entry_id="e", command_id="c", queue="q", announced_at=records.NOW, due_at=records.NOW),
    LanePause: LanePause(lane=Lane.SWEEP, is_paused=True, changed_by="ada", reason="r", changed_at=records.NOW),
    Replay: Replay(
        replay_id="r",
        lane=Lane.SWEEP,
        queue="q",
        state=ReplayState.RUNNING,
        total=1,
        rate=1,
        force=False,
        reason="r",
        requested_by="ada",
        created_at=records.NOW,
        updated_at=records.NOW,
    ),
    ReplayClaim: ReplayClaim(
        queue="q", command_id="c", generation=1, new_command_id="n", replay_id="r", claimed_at=records.NOW
    ),
}
CODECS: dict[type[Any], Any] = {
    LanePause: record_rows.LANE_PAUSE.encode,
    Replay: record_rows.REPLAY.encode,
    ReplayClaim: record_rows.REPLAY_CLAIM.encode,
    Command: record_rows.COMMAND.encode,
    Key: record_rows.encode_key,
    Run: record_rows.encode_run,
    Stage: record_rows.encode_stage,
    Signal: record_rows.SIGNAL.encode,
    Approval: record_rows.APPROVAL.encode,
    Decision: record_rows.DECISION.encode,
    Membership: record_rows.MEMBERSHIP.encode,
    OutboxEntry: record_rows.OUTBOX_ENTRY.encode,
    Annotation: record_rows.ANNOTATION.encode,
    Transaction: record_rows.TRANSACTION.encode,
}


def _texts(record: type[Any]) -> set[str]:
    """The fields that are any text: no enum, no number, no time."""
    found = set()
    for name, hint in get_type_hints(record).items():
        parts = get_args(hint) if get_origin(hint) in {types.UnionType} else (hint,)
        if str in parts:
            found.add(name)
    return found & {field.name for field in fields(record)}


@pytest.mark.parametrize("record", MAXIMA, ids=lambda record: record.__name__)
def test_every_text_has_a_maximum_that_fits_its_property(record: type[Any]) -> None:
    assert MAXIMA[record].keys() == _texts(record), "a new text needs a maximum here, and whoever makes it a bound"
    longest = {name: "\U0001f600" * length for name, length in MAXIMA[record].items()}
    checked(CODECS[record](replace(SAMPLES[record], **longest)))


def test_every_kind_of_row_is_looked_at() -> None:
    held = {
        name
        for name, value in vars(record_rows).items()
        if isinstance(value, record_rows.Codec) and not name.startswith("_")
    }
    looked_at = {"COMMAND", "KEY", "RUN", "STAGE", "SIGNAL", "APPROVAL", "DECISION", "MEMBERSHIP", "TRANSACTION"}
    looked_at |= {"OUTBOX_ENTRY", "ANNOTATION", "LANE_PAUSE", "REPLAY", "REPLAY_CLAIM"}
    assert held == looked_at | {"SWEEP_PROGRESS", "TURN", "ALLOWANCE"}
    assert {Turn, SweepProgress}.isdisjoint(MAXIMA), "they have tests of their own"


def test_the_nights_exceptions_fit_their_property() -> None:
    left = tuple(f"20261124:{number:032x}" for number in range(LEFT_BEHIND))
    checked(record_rows.SWEEP_PROGRESS.encode(SweepProgress(completed_night="20261124", left_behind=left)))


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS)
def test_rows_that_a_stage_or_a_finding_names_are_cut_to_what_fits(letter: str) -> None:
    named = tuple(f"{number}{letter * 190}" for number in range(100_000))
    checked(record_rows.encode_stage(replace(records.STAGE, provenance=named)))
    checked(record_rows.encode_finding("f" * 32, named))


def test_what_no_property_holds_is_refused_in_memory_as_on_table_storage() -> None:
    with pytest.raises(StoredRowError, match="Draft"):
        record_rows.APPROVAL.encode(replace(records.APPROVAL, draft="x" * (PROPERTY_UNITS + 1)))
    record_rows.APPROVAL.encode(replace(records.APPROVAL, draft="x" * PROPERTY_UNITS))


def test_half_of_a_surrogate_pair_in_a_models_text_is_stored_as_something_that_can_be_sent() -> None:
    checked(record_rows.RUN.encode(replace(records.RUN, agent_note_summary="\ud800 and more")))


def test_a_decision_with_the_longest_rationale_is_decoded() -> None:
    payload = message(approvalId="d" * 32, decision="Reject", rationale="\U0001f600" * 500)
    envelope = decode(body(payload, CommandType.AGENT_APPROVAL_SUBMITTED), Lane.CONVERSATION)
    assert isinstance(envelope.payload, AgentApprovalSubmitted)
