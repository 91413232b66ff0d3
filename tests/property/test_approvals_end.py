"""Approvals end, whatever order decisions come in, whatever goes wrong at which operation, and where nobody comes.

An asking message, decisions of both kinds, commands of time and other messages are delivered in any order; each
delivery may have one fault at one of its operations. What is not finished is delivered again. Then the faults stop,
time goes by, and the timer sends its commands.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mosaic_core.domain import ids
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus
from mosaic_core.domain.policy import approval as approvals_of
from mosaic_core.domain.policy.approval import CLOCK_SLACK
from mosaic_core.domain.settlement import Complete, DeadLetter
from mosaic_core.lanes.household import CATEGORY, NOTE
from mosaic_core.services.approvals_due import ApprovalsDue
from mosaic_core.services.enqueue import EnqueueService
from tests.support.agents import ScriptedAgent, answers, proposes
from tests.support.examples import examples
from tests.support.faults import KINDS, Kind, Plan, ProcessDied, faulty_stores
from tests.support.lanes import HOUSEHOLD, Ended, LaneWorld
from tests.unit.test_approvals_end import MANY, RECATEGORISE_MANY, due
from tests.unit.test_conversation_proposals import ASK, DRAFT, WIRE, noted, rows, world_of
from tests.unit.test_lane_conversation import approvals, decision, message

FIRST_OF_LANE = 5
"""Operations before are the delivery's own: recorded, listed, reserved, begun."""

type What = Literal["Approve", "Reject", "due", "say", "again", "hour", "over"]


@dataclass(frozen=True)
class Fault:
    at: int
    kind: Kind


@dataclass(frozen=True)
class Step:
    what: What
    which: int = 0
    fault: Fault | None = None


FAULTS = st.none() | st.builds(Fault, at=st.integers(FIRST_OF_LANE, 70), kind=st.sampled_from(KINDS))
STEPS = st.lists(
    st.builds(
        Step,
        what=st.sampled_from(["Approve", "Approve", "Reject", "due", "say", "again", "again", "hour", "over"]),
        which=st.integers(0, 2),
        fault=FAULTS,
    ),
    max_size=8,
)


@dataclass
class Story:
    world: LaneWorld
    agent: ScriptedAgent
    unfinished: list[bytes] = field(default_factory=list)
    ended: dict[str, Ended] = field(default_factory=dict)

    async def deliver(self, body: bytes, fault: Fault | None = None) -> None:
        plan = Plan({fault.at: fault.kind} if fault else {})
        if body not in self.unfinished:
            self.unfinished.append(body)
        try:
            ended = await self.world.deliver(Lane.CONVERSATION, body, stores=faulty_stores(self.world.stores, plan))
        except ProcessDied:
            return
        if isinstance(ended.settlement, (Complete, DeadLetter)):
            self.unfinished.remove(body)
            self.ended[ended.run.run_id] = ended

    async def step(self, step: Step) -> None:
        world, found = self.world, sorted(await approvals(self.world), key=lambda a: a.approval_id)
        match step.what:
            case "hour":
                world.clock.advance(3600)
            case "over":
                world.clock.advance(72 * 3600 + CLOCK_SLACK.total_seconds())
            case "say":
                await self.deliver(message(world, "How much was it?"), step.fault)
            case "again":
                if self.unfinished:
                    await self.deliver(self.unfinished[step.which % len(self.unfinished)], step.fault)
            case "due":
                if found:
                    await self.deliver(due(world, found[step.which % len(found)]), step.fault)
            case _:
                if found:
                    one = found[step.which % len(found)]
                    await self.deliver(decision(world, one.approval_id, step.what), step.fault)
        world.clock.advance(1)
        await self.holds()

    async def holds(self) -> None:
        """What is true at any time: a closed review waits for nobody."""
        rows = await approvals(self.world)
        for run_id in {row.run_id for row in rows}:
            review = await self.world.stores.signals.read(ids.review_signal_id(run_id))
            if review is not None and review.value.is_resolved:
                assert all(row.status != ApprovalStatus.PENDING for row in rows if row.run_id == run_id)

    async def rest(self) -> None:
        """Everything that is under way, until nothing is."""
        for _ in range(40):
            self.world.clock.advance(150)
            for body in list(self.unfinished):
                await self.deliver(body)
            if not self.unfinished:
                return
        raise AssertionError(f"{len(self.unfinished)} commands never end")

    async def time_passes(self) -> None:
        """The timer's ticks over the days in which it looks, and what it sends."""
        world = self.world
        enqueue = EnqueueService(
            stores=world.stores,
            sender=world.sender,
            publisher=world.publisher,
            clock=world.clock,
            queues={lane: rules.default_queue for lane, rules in RULES.items()},
        )
        timer = ApprovalsDue(
            approvals=world.stores.approvals,
            signals=world.stores.signals,
            decisions=world.stores.decisions,
            enqueuer=enqueue,
            publisher=world.publisher,
            clock=world.clock,
            queue=RULES[Lane.CONVERSATION].default_queue,
        )
        world.clock.advance(72 * 3600 + CLOCK_SLACK.total_seconds() + 1)
        for _ in range(6):
            sent = len(world.sender.sent)
            await timer.tick()
            for message_ in world.sender.sent[sent:]:
                await self.deliver(message_.message.body)
            await self.rest()
            world.clock.advance(24 * 3600)
        assert await world.stores.approvals.due(world.clock.now(), 400) == []


@example([Step("Approve", 0, Fault(20, "crash_after")), Step("Reject", 1), Step("over"), Step("Approve", 2)], None, 0)
@example([Step("Approve", n, Fault(12, "lost")) for n in range(3)], Fault(16, "crash_after"), 2)
@given(STEPS, FAULTS, st.integers(0, 6))
@settings(max_examples=examples(25, slow=60), deadline=None)
def test_approvals_end_whatever_happens(steps: list[Step], asking: Fault | None, fail_resumes: int) -> None:
    asyncio.run(story(steps, asking, fail_resumes))


@pytest.mark.slow
@given(STEPS, FAULTS, st.integers(0, 6))
@settings(max_examples=1500, deadline=None)
def test_approvals_end_whatever_happens_at_length(steps: list[Step], asking: Fault | None, fail_resumes: int) -> None:
    asyncio.run(story(steps, asking, fail_resumes))


async def story(steps: list[Step], asking: Fault | None, fail_resumes: int) -> None:
    # an agent that would ask for something else each time that it is asked or told
    notes = [proposes(("budget_note", {"text": f"told {n}"}), state=None) for n in range(20)]
    first = [proposes(RECATEGORISE_MANY, WIRE, DRAFT), proposes(DRAFT, state="session-2"), answers("x")]
    agent = ScriptedAgent(first, notes, fail_resumes=fail_resumes)
    world = world_of(agent)
    await rows(world, *MANY)
    told = Story(world, agent)
    await told.deliver(message(world, ASK), asking)
    for step in steps:
        await told.step(step)
    await told.rest()
    await told.time_passes()
    await told.holds()

    found = await approvals(world)
    assert found
    assert all(row.status != ApprovalStatus.PENDING for row in found)
    assert all(row.settled_at is not None for row in found)
    for run_id in {row.run_id for row in found}:
        review = await world.stores.signals.read(ids.review_signal_id(run_id))
        assert review is None or review.value.is_resolved
    # one reply is told once and acts once
    by_turn: dict[str, set[str]] = {}
    for row in found:
        by_turn.setdefault(row.turn_id or row.run_id, set()).add(row.batch or "")
    assert all(len(batches) == 1 for batches in by_turn.values())
    assert len(await noted(world, NOTE)) <= len(by_turn)
    # what was done was approved, and what was approved was done
    done = {row.action_json for row in found if row.status == ApprovalStatus.APPROVED}
    assert all((row.carried_out_at is not None) == (row.status == ApprovalStatus.APPROVED) for row in found)
    assert bool(await noted(world, CATEGORY)) == any("MEDICAL" in (action or "") for action in done)
    # what the agent was told, at whatever time, is what stands
    words = {approvals_of.told(row) for row in found}
    for _, results in agent.resumed:
        assert set(results.values()) <= words
    for state, results in agent.resumed:
        for other, others in agent.resumed:
            if state == other and set(results) == set(others):
                assert results == others
    assert await world.stores.approvals.of_household(HOUSEHOLD, ApprovalStatus.PENDING) == []
