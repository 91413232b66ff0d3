"""What an agent proposes: the policy applies, refuses, or asks a person; approvals live on in another process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from mosaic_core.agents.runtime import offline_agent
from mosaic_core.domain import ids
from mosaic_core.domain.envelope import IngestionCompleted
from mosaic_core.domain.errors import LeaseLostError, StoreUnreachableError
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, DecisionOutcome, RunStatus, Severity, StageStatus
from mosaic_core.domain.policy import POLICY_VERSION
from mosaic_core.domain.policy.approval import stored_action
from mosaic_core.domain.records import Approval, Conversation, Signal
from mosaic_core.domain.settlement import Complete, Reschedule
from mosaic_core.lanes.conversation import ConversationLane
from mosaic_core.lanes.household import CATEGORY, LEARNED, NOTE, RECURRING
from mosaic_core.lanes.ingestion import IngestionLane
from mosaic_core.ports import AgentTurn, ConversationAgent, ETag, Stored
from mosaic_ops.memory.stores import MemoryApprovals, MemoryConversations
from tests.support import records
from tests.support.agents import ScriptedAgent, answers, proposes
from tests.support.lanes import CONVERSATION, HOUSEHOLD, OTHER_HOUSEHOLD, USER, Ended, LaneWorld
from tests.unit.test_lane_conversation import OTHER_CONVERSATION, OTHER_USER, approvals, decide, decision, message, say

ASK = "Please have a look at my rows."
type Call = tuple[str, Mapping[str, Any]]

RECATEGORISE: Call = ("recategorise", {"transactionIds": ["t1", "t2"], "category": "MEDICAL"})
WIRE: Call = ("wire", {"amount": "900", "currency": "USD", "to": "landlord"})
DRAFT: Call = ("draft_message", {"recipient": "Iron Gym", "subject": "Membership", "body": "I leave on 1 January."})


def world_of(agent: ConversationAgent, *, other_person: bool = False) -> LaneWorld:
    return LaneWorld(
        {
            Lane.CONVERSATION: ConversationLane(agent=agent, require_other_person=other_person),
            Lane.INGESTION: IngestionLane(),
        }
    )


async def rows(world: LaneWorld, *more: dict[str, Any], batch: str = "b1", household: str = HOUSEHOLD) -> Ended:
    """t1 and t2 at one pharmacy, t3 at another shop."""
    lines = more or (
        {"transactionId": "t1", "description": "ZORBLAT VENTURES 0012", "amount": "-12.00"},
        {"transactionId": "t2", "description": "ZORBLAT VENTURES 0077", "amount": "-14.00"},
        {"transactionId": "t3", "description": "STARBUCKS STORE 1", "amount": "-5.00"},
    )
    payload = IngestionCompleted.model_validate(
        {
            "householdId": household,
            "batchId": batch,
            "source": "bank",
            "accountId": "card",
            "transactions": [{"postedOn": "2026-11-20", "currency": "USD"} | line for line in lines],
        }
    )
    return await world.deliver(Lane.INGESTION, world.command(CommandType.INGESTION_COMPLETED, payload))


async def noted(world: LaneWorld, kind: str) -> dict[str, str]:
    return {a.subject: a.value for a in await world.stores.annotations.of_household(HOUSEHOLD, kind)}


async def audits(world: LaneWorld, ended: Ended) -> list[tuple[str, DecisionOutcome, str]]:
    found = await world.stores.decisions.of_run(ended.run.run_id)
    assert {d.policy_version for d in found} <= {POLICY_VERSION}
    return sorted((d.action, d.outcome, d.reason_code) for d in found)


def finding(signal_id: str = "5" * 32, **changes: Any) -> Signal:
    base = replace(
        records.SIGNAL,
        signal_id=signal_id,
        household_id=HOUSEHOLD,
        severity=Severity.WARNING,
        is_resolved=False,
        resolved_at=None,
        resolved_by=None,
        resolution_note=None,
    )
    return replace(base, **changes)


# ------------------------------------------------------------------------------------------------------- low impact


async def test_a_recategorisation_is_applied_told_and_learnt() -> None:
    agent = ScriptedAgent([proposes(RECATEGORISE)], [answers("Both are medical now.")])
    world = world_of(agent)
    await rows(world)
    ended = await say(world, ASK)
    assert (ended.settlement, ended.run.status, ended.run.agent_note_summary) == (
        Complete(),
        RunStatus.COMPLETED,
        "Both are medical now.",
    )
    assert [s.name for s in ended.stages] == ["policy", "load_ledger", "answer", "proposals", "answer"]
    assert await noted(world, CATEGORY) == {"t1": "MEDICAL", "t2": "MEDICAL"}
    assert list((await noted(world, LEARNED)).values()) == ["MEDICAL"]
    assert await audits(world, ended) == [("recategorise", DecisionOutcome.APPLIED, "low_impact")]
    assert agent.resumed == [("session-1", {"call-1": "applied: 2 rows are MEDICAL now, and 1 merchants from now on"})]
    assert await approvals(world) == []
    # the next question sees it, and so does the next batch
    await say(world, "And now?")
    assert {t.transaction_id: t.category for t in agent.turns[-1].transactions}["t2"] == "MEDICAL"
    await rows(world, {"transactionId": "t9", "description": "ZORBLAT VENTURES 0099", "amount": "-9.00"}, batch="b2")
    [t9] = [
        t
        for t in await world.stores.ledger.between(HOUSEHOLD, date(2026, 1, 1), date(2026, 12, 31))
        if t.transaction_id == "t9"
    ]
    assert (t9.category, t9.category_source) == ("MEDICAL", "household_correction")


async def test_what_one_household_taught_another_does_not_know() -> None:
    world = world_of(ScriptedAgent([proposes(RECATEGORISE, state=None)]))
    await rows(world)
    await say(world, ASK)
    await rows(world, household=OTHER_HOUSEHOLD)
    theirs = await world.stores.ledger.between(OTHER_HOUSEHOLD, date(2026, 1, 1), date(2026, 12, 31))
    assert all(t.category_source != "household_correction" for t in theirs)


async def test_a_note_and_a_mark_are_kept_and_a_finding_dismissed() -> None:
    note = ("budget_note", {"text": "less coffee", "amount": "80", "currency": "USD"})
    mark: Call = ("mark_recurring", {"transactionIds": ["t1"], "cadence": "monthly"})
    dismiss = ("dismiss_signal", {"signalId": "5" * 32})
    world = world_of(ScriptedAgent([proposes(note, mark, dismiss, state=None)]))
    await rows(world)
    await world.stores.signals.insert(finding())
    ended = await say(world, ASK)
    assert ended.run.status == RunStatus.COMPLETED
    assert await noted(world, RECURRING) == {"t1": "monthly"}
    [kept] = (await noted(world, NOTE)).values()
    assert json.loads(kept)["arguments"]["text"] == "less coffee"
    signal = await world.stores.signals.read("5" * 32)
    assert signal is not None
    assert (signal.value.is_resolved, signal.value.resolved_by) == (True, USER)


@pytest.mark.parametrize(
    ("proposal", "code"),
    [
        (("recategorise", {"transactionIds": ["t1", "not-ours"], "category": "TRAVEL"}), "proposal_invalid"),
        (("recategorise", {"transactionIds": ["t1"], "category": "TRAVEL", "amount": 5}), "proposal_invalid"),
        (("dismiss_signal", {"signalId": "6" * 32}), "proposal_invalid"),
        (("", {}), "proposal_invalid"),
    ],
)
async def test_a_proposal_that_is_not_valid_is_refused_and_told(proposal: Any, code: str) -> None:
    agent = ScriptedAgent([proposes(proposal)])
    world = world_of(agent)
    await rows(world)
    await world.stores.signals.insert(finding("6" * 32, household_id=OTHER_HOUSEHOLD))
    ended = await say(world, ASK)
    assert (ended.run.status, ended.run.failure_code) == (RunStatus.NEEDS_REVIEW, "proposal_refused")
    assert [outcome for _, outcome, _ in await audits(world, ended)] == [DecisionOutcome.REJECTED]
    assert agent.resumed[0][1]["call-1"].startswith("refused: ")
    assert await noted(world, CATEGORY) == {}
    assert await approvals(world) == []
    stored = await world.stores.signals.read("6" * 32)
    assert stored is not None
    assert not stored.value.is_resolved


@pytest.mark.parametrize("code", ["worker_command_failed", "approval_required", "command_rejected"])
async def test_the_runtimes_own_signals_are_not_the_agents_to_dismiss(code: str) -> None:
    world = world_of(ScriptedAgent([proposes(("dismiss_signal", {"signalId": "5" * 32}), state=None)]))
    await world.stores.signals.insert(finding(signal_code=code))
    ended = await say(world, ASK)
    assert ended.run.failure_code == "proposal_refused"
    stored = await world.stores.signals.read("5" * 32)
    assert stored is not None
    assert not stored.value.is_resolved


async def test_an_agent_that_never_stops_proposing_is_stopped() -> None:
    endless = proposes(("budget_note", {"text": "again"}))
    agent = ScriptedAgent([endless], [endless])
    ended = await say(world_of(agent), ASK)
    assert ended.settlement == Complete()
    assert len(agent.resumed) == 2
    many = proposes(*[("budget_note", {"text": f"note {n}"}) for n in range(15)], state=None)
    world = world_of(ScriptedAgent([many]))
    ended = await say(world, ASK)
    assert ended.run.failure_code == "proposal_refused"
    assert len(await noted(world, NOTE)) == 10


async def test_of_two_requests_the_later_one_stands_whatever_the_order() -> None:
    def to(category: str) -> Any:
        return proposes(("recategorise", {"transactionIds": ["t1"], "category": category}), state=None)

    agent = ScriptedAgent([to("TRAVEL"), to("MEDICAL")])
    world = world_of(agent)
    await rows(world)
    early = message(world, ASK)
    world.clock.advance(60)
    late = message(world, ASK)
    await world.deliver(Lane.CONVERSATION, late)
    await world.deliver(Lane.CONVERSATION, early)
    assert await noted(world, CATEGORY) == {"t1": "TRAVEL"}


# ------------------------------------------------------------------------------------------------------ high impact


async def test_several_proposals_of_one_reply_each_go_their_way() -> None:
    agent = ScriptedAgent([proposes(RECATEGORISE, WIRE, DRAFT, ("nonsense", {"x": 1}))])
    world = world_of(agent)
    await rows(world)
    ended = await say(world, ASK)
    assert (ended.run.status, ended.run.failure_code) == (RunStatus.NEEDS_REVIEW, "approval_required")
    assert (ended.run.agent_note_summary or "").startswith("Waiting for a person's approval: ")
    found = {a.action_kind: a for a in await approvals(world)}
    assert sorted(found) == ["external_message", "money_movement", "unlisted_action"]
    assert all(a.status == ApprovalStatus.PENDING and a.run_id == ended.run.run_id for a in found.values())
    # a person reads the validated arguments, never the model's own summary
    assert found["money_movement"].action_summary == ("wire (money_movement): amount: 900, currency: USD, to: landlord")
    assert await noted(world, CATEGORY) == {"t1": "MEDICAL", "t2": "MEDICAL"}
    assert agent.resumed == []
    assert ended.codes == ["approval_required"]
    assert [o for _, o, _ in await audits(world, ended)].count(DecisionOutcome.DEFERRED) == 3


async def test_the_agent_hears_of_its_proposals_once_all_are_decided() -> None:
    agent = ScriptedAgent([proposes(RECATEGORISE, WIRE, DRAFT)], [answers("A draft is ready.")])
    world = world_of(agent)
    await rows(world)
    asking = await say(world, ASK)
    found = {a.action_kind: a for a in await approvals(world)}
    first = await decide(world, found["money_movement"].approval_id, "Reject", user=OTHER_USER)
    assert (first.run.status, first.stage("resume").outcome_code) == (RunStatus.COMPLETED, "others_pending")
    assert agent.resumed == []
    review = await world.stores.signals.read(ids.review_signal_id(asking.run.run_id))
    assert review is not None
    assert not review.value.is_resolved
    # another process takes the second decision: nothing but what is stored connects the two
    second_agent = ScriptedAgent(resumes=[answers("A draft is ready.")])
    world.handlers = world_of(second_agent).handlers
    second = await decide(world, found["external_message"].approval_id, "Approve", user=OTHER_USER)
    assert second.run.status == RunStatus.COMPLETED
    [(state, results)] = second_agent.resumed
    assert state == "session-1"
    assert results == {
        "call-1": "applied: 2 rows are MEDICAL now, and 1 merchants from now on",
        "call-2": "rejected by a person: it was not done, do not propose it again",
        "call-3": "approved: a draft was made for a person to act on; nothing was sent and no money was moved",
    }
    assert "A draft is ready." in (second.run.agent_note_summary or "")
    review = await world.stores.signals.read(ids.review_signal_id(asking.run.run_id))
    assert review is not None
    assert review.value.is_resolved
    drafted = {a.action_kind: a for a in await approvals(world)}
    assert drafted["money_movement"].draft is None
    assert json.loads(drafted["external_message"].draft or "") == {
        "kind": "external_message",
        "recipient": "Iron Gym",
        "channel": "email",
        "subject": "Membership",
        "body": "I leave on 1 January.",
        "instruction": "Approved. Nothing was sent: send this message yourself if you still want to.",
    }


async def test_an_expired_sibling_does_not_hold_the_agent_back() -> None:
    agent = ScriptedAgent([proposes(WIRE, DRAFT)])
    world = world_of(agent)
    await say(world, ASK)
    wire, draft = sorted(await approvals(world), key=lambda a: a.action_kind, reverse=True)
    in_time = decision(world, draft.approval_id, "Approve")
    world.clock.advance(80 * 3600)
    await world.deliver(Lane.CONVERSATION, in_time)
    assert agent.resumed[0][1]["call-1"] == "not decided in time: it was not done"
    late = await decide(world, wire.approval_id, "Approve")
    assert (late.run.status, late.stage("decide").outcome_code) == (RunStatus.COMPLETED, "approval_expired")
    assert (late.signals, len(agent.resumed)) == ([], 1)


async def test_an_approved_annotation_is_applied_once() -> None:
    many = [{"transactionId": f"m{n}", "description": "ZORBLAT VENTURES", "amount": "-1.00"} for n in range(30)]
    proposal: Call = ("recategorise", {"transactionIds": [f"m{n}" for n in range(30)], "category": "MEDICAL"})
    world = world_of(ScriptedAgent([proposes(proposal, state=None)]))
    await rows(world, *many)
    await say(world, ASK)
    assert await noted(world, CATEGORY) == {}
    [approval] = await approvals(world)
    assert approval.action_kind == "proposal"
    ended = await decide(world, approval.approval_id, "Approve", user=OTHER_USER)
    assert ended.stage("carry_out").outcome_code == "action_applied"
    assert len(await noted(world, CATEGORY)) == 30
    [carried] = await approvals(world)
    assert (carried.draft, carried.carried_out_at) == (None, world.clock.now())


async def test_follow_up_proposals_after_a_decision_need_a_decision_again() -> None:
    agent = ScriptedAgent([proposes(DRAFT)], [proposes(WIRE, state="session-2"), answers("All done.")])
    world = world_of(agent)
    await say(world, ASK)
    [draft] = await approvals(world)
    ended = await decide(world, draft.approval_id, "Approve", user=OTHER_USER)
    assert (ended.run.status, ended.run.failure_code) == (RunStatus.NEEDS_REVIEW, "approval_required")
    [wire] = [a for a in await approvals(world) if a.status == ApprovalStatus.PENDING]
    assert (wire.run_id, wire.requested_by, wire.conversation_id) == (ended.run.run_id, USER, CONVERSATION)
    last = await decide(world, wire.approval_id, "Reject")
    assert last.run.status == RunStatus.COMPLETED
    assert [state for state, _ in agent.resumed] == ["session-1", "session-2"]


# -------------------------------------------------------------------------------------------------- failed, repeated


async def test_a_failed_resume_is_tried_again_from_the_stored_session_and_does_nothing_twice() -> None:
    agent = ScriptedAgent([proposes(DRAFT)], fail_resumes=2)
    world = world_of(agent)
    await say(world, ASK)
    [approval] = await approvals(world)
    body = decision(world, approval.approval_id, "Approve", user=OTHER_USER)
    for attempt in (1, 2):
        failed = await world.deliver(Lane.CONVERSATION, body)
        assert isinstance(failed.settlement, Reschedule)
        assert (failed.run.attempt, failed.run.failure_code) == (attempt, "agent_runtime_unavailable")
        world.clock.advance(60)
    [carried] = await approvals(world)
    ended = await world.deliver(Lane.CONVERSATION, body)
    assert (ended.run.status, ended.run.attempt) == (RunStatus.COMPLETED, 3)
    assert len({json.dumps(resume) for resume in agent.resumed}) == 1
    assert await approvals(world) == [replace(carried, settled_at=world.clock.now())]
    applied = [a for a in await world.stores.decisions.of_run(ended.run.run_id) if a.outcome == "Applied"]
    assert len(applied) == 1
    # the conversation goes on
    assert (await say(world, "And the groceries?")).settlement == Complete()


async def test_a_run_proposes_one_set_of_actions_however_often_it_is_tried() -> None:
    """The worker dies after the reply has landed; the model would now propose something else."""

    class Dies(MemoryApprovals):
        async def insert(self, approval: Approval) -> ETag | None:
            raise StoreUnreachableError("no answer")

    agent = ScriptedAgent([proposes(WIRE), proposes(DRAFT)])
    world = world_of(agent)
    body = message(world, ASK)
    cut_off = replace(world.stores, approvals=Dies(world.clock))
    assert isinstance((await world.deliver(Lane.CONVERSATION, body, stores=cut_off)).settlement, Reschedule)
    world.clock.advance(60)
    ended = await world.deliver(Lane.CONVERSATION, body)
    assert ended.run.failure_code == "approval_required"
    assert [a.action_kind for a in await approvals(world)] == ["money_movement"]
    assert len(agent.turns) == 1


async def test_two_decisions_at_once_tell_the_agent_once() -> None:
    """Each sees that all is decided, and both go on: whoever holds the conversation first tells the agent."""
    agent = ScriptedAgent([proposes(WIRE, DRAFT)], [proposes(("budget_note", {"text": "told"}), state=None)])
    world = world_of(agent)
    await say(world, ASK)
    decided = asyncio.Barrier(2)

    class Together(MemoryApprovals):
        async def read(self, household_id: str, approval_id: str) -> Stored[Approval] | None:
            return await world.stores.approvals.read(household_id, approval_id)

        async def update(self, approval: Approval, etag: ETag) -> ETag | None:
            written = await world.stores.approvals.update(approval, etag)
            if approval.settled_at is None:
                await decided.wait()
            return written

    stores = replace(world.stores, approvals=Together(world.clock))
    one, other = await approvals(world)
    ended = await asyncio.gather(
        world.deliver(Lane.CONVERSATION, decision(world, one.approval_id, "Reject"), stores=stores),
        world.deliver(Lane.CONVERSATION, decision(world, other.approval_id, "Reject"), stores=stores),
    )
    assert [e.run.status for e in ended] == [RunStatus.COMPLETED] * 2
    assert len(agent.resumed) == 1
    assert len(await noted(world, NOTE)) == 1


# ------------------------------------------------------------------------------------------------------------- misuse


async def waiting(world: LaneWorld) -> tuple[Ended, Approval]:
    ended = await say(world, ASK)
    [approval] = await approvals(world)
    return ended, approval


@pytest.mark.parametrize("how", ["arguments", "hash_too", "moved", "gone"])
async def test_an_action_that_was_changed_after_it_was_asked_for_is_refused(how: str) -> None:
    world = world_of(ScriptedAgent([proposes(WIRE)]))
    _, approval = await waiting(world)
    stored = await world.stores.approvals.read(HOUSEHOLD, approval.approval_id)
    assert stored is not None
    changed = replace(approval, action_json=(approval.action_json or "").replace("900", "90000"))
    if how == "hash_too":
        action = json.loads(changed.action_json or "")
        from mosaic_core.domain.policy.approval import Action

        changed = replace(changed, action_hash=Action(action["action"], action["arguments"]).hash)
    if how == "moved":
        changed = replace(approval, run_id="d" * 32)
    if how == "gone":
        changed = replace(approval, action_json=None)
    await world.stores.approvals.update(changed, stored.etag)
    ended = await decide(world, approval.approval_id, "Approve", user=OTHER_USER)
    assert (ended.run.status, ended.run.failure_code) == (RunStatus.NEEDS_REVIEW, "approval_action_changed")
    assert [(o, c) for _, o, c in await audits(world, ended)] == [(DecisionOutcome.REJECTED, "approval_action_changed")]
    [still] = await approvals(world)
    assert (still.status, still.draft) == (ApprovalStatus.PENDING, None)
    # nobody is kept from saying no
    assert (await decide(world, approval.approval_id, "Reject")).run.status == RunStatus.COMPLETED


async def test_an_action_that_is_changed_between_approval_and_execution_is_not_carried_out() -> None:
    world = world_of(ScriptedAgent([proposes(WIRE, state=None)]))
    _, approval = await waiting(world)

    class Tampered(MemoryApprovals):
        async def read(self, household_id: str, approval_id: str) -> Stored[Approval] | None:
            return await world.stores.approvals.read(household_id, approval_id)

        async def update(self, approval: Approval, etag: ETag) -> ETag | None:
            changed = replace(approval, action_json=(approval.action_json or "").replace("landlord", "mallory"))
            return await world.stores.approvals.update(changed, etag)

    stores = replace(world.stores, approvals=Tampered(world.clock))
    body = decision(world, approval.approval_id, "Approve", user=OTHER_USER)
    ended = await world.deliver(Lane.CONVERSATION, body, stores=stores)
    assert ended.run.failure_code == "approval_action_changed"
    assert ended.stage("carry_out").outcome_code == "approval_action_changed"
    [row] = await approvals(world)
    assert (row.draft, row.carried_out_at) == (None, None)


async def test_whoever_asked_cannot_approve_where_another_person_is_wanted() -> None:
    world = world_of(ScriptedAgent([proposes(WIRE, state=None)]), other_person=True)
    asking, approval = await waiting(world)
    own = await decide(world, approval.approval_id, "Approve", user=USER)
    assert (own.run.status, own.run.failure_code) == (RunStatus.NEEDS_REVIEW, "approval_same_person")
    assert [(o, c) for _, o, c in await audits(world, own)] == [(DecisionOutcome.REJECTED, "approval_same_person")]
    assert [a.status for a in await approvals(world)] == [ApprovalStatus.PENDING]
    review = await world.stores.signals.read(ids.review_signal_id(asking.run.run_id))
    assert review is not None
    assert not review.value.is_resolved
    other = await decide(world, approval.approval_id, "Approve", user=OTHER_USER)
    assert other.run.status == RunStatus.COMPLETED
    _, again = await say(world, ASK), [a for a in await approvals(world) if a.status == ApprovalStatus.PENDING]
    assert (await decide(world, again[0].approval_id, "Reject", user=USER)).run.status == RunStatus.COMPLETED


async def test_an_approval_serves_its_own_conversation_and_household_only() -> None:
    world = world_of(ScriptedAgent([proposes(WIRE, state=None)]))
    _, approval = await waiting(world)
    elsewhere = await decide(world, approval.approval_id, "Approve", conversation=OTHER_CONVERSATION)
    foreign = await decide(world, approval.approval_id, "Approve", household=OTHER_HOUSEHOLD)
    unknown = await decide(world, "e" * 32, "Approve")
    assert [e.run.failure_code for e in (elsewhere, foreign, unknown)] == [
        "approval_other_conversation",
        "approval_not_found",
        "approval_not_found",
    ]
    for ended in (elsewhere, foreign, unknown):
        assert [o for _, o, _ in await audits(world, ended)] == [DecisionOutcome.REJECTED]
    assert await approvals(world) == [approval]


async def test_a_decision_is_executed_once_however_often_it_is_sent() -> None:
    world = world_of(ScriptedAgent([proposes(DRAFT)]))
    _, approval = await waiting(world)
    ended = [await decide(world, approval.approval_id, "Approve", user=OTHER_USER) for _ in range(3)]
    assert [e.stage("decide").outcome_code for e in ended] == [
        "approval_approved",
        "approval_repeated",
        "approval_repeated",
    ]
    assert all(e.run.status == RunStatus.COMPLETED for e in ended)
    outcomes = [o for e in ended for _, o, _ in await audits(world, e)]
    assert outcomes.count(DecisionOutcome.APPLIED) == 1


async def test_what_a_failed_run_approved_and_left_undone_is_taken_over() -> None:
    world = world_of(ScriptedAgent([proposes(DRAFT, state=None)]))
    _, approval = await waiting(world)

    class NoCarrying(MemoryApprovals):
        async def read(self, household_id: str, approval_id: str) -> Stored[Approval] | None:
            return await world.stores.approvals.read(household_id, approval_id)

        async def update(self, approval: Approval, etag: ETag) -> ETag | None:
            if approval.carried_out_at is not None:
                raise RuntimeError("broken")
            return await world.stores.approvals.update(approval, etag)

    body = decision(world, approval.approval_id, "Approve", user=OTHER_USER)
    stores = replace(world.stores, approvals=NoCarrying(world.clock))
    for _ in range(5):
        failed = await world.deliver(Lane.CONVERSATION, body, stores=stores)
        world.clock.advance(600)
    assert failed.run.is_final
    ended = await decide(world, approval.approval_id, "Approve", user=OTHER_USER)
    assert ended.stage("decide").outcome_code == "approval_repeated"
    assert ended.stage("carry_out").outcome_code == "draft_ready"
    [row] = await approvals(world)
    assert (row.draft is not None, row.settled_at) == (True, world.clock.now())
    # and nothing is left for the next one
    again = await decide(world, approval.approval_id, "Approve", user=OTHER_USER)
    assert [s.name for s in again.stages] == ["decide"]


@pytest.mark.parametrize("how", ["gone", "changed", "edited", "foreign"])
async def test_a_session_that_is_not_what_was_stored_is_not_resumed(how: str) -> None:
    agent = ScriptedAgent([proposes(DRAFT)])
    world = world_of(agent)
    _, approval = await waiting(world)
    assert approval.batch is not None

    class Blobs:
        async def put(self, name: str, data: bytes) -> None:
            await world.stores.blobs.put(name, data)

        async def get(self, name: str) -> bytes | None:
            if how == "edited":  # what it holds, and not the sum beside it
                there = await world.stores.blobs.get(name)
                assert there is not None
                assert b"session-1" in there
                return there.replace(b"session-1", b"session-2")
            return None if how == "gone" else b'{"state": "evil"}'

    stores = replace(world.stores, blobs=Blobs())
    if how == "foreign":
        stored = await world.stores.approvals.read(HOUSEHOLD, approval.approval_id)
        assert stored is not None
        foreign = replace(approval, batch=approval.batch.replace(HOUSEHOLD, OTHER_HOUSEHOLD))
        await world.stores.approvals.update(foreign, stored.etag)
    body = decision(world, approval.approval_id, "Approve", user=OTHER_USER)
    ended = await world.deliver(Lane.CONVERSATION, body, stores=stores)
    codes = {"gone": "agent_session_missing", "foreign": "agent_session_foreign"}
    assert ended.run.failure_code == codes.get(how, "agent_session_changed")
    assert agent.resumed == []
    # what a person decided is on record, and drafted, all the same
    [row] = await approvals(world)
    assert (row.status, bool(row.draft)) == (ApprovalStatus.APPROVED, True)


async def test_the_offline_agent_does_not_pretend_to_go_on_with_anothers_session() -> None:
    world = world_of(ScriptedAgent([proposes(DRAFT)]))
    _, approval = await waiting(world)
    world.handlers = world_of(offline_agent()).handlers
    ended = await decide(world, approval.approval_id, "Approve", user=OTHER_USER)
    assert ended.run.status == RunStatus.COMPLETED
    assert "not in use any more" in (ended.run.agent_note_summary or "")


# ------------------------------------------------------------------------------------------------ conversation state


async def state(world: LaneWorld) -> Conversation:
    stored = await world.stores.conversations.read(HOUSEHOLD, CONVERSATION)
    assert stored is not None
    return stored.value


async def test_history_is_ordered_by_when_a_message_was_sent() -> None:
    agent = ScriptedAgent([answers("one"), answers("three"), answers("two")])
    world = world_of(agent)
    bodies = []
    for text in ("first?", "second?", "third?"):
        bodies.append(message(world, text))
        world.clock.advance(5)
    for n in (0, 2, 1):
        await world.deliver(Lane.CONVERSATION, bodies[n])
    assert [t.question for t in (await state(world)).turns] == ["first?", "second?", "third?"]
    # the second message, late as it comes, knows the first only
    assert agent.turns[2].history == (("user", "first?"), ("assistant", "one"))
    await say(world, "fourth?")
    assert [text for role, text in agent.turns[3].history if role == "user"] == ["first?", "second?", "third?"]


async def test_two_messages_in_flight_lose_neither_state_and_each_is_asked_once() -> None:
    under_way = 0

    async def alone(turn: AgentTurn) -> None:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        await asyncio.sleep(0)
        under_way -= 1

    agent = ScriptedAgent([answers("a"), answers("b")], before=alone)
    world = world_of(agent)
    one = message(world, "one?")
    world.clock.advance(1)
    two = message(world, "two?")
    ended = await asyncio.gather(
        world.deliver(Lane.CONVERSATION, one),
        world.deliver(Lane.CONVERSATION, two),
    )
    assert [e.run.status for e in ended] == [RunStatus.COMPLETED] * 2
    turns = (await state(world)).turns
    assert [(t.question, t.answer) for t in turns] == [("one?", "a"), ("two?", "b")]
    assert [t.history for t in agent.turns] == [(), (("user", "one?"), ("assistant", "a"))]


async def test_the_state_names_run_and_attempt_and_a_lower_attempt_stops() -> None:
    agent = ScriptedAgent([answers("late"), answers("early")])
    world = world_of(agent)
    body = message(world, ASK)
    await world.attempt(Lane.CONVERSATION, body, attempt=2)
    after = await state(world)
    assert (after.attempt, after.run_id) == (2, after.turns[0].run_id)
    with pytest.raises(LeaseLostError):
        await world.attempt(Lane.CONVERSATION, body, attempt=1)
    assert await state(world) == after
    # what was landed by a repeated attempt stays, whoever comes later
    await world.attempt(Lane.CONVERSATION, body, attempt=3)
    assert [(t.attempt, t.answer) for t in (await state(world)).turns] == [(3, "late")]
    assert len(agent.turns) == 1


async def test_the_state_is_bounded_and_keeps_the_newest() -> None:
    world = world_of(ScriptedAgent([answers("x" * 900)]))
    for n in range(30):
        await say(world, f"question {n}: " + "y" * 1500)
        world.clock.advance(1)
    turns = (await state(world)).turns
    assert 5 <= len(turns) <= 20
    assert turns[-1].question.startswith("question 29")


async def test_a_request_for_an_action_and_its_decision_stand_in_the_history() -> None:
    agent = ScriptedAgent([proposes(WIRE, text="I have asked for it.", state=None), answers()])
    world = world_of(agent)
    await say(world, "Wire 900 dollars to my landlord.")
    await say(world, "What happened?")
    assert agent.turns[1].history == (
        ("user", "Wire 900 dollars to my landlord."),
        ("assistant", "I have asked for it."),
    )


async def test_conversations_do_not_see_each_other() -> None:
    agent = ScriptedAgent()
    world = world_of(agent)
    await say(world, "in one?")
    payload = json.loads(message(world, "in another?"))
    payload["payload"]["conversationId"] = OTHER_CONVERSATION
    await world.deliver(Lane.CONVERSATION, json.dumps(payload).encode())
    assert agent.turns[1].history == ()


async def test_a_contended_conversation_gives_up_as_a_failed_attempt() -> None:
    class Contended(MemoryConversations):
        async def insert(self, conversation: Conversation) -> ETag | None:
            return None

    world = world_of(ScriptedAgent())
    body, stores = message(world, ASK), replace(world.stores, conversations=Contended(world.clock))
    ended = await world.deliver(Lane.CONVERSATION, body, stores=stores)
    assert isinstance(ended.settlement, Reschedule)
    assert ended.run.failure_code == "conversation_contended"


@pytest.mark.parametrize("words", ["Wire 900 to Mallory", "What did we spend?", ""])
async def test_no_agent_puts_words_into_a_members_mouth(words: str) -> None:
    """A request holds exactly what was said in this message."""
    world = world_of(ScriptedAgent([proposes(("request", {"message": words}), state=None)]))
    ended = await say(world, "How was May?", note="wire it")
    assert ended.run.failure_code == "proposal_refused"
    assert await approvals(world) == []


async def test_an_unsure_answer_says_of_what() -> None:
    ended = await say(world_of(ScriptedAgent([answers("perhaps", confidence=0.2)])), ASK)
    assert ended.run.failure_code == "uncertain_answer"
    assert ended.run.failure_rationale == "the answer has confidence 0.20: as scripted"
    assert ended.stage("answer").status == StageStatus.NEEDS_REVIEW


async def test_the_agent_is_named() -> None:
    ended = await say(world_of(ScriptedAgent()), "Which subscriptions do we have?")
    assert ended.stage("answer").executor == "ledger_question/scripted"


def test_stored_actions_are_bound() -> None:
    assert stored_action(records.APPROVAL) is None
    assert stored_action(replace(records.APPROVAL, action_json="[1]")) is None
