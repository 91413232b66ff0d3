"""The kinds of stuck state that a review of the code found: each is made here and ends by itself within its bound.

What the reconciler ends is in `test_reconciler`, what the outbox sends in `test_outbox`, what the night leaves behind
in `test_nightly`; these need more than one of them, or an agent.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import ApprovalStatus, KeyStatus
from mosaic_core.domain.policy.approval import CLOCK_SLACK
from mosaic_core.domain.settlement import Complete, DeadLetter
from mosaic_core.ports import Stores
from mosaic_core.services.approvals_due import ApprovalsDue
from mosaic_core.services.enqueue import EnqueueService
from mosaic_core.services.outbox import UnsentCommands
from mosaic_core.services.reconciler import Reconciler
from tests.support.agents import ScriptedAgent, proposes
from tests.support.api import ALICE_HOUSEHOLD, ALICE_USER, CONVERSATION, ApiWorld, caller
from tests.support.faults import Plan, ProcessDied, faulty_messaging, faulty_stores
from tests.support.lanes import LaneWorld
from tests.unit.test_conversation_proposals import DRAFT, waiting, world_of
from tests.unit.test_lane_conversation import OTHER_USER, approvals, decision

QUEUE = RULES[Lane.CONVERSATION].default_queue
ALICE = caller("alice", ALICE_HOUSEHOLD, ALICE_USER)
HOPELESS = timedelta(hours=1) * 2**9
"""After eight looks, each twice as long after the one before."""


async def waiting_approval(world: LaneWorld) -> tuple[str, Any]:
    """The run that asked, and the approval that pends."""
    asking, approval = await waiting(world)
    return asking.run.run_id, approval


def due_timer(world: LaneWorld) -> ApprovalsDue:
    enqueue = EnqueueService(
        stores=world.stores,
        sender=world.sender,
        publisher=world.publisher,
        clock=world.clock,
        queues={lane: rules.default_queue for lane, rules in RULES.items()},
    )
    return ApprovalsDue(
        approvals=world.stores.approvals,
        signals=world.stores.signals,
        decisions=world.stores.decisions,
        enqueuer=enqueue,
        publisher=world.publisher,
        clock=world.clock,
        queue=QUEUE,
    )


async def to_its_end(world: LaneWorld, body: bytes) -> object:
    for _ in range(5):
        ended = await world.deliver(Lane.CONVERSATION, body)
        world.clock.advance(150)
        if isinstance(ended.settlement, (Complete, DeadLetter)):
            return ended.settlement
    raise AssertionError("the command does not end")


async def days_of_ticks(world: LaneWorld) -> None:
    """Hourly ticks of the timer, and what it sends, until nothing is due any more."""
    end = world.clock.now() + timedelta(hours=72) + CLOCK_SLACK + HOPELESS
    timer = due_timer(world)
    while world.clock.now() < end:
        sent = len(world.sender.sent)
        await timer.tick()
        for one in world.sender.sent[sent:]:
            await to_its_end(world, one.message.body)
        world.clock.advance(3600)
    assert await world.stores.approvals.due(world.clock.now() + timedelta(days=400), 400) == []


@pytest.mark.parametrize("decided", [True, False])
async def test_a_conversation_whose_session_cannot_be_resumed_ends(decided: bool) -> None:
    """Its approval, decided or not, its review and the list of what is due; the failed commands say what was wrong."""
    world = world_of(ScriptedAgent([proposes(DRAFT)]))
    asking, approval = await waiting_approval(world)
    cast("Any", world.stores.blobs).remove(approval.batch)
    if decided:
        body = decision(world, approval.approval_id, "Approve", user=OTHER_USER)
        assert isinstance(await to_its_end(world, body), DeadLetter)
    await days_of_ticks(world)
    [row] = await approvals(world)
    assert row.status == (ApprovalStatus.APPROVED if decided else ApprovalStatus.EXPIRED)
    assert row.settled_at is not None
    review = await world.stores.signals.read(ids.review_signal_id(asking))
    assert review is not None
    assert review.value.is_resolved


async def test_an_approval_that_nobody_decides_ends_with_its_run_s_review_and_its_agent_is_told() -> None:
    agent = ScriptedAgent([proposes(DRAFT)])
    world = world_of(agent)
    asking, _ = await waiting_approval(world)
    await days_of_ticks(world)
    [row] = await approvals(world)
    assert (row.status, row.settled_at is not None) == (ApprovalStatus.EXPIRED, True)
    review = await world.stores.signals.read(ids.review_signal_id(asking))
    assert review is not None
    assert review.value.is_resolved
    assert len(agent.resumed) == 1


async def test_an_approval_whose_deciding_run_died_is_ended_by_the_next_look() -> None:
    world = world_of(ScriptedAgent([proposes(DRAFT)]))
    await waiting_approval(world)
    [pending] = await approvals(world)
    body = decision(world, pending.approval_id, "Approve", user=OTHER_USER)
    undisturbed = Plan()
    other = world_of(ScriptedAgent([proposes(DRAFT)]))
    await waiting_approval(other)
    [same] = await approvals(other)
    await other.deliver(
        Lane.CONVERSATION,
        decision(other, same.approval_id, "Approve", user=OTHER_USER),
        stores=faulty_stores(other.stores, undisturbed),
    )
    written = undisturbed.log.index("approvals.update") + 1
    with pytest.raises(BaseException) as died:  # a lane's process dies wherever it stands
        await world.deliver(Lane.CONVERSATION, body, stores=faulty_stores(world.stores, Plan({written: "crash_after"})))
    assert isinstance(died.value, (ProcessDied, BaseExceptionGroup))
    [row] = await approvals(world)
    assert (row.status, row.settled_at) == (ApprovalStatus.APPROVED, None)
    await days_of_ticks(world)
    [row] = await approvals(world)
    assert (bool(row.draft), row.settled_at is not None) == (True, True)


# ---------------------------------------------------------------------------------------------------- on the way in


def unsent(world: ApiWorld) -> UnsentCommands:
    return UnsentCommands(stores=world.stores, sender=world.sender, publisher=world.publisher, clock=world.clock)


def enqueueing(world: ApiWorld, stores: Stores, sender: Any) -> EnqueueService:
    return EnqueueService(
        stores=stores,
        sender=sender,
        publisher=world.publisher,
        clock=world.clock,
        queues={lane: rules.default_queue for lane, rules in RULES.items()},
    )


async def ask(service: EnqueueService) -> None:
    await service.enqueue_message(ALICE, CONVERSATION, "How much for coffee?", client_id="one")


async def listed_commands(world: ApiWorld, name: str) -> int:
    there = getattr(world.stores, name)
    later = world.clock.now() + timedelta(days=1)
    return sum([len(await there.due(shard, later, 100)) async for shard in there.shards()])


async def test_wherever_the_api_dies_a_recorded_command_is_followed_listed_and_sent() -> None:
    """Never recorded and not followed, never sent and not listed, and within minutes sent."""
    world, plan = ApiWorld(), Plan()
    await ask(enqueueing(world, faulty_stores(world.stores, plan), faulty_messaging(world.sender, "sender", plan)))
    assert (await listed_commands(world, "followed"), await listed_commands(world, "outbox")) == (1, 0)
    command_id = ids.client_command_id(ALICE_HOUSEHOLD, CONVERSATION, "one")
    for operation in range(1, len(plan.log) + 1):
        for kind in ("crash_before", "crash_after"):
            world = ApiWorld()
            dying = Plan({operation: kind})
            stores, sender = faulty_stores(world.stores, dying), faulty_messaging(world.sender, "sender", dying)
            with pytest.raises(BaseException) as died:
                await ask(enqueueing(world, stores, sender))
            assert isinstance(died.value, (ProcessDied, BaseExceptionGroup))
            recorded = await world.stores.commands.read(command_id) is not None
            if recorded:
                assert await world.stores.followed.lists(QUEUE, command_id), (operation, kind)
            world.clock.advance(200)
            await unsent(world).tick()
            assert bool(world.sender.sent) == recorded, (operation, kind)
            listed = [c async for c in world.stores.commands.conversation(ALICE_HOUSEHOLD, CONVERSATION)]
            assert len(listed) == recorded


async def test_what_died_before_it_was_recorded_is_forgotten_by_every_list() -> None:
    world = ApiWorld()
    dying = Plan({3: "crash_before"})
    with pytest.raises(BaseException) as died:
        await ask(enqueueing(world, faulty_stores(world.stores, dying), world.sender))
    assert isinstance(died.value, (ProcessDied, BaseExceptionGroup))
    assert await listed_commands(world, "followed") == 1
    for _ in range(30):
        world.clock.advance(300)
        await unsent(world).tick()
        await reconciler(world).tick()
    assert (await listed_commands(world, "followed"), await listed_commands(world, "outbox")) == (0, 0)


async def test_a_command_that_was_recorded_and_is_never_sent_ends_after_a_person_was_told() -> None:
    """The broker refuses it for weeks. The outbox gives up after a week, and the reconciler ends the command."""
    world = ApiWorld()
    world.sender.failing = True
    with pytest.raises(Exception, match="failed"):
        await ask(enqueueing(world, world.stores, world.sender))
    command_id = ids.client_command_id(ALICE_HOUSEHOLD, CONVERSATION, "one")
    for _ in range(24 * 16):
        world.clock.advance(3600)
        await unsent(world).tick()
        await reconciler(world).tick()
    assert world.sender.sent == []
    told = await world.stores.signals.read(ids.unsent_signal_id(QUEUE, command_id))
    assert told is not None
    assert not told.value.is_resolved
    key = await world.stores.keys.read(QUEUE, command_id)
    assert key is not None
    assert key.value.status == KeyStatus.REJECTED
    assert (await listed_commands(world, "followed"), await listed_commands(world, "outbox")) == (0, 0)


class NoMessages:
    async def browse(self, *_: object, **__: object) -> list[Any]:
        return []


def reconciler(world: ApiWorld) -> Reconciler:
    return Reconciler(
        stores=world.stores,
        browser=NoMessages(),
        publisher=world.publisher,
        clock=world.clock,
        queues={Lane.CONVERSATION: QUEUE},
        policy_version="test",
    )
