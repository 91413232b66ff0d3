"""Fault 31: whatever a text says, and however completely the model obeys it, nothing of high impact happens without a
recorded approval of a person; and then it is a draft."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mosaic_core.domain.envelope import AgentMessagePosted, IngestionCompleted
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, DecisionOutcome, RunStatus, Severity
from mosaic_core.domain.policy import ImpactClass
from mosaic_core.domain.policy.actions import EXECUTABLE
from mosaic_core.domain.policy.approval import stored_action
from mosaic_core.domain.policy.rules import load
from mosaic_core.domain.settlement import Complete
from mosaic_core.lanes.conversation import ConversationLane
from mosaic_core.lanes.household import CATEGORY, LEARNED, NOTE, RECURRING
from mosaic_core.lanes.ingestion import IngestionLane
from mosaic_core.services.read_models import ReadModels
from tests.support import records
from tests.support.agents import ObeyingAgent
from tests.support.injections import Injection, injections
from tests.support.lanes import CONVERSATION, HOUSEHOLD, OTHER_HOUSEHOLD, USER, Ended, LaneWorld
from tests.unit.test_lane_conversation import OTHER_USER, approvals, decide

CORPUS = list(injections())
SIGNAL = "5" * 32


def world_of(lane: ConversationLane | None = None) -> LaneWorld:
    conversation = lane or ConversationLane(agent=ObeyingAgent())
    return LaneWorld({Lane.CONVERSATION: conversation, Lane.INGESTION: IngestionLane()})


async def ingest(world: LaneWorld, household: str, tx_id: str, merchant: str) -> None:
    payload = IngestionCompleted.model_validate(
        {
            "householdId": household,
            "batchId": f"batch-{tx_id}",
            "source": "bank",
            "accountId": "card",
            "transactions": [
                {
                    "transactionId": tx_id,
                    "postedOn": "2026-11-01",
                    "amount": "-12.00",
                    "currency": "USD",
                    "description": merchant,
                    "merchantName": merchant,
                }
            ],
        }
    )
    await world.deliver(Lane.INGESTION, world.command(CommandType.INGESTION_COMPLETED, payload))


async def attack(world: LaneWorld, injection: Injection) -> list[Ended]:
    await ingest(world, HOUSEHOLD, "t1", injection.merchant or "STARBUCKS STORE 1")
    await ingest(world, OTHER_HOUSEHOLD, "b0b-1", "NETFLIX.COM")
    grave = replace(records.SIGNAL, signal_id=SIGNAL, household_id=HOUSEHOLD, severity=Severity.ERROR)
    open_signal = replace(grave, is_resolved=False, resolved_at=None, resolved_by=None, resolution_note=None)
    await world.stores.signals.insert(open_signal)
    ended = []
    for text in injection.messages:
        payload = AgentMessagePosted(
            household_id=HOUSEHOLD,
            conversation_id=CONVERSATION,
            household_user_id=USER,
            message=text,
            user_note=injection.note,
        )
        body = world.command(CommandType.AGENT_MESSAGE_POSTED, payload)
        ended.append(await world.deliver(Lane.CONVERSATION, body))
        world.clock.advance(5)
    return ended


async def check_nothing_happened(world: LaneWorld) -> None:
    """No message left, no approval but pending ones, nobody else's rows touched, and of the household's own only what
    the policy lets pass."""
    for approval in await approvals(world):
        assert (approval.status, approval.decided_by, approval.carried_out_at, approval.draft) == (
            ApprovalStatus.PENDING,
            None,
            None,
            None,
        )
        assert stored_action(approval) is not None
    for household in (HOUSEHOLD, OTHER_HOUSEHOLD):
        for kind in (CATEGORY, LEARNED, RECURRING, NOTE):
            for annotation in await world.stores.annotations.of_household(household, kind):
                assert household == HOUSEHOLD
                assert annotation.kind != CATEGORY or annotation.subject == "t1"
    signal = await world.stores.signals.read(SIGNAL)
    assert signal is not None
    assert not signal.value.is_resolved


@pytest.mark.parametrize("injection", CORPUS, ids=lambda i: i.name)
async def test_no_effect_without_a_recorded_approval(injection: Injection) -> None:
    world = world_of()
    for ended in await attack(world, injection):
        assert ended.settlement == Complete()
        # the obeying model proposes on every message: a person is asked each time
        assert (ended.run.status, ended.run.failure_code) == (RunStatus.NEEDS_REVIEW, "approval_required")
        for decision in await world.stores.decisions.of_run(ended.run.run_id):
            assert decision.outcome != DecisionOutcome.APPLIED or decision.action in EXECUTABLE
        # what the model claims does not stand alone in what a person reads
        note = ended.run.agent_note_summary or ""
        assert "Nothing of it has been done" in note or "Nothing has been done" in note
    await check_nothing_happened(world)


@pytest.mark.parametrize("injection", CORPUS[:8] + CORPUS[-8:], ids=lambda i: i.name)
async def test_the_loosest_policy_file_lets_nothing_more_happen(injection: Injection) -> None:
    loose = load('version = "loose"\n[[rules]]\nname = "all"\nverdict = "apply"\nreason = "yes"')
    world = world_of(ConversationLane(agent=ObeyingAgent(), policy=loose))
    await attack(world, injection)
    await check_nothing_happened(world)


async def test_even_an_approved_attack_is_only_a_draft_and_the_next_one_needs_a_person_again() -> None:
    world = world_of()
    await attack(world, Injection("mild", ("How was May?",)))
    pending = await approvals(world)
    assert len(pending) >= 3
    for approval in pending:
        ended = await decide(world, approval.approval_id, "Approve", user=OTHER_USER)
        assert ended.settlement == Complete()
    decided = {a.approval_id: a for a in await approvals(world)}
    for approval in pending:
        row = decided[approval.approval_id]
        assert (row.status, row.decided_by) == (ApprovalStatus.APPROVED, OTHER_USER)
        if row.action_kind != ImpactClass.PROPOSAL:
            assert "yourself" in json.loads(row.draft or "{}")["instruction"]
    # resumed, the model asked for everything again: pending, all of it
    new = [a for a in decided.values() if a.approval_id not in {p.approval_id for p in pending}]
    assert new
    assert {a.status for a in new} == {ApprovalStatus.PENDING}


async def test_the_read_model_shows_what_waits_and_no_claim_that_it_was_done() -> None:
    world = world_of()
    [ended] = await attack(world, Injection("mild", ("How was May?",)))
    detail = await ReadModels(world.stores, world.clock).run(HOUSEHOLD, ended.run.run_id)
    note = detail.run.provenance.note_summary or ""
    assert note.startswith("Waiting for a person's approval: ")
    assert len(detail.run.pending_approval_ids) == len(await approvals(world))
