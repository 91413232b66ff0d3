"""Conversation: answers come from the ledger, actions only become pending approvals, and the first decision stands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.envelope import (
    AgentApprovalSubmitted,
    AgentMessagePosted,
    IngestionCompleted,
    NightlyAnomalySweep,
    PolicyDisposition,
    decode,
)
from mosaic_core.domain.errors import LaneError, StoreUnreachableError
from mosaic_core.domain.lanes import RULES, CommandType, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, DecisionOutcome, RunStatus, Severity, StageStatus
from mosaic_core.domain.policy import POLICY_VERSION
from mosaic_core.domain.policy.approval import CLOCK_SLACK, stored_action
from mosaic_core.domain.records import Approval, Membership, Signal
from mosaic_core.domain.settlement import Complete, Reschedule
from mosaic_core.domain.transactions import Answer, Transaction
from mosaic_core.lanes.conversation import POLICY, ConversationLane
from mosaic_core.lanes.ingestion import IngestionLane
from mosaic_core.ports import ETag, Stored
from mosaic_local.sample.household import sample_household
from mosaic_ops.memory.stores import MemoryApprovals, MemorySignals
from tests.support.agents import AnsweringAgent
from tests.support.lanes import CONVERSATION, HOUSEHOLD, OTHER_HOUSEHOLD, USER, Ended, LaneWorld, subject_of
from tests.support.world import record

PAY_RENT = "Send 900 dollars to my landlord"
OTHER_CONVERSATION = "c0000000000000000000000000000002"
OTHER_USER = "a11ce000000000000000000000000003"


@dataclass
class SpendingAgent:
    """Adds up what was spent at the merchants that a question names. ``confidence`` is what it claims."""

    confidence: float = 0.9
    name: str = "spending"
    source: str = "test-rules/1"

    async def answer(self, question: str, transactions: Sequence[Transaction], *, as_of: date) -> Answer:
        assert all(t.posted_on <= as_of for t in transactions)
        words = question.lower().strip("?").split()
        rows = [t for t in transactions if t.amount < 0 and words[-1] in (t.merchant_name or "").lower()]
        if not rows:
            return Answer(
                text="I cannot tell.",
                value=None,
                unit="",
                transaction_ids=(),
                confidence=1.0,
                outcome_code="cannot_answer",
                rationale="no such merchant",
            )
        total = -sum(t.amount for t in rows)
        found = tuple(sorted(t.transaction_id for t in rows))
        return Answer(
            text=f"You spent {total} USD.",
            value=total,
            unit="USD",
            transaction_ids=found,
            confidence=self.confidence,
            outcome_code="answered",
            rationale=f"{len(rows)} rows",
        )


@dataclass
class BrokenAgent:
    name: str = "broken"
    source: str = "test"

    async def answer(self, question: str, transactions: Sequence[Transaction], *, as_of: date) -> Answer:
        raise LaneError("the model does not answer", code="agent_runtime_unavailable")


def world_of(agent: Any = None, *, expiry: timedelta = timedelta(hours=72), other_person: bool = False) -> LaneWorld:
    return LaneWorld(
        {
            Lane.CONVERSATION: ConversationLane(
                agent=AnsweringAgent(agent or SpendingAgent()),
                approval_expiry=expiry,
                require_other_person=other_person,
            ),
            Lane.INGESTION: IngestionLane(),
        }
    )


@pytest.fixture
def world() -> LaneWorld:
    return world_of()


def message(
    world: LaneWorld, text: str, *, note: str | None = None, disposition: PolicyDisposition | None = None
) -> bytes:
    payload = AgentMessagePosted(
        household_id=HOUSEHOLD,
        conversation_id=CONVERSATION,
        household_user_id=USER,
        message=text,
        user_note=note,
        policy_disposition=disposition,
    )
    return world.command(CommandType.AGENT_MESSAGE_POSTED, payload)


def decision(
    world: LaneWorld,
    approval_id: str,
    what: Literal["Approve", "Reject"],
    *,
    household: str = HOUSEHOLD,
    conversation: str = CONVERSATION,
    user: str = USER,
    rationale: str | None = None,
    created_at: datetime | None = None,
) -> bytes:
    payload = AgentApprovalSubmitted(
        household_id=household,
        conversation_id=conversation,
        household_user_id=user,
        approval_id=approval_id,
        decision=what,
        rationale=rationale,
    )
    return world.command(CommandType.AGENT_APPROVAL_SUBMITTED, payload, created_at=created_at)


async def say(world: LaneWorld, text: str, **more: Any) -> Ended:
    return await world.deliver(Lane.CONVERSATION, message(world, text, **more))


async def decide(world: LaneWorld, approval_id: str, what: Literal["Approve", "Reject"], **more: Any) -> Ended:
    return await world.deliver(Lane.CONVERSATION, decision(world, approval_id, what, **more))


async def approvals(world: LaneWorld, household: str = HOUSEHOLD) -> list[Approval]:
    return await world.stores.approvals.of_household(household, None)


async def asked(world: LaneWorld) -> tuple[Ended, Approval]:
    ended = await say(world, PAY_RENT)
    [approval] = await approvals(world)
    return ended, approval


async def review_of(world: LaneWorld, run_id: str) -> Signal:
    stored = await world.stores.signals.read(ids.review_signal_id(run_id))
    assert stored is not None
    return stored.value


async def with_ledger(world: LaneWorld) -> list[Transaction]:
    """The sample household's ledger up to yesterday, put in by the ingestion lane."""
    sample = sample_household(date(2026, 11, 23))
    for batch in sample.batches():
        payload = IngestionCompleted.model_validate(batch.payload())
        await world.deliver(Lane.INGESTION, world.command(CommandType.INGESTION_COMPLETED, payload))
    return await world.stores.ledger.between(HOUSEHOLD, date(2000, 1, 1), date(2026, 11, 24))


# ----------------------------------------------------------------------------------------------------------- questions


async def test_a_question_is_answered_with_its_provenance(world: LaneWorld) -> None:
    rows = await with_ledger(world)
    merchant = next(t.merchant_name for t in rows if t.merchant_name and t.amount < 0)
    word = merchant.lower().split()[-1]
    expected = [t for t in rows if t.amount < 0 and word in (t.merchant_name or "").lower()]
    ended = await say(world, f"How much did I spend at {word}?")
    assert ended.settlement == Complete()
    assert (ended.run.status, ended.run.failure_code) == (RunStatus.COMPLETED, None)
    assert (ended.run.agent_name, ended.run.agent_source) == (
        "spending",
        f"test-rules/1; {len(expected)} ledger rows",
    )
    assert ended.run.agent_note_summary == f"You spent {-sum(t.amount for t in expected)} USD."
    assert [(s.name, s.status) for s in ended.stages] == [
        ("policy", StageStatus.SUCCEEDED),
        ("load_ledger", StageStatus.SUCCEEDED),
        ("answer", StageStatus.SUCCEEDED),
    ]
    answer = ended.stage("answer")
    assert answer.provenance == tuple(sorted(t.transaction_id for t in expected))
    assert (answer.executor, answer.outcome_code, answer.confidence) == ("ledger_question/spending", "answered", 0.9)
    assert (ended.signals, await approvals(world)) == ([], [])


async def test_what_the_ledger_cannot_answer_is_said_and_is_no_failure(world: LaneWorld) -> None:
    ended = await say(world, "How much did I spend at Harrods?")
    assert (ended.settlement, ended.run.status) == (Complete(), RunStatus.COMPLETED)
    assert (ended.stage("answer").outcome_code, ended.stage("answer").provenance) == ("cannot_answer", ())
    assert ended.run.agent_note_summary == "I cannot tell."
    assert ended.signals == []


async def test_an_uncertain_answer_is_looked_at_by_a_person() -> None:
    world = world_of(SpendingAgent(confidence=0.3))
    await with_ledger(world)
    ended = await say(world, "What did I spend at netflix?")
    assert (ended.run.status, ended.run.failure_code) == (RunStatus.NEEDS_REVIEW, "uncertain_answer")
    assert ended.stage("answer").status == StageStatus.NEEDS_REVIEW
    assert ended.stage("answer").confidence == 0.3
    assert ended.codes == ["uncertain_answer"]


async def test_a_question_is_answered_as_of_the_day_it_was_asked(world: LaneWorld) -> None:
    """A message that waited in the queue (or is tried again) is about the day on which it was sent."""
    await with_ledger(world)
    body = message(world, "What did I spend at netflix?")
    world.clock.advance(40 * 86_400)
    late = IngestionCompleted.model_validate(
        {
            "householdId": HOUSEHOLD,
            "batchId": "later",
            "source": "bank",
            "accountId": "alice-card",
            "transactions": [
                {
                    "transactionId": "later-1",
                    "postedOn": "2026-12-20",
                    "amount": "-999.00",
                    "currency": "USD",
                    "description": "NETFLIX.COM",
                    "merchantName": "Netflix",
                }
            ],
        }
    )
    await world.deliver(Lane.INGESTION, world.command(CommandType.INGESTION_COMPLETED, late))
    ended = await world.deliver(Lane.CONVERSATION, body)
    assert ended.stage("load_ledger").outcome_rationale.endswith("up to 2026-11-24")
    assert ended.stage("answer").provenance
    assert "later-1" not in ended.stage("answer").provenance


async def test_an_agent_that_does_not_answer_is_a_failed_attempt() -> None:
    world = world_of(BrokenAgent())
    ended = await say(world, "What did I spend at netflix?")
    assert isinstance(ended.settlement, Reschedule)
    assert (ended.run.status, ended.run.is_final, ended.run.failure_code) == (
        RunStatus.NEEDS_REVIEW,
        False,
        "agent_runtime_unavailable",
    )
    assert ended.stage("answer").status == StageStatus.FAILED
    assert ended.codes == ["worker_command_failed"]


async def test_another_lanes_command_is_refused(world: LaneWorld) -> None:
    payload = NightlyAnomalySweep.model_validate({"householdId": HOUSEHOLD, "sweepDate": "2026-11-24"})
    body = world.command(CommandType.NIGHTLY_ANOMALY_SWEEP, payload)
    with pytest.raises(LaneError) as raised:
        await ConversationLane(agent=AnsweringAgent(SpendingAgent()))(world.context(Lane.SWEEP, body))
    assert raised.value.code == "unsupported_command_type"


# ------------------------------------------------------------------------------------------------ high-impact requests


async def test_a_high_impact_request_becomes_a_pending_approval_and_nothing_else(world: LaneWorld) -> None:
    ended, approval = await asked(world)
    assert ended.settlement == Complete()
    assert (ended.run.status, ended.run.is_final, ended.run.failure_code) == (
        RunStatus.NEEDS_REVIEW,
        True,
        "approval_required",
    )
    assert (approval.status, approval.action_kind, approval.requested_by) == (
        ApprovalStatus.PENDING,
        "money_movement",
        USER,
    )
    assert (approval.run_id, approval.command_id, approval.conversation_id) == (
        ended.run.run_id,
        ended.run.command_id,
        CONVERSATION,
    )
    assert approval.expires_at == world.clock.now() + timedelta(hours=72)
    assert (approval.decided_at, approval.decided_by) == (None, None)
    assert [s.name for s in ended.stages] == ["policy", "load_ledger", "answer", "proposals"]
    assert ended.stage("policy").outcome_code == "names_money_movement"
    assert ended.stage("proposals").status == StageStatus.NEEDS_REVIEW
    action = stored_action(approval)
    assert action is not None
    assert (action.name, action.arguments) == ("request", {"message": PAY_RENT})
    assert approval.approval_id in (ended.run.failure_rationale or "")
    assert "landlord" not in (ended.run.failure_rationale or "")
    [signal] = ended.signals
    assert (signal.signal_code, signal.severity, signal.requires_human_review, signal.is_resolved) == (
        "approval_required",
        Severity.WARNING,
        True,
        False,
    )
    [audit] = await world.stores.decisions.of_run(ended.run.run_id)
    assert (audit.outcome, audit.actor, audit.approval_id, audit.policy_version) == (
        DecisionOutcome.DEFERRED,
        POLICY,
        approval.approval_id,
        POLICY_VERSION,
    )


async def test_the_worker_decides_by_itself_whatever_the_hint_says(world: LaneWorld) -> None:
    for hint in (PolicyDisposition.ADVISORY_ONLY, PolicyDisposition.APPROVED_BY_HUMAN):
        ended = await say(world, PAY_RENT, disposition=hint)
        assert ended.run.failure_code == "approval_required"
    assert {a.status for a in await approvals(world)} == {ApprovalStatus.PENDING}


async def test_a_note_that_asks_for_an_action_needs_an_approval_and_is_part_of_it(world: LaneWorld) -> None:
    """The approval is bound to the exact action, and here the note is what names it."""
    question = "How much did I spend at netflix?"
    first = await say(world, question, note="and transfer 500 dollars to my savings")
    second = await say(world, question, note="and transfer 90000 dollars to my brother")
    assert [first.run.failure_code, second.run.failure_code] == ["approval_required"] * 2
    one, other = await approvals(world)
    assert one.action_hash != other.action_hash


async def test_a_repeated_attempt_asks_for_the_same_approval_once(world: LaneWorld) -> None:
    body = message(world, PAY_RENT)
    first = await world.attempt(Lane.CONVERSATION, body, attempt=1)
    before = await approvals(world)
    world.clock.advance(300)
    second = await world.attempt(Lane.CONVERSATION, body, attempt=2)
    assert second == first
    assert await approvals(world) == before
    run_id = before[0].run_id
    assert len(await world.stores.decisions.of_run(run_id)) == 1


async def test_the_same_words_twice_are_two_requests(world: LaneWorld) -> None:
    await say(world, PAY_RENT)
    await say(world, PAY_RENT)
    one, other = await approvals(world)
    assert one.approval_id != other.approval_id
    assert one.action_hash == other.action_hash


# ----------------------------------------------------------------------------------------------------------- decisions


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        ("Approve", ApprovalStatus.APPROVED, "approval_approved"),
        ("Reject", ApprovalStatus.REJECTED, "approval_rejected"),
    ],
)
async def test_a_decision_stands_on_the_approval_and_closes_the_review(
    world: LaneWorld, what: Literal["Approve", "Reject"], status: ApprovalStatus, code: str
) -> None:
    asking, approval = await asked(world)
    world.clock.advance(60)
    ended = await decide(world, approval.approval_id, what, user=OTHER_USER, rationale="as agreed")
    assert (ended.settlement, ended.run.status) == (Complete(), RunStatus.COMPLETED)
    assert ended.signals == []
    [decided] = await approvals(world)
    approved = status == ApprovalStatus.APPROVED
    assert decided == replace(
        approval,
        status=status,
        decided_at=world.clock.now(),
        decided_by=OTHER_USER,
        decided_by_subject=subject_of(OTHER_USER),
        decision_run_id=ended.run.run_id,
        decision_rationale="as agreed",
        carried_out_at=world.clock.now() if approved else None,
        draft=decided.draft,
        settled_at=world.clock.now(),
    )
    # what was approved is a draft for a person, in the words that were asked for
    assert json.loads(decided.draft or "null") == (
        {
            "kind": "money_movement",
            "recipient": None,
            "channel": None,
            "subject": None,
            "body": PAY_RENT,
            "instruction": "Approved. Nothing was done: carry this out yourself if you still want to.",
        }
        if approved
        else None
    )
    assert (ended.stage("decide").status, ended.stage("decide").outcome_code) == (StageStatus.SUCCEEDED, code)
    [audit] = await world.stores.decisions.of_run(ended.run.run_id)
    assert (audit.outcome, audit.actor, audit.action, audit.reason_code, audit.rationale, audit.approval_id) == (
        DecisionOutcome.APPLIED,
        OTHER_USER,
        "money_movement",
        code,
        "as agreed",
        approval.approval_id,
    )
    review = await review_of(world, asking.run.run_id)
    assert (review.is_resolved, review.resolved_by, review.resolved_at, review.resolution_note) == (
        True,
        OTHER_USER,
        world.clock.now(),
        f"approval {status}",
    )


async def test_the_same_decision_again_is_harmless(world: LaneWorld) -> None:
    asking, approval = await asked(world)
    await decide(world, approval.approval_id, "Approve")
    before, review = await approvals(world), await review_of(world, asking.run.run_id)
    world.clock.advance(60)
    again = await decide(world, approval.approval_id, "Approve", user=OTHER_USER)
    assert again.run.status == RunStatus.COMPLETED
    assert again.stage("decide").outcome_code == "approval_repeated"
    [audit] = await world.stores.decisions.of_run(again.run.run_id)
    assert (audit.outcome, audit.reason_code) == (DecisionOutcome.REJECTED, "approval_repeated")
    assert await approvals(world) == before
    assert await review_of(world, asking.run.run_id) == review


@pytest.mark.parametrize(("first", "second"), [("Approve", "Reject"), ("Reject", "Approve")])
async def test_the_opposite_decision_is_refused(world: LaneWorld, first: Any, second: Any) -> None:
    _, approval = await asked(world)
    await decide(world, approval.approval_id, first)
    before = await approvals(world)
    ended = await decide(world, approval.approval_id, second, user=OTHER_USER)
    assert ended.settlement == Complete()
    assert (ended.run.status, ended.run.is_final, ended.run.failure_code) == (
        RunStatus.NEEDS_REVIEW,
        True,
        "approval_contradicted",
    )
    assert ended.codes == ["approval_contradicted"]
    assert await approvals(world) == before
    [audit] = await world.stores.decisions.of_run(ended.run.run_id)
    assert audit.outcome == DecisionOutcome.REJECTED


async def test_two_opposite_decisions_at_once_leave_one(world: LaneWorld) -> None:
    """Both read the pending row before either writes it: the ETag decides."""
    _, approval = await asked(world)
    both_read = asyncio.Barrier(2)

    class Slow(MemoryApprovals):
        waits = 2

        async def read(self, household_id: str, approval_id: str) -> Stored[Approval] | None:
            found = await world.stores.approvals.read(household_id, approval_id)
            if self.waits:
                self.waits -= 1
                await both_read.wait()
            return found

        async def update(self, approval: Approval, etag: ETag) -> ETag | None:
            return await world.stores.approvals.update(approval, etag)

    stores = replace(world.stores, approvals=Slow(world.clock))
    ended = await asyncio.gather(
        world.deliver(Lane.CONVERSATION, decision(world, approval.approval_id, "Approve"), stores=stores),
        world.deliver(Lane.CONVERSATION, decision(world, approval.approval_id, "Reject"), stores=stores),
    )
    assert sorted(e.run.failure_code or "applied" for e in ended) == ["applied", "approval_contradicted"]
    [winner] = [e for e in ended if e.run.failure_code is None]
    [decided] = await approvals(world)
    assert decided.decision_run_id == winner.run.run_id


async def test_a_decision_after_the_expiry_is_refused(world: LaneWorld) -> None:
    asking, approval = await asked(world)
    world.clock.advance(72 * 3600 + CLOCK_SLACK.total_seconds())
    ended = await decide(world, approval.approval_id, "Approve", rationale="sorry, I was away")
    assert (ended.run.status, ended.stage("decide").outcome_code) == (RunStatus.COMPLETED, "approval_expired")
    assert ended.signals == []
    [expired] = await approvals(world)
    assert (expired.status, expired.decided_by, expired.decision_rationale) == (ApprovalStatus.EXPIRED, POLICY, None)
    assert (expired.carried_out_at, expired.draft, expired.settled_at) == (None, None, world.clock.now())
    review = await review_of(world, asking.run.run_id)
    assert (review.is_resolved, review.resolution_note) == (True, "approval expired")
    again = await decide(world, approval.approval_id, "Reject")
    assert (again.run.status, again.signals) == (RunStatus.COMPLETED, [])
    assert await approvals(world) == [expired]


@pytest.mark.parametrize("seconds", [0, CLOCK_SLACK.total_seconds() - 1])
async def test_nothing_expires_early_by_clocks_that_are_five_minutes_off(world: LaneWorld, seconds: float) -> None:
    """The API's clock is five minutes ahead of the true time, the worker's that stamped the expiry as much behind."""
    _, approval = await asked(world)
    world.clock.advance(72 * 3600 + seconds)
    ended = await decide(world, approval.approval_id, "Approve")
    assert ended.stage("decide").outcome_code == "approval_approved"


async def test_a_decision_taken_in_time_counts_however_long_it_waited_in_the_queue(world: LaneWorld) -> None:
    _, approval = await asked(world)
    in_time = decision(world, approval.approval_id, "Approve", created_at=approval.expires_at - timedelta(seconds=1))
    world.clock.advance(100 * 3600)
    ended = await world.deliver(Lane.CONVERSATION, in_time)
    assert ended.run.status == RunStatus.COMPLETED
    assert [a.status for a in await approvals(world)] == [ApprovalStatus.APPROVED]


@pytest.mark.parametrize("case", ["unknown", "other_conversation", "other_household"])
async def test_an_approval_that_is_not_here_is_refused_and_nothing_of_it_is_told(world: LaneWorld, case: str) -> None:
    asking, approval = await asked(world)
    before = await approvals(world)
    ended = await decide(
        world,
        "e" * 32 if case == "unknown" else approval.approval_id,
        "Approve",
        conversation=OTHER_CONVERSATION if case == "other_conversation" else CONVERSATION,
        household=OTHER_HOUSEHOLD if case == "other_household" else HOUSEHOLD,
    )
    assert (ended.settlement, ended.run.status, ended.run.failure_code) == (
        Complete(),
        RunStatus.NEEDS_REVIEW,
        "approval_other_conversation" if case == "other_conversation" else "approval_not_found",
    )
    assert await approvals(world) == before
    assert not (await review_of(world, asking.run.run_id)).is_resolved
    [audit] = await world.stores.decisions.of_run(ended.run.run_id)
    assert (audit.outcome, audit.action, audit.household_id) == (
        DecisionOutcome.REJECTED,
        "unknown",
        OTHER_HOUSEHOLD if case == "other_household" else HOUSEHOLD,
    )
    assert "money" not in repr(ended)


# ------------------------------------------------------------------------------------------------ repeated, interleaved


@pytest.mark.parametrize("what", ["Approve", "Reject"])
async def test_a_repeated_attempt_at_a_decision_applies_and_audits_it_once(world: LaneWorld, what: Any) -> None:
    _, approval = await asked(world)
    body = decision(world, approval.approval_id, what)
    first = await world.attempt(Lane.CONVERSATION, body, attempt=1)
    after = await approvals(world)
    world.clock.advance(60)
    second = await world.attempt(Lane.CONVERSATION, body, attempt=2)
    assert second == first
    assert await approvals(world) == after
    run_id = after[0].decision_run_id
    assert run_id is not None
    assert len(await world.stores.decisions.of_run(run_id)) == 1


async def test_a_decision_whose_answer_was_lost_still_closes_the_review(world: LaneWorld) -> None:
    asking, approval = await asked(world)

    class Lost(MemoryApprovals):
        async def read(self, household_id: str, approval_id: str) -> Stored[Approval] | None:
            return await world.stores.approvals.read(household_id, approval_id)

        async def update(self, approval: Approval, etag: ETag) -> ETag | None:
            await world.stores.approvals.update(approval, etag)
            raise StoreUnreachableError("no answer")

    body = decision(world, approval.approval_id, "Approve")
    lost = await world.deliver(Lane.CONVERSATION, body, stores=replace(world.stores, approvals=Lost(world.clock)))
    assert isinstance(lost.settlement, Reschedule)
    assert not (await review_of(world, asking.run.run_id)).is_resolved
    world.clock.advance(60)
    ended = await world.deliver(Lane.CONVERSATION, body)
    assert (ended.run.status, ended.run.attempt) == (RunStatus.COMPLETED, 2)
    assert ended.stage("decide").outcome_code == "approval_approved"
    assert (await review_of(world, asking.run.run_id)).is_resolved
    assert len(await world.stores.decisions.of_run(ended.run.run_id)) == 1


async def test_a_decision_before_the_asking_run_raises_its_review_leaves_none_open(world: LaneWorld) -> None:
    """The asking worker dies after it stored the approval; the decision comes before the command is tried again."""

    class Dies(MemorySignals):
        async def insert(self, signal: Signal) -> ETag | None:
            raise StoreUnreachableError("no answer")

        async def read(self, signal_id: str) -> Stored[Signal] | None:
            raise StoreUnreachableError("no answer")

    body = message(world, PAY_RENT)
    cut_off = await world.deliver(Lane.CONVERSATION, body, stores=replace(world.stores, signals=Dies(world.clock)))
    assert isinstance(cut_off.settlement, Reschedule)
    [approval] = await approvals(world)
    await decide(world, approval.approval_id, "Reject")
    world.clock.advance(60)
    asking = await world.deliver(Lane.CONVERSATION, body)
    assert (asking.run.is_final, asking.run.failure_code) == (True, "approval_required")
    review = await review_of(world, asking.run.run_id)
    assert (review.signal_code, review.is_resolved, review.resolution_note) == (
        "approval_required",
        True,
        "approval rejected",
    )
    assert (review.run_id, review.household_id) == (asking.run.run_id, HOUSEHOLD)


async def test_a_review_that_somebody_changes_meanwhile_is_closed_all_the_same(world: LaneWorld) -> None:
    asking, approval = await asked(world)
    signals = world.stores.signals

    class Raced(MemorySignals):
        raced = False

        async def read(self, signal_id: str) -> Stored[Signal] | None:
            found = await signals.read(signal_id)
            if found is not None and not self.raced:
                self.raced = True
                await signals.update(replace(found.value, summary="looked at"), found.etag)
            return found

        async def insert(self, signal: Signal) -> ETag | None:
            return await signals.insert(signal)

        async def update(self, signal: Signal, etag: ETag) -> ETag | None:
            return await signals.update(signal, etag)

    stores = replace(world.stores, signals=Raced(world.clock))
    await world.deliver(Lane.CONVERSATION, decision(world, approval.approval_id, "Approve"), stores=stores)
    review = await review_of(world, asking.run.run_id)
    assert (review.is_resolved, review.summary) == (True, "looked at")


# ------------------------------------------------------------------------------------------------- who may decide


async def leave(world: LaneWorld, user: str, **changes: str) -> None:
    """The member's row as an operator leaves it."""
    members = world.stores.members.table  # type: ignore[attr-defined]
    key = (subject_of(user), user)
    kept = members.read(key)
    members.update(key, {**kept.row, **changes}, kept.etag)


@pytest.mark.parametrize("what", ["Approve", "Reject"])
@pytest.mark.parametrize("changes", [{"Status": "removed"}, {"Role": "Viewer"}, {"Role": "Ingest"}])
async def test_who_is_no_member_any_more_decides_nothing(
    what: Literal["Approve", "Reject"], changes: dict[str, str]
) -> None:
    """Gone between the decision at the API and its being carried out."""
    world = world_of()
    _, approval = await asked(world)
    body = decision(world, approval.approval_id, what, user=OTHER_USER)
    await world.enrol(decode(body, Lane.CONVERSATION))
    await leave(world, OTHER_USER, **changes)
    ended = await world.deliver(Lane.CONVERSATION, body)
    assert (ended.run.status, ended.run.failure_code) == (RunStatus.NEEDS_REVIEW, "approval_member_gone")
    [now] = await approvals(world)
    assert now == approval
    # somebody who is still there decides
    assert (await decide(world, approval.approval_id, "Approve", user=USER)).run.status == RunStatus.COMPLETED


async def test_who_left_before_it_was_carried_out_has_nothing_carried_out() -> None:
    """The worker died right after the decision was written; the member is gone when another goes on."""
    world = world_of()
    _, approval = await asked(world)
    body = decision(world, approval.approval_id, "Approve", user=OTHER_USER)
    envelope = decode(body, Lane.CONVERSATION)
    stored = await world.stores.approvals.read(HOUSEHOLD, approval.approval_id)
    assert stored is not None
    decided = replace(
        approval,
        status=ApprovalStatus.APPROVED,
        decided_at=world.clock.now(),
        decided_by=OTHER_USER,
        decided_by_subject=await world.enrol(envelope),
        decision_run_id=ids.run_id(RULES[Lane.CONVERSATION].default_queue, envelope.command_id),
    )
    await world.stores.approvals.update(decided, stored.etag)
    await leave(world, OTHER_USER, Status="removed")
    ended = await world.deliver(Lane.CONVERSATION, body)
    assert ended.run.failure_code == "approval_member_gone"
    [now] = await approvals(world)
    assert (now.draft, now.carried_out_as) == (None, "not applied: who approved it is no member any more")


async def test_who_is_not_recorded_decides_nothing() -> None:
    world = world_of()
    _, approval = await asked(world)
    body = decision(world, approval.approval_id, "Approve", user=OTHER_USER)
    await world.enrol(decode(body, Lane.CONVERSATION))
    await record(world.stores, RULES[Lane.CONVERSATION].default_queue, Lane.CONVERSATION, body, world.clock.now())
    ended = await world.deliver(Lane.CONVERSATION, body)
    assert ended.run.failure_code == "approval_member_gone"
    assert await approvals(world) == [approval]


async def test_another_person_is_another_subject() -> None:
    """One person who is two users of the household has asked; as the other user they cannot approve it."""
    world = world_of(other_person=True)
    _, approval = await asked(world)
    assert approval.requested_by_subject == subject_of(USER)
    body = decision(world, approval.approval_id, "Approve", user=OTHER_USER)
    await world.stores.members.insert(
        Membership(
            subject=subject_of(USER),
            household_id=HOUSEHOLD,
            household_user_id=OTHER_USER,
            role="Member",
            status="Active",
            created_at=world.clock.now(),
        )
    )
    queue = RULES[Lane.CONVERSATION].default_queue
    await record(world.stores, queue, Lane.CONVERSATION, body, world.clock.now(), subject=subject_of(USER))
    ended = await world.deliver(Lane.CONVERSATION, body)
    assert ended.run.failure_code == "approval_same_person"
    assert await approvals(world) == [approval]
    assert (await decide(world, approval.approval_id, "Approve", user=OTHER_USER)).run.status == RunStatus.COMPLETED
