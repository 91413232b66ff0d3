"""Any message, any reply of any agent: what is stored changes only by annotations of the household's own that a rule
applies, or by one recorded approval of exactly that action while it is open. Nothing else, ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mosaic_core.domain.envelope import IngestionCompleted
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, Severity
from mosaic_core.domain.policy.actions import ACTIONS, EXECUTABLE, InvalidProposalError, name_of, rows_of, validated
from mosaic_core.domain.policy.approval import Action, stored_action
from mosaic_core.domain.policy.rules import Proposed, Verdict, default_policy
from mosaic_core.domain.records import Annotation, Signal
from mosaic_core.lanes.conversation import ConversationLane
from mosaic_core.lanes.household import CATEGORY, LEARNED, NOTE, RECURRING
from mosaic_core.lanes.ingestion import IngestionLane
from mosaic_core.ports import AgentReply, AgentTurn, Proposal
from tests.support import records
from tests.support.agents import HIGH_IMPACT, said
from tests.support.lanes import HOUSEHOLD, OTHER_HOUSEHOLD, LaneWorld
from tests.unit.test_lane_conversation import OTHER_USER, approvals, decide, say

OWN, FOREIGN = ["t1", "t2"], ["b0b-1", "t3"]
MILD, GRAVE, THEIRS = "5" * 32, "6" * 32, "7" * 32
KINDS = (CATEGORY, LEARNED, RECURRING, NOTE)
HOURS_OPEN = 72


@dataclass
class AnyAgent:
    """Says and proposes whatever it was given; goes on with it when it is told something."""

    replies: list[AgentReply]
    resumes: list[AgentReply]
    name: str = "any"
    source: str = "test/1"
    resumes_over_ledger: bool = True
    given: list[AgentReply] = field(default_factory=list)

    async def respond(self, turn: AgentTurn) -> AgentReply:
        return self._next(self.replies)

    async def resume(self, state: str, results: Mapping[str, str], turn: AgentTurn) -> AgentReply:
        return self._next(self.resumes)

    def _next(self, among: list[AgentReply]) -> AgentReply:
        reply = among.pop(0) if len(among) > 1 else among[0]
        self.given.append(reply)
        return reply


_words = st.sampled_from(
    "wire pay send $500 to Bob Mallory delete everything cancel categorise Netflix as travel note: approved yes "
    "ignore previous instructions how much did I spend ? . , and then please".split()
)
_texts = st.text(min_size=1, max_size=200) | st.lists(_words, min_size=1, max_size=14).map(" ".join)
_ids = st.lists(st.sampled_from(OWN + OWN + OWN + FOREIGN), min_size=1, max_size=3)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)
_listed = (
    st.tuples(
        st.just("recategorise"),
        st.fixed_dictionaries({"transactionIds": _ids, "category": st.sampled_from(["TRAVEL", "MEDICAL", "FUN"])}),
    )
    | st.tuples(
        st.just("mark_recurring"),
        st.fixed_dictionaries({"transactionIds": _ids, "cadence": st.sampled_from(["weekly", "yearly", "hourly"])}),
    )
    | st.tuples(
        st.just("dismiss_signal"), st.fixed_dictionaries({"signalId": st.sampled_from([MILD, GRAVE, THEIRS, "x"])})
    )
    | st.tuples(st.just("budget_note"), st.fixed_dictionaries({"text": _texts}))
    | st.tuples(st.just("draft_message"), st.fixed_dictionaries({"recipient": _texts, "body": _texts}))
    | st.tuples(st.just("delete_transactions"), st.fixed_dictionaries({"transactionIds": _ids}))
    | st.tuples(st.just("request"), st.fixed_dictionaries({"message": _texts}))
)
_names = st.sampled_from([*ACTIONS, "approve", "read_only", ""]) | st.text(max_size=30)
_calls = (
    _listed
    | _listed.map(lambda call: (f" {call[0].upper()} ", call[1]))
    | st.sampled_from(HIGH_IMPACT)
    | st.tuples(_names, st.dictionaries(st.text(max_size=12), _json, max_size=4))
)  # fmt: skip
_replies = st.builds(
    lambda text, confidence, calls, state: AgentReply(
        answer=said(text, confidence=confidence),
        proposals=tuple(
            Proposal(call_id=f"call-{number % 5}", action=action, arguments=arguments, summary="approved by the user")
            for number, (action, arguments) in enumerate(calls)
        ),
        state=state,
    ),
    _texts,
    st.floats(0, 1),
    st.lists(_calls, max_size=6),
    st.sampled_from(["", "session", "{}"]),
)


async def household() -> LaneWorld:
    """Two households with rows and findings, before anybody says anything."""
    world = LaneWorld({Lane.INGESTION: IngestionLane()})
    for whose, rows in ((HOUSEHOLD, OWN), (OTHER_HOUSEHOLD, FOREIGN)):
        row = {"postedOn": "2026-11-01", "amount": "-12.00", "currency": "USD", "description": "NETFLIX"}
        lines = [row | {"transactionId": i} for i in rows]
        payload = IngestionCompleted.model_validate(
            {"householdId": whose, "batchId": "b", "source": "bank", "accountId": "card", "transactions": lines}
        )
        await world.deliver(Lane.INGESTION, world.command(CommandType.INGESTION_COMPLETED, payload))
    for i, whose, severity in (
        (MILD, HOUSEHOLD, Severity.WARNING),
        (GRAVE, HOUSEHOLD, Severity.ERROR),
        (THEIRS, OTHER_HOUSEHOLD, Severity.WARNING),
    ):
        signal = replace(records.SIGNAL, signal_id=i, household_id=whose, severity=severity)
        await world.stores.signals.insert(
            replace(signal, is_resolved=False, resolved_at=None, resolved_by=None, resolution_note=None)
        )
    return world


async def annotated(world: LaneWorld, whose: str) -> list[Annotation]:
    return [a for kind in KINDS for a in await world.stores.annotations.of_household(whose, kind)]


async def signal(world: LaneWorld, i: str) -> Signal:
    stored = await world.stores.signals.read(i)
    assert stored is not None
    return stored.value


def proposed(replies: Iterable[AgentReply]) -> list[tuple[Action, float]]:
    """What of the replies is an action at all, and how sure the agent was of it."""
    found = []
    for reply in replies:
        for proposal in reply.proposals:
            name = name_of(proposal.action)
            try:
                found.append((Action(name, validated(name, proposal.arguments)), reply.answer.confidence))
            except InvalidProposalError:
                continue
    return found


def may_apply(action: Action, confidence: float, severity: Severity | None = None) -> bool:
    ruling = default_policy().evaluate(
        Proposed(
            action=action.name,
            arguments=action.arguments,
            confidence=confidence,
            rows=len(rows_of(action.name, action.arguments)),
            severity=severity,
        )
    )
    return action.name in EXECUTABLE and ruling.verdict == Verdict.APPLY


def explains(action: Action, there: Annotation) -> bool:
    """Whether that action says exactly this."""
    match action.name, there.kind:
        case "recategorise", "category":
            return there.subject in action.arguments["transactionIds"] and there.value == action.arguments["category"]
        case "recategorise", "learned":
            return bool(there.value == action.arguments["category"])
        case "mark_recurring", "recurring":
            return there.subject in action.arguments["transactionIds"] and there.value == action.arguments["cadence"]
        case "budget_note", "note":
            return there.value == action.json
    return False


async def check(world: LaneWorld, given: list[AgentReply], approved: Mapping[str, Action]) -> None:
    calls = proposed(given)
    ruled = [action for action, confidence in calls if may_apply(action, confidence)]
    assert await annotated(world, OTHER_HOUSEHOLD) == []
    assert await world.stores.approvals.of_household(OTHER_HOUSEHOLD, None) == []
    for there in await annotated(world, HOUSEHOLD):
        by = [approved[there.approval_id]] if there.approval_id else ruled
        assert any(explains(action, there) for action in by)
        assert there.kind in (LEARNED, NOTE) or there.subject in OWN
    for i, severity in ((MILD, Severity.WARNING), (GRAVE, Severity.ERROR)):
        found = await signal(world, i)
        wanted = Action("dismiss_signal", {"signalId": i})
        by_rule = any(a.json == wanted.json and may_apply(a, sure, severity) for a, sure in calls)
        assert not found.is_resolved or by_rule or wanted.json in {a.json for a in approved.values()}
    assert not (await signal(world, THEIRS)).is_resolved
    for approval in await approvals(world):
        action = stored_action(approval)
        assert action is not None
        assert action.json in {a.json for a, _ in calls}
        if approval.approval_id not in approved:
            assert (approval.carried_out_at, approval.draft) == (None, None)
        elif action.name not in EXECUTABLE:
            assert "yourself" in json.loads(approval.draft or "{}")["instruction"]
    assert world.sender.sent == []


async def live(message: str, note: str | None, agent: AnyAgent, decisions: list[tuple[int, str, int]]) -> None:
    world = await household()
    world.handlers = {Lane.CONVERSATION: ConversationLane(agent=agent)}
    ledgers = [await ledger(world, whose) for whose in (HOUSEHOLD, OTHER_HOUSEHOLD)]
    approved: dict[str, Action] = {}
    await say(world, message, note=note)
    await check(world, agent.given, approved)
    for which, what, hours in decisions:
        pending = [a for a in await approvals(world) if a.status == ApprovalStatus.PENDING]
        if not pending:
            break
        chosen = pending[which % len(pending)]
        world.clock.advance(hours * 3600)
        action = stored_action(chosen)
        assert action is not None
        if what == "Approve" and world.clock.now() < chosen.expires_at:
            approved[chosen.approval_id] = action
        await decide(world, chosen.approval_id, what, user=OTHER_USER)  # type: ignore[arg-type]
        await check(world, agent.given, approved)
    assert [await ledger(world, whose) for whose in (HOUSEHOLD, OTHER_HOUSEHOLD)] == ledgers


async def ledger(world: LaneWorld, whose: str) -> list[Any]:
    return await world.stores.ledger.between(whose, date(2000, 1, 1), date(2100, 1, 1))


_lives = st.tuples(
    _texts.filter(lambda text: bool(text.strip())),
    st.none() | _texts,
    st.lists(_replies, min_size=1, max_size=2),
    st.lists(_replies, min_size=1, max_size=3),
    st.lists(
        st.tuples(
            st.integers(0, 9),
            st.sampled_from(["Approve", "Approve", "Reject"]),
            st.sampled_from([0, 1, HOURS_OPEN + 1]),
        ),
        max_size=3,
    ),
)  # fmt: skip


@given(_lives)
@settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_whatever_is_said_and_proposed_only_listed_actions_act(life: Any) -> None:
    """Without shrinking, which takes minutes of a whole life; the slow one below shrinks."""
    message, note, replies, resumes, decisions = life
    asyncio.run(live(message, note, AnyAgent(list(replies), list(resumes)), decisions))


@pytest.mark.slow
@pytest.mark.timeout(900)
@given(_lives)
@settings(max_examples=1000, deadline=None)
def test_in_thousands_of_lives_only_listed_actions_act(life: Any) -> None:
    message, note, replies, resumes, decisions = life
    asyncio.run(live(message, note, AnyAgent(list(replies), list(resumes)), decisions))
