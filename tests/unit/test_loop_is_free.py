"""What takes long runs beside the event loop, whoever asks: it goes on answering health checks and renewing leases.

Who computes on which thread is asked, and how long the loop was held as a part of all that was computed; no wall times.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mosaic_core.agents.runtime import offline_agent
from mosaic_core.computing import INLINE_CHARACTERS, compute_over
from mosaic_core.concurrency import each
from mosaic_core.domain.envelope import AgentMessagePosted, IngestionCompleted
from mosaic_core.domain.lanes import CommandType, Lane
from mosaic_core.lanes.conversation import ConversationLane, messages, proposals
from mosaic_core.lanes.ingestion import IngestionLane
from mosaic_core.services import deliver, enqueue
from mosaic_core.services.batch import Batch
from tests.support.api import ALICE_HOUSEHOLD, CONVERSATION, ApiWorld
from tests.support.lanes import CONVERSATION as LANE_CONVERSATION
from tests.support.lanes import HOUSEHOLD, USER, LaneWorld
from tests.unit.test_scaling import END, merchants_seen_once

LONGEST = ("how much did i spend at zyxwv tsrqp " * 60)[:2000].strip()
MESSAGES = f"/conversations/{CONVERSATION}/messages"


class Threads:
    """On which threads a function ran: True for the loop's own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.seen: dict[str, list[bool]] = {}

    def watch(self, place: Any, name: str) -> None:
        work: Callable[..., Any] = getattr(place, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            self.seen.setdefault(name, []).append(threading.current_thread() is threading.main_thread())
            return work(*args, **kwargs)

        self._monkeypatch.setattr(place, name, watched)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    return Threads(monkeypatch)


def posted(world: LaneWorld, text: str) -> bytes:
    payload = AgentMessagePosted(
        household_id=HOUSEHOLD, conversation_id=LANE_CONVERSATION, household_user_id=USER, message=text
    )
    return world.command(CommandType.AGENT_MESSAGE_POSTED, payload)


@pytest.mark.parametrize(("text", "on_the_loop"), [("What did I spend?", True), (LONGEST, False)])
async def test_a_long_message_is_judged_beside_the_loop_where_it_comes_in(
    threads: Threads, text: str, on_the_loop: bool
) -> None:
    world = await ApiWorld().with_members()
    threads.watch(enqueue, "hint")
    assert (await world.post(MESSAGES, {"message": text})).status == 202
    assert threads.seen == {"hint": [on_the_loop]}


async def test_one_letter_that_stands_for_many_counts_as_many(threads: Threads) -> None:
    world = await ApiWorld().with_members()
    threads.watch(enqueue, "hint")
    assert (await world.post(MESSAGES, {"message": "\ufdfa" * 20})).status == 202
    assert threads.seen == {"hint": [False]}


@pytest.mark.parametrize(("text", "on_the_loop"), [("What did I spend?", True), (LONGEST, False)])
async def test_a_long_message_is_read_beside_the_loop_by_its_lane(
    threads: Threads, text: str, on_the_loop: bool
) -> None:
    world = LaneWorld({Lane.CONVERSATION: ConversationLane(agent=offline_agent())})
    threads.watch(messages, "hint")
    await world.deliver(Lane.CONVERSATION, posted(world, text))
    assert set(threads.seen["hint"]) == {on_the_loop}


def transactions(count: int) -> list[dict[str, Any]]:
    return [
        {
            "transactionId": f"t{n}",
            "postedOn": "2026-02-01",
            "amount": "-1.00",
            "currency": "EUR",
            "description": f"COFFEE {n} " * 15,
        }
        for n in range(count)
    ]


async def ingest(world: ApiWorld, rows: list[dict[str, Any]]) -> int:
    """The status of a batch as JSON Lines."""
    answer = await world.post(
        f"/households/{ALICE_HOUSEHOLD}/ingestions?batchId=b&source=bank&accountId=a",
        b"".join(json.dumps(row).encode() + b"\n" for row in rows),
        token="alice+Mosaic.Ingest",
        headers={"Content-Type": "application/x-ndjson"},
    )
    return answer.status


async def test_a_batch_is_read_and_hashed_beside_the_loop(threads: Threads) -> None:
    world = await ApiWorld().with_members()
    threads.watch(Batch, "of")
    threads.watch(enqueue, "request_hash")
    threads.watch(enqueue._Draft, "envelope")
    assert await ingest(world, transactions(500)) == 202
    assert threads.seen == {"of": [False], "envelope": [False], "request_hash": [False]}


@pytest.mark.parametrize(("count", "on_the_loop"), [(1, True), (500, False)])
async def test_a_large_message_is_decoded_beside_the_loop(threads: Threads, count: int, on_the_loop: bool) -> None:
    world = LaneWorld({Lane.INGESTION: IngestionLane()})
    batch = IngestionCompleted.model_validate(
        {
            "householdId": HOUSEHOLD,
            "batchId": "b",
            "source": "bank",
            "accountId": "a",
            "transactions": transactions(count),
        }
    )
    threads.watch(deliver, "decode")
    await world.deliver(Lane.INGESTION, world.command(CommandType.INGESTION_COMPLETED, batch))
    assert threads.seen == {"decode": [on_the_loop]}


async def test_a_proposals_arguments_are_judged_beside_the_loop(threads: Threads) -> None:
    world = LaneWorld({Lane.CONVERSATION: ConversationLane(agent=offline_agent()), Lane.INGESTION: IngestionLane()})
    rows = [{**transactions(1)[0], "merchantName": "Coffee", "postedOn": "2026-11-20"}]
    batch = {"householdId": HOUSEHOLD, "batchId": "b", "source": "bank", "accountId": "a", "transactions": rows}
    command = world.command(CommandType.INGESTION_COMPLETED, IngestionCompleted.model_validate(batch))
    await world.deliver(Lane.INGESTION, command)
    threads.watch(proposals, "validated")
    await world.deliver(Lane.CONVERSATION, posted(world, "Mark Coffee as monthly"))
    assert threads.seen == {"validated": [False]}


async def test_what_is_small_is_done_at_once() -> None:
    assert await compute_over(INLINE_CHARACTERS, INLINE_CHARACTERS, threading.current_thread) is (
        threading.main_thread()
    )
    assert await compute_over(INLINE_CHARACTERS + 1, INLINE_CHARACTERS, threading.current_thread) is not (
        threading.main_thread()
    )


# --------------------------------------------------------------------------------------------------------- a heartbeat


async def held_for(work: Awaitable[object]) -> float:
    """The longest that the loop's thread computed without a pause while ``work`` went on, as a part of all that was
    computed meanwhile. Processor time: what else the machine is at does not matter."""
    longest, last = 0.0, time.thread_time()
    begun = time.process_time()

    async def beat() -> None:
        nonlocal longest, last
        while True:
            await asyncio.sleep(0.001)
            now = time.thread_time()
            longest, last = max(longest, now - last), now

    heart = asyncio.create_task(beat())
    await asyncio.sleep(0)
    await work
    now = time.thread_time()
    heart.cancel()
    return max(longest, now - last) / (time.process_time() - begun)


MOST = 0.35


async def test_twenty_messages_at_once_do_not_hold_the_loop() -> None:
    world = await ApiWorld().with_members()
    await world.post(MESSAGES, {"message": "What did I spend?"})
    letters = ("s e ", "\ufdfa", "(a", "\U0001f4b8")
    texts = [letters[n % 4] * (222 if n % 4 == 1 else 2000 // len(letters[n % 4])) for n in range(20)]
    assert await held_for(each(texts, lambda text: world.post(MESSAGES, {"message": text}), at_once=20)) < MOST


async def test_a_question_against_many_merchants_does_not_hold_the_loop() -> None:
    rows = merchants_seen_once(2000)
    assert await held_for(offline_agent().answer(LONGEST, rows, as_of=END)) < MOST


async def test_a_batch_does_not_hold_the_loop() -> None:
    world = await ApiWorld().with_members()
    assert await held_for(ingest(world, transactions(5000))) < MOST


async def test_the_heartbeat_sees_a_loop_that_is_held() -> None:
    async def hold() -> None:
        until = time.perf_counter() + 1.0
        while time.perf_counter() < until:
            pass

    assert await held_for(hold()) > 0.8
