"""The timer of approvals whose time is over: what it enqueues, once, and that one stops nobody else's."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from mosaic_core.concurrency import AT_ONCE
from mosaic_core.domain import ids
from mosaic_core.domain.envelope import AgentApprovalDue, decode
from mosaic_core.domain.errors import QueueUnavailableError, StoreUnreachableError
from mosaic_core.domain.lanes import RULES, CommandType, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, DecisionOutcome
from mosaic_core.domain.policy.approval import due_at, expires_soon_at
from mosaic_core.domain.records import Approval
from mosaic_core.entrypoints.http.routes import ROUTES
from mosaic_core.ports import RuntimeEvent, Stores
from mosaic_core.services.approvals_due import (
    FIRST_LOOK_AGAIN,
    GENERATIONS,
    NOT_CARRIED_OUT,
    NOT_ENQUEUED,
    TELL_AGAIN,
    ApprovalsDue,
    DueReport,
)
from mosaic_core.services.enqueue import EnqueueService
from mosaic_ops.memory.messaging import ManualClock, MemoryPublisher, MemorySender
from mosaic_ops.memory.stores import memory_stores
from tests.support import records

QUEUE = RULES[Lane.CONVERSATION].default_queue
HOUSEHOLDS = [f"{n:032x}" for n in range(1, 6)]


@dataclass
class Timer:
    clock: ManualClock = field(default_factory=lambda: ManualClock(records.NOW))
    sender: MemorySender = field(default_factory=MemorySender)
    publisher: MemoryPublisher = field(default_factory=MemoryPublisher)
    refuses: dict[str, Exception] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stores: Stores = memory_stores(self.clock)
        self.enqueue = EnqueueService(
            stores=self.stores,
            sender=self.sender,
            publisher=self.publisher,
            clock=self.clock,
            queues={lane: rules.default_queue for lane, rules in RULES.items()},
        )

    async def enqueue_approval_due(
        self, household_id: str, conversation_id: str, approval_id: str, generation: int
    ) -> object:
        if (error := self.refuses.get(household_id)) is not None:
            raise error
        return await self.enqueue.enqueue_approval_due(household_id, conversation_id, approval_id, generation)

    async def tick(self, limit: int = 400) -> DueReport:
        return await ApprovalsDue(
            approvals=self.stores.approvals,
            signals=self.stores.signals,
            decisions=self.stores.decisions,
            enqueuer=self,
            publisher=self.publisher,
            clock=self.clock,
            queue=QUEUE,
            limit=limit,
        ).tick()

    async def approval(self, household: str, number: int = 1) -> Approval:
        approval = replace(
            records.APPROVAL,
            household_id=household,
            approval_id=f"{number:031x}{household[-1]}",
            status=ApprovalStatus.PENDING,
            expires_at=records.NOW + timedelta(hours=1),
        )
        await self.stores.approvals.insert(approval)
        return approval

    async def settle(self, approval: Approval) -> None:
        stored = await self.stores.approvals.read(approval.household_id, approval.approval_id)
        assert stored is not None
        settled = replace(stored.value, status=ApprovalStatus.EXPIRED, settled_at=self.clock.now())
        assert await self.stores.approvals.update(settled, stored.etag)

    def asked_for(self) -> list[str]:
        payloads = [decode(s.message.body, Lane.CONVERSATION).payload for s in self.sender.sent]
        return [p.approval_id for p in payloads if isinstance(p, AgentApprovalDue)]


@pytest.fixture
def timer() -> Timer:
    return Timer()


def until(timer: Timer, approval: Approval) -> None:
    timer.clock.advance((due_at(approval) - timer.clock.now()).total_seconds() + 1)


async def test_an_approval_whose_time_is_over_is_enqueued_once_as_any_command(timer: Timer) -> None:
    approval = await timer.approval(HOUSEHOLDS[0])
    timer.clock.advance(3600)
    assert await timer.tick() == DueReport()
    until(timer, approval)
    assert await timer.tick() == DueReport(enqueued=1)
    [sent] = timer.sender.sent
    envelope = decode(sent.message.body, Lane.CONVERSATION)
    assert envelope.command_type == CommandType.AGENT_APPROVAL_DUE
    assert envelope.command_id == ids.approval_due_command_id(HOUSEHOLDS[0], approval.approval_id, 0)
    household, conversation = approval.household_id, approval.conversation_id
    assert envelope.correlation_id == f"agent:{household}:{conversation}:{envelope.command_id}"
    assert sent.message.properties["approvalId"] == approval.approval_id
    assert sent.message.properties["conversationId"] == conversation
    assert await timer.stores.commands.read(envelope.command_id) is not None
    listed = [c async for c in timer.stores.commands.conversation(household, conversation)]
    assert listed == [(QUEUE, envelope.command_id)]
    assert await timer.tick() == DueReport()


async def test_what_was_settled_in_time_is_forgotten(timer: Timer) -> None:
    approval = await timer.approval(HOUSEHOLDS[0])
    await timer.settle(approval)
    until(timer, approval)
    assert await timer.tick() == DueReport(ended=1)
    assert timer.sender.sent == []
    timer.clock.advance(30 * 86_400)
    assert await timer.stores.approvals.due(timer.clock.now(), 400) == []


async def test_a_command_that_was_rejected_has_successors_for_ten_days(
    timer: Timer, caplog: pytest.LogCaptureFixture
) -> None:
    approval = await timer.approval(HOUSEHOLDS[0])
    until(timer, approval)
    for generation in range(GENERATIONS):
        assert await timer.tick() == DueReport(enqueued=1)
        timer.clock.advance((FIRST_LOOK_AGAIN * 2**generation).total_seconds() + 1)
    assert len({s.message.message_id for s in timer.sender.sent}) == GENERATIONS
    with caplog.at_level(logging.ERROR):
        assert await timer.tick() == DueReport(failed=1)
    assert "no command could end an approval" in caplog.text
    stored = await timer.stores.approvals.read(HOUSEHOLDS[0], approval.approval_id)
    assert stored is not None
    assert (stored.value.status, stored.value.settled_at) == (ApprovalStatus.EXPIRED, timer.clock.now())
    timer.clock.advance(365 * 86_400)
    assert await timer.tick() == DueReport()
    again = await timer.stores.approvals.read(HOUSEHOLDS[0], approval.approval_id)
    assert again == stored


async def hopeless(timer: Timer, approval: Approval) -> None:
    """All of its commands were enqueued, and none could end it."""
    until(timer, approval)
    for generation in range(GENERATIONS):
        await timer.tick()
        timer.clock.advance((FIRST_LOOK_AGAIN * 2**generation).total_seconds() + 1)
    await timer.tick()


async def test_the_review_of_what_no_command_could_end_waits_for_nobody(timer: Timer) -> None:
    approval = await timer.approval(HOUSEHOLDS[0])
    review = replace(records.SIGNAL, signal_id=ids.review_signal_id(approval.run_id), is_resolved=False)
    review = replace(review, resolved_at=None, resolved_by=None, resolution_note=None)
    await timer.stores.signals.insert(review)
    await hopeless(timer, approval)
    stored = await timer.stores.signals.read(review.signal_id)
    assert stored is not None
    assert stored.value.is_resolved
    assert "its agent could not be told" in (stored.value.resolution_note or "")


async def test_a_review_that_a_sibling_waits_for_stays_until_that_one_ends(timer: Timer) -> None:
    approval = await timer.approval(HOUSEHOLDS[0])
    sibling = replace(approval, approval_id=f"{2:031x}{HOUSEHOLDS[0][-1]}", expires_at=records.NOW + timedelta(days=90))
    await timer.stores.approvals.insert(sibling)
    for one in (approval, sibling):
        deferred = replace(
            records.DECISION,
            decision_id=one.approval_id,
            run_id=approval.run_id,
            outcome=DecisionOutcome.DEFERRED,
            approval_id=one.approval_id,
        )
        await timer.stores.decisions.insert(deferred)
    review = replace(records.SIGNAL, signal_id=ids.review_signal_id(approval.run_id), is_resolved=False)
    review = replace(review, resolved_at=None, resolved_by=None, resolution_note=None)
    await timer.stores.signals.insert(review)
    await hopeless(timer, approval)
    stored = await timer.stores.signals.read(review.signal_id)
    assert stored is not None
    assert not stored.value.is_resolved
    await hopeless(timer, sibling)
    stored = await timer.stores.signals.read(review.signal_id)
    assert stored is not None
    assert stored.value.is_resolved


async def test_what_was_approved_and_could_not_be_done_is_told_to_a_person(timer: Timer) -> None:
    approval = await timer.approval(HOUSEHOLDS[0])
    stored = await timer.stores.approvals.read(approval.household_id, approval.approval_id)
    assert stored is not None
    approved = replace(stored.value, status=ApprovalStatus.APPROVED, decided_at=timer.clock.now(), decided_by="u")
    assert await timer.stores.approvals.update(approved, stored.etag)
    await hopeless(timer, approval)
    row = await timer.stores.approvals.read(approval.household_id, approval.approval_id)
    assert row is not None
    assert row.value == approved, "what a person decided stays, undone"
    signal = await timer.stores.signals.read(ids.approval_undone_signal_id(approval.approval_id))
    assert signal is not None
    assert (signal.value.signal_code, signal.value.requires_human_review) == (NOT_CARRIED_OUT, True)
    timer.clock.advance(365 * 86_400)
    assert await timer.tick() == DueReport()


async def test_two_ticks_at_once_and_one_that_died_send_one_command(timer: Timer) -> None:
    approval = await timer.approval(HOUSEHOLDS[0])
    until(timer, approval)
    [due] = await timer.stores.approvals.due(timer.clock.now(), 400)
    await timer.tick()
    # of one that died, the entry is still there
    await timer.stores.approvals.postpone(replace(due, generation=99), due)
    await timer.tick()
    assert len({s.message.message_id for s in timer.sender.sent}) == 1


async def test_one_household_that_cannot_be_enqueued_stops_nobody_and_is_told_of(timer: Timer) -> None:
    rows = [await timer.approval(household) for household in HOUSEHOLDS]
    timer.refuses[HOUSEHOLDS[2]] = RuntimeError("cannot be built")
    until(timer, rows[0])
    assert await timer.tick() == DueReport(enqueued=4, failed=1)
    assert sorted(timer.asked_for()) == sorted(r.approval_id for r in rows if r.household_id != HOUSEHOLDS[2])
    signal = await timer.stores.signals.read(ids.approval_due_signal_id(rows[2].approval_id))
    assert signal is not None
    assert (signal.value.signal_code, signal.value.requires_human_review) == (NOT_ENQUEUED, True)
    # it is put off, and looked at again
    assert await timer.tick() == DueReport()
    timer.refuses.clear()
    timer.clock.advance(1801)
    assert await timer.tick() == DueReport(enqueued=1)
    assert rows[2].approval_id in timer.asked_for()


@pytest.mark.parametrize("error", [QueueUnavailableError("full"), StoreUnreachableError("no answer")])
async def test_an_outage_puts_nothing_off_and_raises_no_signal(timer: Timer, error: Exception) -> None:
    approval = await timer.approval(HOUSEHOLDS[0])
    until(timer, approval)
    timer.refuses[HOUSEHOLDS[0]] = error
    assert await timer.tick() == DueReport(failed=1)
    assert await timer.stores.signals.read(ids.approval_due_signal_id(approval.approval_id)) is None
    timer.refuses.clear()
    assert await timer.tick() == DueReport(enqueued=1)


async def test_a_tick_is_bounded_and_the_next_one_goes_on(timer: Timer) -> None:
    for number in range(60):
        approval = await timer.approval(HOUSEHOLDS[0], number)
    until(timer, approval)
    reports = [(await timer.tick(limit=20)).enqueued for _ in range(4)]
    assert reports == [20, 20, 20, 0]
    assert len(set(timer.asked_for())) == 60


def test_no_route_of_the_api_asks_for_it() -> None:
    assert not any("due" in route.path for route in ROUTES)


# ------------------------------------------------------------------------------------------------- soon over, and told


def soon(timer: Timer, approval: Approval) -> None:
    timer.clock.advance((expires_soon_at(approval) - timer.clock.now()).total_seconds() + 1)


async def test_a_quarter_of_its_life_before_its_end_an_approval_is_told_of_once(timer: Timer) -> None:
    approval = await timer.approval(HOUSEHOLDS[0])
    life = approval.expires_at - approval.created_at
    assert expires_soon_at(approval) == approval.expires_at - life / 4
    timer.clock.advance((expires_soon_at(approval) - timer.clock.now()).total_seconds() - 1)
    assert await timer.tick() == DueReport()
    timer.clock.advance(2)
    assert await timer.tick() == DueReport(told=1)
    [event] = timer.publisher.events
    assert event.type == "mosaic.runtime.approval_expiring"
    assert event.data["approvalId"] == approval.approval_id
    assert event.data["householdId"] == event.household_id == approval.household_id
    assert await timer.tick() == DueReport()
    until(timer, approval)
    assert await timer.tick() == DueReport(enqueued=1)
    assert len(timer.publisher.events) == 1 + 1  # the command's own: enqueued
    assert timer.asked_for() == [approval.approval_id]


async def test_what_the_hub_did_not_take_is_told_again_until_it_does(timer: Timer) -> None:
    approval = await timer.approval(HOUSEHOLDS[0])
    soon(timer, approval)
    timer.publisher.failing = True
    assert await timer.tick() == DueReport(untold=1)
    assert await timer.tick() == DueReport()  # ten minutes later at the earliest
    timer.clock.advance(TELL_AGAIN.total_seconds() + 1)
    timer.publisher.failing = False
    assert await timer.tick() == DueReport(told=1)
    assert [event.type for event in timer.publisher.events] == ["mosaic.runtime.approval_expiring"]


async def test_a_hub_that_stays_away_keeps_no_approval_from_ending(timer: Timer) -> None:
    approval = await timer.approval(HOUSEHOLDS[0])
    soon(timer, approval)
    timer.publisher.failing = True
    ticks = 0
    while not timer.asked_for():
        await timer.tick()
        timer.clock.advance(TELL_AGAIN.total_seconds())
        ticks += 1
        assert ticks < 20
    assert timer.clock.now() - due_at(approval) <= 2 * TELL_AGAIN


async def test_a_hub_that_is_away_is_waited_for_once_in_a_tick(timer: Timer) -> None:
    class Away(MemoryPublisher):
        waited = 0

        async def confirm(self, event: RuntimeEvent, seconds: float) -> bool:
            self.waited += 1
            return False

    timer.publisher = away = Away()
    approvals = [await timer.approval(household, number) for household in HOUSEHOLDS for number in range(1, 9)]
    soon(timer, approvals[-1])
    assert await timer.tick() == DueReport(untold=40)
    assert away.waited <= AT_ONCE
    assert len(away.events) == 40 - away.waited


async def test_one_that_is_decided_or_settled_is_not_told_of(timer: Timer) -> None:
    settled, decided = await timer.approval(HOUSEHOLDS[0]), await timer.approval(HOUSEHOLDS[1])
    await timer.settle(settled)
    stored = await timer.stores.approvals.read(decided.household_id, decided.approval_id)
    assert stored is not None
    await timer.stores.approvals.update(replace(stored.value, status=ApprovalStatus.APPROVED), stored.etag)
    soon(timer, settled)
    assert await timer.tick() == DueReport(ended=1)
    assert timer.publisher.events == []
    # decided and not carried out: it is ended in time all the same
    until(timer, decided)
    assert await timer.tick() == DueReport(enqueued=1)


async def test_two_ticks_at_once_tell_one_event(timer: Timer) -> None:
    approval = await timer.approval(HOUSEHOLDS[0])
    soon(timer, approval)
    await asyncio.gather(timer.tick(), timer.tick())
    assert len({event.event_id for event in timer.publisher.events}) == 1
