"""Approvals end: whatever fails, whoever comes late, and also where nobody comes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from mosaic_core.agents.offline import one_message as offline
from mosaic_core.domain import ids
from mosaic_core.domain.envelope import AgentApprovalDue
from mosaic_core.domain.errors import BusyError, LeaseLostError
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, DecisionOutcome, RunStatus
from mosaic_core.domain.policy.approval import CLOCK_SLACK, Action
from mosaic_core.domain.policy.rules import load
from mosaic_core.domain.records import Annotation, Approval, Conversation, Decision
from mosaic_core.domain.settlement import Complete, DeadLetter, Reschedule
from mosaic_core.domain.transactions import Transaction
from mosaic_core.lanes.conversation import ConversationLane, sessions
from mosaic_core.lanes.conversation.effects import Requester, apply
from mosaic_core.lanes.conversation.sessions import Landed, Origin, PendingProposals
from mosaic_core.lanes.conversation.turnstile import MOST_WAITING, Turnstile
from mosaic_core.lanes.household import CATEGORY, LEARNED, NOTE
from mosaic_core.ports import AgentTurn, ETag, Stored, Stores
from mosaic_ops.memory.stores import MemoryApprovals, MemoryDecisions, MemoryLedger
from tests.support import records
from tests.support.agents import ScriptedAgent, answers, proposes
from tests.support.lanes import CONVERSATION, HOUSEHOLD, Ended, LaneWorld
from tests.unit.test_conversation_proposals import (
    ASK,
    DRAFT,
    RECATEGORISE,
    WIRE,
    Call,
    finding,
    noted,
    rows,
    state,
    world_of,
)
from tests.unit.test_lane_conversation import (
    OTHER_CONVERSATION,
    OTHER_USER,
    PAY_RENT,
    approvals,
    decide,
    decision,
    message,
    review_of,
    say,
)

OVER = 72 * 3600 + CLOCK_SLACK.total_seconds()
NOTED: Call = ("budget_note", {"text": "less coffee"})


def due(world: LaneWorld, approval: Approval, *, conversation: str = CONVERSATION) -> bytes:
    payload = AgentApprovalDue(household_id=HOUSEHOLD, conversation_id=conversation, approval_id=approval.approval_id)
    return world.command(CommandType.AGENT_APPROVAL_DUE, payload)


async def time_is_over(world: LaneWorld, approval: Approval) -> Ended:
    return await world.deliver(Lane.CONVERSATION, due(world, approval))


class Counted(MemoryLedger):
    """How often the ledger is read whole, and which rows by their ids."""

    def __init__(self, world: LaneWorld) -> None:
        super().__init__(world.clock)
        self._real = world.stores.ledger
        self.whole = 0
        self.named_ids: list[str] = []

    async def between(self, household_id: str, first: date, last: date) -> list[Transaction]:
        self.whole += 1
        return await self._real.between(household_id, first, last)

    async def named(self, household_id: str, transaction_ids: Collection[str]) -> dict[str, Transaction]:
        self.named_ids += transaction_ids
        return await self._real.named(household_id, transaction_ids)


class Failing(MemoryApprovals):
    """The world's approvals; an update for which ``fails`` says so is not written."""

    def __init__(self, world: LaneWorld, fails: Callable[[Approval], Exception | None]) -> None:
        super().__init__(world.clock)
        self._real = world.stores.approvals
        self._fails = fails

    async def insert(self, approval: Approval) -> ETag | None:
        return await self._real.insert(approval)

    async def read(self, household_id: str, approval_id: str) -> Stored[Approval] | None:
        return await self._real.read(household_id, approval_id)

    async def update(self, approval: Approval, etag: ETag) -> ETag | None:
        if (error := self._fails(approval)) is not None:
            raise error
        return await self._real.update(approval, etag)


def failing(world: LaneWorld, fails: Callable[[Approval], bool]) -> Stores:
    def error(approval: Approval) -> Exception | None:
        return RuntimeError("broken") if fails(approval) else None

    return replace(world.stores, approvals=Failing(world, error))


async def rejected(world: LaneWorld, body: bytes, stores: Stores) -> Ended:
    """The command's five attempts over these stores."""
    for _ in range(5):
        ended = await world.deliver(Lane.CONVERSATION, body, stores=stores)
        world.clock.advance(600)
    assert isinstance(ended.settlement, DeadLetter)
    return ended


# ------------------------------------------------------------------------------------------------------ time, alone


async def test_time_ends_an_approval_closes_its_review_and_tells_the_agent() -> None:
    agent = ScriptedAgent([proposes(WIRE, DRAFT)], [answers("A pity.")])
    world = world_of(agent)
    asking = await say(world, ASK)
    one, other = await approvals(world)
    world.clock.advance(OVER)
    ended = await time_is_over(world, one)
    assert (ended.settlement, ended.run.status, ended.signals) == (Complete(), RunStatus.COMPLETED, [])
    assert ended.stage("expire").outcome_code == "approval_expired"
    assert (await review_of(world, asking.run.run_id)).is_resolved
    assert agent.resumed == [("session-1", dict.fromkeys(("call-1", "call-2"), "not decided in time: it was not done"))]
    assert {(a.status, a.settled_at) for a in await approvals(world)} == {(ApprovalStatus.EXPIRED, world.clock.now())}
    [audit] = await world.stores.decisions.of_run(ended.run.run_id)
    assert (audit.outcome, audit.reason_code) == (DecisionOutcome.REJECTED, "approval_expired")
    # the sibling's command finds nothing left to do
    again = await time_is_over(world, other)
    assert [s.name for s in again.stages] == ["expire"]
    assert len(agent.resumed) == 1


async def test_time_is_not_over_before_the_slack_of_two_clocks() -> None:
    world = world_of(ScriptedAgent([proposes(WIRE)]))
    await say(world, ASK)
    [approval] = await approvals(world)
    world.clock.advance(OVER - 1)
    ended = await time_is_over(world, approval)
    assert (ended.run.status, ended.stage("expire").outcome_code) == (RunStatus.COMPLETED, "approval_not_due")
    assert await approvals(world) == [approval]


async def test_time_ends_nothing_of_another_conversation() -> None:
    world = world_of(ScriptedAgent([proposes(WIRE)]))
    await say(world, ASK)
    [approval] = await approvals(world)
    world.clock.advance(OVER)
    body = due(world, approval, conversation=OTHER_CONVERSATION)
    ended = await world.deliver(Lane.CONVERSATION, body)
    assert (ended.run.status, ended.stage("expire").outcome_code) == (RunStatus.COMPLETED, "approval_not_found")
    assert await approvals(world) == [approval]


async def test_what_a_decision_left_undone_is_times_to_do() -> None:
    """The deciding run approved, and failed for good before it carried anything out."""
    agent = ScriptedAgent([proposes(RECATEGORISE_MANY)])
    world = world_of(agent)
    await rows(world, *MANY)
    asking = await say(world, ASK)
    [approval] = await approvals(world)
    body = decision(world, approval.approval_id, "Approve", user=OTHER_USER)
    await rejected(world, body, failing(world, lambda a: a.carried_out_at is not None))
    assert (await approvals(world))[0].carried_out_at is None
    world.clock.advance(OVER)
    ended = await time_is_over(world, approval)
    assert (ended.run.status, ended.stage("carry_out").outcome_code) == (RunStatus.COMPLETED, "action_applied")
    assert set((await noted(world, CATEGORY)).values()) == {"MEDICAL"}
    assert (await review_of(world, asking.run.run_id)).is_resolved
    assert agent.resumed[-1][1] == {"call-1": "approved and applied"}


async def test_what_time_tells_an_agent_may_need_a_decision_again() -> None:
    agent = ScriptedAgent([proposes(DRAFT)], [proposes(WIRE, state="session-2"), answers("All done.")])
    world = world_of(agent)
    await say(world, ASK)
    [draft] = await approvals(world)
    world.clock.advance(OVER)
    ended = await time_is_over(world, draft)
    assert (ended.run.status, ended.run.failure_code) == (RunStatus.NEEDS_REVIEW, "approval_required")
    [wire] = [a for a in await approvals(world) if a.status == ApprovalStatus.PENDING]
    assert (wire.run_id, wire.turn_id) == (ended.run.run_id, ids.resumed_turn_id(draft.batch or ""))
    await decide(world, wire.approval_id, "Reject")
    assert (await review_of(world, ended.run.run_id)).is_resolved


# ---------------------------------------------------------------------------------------- whoever finds it undone


@pytest.mark.parametrize("finder", ["the same", "the opposite", "a sibling's", "time"])
async def test_what_a_dead_decision_left_is_done_by_whoever_comes_next(finder: str) -> None:
    """The decision stands on the row; its process died, and its message is lost."""
    agent = ScriptedAgent([proposes(NOTE_50, WIRE)], [answers("Noted.")])
    world = world_of(agent)
    await rows(world, *MANY)
    asking = await say(world, ASK)
    [note] = [a for a in await approvals(world) if a.action_kind == "proposal"]
    [wire] = [a for a in await approvals(world) if a.action_kind != "proposal"]
    await decide(world, wire.approval_id, "Reject")
    stores = failing(world, lambda a: a.carried_out_at is not None)
    died = await world.deliver(Lane.CONVERSATION, decision(world, note.approval_id, "Approve"), stores=stores)
    assert not died.run.is_final
    match finder:
        case "the same":
            ended = await decide(world, note.approval_id, "Approve", user=OTHER_USER)
            assert ended.stage("decide").outcome_code == "approval_repeated"
        case "the opposite":
            ended = await decide(world, note.approval_id, "Reject", user=OTHER_USER)
            assert ended.run.failure_code == "approval_contradicted"
        case "a sibling's":
            ended = await decide(world, wire.approval_id, "Reject", user=OTHER_USER)
            assert ended.run.status == RunStatus.COMPLETED
        case _:
            world.clock.advance(OVER)
            ended = await time_is_over(world, note)
    assert ended.settlement == Complete()
    assert set((await noted(world, CATEGORY)).values()) == {"MEDICAL"}
    assert [results for _, results in agent.resumed] == [
        {
            "call-1": "approved and applied",
            "call-2": "rejected by a person: it was not done, do not propose it again",
        }
    ]
    assert (await review_of(world, asking.run.run_id)).is_resolved
    assert all(a.settled_at is not None for a in await approvals(world))


async def test_what_is_settled_costs_one_read_to_repeat() -> None:
    world = world_of(ScriptedAgent([proposes(DRAFT)]))
    await say(world, ASK)
    [approval] = await approvals(world)
    await decide(world, approval.approval_id, "Approve")

    class Away:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} is not asked")

    away: Any = Away()
    real = world.stores
    stores = replace(real, blobs=away, conversations=away, annotations=away, ledger=away)
    ended = await world.deliver(Lane.CONVERSATION, decision(world, approval.approval_id, "Approve"), stores=stores)
    assert (ended.run.status, ended.stage("decide").outcome_code) == (RunStatus.COMPLETED, "approval_repeated")


async def test_late_decisions_close_one_review_and_open_none() -> None:
    agent = ScriptedAgent([proposes(WIRE)])
    world = world_of(agent)
    asking = await say(world, ASK)
    [approval] = await approvals(world)
    world.clock.advance(OVER)
    for what in ("Reject", "Approve", "Reject"):
        late = await decide(world, approval.approval_id, what, user=OTHER_USER)
        assert (late.run.status, late.signals) == (RunStatus.COMPLETED, [])
    assert (await review_of(world, asking.run.run_id)).is_resolved
    assert len(agent.resumed) == 1


async def test_not_decided_in_time_is_never_said_of_what_is_then_done() -> None:
    """A sibling's decision told the agent that time is over for the wire. The decision on it was taken in time, and
    waited in the queue: it comes too late, and nothing is done."""
    agent = ScriptedAgent([proposes(WIRE, DRAFT)])
    world = world_of(agent)
    await say(world, ASK)
    wire, draft = sorted(await approvals(world), key=lambda a: a.action_kind, reverse=True)
    in_time = [decision(world, a.approval_id, "Approve") for a in (draft, wire)]
    world.clock.advance(OVER)
    await world.deliver(Lane.CONVERSATION, in_time[0])
    assert agent.resumed[0][1]["call-1"] == "not decided in time: it was not done"
    late = await world.deliver(Lane.CONVERSATION, in_time[1])
    assert (late.run.status, late.stage("decide").outcome_code) == (RunStatus.COMPLETED, "approval_expired")
    [row] = [a for a in await approvals(world) if a.approval_id == wire.approval_id]
    assert (row.status, row.carried_out_at, row.draft) == (ApprovalStatus.EXPIRED, None, None)
    assert len(agent.resumed) == 1


# ------------------------------------------------------------------------------------------------------- one set


async def test_a_set_without_a_session_closes_the_review_when_all_of_it_is_decided() -> None:
    world = world_of(ScriptedAgent([proposes(WIRE, DRAFT, state=None)]))
    asking = await say(world, ASK)
    one, other = await approvals(world)
    await decide(world, one.approval_id, "Reject")
    assert not (await review_of(world, asking.run.run_id)).is_resolved
    await decide(world, other.approval_id, "Reject")
    assert (await review_of(world, asking.run.run_id)).is_resolved
    assert all(a.settled_at for a in await approvals(world))


async def test_a_set_that_an_earlier_version_kept_no_list_of_is_still_one() -> None:
    world = world_of(ScriptedAgent([proposes(WIRE, DRAFT, state=None)]))
    asking = await say(world, ASK)
    for row in await approvals(world):
        stored = await world.stores.approvals.read(HOUSEHOLD, row.approval_id)
        assert stored is not None
        await world.stores.approvals.update(replace(row, batch=None), stored.etag)
    one, other = await approvals(world)
    await decide(world, one.approval_id, "Reject")
    assert not (await review_of(world, asking.run.run_id)).is_resolved
    await decide(world, other.approval_id, "Approve")
    assert (await review_of(world, asking.run.run_id)).is_resolved


async def test_two_proposals_under_one_call_id_are_not_two_of_a_set() -> None:
    reply = proposes(WIRE, DRAFT)
    twice = replace(reply, proposals=tuple(replace(p, call_id="same") for p in reply.proposals))
    world = world_of(ScriptedAgent([twice]))
    asking = await say(world, ASK)
    [approval] = await approvals(world)
    assert "refused (proposal_invalid)" in asking.stage("proposals").outcome_rationale
    await decide(world, approval.approval_id, "Reject")
    assert (await review_of(world, asking.run.run_id)).is_resolved


async def test_siblings_stay_one_set_whatever_the_policy_says_by_the_second_attempt() -> None:
    """The asking worker dies after its first approval; meanwhile the results of what was applied read otherwise."""
    agent = ScriptedAgent([proposes(RECATEGORISE, WIRE, DRAFT)])
    world = world_of(agent)
    await rows(world)
    body, real = message(world, ASK), world.stores.approvals

    class Dies(MemoryApprovals):
        async def insert(self, approval: Approval) -> ETag | None:
            await real.insert(approval)
            raise RuntimeError("broken")

    await world.deliver(Lane.CONVERSATION, body, stores=replace(world.stores, approvals=Dies(world.clock)))
    [first] = await approvals(world)
    later = replace(
        await annotation(world, CATEGORY, "t1"), value="TRAVEL", run_id="f" * 32, asked_at=world.clock.now()
    )
    await overwrite(world, replace(later, asked_at=world.clock.now() + timedelta(seconds=1)))
    world.clock.advance(60)
    await world.deliver(Lane.CONVERSATION, body)
    both = await approvals(world)
    assert {a.batch for a in both} == {first.batch}
    assert len(both) == 2
    for row in both:
        await decide(world, row.approval_id, "Reject")
    assert len(agent.resumed) == 1


async def test_what_was_asked_for_once_is_asked_for_whatever_the_policy_says_by_then() -> None:
    """A deployment with a stricter policy, between two attempts of one message."""
    agent = ScriptedAgent([proposes(WIRE, DRAFT)])
    world = world_of(agent)
    body, real = message(world, ASK), world.stores.approvals

    class Dies(MemoryApprovals):
        async def insert(self, approval: Approval) -> ETag | None:
            await real.insert(approval)
            raise RuntimeError("broken")

    await world.deliver(Lane.CONVERSATION, body, stores=replace(world.stores, approvals=Dies(world.clock)))
    assert len(await approvals(world)) == 1
    strict = load('version = "strict"\n[[rules]]\nname = "all"\nverdict = "refuse"\nreason = "no"')
    world.handlers = {Lane.CONVERSATION: ConversationLane(agent=agent, policy=strict)}
    world.clock.advance(60)
    asking = await world.deliver(Lane.CONVERSATION, body)
    assert asking.run.failure_code == "approval_required"
    found = await approvals(world)
    assert len(found) == 2
    for row in found:
        await decide(world, row.approval_id, "Reject")
    assert len(agent.resumed) == 1
    assert (await review_of(world, asking.run.run_id)).is_resolved


async def test_one_reply_is_told_once_and_acts_once_after_twenty_newer_exchanges() -> None:
    """The telling run dies after its reply has landed, its exchange is pushed out of the row, another run goes on."""
    agent = ScriptedAgent([proposes(WIRE, DRAFT)], [proposes(NOTED, DRAFT, state="session-2"), answers("told again")])
    world = world_of(agent)
    await say(world, ASK)
    one, other = await approvals(world)
    await decide(world, one.approval_id, "Reject")
    stores = failing(world, lambda a: a.settled_at is not None)
    died = await world.deliver(Lane.CONVERSATION, decision(world, other.approval_id, "Reject"), stores=stores)
    assert not died.run.is_final
    asked = [a for a in await approvals(world) if a.turn_id is not None]
    agent.replies = [answers("x")]
    for n in range(21):
        world.clock.advance(1)
        await say(world, f"How much was it in {n}?")
    assert all(t.turn_id != asked[0].turn_id for t in (await state(world)).turns)
    ended = await decide(world, one.approval_id, "Reject", user=OTHER_USER)
    assert ended.run.status == RunStatus.COMPLETED
    assert len(agent.resumed) == 1
    assert len(await noted(world, NOTE)) == 1
    # the set is the first run's, whoever went on with it, and so is its review
    assert [a for a in await approvals(world) if a.turn_id is not None] == asked
    assert {a.run_id for a in asked} == {died.run.run_id}
    assert not (await review_of(world, died.run.run_id)).is_resolved
    for row in asked:
        await decide(world, row.approval_id, "Reject")
    assert (await review_of(world, died.run.run_id)).is_resolved


async def test_the_first_of_two_to_land_is_whom_both_go_on_from() -> None:
    """Two attempts at once, neither of which has seen the other's reply or proposals."""
    stores, turn = world_of(ScriptedAgent([])).stores, "7" * 32
    one, other = (
        Landed(proposes(call), Origin(run_id=f"{n}" * 32, command_id=f"{n}" * 32, created_at=records.NOW))
        for n, call in enumerate((WIRE, DRAFT))
    )
    assert await sessions.land_reply(stores, HOUSEHOLD, turn, 0, one) == one
    assert await sessions.land_reply(stores, HOUSEHOLD, turn, 0, other) == one
    mine = PendingProposals(
        state="s", run_id="1" * 32, question="q", requested_by="u", results={}, waiting={"call-1": "a"}
    )
    theirs = replace(mine, waiting={"call-1": "b"})
    assert (await sessions.land_batch(stores, HOUSEHOLD, turn, 0, mine))[1] == mine
    assert (await sessions.land_batch(stores, HOUSEHOLD, turn, 0, theirs))[1] == mine


async def test_a_repeated_attempt_of_the_telling_run_raises_the_review_of_what_was_asked() -> None:
    """It settled everything, and died before its own run was written."""
    agent = ScriptedAgent([proposes(DRAFT)], [proposes(WIRE, state="session-2")])
    world = world_of(agent)
    await say(world, ASK)
    [approval] = await approvals(world)
    body = decision(world, approval.approval_id, "Reject")
    first = await world.attempt(Lane.CONVERSATION, body, attempt=1)
    assert await world.attempt(Lane.CONVERSATION, body, attempt=2) == first
    assert first.code == "approval_required"
    assert len(agent.resumed) == 1


# --------------------------------------------------------------------------------- void: the command was rejected


async def test_what_a_rejected_command_asked_for_is_void() -> None:
    world = world_of(ScriptedAgent([proposes(WIRE, state=None)]))
    body = message(world, PAY_RENT)

    class NoAudit(MemoryDecisions):
        async def insert(self, decision: Decision) -> bool:
            raise RuntimeError("broken")

    await rejected(world, body, replace(world.stores, decisions=NoAudit(world.clock)))
    [approval] = await approvals(world)
    assert approval.status == ApprovalStatus.PENDING
    ended = await decide(world, approval.approval_id, "Approve", user=OTHER_USER)
    assert (ended.run.status, ended.run.failure_code) == (RunStatus.NEEDS_REVIEW, "approval_void")
    [row] = await approvals(world)
    assert (row.status, row.carried_out_at, row.draft) == (ApprovalStatus.EXPIRED, None, None)
    assert row.settled_at is not None
    assert await world.stores.approvals.of_household(HOUSEHOLD, ApprovalStatus.PENDING) == []
    again = await decide(world, approval.approval_id, "Approve", user=OTHER_USER)
    assert (again.run.status, again.signals) == (RunStatus.COMPLETED, [])


async def test_siblings_of_a_void_one_end_with_it_and_nobody_is_told() -> None:
    agent = ScriptedAgent([proposes(WIRE, DRAFT)])
    world = world_of(agent)
    body, real, asked = message(world, ASK), world.stores.approvals, list[str]()

    class SecondFails(MemoryApprovals):
        async def insert(self, approval: Approval) -> ETag | None:
            if asked and approval.approval_id not in asked:
                raise RuntimeError("broken")
            asked.append(approval.approval_id)
            return await real.insert(approval)

        async def read(self, household_id: str, approval_id: str) -> Stored[Approval] | None:
            return await real.read(household_id, approval_id)

    await rejected(world, body, replace(world.stores, approvals=SecondFails(world.clock)))
    [approval] = await approvals(world)
    ended = await time_is_over(world, approval)
    assert ended.run.status == RunStatus.COMPLETED
    [row] = await approvals(world)
    assert (row.status, row.settled_at) == (ApprovalStatus.EXPIRED, world.clock.now())
    assert agent.resumed == []


# ------------------------------------------------------------------------------------------------- said and done

MANY = [{"transactionId": f"m{n}", "description": "ZORBLAT VENTURES", "amount": "-1.00"} for n in range(30)]
RECATEGORISE_MANY: Call = ("recategorise", {"transactionIds": [f"m{n}" for n in range(30)], "category": "MEDICAL"})
NOTE_50 = RECATEGORISE_MANY


async def annotation(world: LaneWorld, kind: str, subject: str) -> Annotation:
    stored = await world.stores.annotations.read(HOUSEHOLD, kind, subject)
    assert stored is not None
    return stored.value


async def overwrite(world: LaneWorld, new: Annotation) -> None:
    stored = await world.stores.annotations.read(HOUSEHOLD, new.kind, new.subject)
    assert stored is not None
    assert await world.stores.annotations.update(new, stored.etag)


async def test_what_a_person_approves_last_is_applied() -> None:
    small: Call = ("recategorise", {"transactionIds": ["m1"], "category": "TRAVEL"})
    agent = ScriptedAgent([proposes(RECATEGORISE_MANY), proposes(small, state=None)])
    world = world_of(agent)
    await rows(world, *MANY)
    await say(world, ASK)
    world.clock.advance(60)
    await say(world, ASK)
    [approval] = await approvals(world)
    world.clock.advance(60)
    await decide(world, approval.approval_id, "Approve", user=OTHER_USER)
    assert set((await noted(world, CATEGORY)).values()) == {"MEDICAL"}
    assert set((await noted(world, LEARNED)).values()) == {"MEDICAL"}
    assert agent.resumed[-1][1] == {"call-1": "approved and applied"}


@pytest.mark.parametrize(
    ("later", "told", "code"),
    [
        (
            ["m1"],
            "approved, partly applied: 29 rows are MEDICAL now, and 0 merchants from now on; "
            "1 rows and 1 merchants keep a later choice",
            "action_partly_applied",
        ),
        (
            [f"m{n}" for n in range(30)],
            "approved, not applied: 30 rows and 1 merchants keep a later choice",
            "action_not_applied",
        ),
    ],
)
async def test_a_later_choice_than_the_decision_stands_and_is_told(later: list[str], told: str, code: str) -> None:
    """The decision waited in the queue; what was said after it has been applied already."""
    agent = ScriptedAgent([proposes(RECATEGORISE_MANY)])
    world = world_of(agent)
    await rows(world, *MANY)
    await say(world, ASK)
    [approval] = await approvals(world)
    world.clock.advance(60)
    waited = decision(world, approval.approval_id, "Approve", user=OTHER_USER)
    world.clock.advance(60)
    wish = Requester(set_by=OTHER_USER, asked_at=world.clock.now(), turn_id="later")
    ledger = await world.stores.ledger.between(HOUSEHOLD, date(2026, 1, 1), date(2026, 12, 31))
    action = Action("recategorise", {"transactionIds": later, "category": "TRAVEL"})
    context = world.context(Lane.CONVERSATION, message(world, ASK))
    await apply(context, HOUSEHOLD, action, wish, {t.transaction_id: t for t in ledger})
    ended = await world.deliver(Lane.CONVERSATION, waited)
    assert ended.run.status == RunStatus.COMPLETED
    assert [i for i, c in (await noted(world, CATEGORY)).items() if c == "TRAVEL"] == sorted(later)
    assert agent.resumed[-1][1] == {"call-1": told}
    assert ended.stage("carry_out").outcome_code == code
    assert told.removeprefix("approved, ") in (ended.run.agent_note_summary or "")
    [row] = await approvals(world)
    assert row.carried_out_as == told.removeprefix("approved, ")


async def test_done_is_said_only_of_what_landed() -> None:
    """Also of what the policy applies at once: two messages, the later one executed first."""

    def to(category: str) -> Any:
        return proposes(("recategorise", {"transactionIds": ["t1"], "category": category}))

    agent = ScriptedAgent([to("TRAVEL"), to("MEDICAL")])
    world = world_of(agent)
    await rows(world)
    early = message(world, ASK)
    world.clock.advance(60)
    late = message(world, ASK)
    await world.deliver(Lane.CONVERSATION, late)
    ended = await world.deliver(Lane.CONVERSATION, early)
    assert agent.resumed[1][1] == {"call-1": "not applied: 1 rows and 1 merchants keep a later choice"}
    assert ended.stage("proposals").outcome_code == "proposals_not_all_applied"
    assert (ended.run.agent_note_summary or "").startswith("Not done as asked: recategorise: not applied")
    audits = await world.stores.decisions.of_run(ended.run.run_id)
    assert [(a.outcome, a.reason_code) for a in audits] == [(DecisionOutcome.REJECTED, "not_applied")]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("applied: 2 rows are MEDICAL now", "Done: put it there."),
        ("approved and applied", "Done: put it there."),
        ("partly applied: 1 rows are so", "Done in part: put it there (partly applied: 1 rows are so)."),
        ("approved, partly applied: 1 rows", "Done in part: put it there (approved, partly applied: 1 rows)."),
        (
            "not applied: 1 rows keep a later choice",
            "Not done: put it there (not applied: 1 rows keep a later choice).",
        ),
        ("approved, not applied: 1 rows", "Not done: put it there (approved, not applied: 1 rows)."),
    ],
)
def test_the_offline_agent_says_done_only_of_what_landed(told: str, said: str) -> None:
    answer = offline.resume(
        json.dumps({"session": offline.SESSION, "said": {"call-1": "put it there"}, "rows": []}), {"call-1": told}
    )
    assert answer is not None
    assert answer.text == said


async def test_a_finding_that_is_gone_ends_as_not_applied() -> None:
    agent = ScriptedAgent([proposes(("dismiss_signal", {"signalId": "5" * 32}))])
    world = world_of(agent)
    from mosaic_core.domain.lifecycle import Severity

    await world.stores.signals.insert(finding(severity=Severity.ERROR))
    await say(world, ASK)
    [approval] = await approvals(world)
    stored = await world.stores.signals.read("5" * 32)
    assert stored is not None
    await world.stores.signals.update(replace(stored.value, household_id="f" * 32), stored.etag)
    ended = await decide(world, approval.approval_id, "Approve", user=OTHER_USER)
    assert (ended.run.status, ended.stage("carry_out").outcome_code) == (RunStatus.COMPLETED, "action_not_applied")
    assert agent.resumed[-1][1]["call-1"].startswith("approved, not applied: ")


async def test_a_lower_attempts_annotation_does_not_replace_a_higher_ones() -> None:
    world = world_of(ScriptedAgent())
    await rows(world)
    body = message(world, ASK)
    ledger = await world.stores.ledger.between(HOUSEHOLD, date(2026, 1, 1), date(2026, 12, 31))
    by_id = {t.transaction_id: t for t in ledger}
    wish = Requester(set_by=OTHER_USER, asked_at=world.clock.now())
    higher, lower = (world.context(Lane.CONVERSATION, body, attempt=n) for n in (2, 1))
    for context, category in ((higher, "TRAVEL"), (lower, "MEDICAL")):
        action = Action("recategorise", {"transactionIds": ["t1"], "category": category})
        done = await apply(context, HOUSEHOLD, action, wish, by_id)
    assert (done.landed, done.kept) == (0, 2)
    there = await annotation(world, CATEGORY, "t1")
    assert (there.value, there.attempt) == ("TRAVEL", 2)
    # the higher one again over the lower: an attempt's own word stands
    again = Action("recategorise", {"transactionIds": ["t1"], "category": "MEDICAL"})
    done = await apply(world.context(Lane.CONVERSATION, body, attempt=3), HOUSEHOLD, again, wish, by_id)
    assert (done.landed, (await annotation(world, CATEGORY, "t1")).value) == (2, "MEDICAL")


@pytest.mark.parametrize("over_ledger", [True, False], ids=["an agent that looks at it", "one that does not"])
async def test_a_decision_reads_its_rows_by_id_and_the_ledger_only_for_an_agent_that_looks_at_it(
    over_ledger: bool,
) -> None:
    agent = ScriptedAgent([proposes(RECATEGORISE_MANY)], resumes_over_ledger=over_ledger)
    world = world_of(agent)
    await rows(world, *MANY)
    await say(world, ASK)
    [approval] = await approvals(world)
    seen: list[AgentTurn] = []

    async def resume(state: str, results: Any, turn: AgentTurn) -> Any:
        seen.append(turn)
        return answers("Noted.")

    agent.resume = resume  # type: ignore[method-assign]
    ledger = Counted(world)
    body = decision(world, approval.approval_id, "Approve")
    await world.deliver(Lane.CONVERSATION, body, stores=replace(world.stores, ledger=ledger))
    assert sorted(ledger.named_ids) == sorted(row["transactionId"] for row in MANY)
    assert ledger.whole == over_ledger
    # and what was carried out is in what the agent sees
    assert {t.category for t in seen[0].transactions} == ({"MEDICAL"} if over_ledger else set())
    assert [i for i, category in (await noted(world, CATEGORY)).items() if category == "MEDICAL"] == sorted(
        ledger.named_ids
    )
    ledger = Counted(world)
    again = decision(world, approval.approval_id, "Approve")
    await world.deliver(Lane.CONVERSATION, again, stores=replace(world.stores, ledger=ledger))
    assert (ledger.whole, ledger.named_ids) == (0, [])


async def test_what_an_agent_has_asked_for_is_judged_over_the_ledger_by_whoever_goes_on() -> None:
    """Another agent is configured between the two attempts: one that does not look at the ledger."""
    to_travel: Call = ("recategorise", {"transactionIds": ["t1"], "category": "TRAVEL"})
    agent = ScriptedAgent([proposes(WIRE)], [proposes(to_travel, state=None)])
    world = world_of(agent)
    await rows(world)
    await say(world, ASK)
    [approval] = await approvals(world)
    body = decision(world, approval.approval_id, "Reject")

    class Unwritable:
        async def read(self, *_: str) -> None: ...

        async def of_household(self, *_: str) -> list[Annotation]:
            return []

        async def insert(self, annotation: Annotation) -> None:
            raise RuntimeError("broken")

    unwritable: Any = Unwritable()
    await world.deliver(Lane.CONVERSATION, body, stores=replace(world.stores, annotations=unwritable))
    assert await noted(world, CATEGORY) == {}
    agent.resumes_over_ledger = False
    world.clock.advance(600)
    await world.deliver(Lane.CONVERSATION, body)
    assert await noted(world, CATEGORY) == {"t1": "TRAVEL"}
    assert len(agent.resumed) == 1


# ------------------------------------------------------------------------------------- one conversation at a time


class Yielding:
    """A store that lets others run before each of its operations."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        target = getattr(self._real, name)

        async def call(*arguments: Any) -> Any:
            await asyncio.sleep(0)
            return await target(*arguments)

        return call


def questions(world: LaneWorld, count: int) -> list[bytes]:
    bodies = []
    for n in range(count):
        bodies.append(message(world, f"How much was it in {n}?"))
        world.clock.advance(1)
    return bodies


async def until_done(worlds: list[LaneWorld], bodies: list[bytes], stores: Stores) -> list[Ended]:
    """Deliveries of all that is under way at once, by each worker in turn, until nothing is."""
    ended: dict[bytes, Ended] = {}
    for _ in range(200):
        open_ = [b for b in bodies if b not in ended]
        if not open_:
            break
        deliver = [worlds[n % len(worlds)].deliver(Lane.CONVERSATION, b, stores=stores) for n, b in enumerate(open_)]
        for body, end in zip(open_, await asyncio.gather(*deliver), strict=True):
            assert end.run.failure_code is None
            if end.run.is_final:
                ended[body] = end
            else:
                assert isinstance(end.settlement, Reschedule)
                assert end.settlement.why == "in_progress"
        worlds[0].clock.advance(2)
    return list(ended.values())


@pytest.mark.parametrize("workers", [1, 2, 3])
async def test_many_messages_of_one_conversation_ask_the_agent_once_each(workers: int) -> None:
    async def slow(turn: AgentTurn) -> None:
        await asyncio.sleep(0)

    agent = ScriptedAgent([answers("x")], before=slow)
    worlds = [world_of(agent) for _ in range(workers)]
    for other in worlds[1:]:
        other.clock, other.stores = worlds[0].clock, worlds[0].stores
    world = worlds[0]
    bodies = questions(world, 32)
    conversations: Any = Yielding(world.stores.conversations)
    ended = await until_done(worlds, bodies, replace(world.stores, conversations=conversations))
    assert len(ended) == 32
    assert all(e.run.status == RunStatus.COMPLETED for e in ended)
    assert all(s.is_resolved for e in ended for s in e.signals)
    assert len(agent.turns) <= 33
    assert conversation_holder(await state(world)) is None


def conversation_holder(found: Conversation) -> str | None:
    return found.holder_command_id or None


async def test_a_flood_of_one_conversation_leaves_slots_for_others() -> None:
    """Those that wait hold a worker's slot: a few do, the others go back to the queue at once."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(turn: AgentTurn) -> None:
        begun.set()
        await go_on.wait()

    world = world_of(ScriptedAgent([answers("x")], before=slow))
    first, *others = questions(world, 16)
    running = asyncio.create_task(world.deliver(Lane.CONVERSATION, first))
    await begun.wait()
    waiting = [asyncio.create_task(world.deliver(Lane.CONVERSATION, b)) for b in others]
    _, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    while len(pending) > MOST_WAITING:
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    go_on.set()
    assert (await running).run.status == RunStatus.COMPLETED
    assert {(await t).run.status for t in pending} == {RunStatus.COMPLETED}
    assert sum(t.result().run.is_final for t in waiting) == MOST_WAITING


async def test_who_waits_too_long_goes_back_to_the_queue() -> None:
    turnstile = Turnstile(wait_seconds=0)
    async with turnstile.one_at_a_time(HOUSEHOLD, CONVERSATION):
        with pytest.raises(BusyError) as raised:
            async with turnstile.one_at_a_time(HOUSEHOLD, CONVERSATION):
                pass
        async with turnstile.one_at_a_time(HOUSEHOLD, OTHER_CONVERSATION):
            pass
    assert raised.value.wait == 2
    async with turnstile.one_at_a_time(HOUSEHOLD, CONVERSATION):
        pass


async def test_a_holder_whose_process_died_is_taken_over_when_its_lease_is_over() -> None:
    """Another worker's attempt was killed while it asked the agent."""
    began = asyncio.Event()

    async def hangs(turn: AgentTurn) -> None:
        began.set()
        await asyncio.Event().wait()

    dead, world = world_of(ScriptedAgent(before=hangs)), world_of(ScriptedAgent([answers("late")]))
    dead.clock, dead.stores = world.clock, world.stores
    killed = asyncio.create_task(dead.deliver(Lane.CONVERSATION, message(world, "one?")))
    await began.wait()
    body = message(world, "two?")
    busy = await world.deliver(Lane.CONVERSATION, body)
    assert isinstance(busy.settlement, Reschedule)
    assert (busy.settlement.why, busy.run.failure_code) == ("in_progress", None)
    killed.cancel()
    await asyncio.wait({killed})
    held = await state(world)
    assert held.holder_command_id
    world.clock.advance(31)
    ended = await world.deliver(Lane.CONVERSATION, body)
    assert ended.run.status == RunStatus.COMPLETED
    assert [t.question for t in (await state(world)).turns] == ["two?"]


async def test_a_lower_attempt_does_not_take_the_conversation_from_a_higher_one() -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow(turn: AgentTurn) -> None:
        began.set()
        await go_on.wait()

    slow_one, world = world_of(ScriptedAgent([answers("two")], before=slow)), world_of(ScriptedAgent([answers("one")]))
    slow_one.clock, slow_one.stores = world.clock, world.stores
    body = message(world, ASK)
    second = asyncio.create_task(slow_one.attempt(Lane.CONVERSATION, body, attempt=2))
    await began.wait()
    with pytest.raises(LeaseLostError):
        await world.attempt(Lane.CONVERSATION, body, attempt=1)
    go_on.set()
    await second
    assert [(t.attempt, t.answer) for t in (await state(world)).turns] == [(2, "two")]


async def test_an_attempt_that_fails_lets_the_conversation_go() -> None:
    def breaks(turn: AgentTurn) -> None:
        raise RuntimeError("broken")

    agent = ScriptedAgent(before=breaks)
    world = world_of(agent)
    failed = await say(world, "one?")
    assert isinstance(failed.settlement, Reschedule)
    assert not (await state(world)).holder_command_id
    agent.before = None
    assert (await say(world, "two?")).run.status == RunStatus.COMPLETED
