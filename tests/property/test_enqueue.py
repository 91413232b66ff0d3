"""What is recorded is sent and listed, whatever dies or goes unanswered on the way, and nothing is sent unlisted."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime
from typing import Literal, cast

from hypothesis import given
from hypothesis import strategies as st

from mosaic_core.domain import ids
from mosaic_core.domain.errors import RequestError, TransientError
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.records import Command
from mosaic_core.ports import OutgoingMessage
from mosaic_core.services.outbox import UnsentCommands
from mosaic_ops.memory.messaging import MemorySender
from tests.support import records
from tests.support.api import ALICE_HOUSEHOLD, ALICE_USER, CONVERSATION, ApiWorld, caller
from tests.support.faults import KINDS, Kind, Plan, ProcessDied, faulty_messaging, faulty_stores

CALLER = caller("alice", ALICE_HOUSEHOLD, ALICE_USER)
QUEUE = RULES[Lane.CONVERSATION].default_queue
HOUR = 3600.0

type Act = Literal["post", "repeat", "anonymous", "sweep", "tick", "work", "reject"]
ACTS: tuple[Act, ...] = ("post", "repeat", "anonymous", "sweep", "tick", "work", "reject")


class Watching(MemorySender):
    """A sender that looks, before it takes a message, whether its conversation lists it."""

    def __init__(self, world: ApiWorld) -> None:
        super().__init__()
        self.world = world
        self.unlisted: list[str] = []

    async def send(self, message: OutgoingMessage, *, due: datetime | None = None) -> None:
        if message.queue == QUEUE and message.message_id not in await listed(self.world):
            self.unlisted.append(message.message_id)
        await super().send(message, due=due)


async def listed(world: ApiWorld) -> list[str]:
    return [one async for _, one in world.stores.commands.conversation(ALICE_HOUSEHOLD, CONVERSATION)]


async def act(world: ApiWorld, plan: Plan, what: Act, turn: int) -> None:
    """One request, tick or delivery by a process of its own, which may die of it."""
    stores = faulty_stores(world.stores, plan)
    sender = faulty_messaging(world.sender, "sender", plan)
    enqueue = replace(world.enqueue, stores=stores, sender=sender)
    with suppress(ProcessDied, TransientError, RequestError):
        match what:
            case "post":
                await enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id=f"c-{turn}")
            case "repeat":
                await enqueue.enqueue_message(CALLER, CONVERSATION, "hello", client_id="c-0")
            case "anonymous":
                await enqueue.enqueue_message(CALLER, CONVERSATION, "hello")
            case "sweep":
                await enqueue.enqueue_sweep(ALICE_HOUSEHOLD, date(2026, 3, 1), 180)
            case "tick":
                await UnsentCommands(stores=stores, sender=sender, publisher=world.publisher, clock=world.clock).tick()
            case "work" | "reject":
                status = KeyStatus.COMPLETED if what == "work" else KeyStatus.REJECTED
                for item in world.sender.sent:
                    message = item.message
                    key = replace(records.KEY, command_id=message.message_id, queue=message.queue, status=status)
                    await world.stores.keys.insert(key)


async def judge(acts: list[Act], faults: dict[int, Kind], waits: list[float]) -> None:
    world = ApiWorld()
    world.sender = sender = Watching(world)
    recorded: dict[str, str] = {}
    real = world.stores.commands
    world.enqueue = replace(world.enqueue, sender=sender)
    plan = Plan(faults)
    inserted = real.insert

    async def noted(command: Command) -> bool:
        new = await inserted(command)
        if new:
            recorded[command.command_id] = command.queue
        return new

    real.insert = noted  # type: ignore[method-assign]
    for turn, (what, wait) in enumerate(zip(acts, waits, strict=True)):
        await act(world, plan, what, turn)
        world.clock.advance(wait)
    # from here on nothing goes wrong, and no client comes again
    calm = UnsentCommands(stores=world.stores, sender=sender, publisher=world.publisher, clock=world.clock)
    for _ in range(8):
        world.clock.advance(HOUR / 2)
        report = await calm.tick()
        assert (report.failed, report.refused, report.stopped) == (0, 0, 0)
    assert [shard async for shard in world.stores.outbox.shards()] == []
    assert set(recorded) == {item.message.message_id for item in sender.sent}
    assert sender.unlisted == []
    conversation = sorted(command for command, queue in recorded.items() if queue == QUEUE)
    assert sorted(await listed(world)) == conversation
    for command, queue in recorded.items():
        signal = await world.stores.signals.read(ids.unsent_signal_id(queue, command))
        assert signal is None or signal.value.is_resolved


@given(
    acts=st.lists(st.sampled_from(ACTS), min_size=1, max_size=8),
    faults=st.dictionaries(st.integers(1, 40), st.sampled_from(KINDS), max_size=6),
    data=st.data(),
)
def test_recorded_is_sent_and_listed_whatever_goes_wrong(
    acts: list[Act], faults: dict[int, Kind], data: st.DataObject
) -> None:
    waits = data.draw(st.lists(st.sampled_from([0.0, 1.0, 130.0, HOUR]), min_size=len(acts), max_size=len(acts)))
    asyncio.run(judge(acts, faults, waits))


def test_each_operation_of_a_post_and_of_a_tick_going_wrong_in_each_way() -> None:
    """Every single fault, of the API and then of the timer as well, with the client's repetition and without it."""
    for kind in KINDS:
        for first in range(1, 7):
            for second in range(first, first + 9):
                for acts in (["post", "tick"], ["post", "repeat", "tick"], ["sweep", "tick"]):
                    faults: dict[int, Kind] = {first: kind, second: kind}
                    asyncio.run(judge(cast("list[Act]", acts), faults, [130.0] * len(acts)))
