"""A changed policy file against recorded runs: what would have been decided otherwise, and nothing is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, cast

import pytest

from mosaic_core.agents.runtime import offline_agent
from mosaic_core.domain.envelope import AgentMessagePosted
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.domain.lifecycle import Severity
from mosaic_core.domain.policy import POLICY_VERSION
from mosaic_core.domain.policy.rules import RULES_FILE, PolicyEngine, default_policy, load
from mosaic_core.lanes.conversation import ConversationLane
from mosaic_core.lanes.ingestion import IngestionLane
from mosaic_core.ports import ConversationAgent, Stores
from mosaic_ops.memory.stores import MemoryApprovals, MemoryBlobs
from mosaic_ops.policy_dry_run import ANSWER, DryRun, PolicyDryRun, judge_proposal
from tests.support.agents import ScriptedAgent, answers, proposes
from tests.support.lanes import CONVERSATION, HOUSEHOLD, OTHER_HOUSEHOLD, USER, LaneWorld
from tests.unit.test_approvals_end import due
from tests.unit.test_conversation_proposals import ASK, DRAFT, RECATEGORISE, WIRE, finding, rows
from tests.unit.test_lane_conversation import OTHER_CONVERSATION, OTHER_USER, PAY_RENT, approvals, decide, message, say

BUILT_IN = RULES_FILE.read_text("utf-8")
SURER = ("answer = 0.5", "answer = 0.95")
"""A threshold that an answer of a scripted agent does not reach."""


def rules(*changes: tuple[str, str]) -> PolicyEngine:
    """The built-in file with replacements, under a version of its own."""
    text = BUILT_IN.replace(f'version = "{POLICY_VERSION}"', 'version = "next"')
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return load(text)


def first_rule(rule: str) -> PolicyEngine:
    first = '[[rules]]\nname = "other_impact"'
    return rules((first, f'[[rules]]\nname = "new"\n{rule}\nreason = "because"\n\n{first}'))


def world_of(agent: ConversationAgent | None = None, policy: PolicyEngine | None = None) -> LaneWorld:
    lane = ConversationLane(agent=agent or ScriptedAgent(), policy=policy or default_policy())
    return LaneWorld({Lane.CONVERSATION: lane, Lane.INGESTION: IngestionLane()})


class Reading:
    """A store that can be read only."""

    def __init__(self, store: object) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        if name.startswith(("insert", "update", "put", "index", "mark", "save")):
            raise AssertionError(f"a dry run calls {name}")
        return getattr(self._store, name)


def reading(stores: Stores) -> Stores:
    found: Mapping[str, Any] = {f.name: Reading(getattr(stores, f.name)) for f in fields(stores)}
    return Stores(**cast("Any", found))


async def dry_run(world: LaneWorld, candidate: PolicyEngine, conversation: str | None = None, **more: int) -> DryRun:
    found = await PolicyDryRun(reading(world.stores), candidate).household(HOUSEHOLD, conversation, **more)
    for text in ("crypto", "landlord", "ZORBLAT", "Iron Gym", ASK, "t1"):
        assert text not in repr(found)
    return found


def said(found: DryRun) -> dict[str, tuple[str, str]]:
    """Recorded and candidate decision by what was judged."""
    return {one.judged: (one.recorded.decision, one.candidate.decision) for one in found.comparisons}


# ----------------------------------------------------------------------------------------------------- all of it


async def test_the_file_that_decided_changes_nothing() -> None:
    world = world_of(ScriptedAgent([proposes(RECATEGORISE, WIRE, DRAFT), answers()]))
    await rows(world)
    await say(world, ASK)
    await say(world, PAY_RENT, note="as every month")
    for approval in await approvals(world):
        await decide(world, approval.approval_id, "Reject", user=OTHER_USER)
    found = await dry_run(world, default_policy())
    assert (found.commands, found.changed, found.unknown, found.is_complete) == (4, 0, (), True)
    assert {one.judged for one in found.comparisons} == {ANSWER, "recategorise", "wire", "draft_message"}
    for one in found.comparisons:
        assert (one.recorded.reason, one.recorded.policy_version) == (one.candidate.reason, POLICY_VERSION)
        assert (one.household_id, one.conversation_id) == (HOUSEHOLD, CONVERSATION)


async def test_a_request_in_words_is_judged_as_the_action_that_it_is() -> None:
    world = world_of(offline_agent())
    await say(world, PAY_RENT)
    found = await dry_run(world, first_rule('actions = ["request"]\nverdict = "refuse"'))
    assert said(found)["request"] == ("approve", "refuse")
    [one] = [one for one in found.comparisons if one.judged == "request"]
    assert (one.recorded.reason, one.candidate.reason, one.candidate.policy_version) == (
        "high_impact",
        "because",
        "next",
    )


async def test_another_threshold_sends_an_answer_to_a_person() -> None:
    world = world_of(ScriptedAgent([answers(confidence=0.6)]))
    await say(world, ASK)
    assert said(await dry_run(world, rules(("answer = 0.5", "answer = 0.7"))))[ANSWER] == ("given", "review")
    unsure = world_of(ScriptedAgent([answers(confidence=0.4)]))
    await say(unsure, ASK)
    assert said(await dry_run(unsure, default_policy()))[ANSWER] == ("review", "review")
    assert said(await dry_run(unsure, rules(("answer = 0.5", "answer = 0.2"))))[ANSWER] == ("review", "given")


# ----------------------------------------------------------------------------------------------------------- proposals


@pytest.mark.parametrize(
    ("proposal", "candidate", "expected"),
    [
        (RECATEGORISE, rules(("rows_above = 25", "rows_above = 1")), ("apply", "approve", "many_rows")),
        (RECATEGORISE, rules(("rows_above = 25", "rows_above = 2")), ("apply", "apply", "low_impact")),
        (
            RECATEGORISE,
            rules(("confidence_below = 0.5", "confidence_below = 0.95")),
            ("apply", "approve", "low_confidence"),
        ),
        (WIRE, first_rule('impacts = ["money_movement"]\nverdict = "refuse"'), ("approve", "refuse", "because")),
        (WIRE, first_rule('verdict = "apply"'), ("approve", "approve", "because")),
        (DRAFT, first_rule('actions = ["draft_message"]\nverdict = "refuse"'), ("approve", "refuse", "because")),
        (
            ("budget_note", {"text": "less coffee", "amount": "900"}),
            rules(('amount_above = "10000"', 'amount_above = "500"')),
            ("apply", "approve", "large_amount"),
        ),
        (
            ("dismiss_signal", {"signalId": "5" * 32}),
            rules(('severities = ["Error", "Critical"]', 'severities = ["Warning"]')),
            ("apply", "approve", "grave_signal"),
        ),
    ],
)
async def test_a_proposal_is_judged_again_with_all_that_is_known_of_it(
    proposal: Any, candidate: PolicyEngine, expected: tuple[str, str, str]
) -> None:
    world = world_of(ScriptedAgent([proposes(proposal, state=None)]))
    await rows(world)
    await world.stores.signals.insert(finding(severity=Severity.WARNING))
    await say(world, ASK)
    found = await dry_run(world, candidate)
    [one] = [one for one in found.comparisons if one.judged == proposal[0]]
    assert (one.recorded.decision, one.candidate.decision, one.candidate.reason) == expected
    assert one.changed == (expected[0] != expected[1])
    assert found.changed == one.changed


async def test_what_a_rule_refused_is_judged_and_what_no_rule_saw_is_not() -> None:
    strict = first_rule('actions = ["wire"]\nverdict = "refuse"')
    world = world_of(ScriptedAgent([proposes(WIRE, ("recategorise", {"transactionIds": []}), ("", {}))]), strict)
    await say(world, ASK)
    found = await dry_run(world, default_policy())
    assert said(found)["wire"] == ("refuse", "approve")
    assert (len(found.comparisons), found.unknown) == (2, ())


async def test_proposals_after_a_decision_are_judged_and_a_persons_word_is_not() -> None:
    agent = ScriptedAgent([proposes(DRAFT)], [proposes(RECATEGORISE, state="session-2"), answers("All done.")])
    world = world_of(agent)
    await rows(world)
    await say(world, ASK)
    [draft] = await approvals(world)
    ended = await decide(world, draft.approval_id, "Approve", user=OTHER_USER)
    found = await dry_run(world, rules(("rows_above = 25", "rows_above = 1")))
    mine = [one for one in found.comparisons if one.run_id == ended.run.run_id]
    assert [(one.judged, one.changed) for one in mine] == [(ANSWER, False), ("recategorise", True)]
    assert (found.undecided, found.unknown) == (0, ())


async def test_what_time_ended_or_a_later_choice_kept_is_no_decision_of_a_rule() -> None:
    world = world_of(ScriptedAgent([proposes(RECATEGORISE), proposes(RECATEGORISE), proposes(WIRE)]))
    await rows(world)
    early = message(world, ASK)
    world.clock.advance(60)
    await say(world, ASK)
    await world.deliver(Lane.CONVERSATION, early)
    await say(world, ASK)
    [wire] = await approvals(world)
    world.clock.advance(80 * 3600)
    await world.deliver(Lane.CONVERSATION, due(world, wire))
    assert (await dry_run(world, default_policy())).unknown == ()


async def test_a_run_without_any_decision_of_the_policy_is_counted() -> None:
    world = world_of()
    await decide(world, "f" * 32, "Approve")
    found = await dry_run(world, default_policy())
    assert (found.commands, found.undecided, found.comparisons) == (1, 1, ())


# -------------------------------------------------------------------------------------------------------- what is gone


async def test_what_is_not_kept_any_more_is_named_and_never_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(ScriptedAgent([proposes(RECATEGORISE, WIRE, state=None)]))
    await rows(world)
    ended = await say(world, ASK)
    [approval] = await approvals(world)

    async def gone(self: object, name: str) -> None:
        return None

    async def changed(self: object, household: str, approval_id: str) -> Any:
        return type("Row", (), {"value": replace(approval, action_json='{"action":"wire","arguments":{}}')})

    monkeypatch.setattr(MemoryBlobs, "get", gone)
    monkeypatch.setattr(MemoryApprovals, "read", changed)
    found = await dry_run(world, default_policy())
    assert {one.judged for one in found.comparisons} == {ANSWER}
    assert {(one.judged, one.run_id) for one in found.unknown} == {
        ("recategorise", ended.run.run_id),
        ("money_movement", ended.run.run_id),
    }


async def test_a_turn_that_has_fallen_out_of_the_conversation_is_unknown() -> None:
    agent = ScriptedAgent([proposes(RECATEGORISE, state=None), answers()])
    world = world_of(agent)
    await rows(world)
    await say(world, ASK)
    for _ in range(25):
        world.clock.advance(60)
        await say(world, "And?")
    found = await dry_run(world, rules(("rows_above = 25", "rows_above = 1")))
    assert [one.judged for one in found.unknown] == ["recategorise"]
    assert found.changed == 0


# -------------------------------------------------------------------------------------------------- which are looked at


async def elsewhere(world: LaneWorld, household: str, conversation: str) -> None:
    payload = AgentMessagePosted(
        household_id=household, conversation_id=conversation, household_user_id=USER, message="And crypto?"
    )
    await world.deliver(Lane.CONVERSATION, world.command(CommandType.AGENT_MESSAGE_POSTED, payload))


async def test_one_conversation_or_all_and_no_other_households() -> None:
    world = world_of()
    await say(world, "What of crypto?")
    await elsewhere(world, HOUSEHOLD, OTHER_CONVERSATION)
    await elsewhere(world, OTHER_HOUSEHOLD, CONVERSATION)
    strict = rules(SURER)
    both = await dry_run(world, strict)
    assert (both.commands, both.changed) == (2, 2)
    assert [one.conversation_id for one in both.comparisons if one.changed] == [CONVERSATION, OTHER_CONVERSATION]
    one = await dry_run(world, strict, OTHER_CONVERSATION)
    assert (one.commands, one.changed) == (1, 1)
    assert await dry_run(world, strict, "f" * 32) == DryRun()


async def test_a_limit_takes_the_newest_and_says_that_there_are_more() -> None:
    world = world_of()
    ended = []
    for _ in range(3):
        world.clock.advance(60)
        ended.append(await say(world, "What of crypto?"))
    found = await dry_run(world, rules(SURER), limit=2)
    assert [one.run_id for one in found.comparisons if one.changed] == [e.run.run_id for e in reversed(ended[1:])]
    assert (found.commands, found.is_complete) == (2, False)
    assert (await dry_run(world, rules(SURER), limit=3)).is_complete


# -------------------------------------------------------------------------------------------------- without any records


def test_a_judgement_is_the_lanes() -> None:
    policy = default_policy()
    rows = {"transactionIds": [f"t{n}" for n in range(26)], "category": "TRAVEL"}
    judged = judge_proposal(policy, "Recategorise", rows, confidence=1.0)
    assert (judged.decision, judged.reason, judged.rule) == ("approve", "many_rows", "many_rows")
    assert judge_proposal(policy, "recategorise", rows, confidence=1.0, rows=3).decision == "apply"
    for action in ("recategorise", "…"):
        judged = judge_proposal(policy, action, {}, confidence=1.0)
        assert (judged.decision, judged.reason) == ("refuse", "proposal_invalid")
