"""A replay whose process dies, or whose answers get lost, at any call of any port: each message is replayed exactly
once, none is lost, and nothing is sent that is not audited before."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core.domain import ids
from mosaic_core.domain.errors import TransientError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import DecisionOutcome, KeyStatus
from mosaic_core.services.enqueue import EnqueueService
from mosaic_core.services.outbox import UnsentCommands
from mosaic_core.services.replay.replay_service import ReplayService, Selection
from mosaic_core.services.replay.replay_views import ReplayView
from mosaic_ops.memory.messaging import ManualClock, MemoryBroker, MemoryPublisher
from mosaic_ops.memory.stores import memory_stores
from tests.support.dead import ORDER, QUEUES, FaultyDesk, Graves, command_id
from tests.support.examples import examples
from tests.support.faults import KINDS, Kind, Plan, ProcessDied, faulty_messaging, faulty_stores

QUEUE = QUEUES[Lane.CONVERSATION]
MEANT, OTHERS, RUNNING = 5, 2, 1


class Life:
    """One operation over what storage and broker hold, driven by processes that come and go."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.stores = memory_stores(self.clock)
        self.broker = MemoryBroker(self.clock)
        self.publisher = MemoryPublisher()

    def process(self, plan: Plan) -> ReplayService:
        stores = faulty_stores(self.stores, plan)

        async def sleep(seconds: float) -> None:
            self.clock.advance(seconds)

        return ReplayService(
            stores=stores,
            browser=faulty_messaging(self.broker, "browser", plan),
            desk=FaultyDesk(self.broker, plan),
            enqueue=EnqueueService(
                stores=stores,
                sender=faulty_messaging(self.broker, "sender", plan),
                publisher=self.publisher,
                clock=self.clock,
                queues=QUEUES,
            ),
            clock=self.clock,
            queues=QUEUES,
            sleep=sleep,
        )

    async def dead(self) -> None:
        graves = Graves(self.stores, self.broker)
        for number in range(1, MEANT + 1):
            await graves.dead(number)
        for number in range(MEANT + 1, MEANT + OTHERS + 1):
            await graves.dead(number, reason="another_reason")
        await graves.dead(99, status=KeyStatus.RESERVED)

    async def run(self, faults: list[tuple[int, Kind]], abort_at: int, purge_at: int) -> ReplayView:
        begun: ReplayView | None = None
        for turn, fault in enumerate([*faults, *[None] * 12]):
            service = self.process(Plan({fault[0]: fault[1]} if fault else {}))
            try:
                if begun is None:
                    begun = await service.begin(ORDER)
                    continue
                if turn == abort_at:
                    await service.abort(begun.replay_id, "olga")
                if turn == abort_at + 1:
                    await service.resume(begun.replay_id, "olga")
                if turn == purge_at:
                    self.broker.purge_dead(QUEUE, self.broker.dead_letters(QUEUE)[-1].sequence_number)
                found = await service.advance(begun.replay_id)
                if found.state == "completed":
                    return found
                if found.state == "aborted":
                    await service.resume(begun.replay_id, "olga")
            except (ProcessDied, TransientError, IndexError):
                pass
            self.clock.advance(61)
        assert begun is not None
        await self.process(Plan()).resume(begun.replay_id, "olga")
        for _ in range(12):
            self.clock.advance(61)
            last = await self.process(Plan()).advance(begun.replay_id)
        return last


@settings(max_examples=examples(40, slow=120), deadline=None)
@given(
    faults=st.lists(st.tuples(st.integers(1, 160), st.sampled_from(KINDS)), max_size=6),
    abort_at=st.integers(1, 8),
    purge_at=st.integers(-1, 4),
)
def test_each_is_replayed_once_whoever_dies_where(faults: list[tuple[int, Kind]], abort_at: int, purge_at: int) -> None:
    asyncio.run(_lives(faults, abort_at, purge_at))


async def _lives(faults: list[tuple[int, Kind]], abort_at: int, purge_at: int) -> None:
    life = Life()
    await life.dead()
    last = await life.run(faults, abort_at, purge_at)
    # what was recorded and not acknowledged is the outbox's to send
    life.clock.advance(3600)
    unsent = UnsentCommands(stores=life.stores, sender=life.broker, publisher=life.publisher, clock=life.clock)
    await unsent.tick()
    meant = [command_id(number) for number in range(1, MEANT + 1)]
    sent = [json.loads(message.body) for message in life.broker.peek(QUEUE)]
    by_original: dict[str, set[str]] = {}
    for envelope in sent:
        by_original.setdefault(envelope["replayOfCommandId"], set()).add(envelope["commandId"])
    assert by_original == {one: {ids.replay_command_id(QUEUE, one, 1)} for one in meant}
    assert last.state == "completed"
    assert (last.total, last.replayed, last.refusals) == (MEANT + RUNNING, MEANT, {"command_in_progress": RUNNING})
    dead = [letter.message.message_id for letter in life.broker.dead_letters(QUEUE)]
    others = [command_id(number) for number in (MEANT + 1, MEANT + 2)]
    assert [one for one in dead if one not in (command_id(99),)] == others, "others stay, what was replayed goes"
    for original in meant:
        audits = await life.stores.decisions.of_run(ids.run_id(QUEUE, original))
        assert [row.outcome for row in audits] == [DecisionOutcome.APPLIED]
        record = await life.stores.commands.read(ids.replay_command_id(QUEUE, original, 1))
        assert record is not None
        assert replace(record, subject="alice") == record


@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_goes_wrong_at_each_call_in_turn_nothing_is_sent_unaudited_and_nothing_stays(kind: Kind) -> None:
    """An operation of one message, once for each call that it makes."""
    order = replace(ORDER, selection=Selection(ids=(command_id(1),)))
    calls = 1
    while True:
        life = Life()
        await Graves(life.stores, life.broker).dead(1)
        begun = await life.process(Plan()).begin(order)
        plan = Plan({calls: kind})
        with suppress(ProcessDied, TransientError):
            await life.process(plan).advance(begun.replay_id)
        if life.broker.peek(QUEUE):
            assert len(await life.stores.decisions.of_run(ids.run_id(QUEUE, command_id(1)))) == 1, plan.log
        if not life.broker.dead_letters(QUEUE):
            assert life.broker.peek(QUEUE), f"lost at {plan.log[-1]}"
        for _ in range(3):
            life.clock.advance(61)
            last = await life.process(Plan()).advance(begun.replay_id)
        assert (last.state, last.replayed, last.refused) == ("completed", 1, 0), plan.log
        assert life.broker.dead_letters(QUEUE) == [], f"stays after {plan.log}"
        assert {message.message_id for message in life.broker.peek(QUEUE)} == {
            ids.replay_command_id(QUEUE, command_id(1), 1)
        }
        assert len(await life.stores.decisions.of_run(ids.run_id(QUEUE, command_id(1)))) == 1
        if len(plan.log) < calls:
            assert calls > 15
            return
        calls += 1
