"""Where a copy cannot be sent the message is held, not spent; what waits too long within an invocation goes back."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mosaic_core.domain import body as bodies
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.domain.lanes import WAIT_SECONDS, Lane
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.settlement import Abandon, Complete, Reschedule, Settlement
from mosaic_core.lanes.context import LaneContext, LaneResult, succeeded
from mosaic_core.ports import IncomingMessage, OutgoingMessage
from mosaic_core.services import deliver
from mosaic_core.services.limits import DeliveryLimits
from tests.support.faults import Plan
from tests.support.world import COMMAND_ID, QUEUE, Work, World, body, record

ROOT = Path(__file__).resolve().parents[2]


def no_copies(world: World, seconds: float) -> None:
    """Sends are refused from now on (queue full, no right, link down); receiving works."""
    until = world.clock.now().timestamp() + seconds
    world.broker.fault = lambda op, _: "refused" if op == "send" and world.clock.now().timestamp() < until else None


async def test_while_no_copy_can_be_sent_the_delivery_goes_on_in_place() -> None:
    work = Work(("fail", "fail", "fail", "success"))
    world = World(work, max_deliveries=10)
    await world.send(recorded=True)
    no_copies(world, 3600)
    message = world.broker.receive(QUEUE)
    assert message is not None
    began = world.clock.now()
    settlement = await world.deliver(message)
    assert (world.clock.now() - began).total_seconds() == 1 + 5 + 30
    assert settlement is not None
    await world.run()
    await world.check_end()
    assert work.began == [1, 2, 3, 4]
    assert (await world.key()).status == KeyStatus.COMPLETED


async def test_a_copy_that_can_be_sent_again_is() -> None:
    world = World(Work(("fail", "fail", "fail", "fail", "success")), max_deliveries=10)
    await world.send(recorded=True)
    no_copies(world, 20)
    message = world.broker.receive(QUEUE)
    assert message is not None
    settlement = await world.deliver(message)
    assert isinstance(settlement, Reschedule)
    assert len(world.broker.peek(QUEUE)) == 1
    await world.run()
    await world.check_end()


async def test_ten_deliveries_are_not_spent_in_an_instant() -> None:
    """A wait that is longer than a message may be held: it goes back, after that time."""
    world = World(Work(("fail", "fail", "fail", "fail", "success")), max_deliveries=10)
    await world.send(recorded=True)
    no_copies(world, 3600)
    message = world.broker.receive(QUEUE)
    assert message is not None
    began = world.clock.now()
    assert await world.deliver(message) == Abandon("retry")
    assert (world.clock.now() - began).total_seconds() == DeliveryLimits().hold
    await world.run()
    await world.check_end()
    assert (await world.key()).status == KeyStatus.COMPLETED


@pytest.mark.parametrize("outage", [False, True])
async def test_where_no_copy_can_ever_be_sent_the_last_delivery_ends_the_command(outage: bool) -> None:
    """The broker would dead-letter it by itself, with the key Reserved and nobody told."""

    async def lane(context: LaneContext) -> LaneResult:
        raise StoreUnreachableError("ledger: 503")

    world = World(lane if outage else Work(("fail",)), max_deliveries=10)
    await world.send(recorded=True)
    no_copies(world, 30 * 86400)
    began = world.clock.now()
    await world.run()
    await world.check_end()
    [dead] = world.broker.dead_letters(QUEUE)
    assert dead.reason == "processing_failed"
    assert (world.clock.now() - began).total_seconds() > (600 if outage else 150)


async def test_a_drain_ends_the_holding() -> None:
    world = World(Work(("fail",)))
    await world.send(recorded=True)
    no_copies(world, 3600)
    message = world.broker.receive(QUEUE)
    assert message is not None
    service = world.service()
    world.broker.fault = lambda op, _: service.drain.begin() or ("refused" if op == "send" else None)  # type: ignore[func-returns-value]
    began = world.clock.now()
    assert isinstance(await service.deliver(Lane.CONVERSATION, message), Abandon)
    assert world.clock.now() == began


async def test_drains_do_not_end_a_message() -> None:
    """Each drain is a delivery to the broker: after a few of them a copy begins to count anew."""
    world = World(Work(("success",)), max_deliveries=10)
    await world.send(recorded=True)
    for _ in range(40):
        service = world.service()
        service.drain.begin()
        message = world._next()
        assert message is not None
        await service.deliver(Lane.CONVERSATION, message)
    assert not world.broker.dead_letters(QUEUE)
    await world.run()
    await world.check_end()


async def test_a_copy_bears_what_the_message_bore() -> None:
    properties: dict[str, str | bool | int] = {
        "recorded": True,
        "householdId": "h",
        "traceparent": "00-1",
        "policyDisposition": "advisory_only",
    }
    world = World(Work(("fail", "fail", "success")))
    message = await _message(world, properties)
    first = message.enqueued_at
    await world.deliver(message)
    world.clock.advance(1)
    second = world.broker.receive(QUEUE)
    assert second is not None
    await world.deliver(second)
    [copy] = world.broker.peek(QUEUE)
    assert copy.properties == {**properties, "firstEnqueuedAtUtc": first.isoformat().replace("+00:00", "Z")}
    assert (copy.message_id, copy.body, copy.correlation_id, copy.subject) == (
        message.message_id,
        message.body,
        message.correlation_id,
        message.subject,
    )


async def _message(world: World, properties: dict[str, str | bool | int]) -> IncomingMessage:
    await record(world.stored, QUEUE, Lane.CONVERSATION, body(), world.clock.now())
    await world.broker.send(
        OutgoingMessage(
            queue=QUEUE,
            body=body(),
            message_id=COMMAND_ID,
            correlation_id="agent:x",
            subject="agent_message_posted",
            properties=properties,
        )
    )
    message = world.broker.receive(QUEUE)
    assert message is not None
    return message


async def test_a_full_lane_is_waited_for_in_the_queue_and_longer_each_time() -> None:
    world = World(Work(("success",)))
    await world.send(recorded=True)
    waits = []
    for _ in range(8):
        message = world._next()
        assert message is not None
        settlement = await world.deliver(replace(message, crowded=True))
        assert isinstance(settlement, Reschedule)
        assert settlement.why == "lane_full"
        waits.append((settlement.due - world.clock.now()).total_seconds())
    assert world.plan.log == ["sender.send", "settler.complete"] * 8
    assert waits[0] == 2
    assert waits == sorted(waits)
    assert waits[-1] <= 30
    await world.run()
    await world.check_end()
    assert (await world.key()).attempt == 1


async def test_a_household_without_a_turn_comes_again_when_its_line_is_over() -> None:
    world = World(Work(("success",)))
    await world.send(recorded=True)
    for line, wait in ((40.5, 40.5), (0.1, 10.125)):
        message = world._next()
        assert message is not None
        settlement = await world.deliver(replace(message, crowded=True, crowded_seconds=line))
        assert isinstance(settlement, Reschedule)
        assert (settlement.due - world.clock.now()).total_seconds() == wait
    await world.run()
    assert (await world.key()).attempt == 1


async def test_what_a_full_lane_puts_off_keeps_what_the_copy_tells() -> None:
    world = World(Work(("success",)))
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    told: dict[str, str | bool | int] = {
        "storageEnded": "a b",
        "storeAwaySinceUtc": "2026-01-01T00:00:00Z",
        "failedSteps": 2,
    }
    await world.deliver(replace(message, crowded=True, properties={**message.properties, **told}))
    [copy] = world.broker.peek(QUEUE)
    assert told.items() <= copy.properties.items()


def test_a_delivery_is_over_before_the_host_stops_renewing_its_lock() -> None:
    host = json.loads((ROOT / "host.json").read_text())
    hours, minutes, seconds = host["extensions"]["serviceBus"]["maxAutoLockRenewalDuration"].split(":")
    renewal = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    assert DeliveryLimits().delivery < renewal


# ------------------------------------------------------------------------------------------------------------ the body


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=3000), st.dictionaries(st.text(max_size=5), st.integers(), max_size=3))
def test_a_deflated_body_is_the_same_again(raw: bytes, properties: dict[str, int]) -> None:
    properties.pop(bodies.ENCODING, None)
    smaller = bodies.deflate(raw, properties)
    assert bodies.inflate(*smaller) == (raw, properties)
    assert bodies.deflate(*smaller) == smaller


@pytest.mark.parametrize("seed", range(4))
def test_no_text_is_too_dense_to_get_smaller(seed: int) -> None:
    """Characters drawn evenly per byte of UTF-8, the densest text that there is."""
    chance = random.Random(seed)
    kinds = [(32, 126), (128, 0x7FF), (0x800, 0xD7FF), (0x10000, 0x10FFFF)]
    text = "".join(chr(chance.randint(*chance.choices(kinds, (82, 14, 4, 1))[0])) for _ in range(60_000))
    raw = text.encode()
    assert len(bodies.deflate(raw, {})[0]) < 0.97 * len(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"no zlib", bodies.deflate(b"x" * 100, {})[0][:-3], bodies.deflate(b"0" * (5 * 2**20), {})[0]]
)
def test_what_is_no_deflated_body_stays_as_it_is(raw: bytes) -> None:
    """Cut off, or a bomb: told as a body that cannot be decoded, and nothing explodes."""
    properties = {bodies.ENCODING: bodies.DEFLATE}
    assert bodies.inflate(raw, properties) == (raw, properties)


# --------------------------------------------------------------------------------------------------------- telemetry


class Raises:
    def publish(self, event: object) -> None:
        raise RuntimeError("telemetry")


@pytest.mark.parametrize("ends", [("success",), ("review",), ("fail",), ("fail", "success")])
async def test_a_publisher_that_raises_neither_fails_nor_delays_a_command(ends: tuple[str, ...]) -> None:
    world = World(Work(ends), max_deliveries=10)
    world.publisher = Raises()  # type: ignore[assignment]
    await world.send(recorded=True)
    await world.send(b"{nope", message_id="m-1")
    await world.run()
    reasons = sorted(d.reason for d in world.broker.dead_letters(QUEUE))
    assert reasons == (["invalid_json", "processing_failed"] if ends == ("fail",) else ["invalid_json"])


async def test_an_event_that_cannot_be_built_neither_fails_nor_delays_a_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("no event")

    monkeypatch.setattr("mosaic_core.telemetry.command_event", broken)
    world = World(Work(("fail", "success")), max_deliveries=10, plan=Plan())
    await world.send(recorded=True)
    await world.run()
    await world.check_end()


async def test_a_lane_whose_own_await_is_cancelled_has_failed() -> None:
    """What anyio's or a client's own scope does: no lease is lost, nothing drains."""

    async def lane(context: LaneContext) -> LaneResult:
        if context.attempt < 3:
            inner = asyncio.ensure_future(asyncio.sleep(10))
            asyncio.get_running_loop().call_soon(inner.cancel)
            await inner
        return succeeded("done", "done")

    world = World(lane)
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    settlement = await world.deliver(message)
    assert isinstance(settlement, Reschedule)
    assert settlement.why == "retry"
    run = await world.run_row()
    assert run.failure_code == "lane_cancelled"
    await world.run()
    await world.check_end()
    assert (await world.key()).attempt == 3


# -------------------------------------------------------------------------------------- the last delivery, and odd ends


async def _last_delivery(world: World, message: IncomingMessage) -> Settlement:
    """The last that the broker allows, when no copy can be sent and no time to hold is left."""
    no_copies(world, 3600)
    service = replace(world.service(), limits=DeliveryLimits(hold=0.0, max_deliveries=1))
    return await service.deliver(Lane.CONVERSATION, message)


async def test_the_last_delivery_of_a_command_that_another_works_on_is_not_completed_without_a_copy() -> None:
    world = World(Work(("success",)), plan=Plan(faults={5: "crash_before"}))
    await world.send(recorded=True)
    first = world.broker.receive(QUEUE)
    assert first is not None
    await world.deliver(first)  # the process died: the lease goes on for a while
    assert world.deaths == 1
    await world.send(recorded=True)
    second = world.broker.receive(QUEUE)
    assert second is not None
    assert await _last_delivery(world, second) == Abandon("in_progress")
    assert len(world.broker.peek(QUEUE)) == 2


async def test_the_last_delivery_in_an_outage_of_storage_is_not_completed_without_a_copy() -> None:
    world = World(Work(("success",)), plan=Plan(faults=dict.fromkeys(range(1, 40), "unsent")))
    await world.send(recorded=True)
    message = world.broker.receive(QUEUE)
    assert message is not None
    # the sender is part of the plan, too: nothing at all can be reached
    assert await _last_delivery(world, message) == Abandon("store_unreachable")


@pytest.mark.parametrize("broken", ["send", "complete"])
async def test_an_error_of_the_broker_s_client_that_nobody_foresaw_spends_no_deliveries(broken: str) -> None:
    world = World(Work(("fail", "success")), max_deliveries=10)
    await world.send(recorded=True)
    world.clock.advance(1)
    until = world.clock.now().timestamp() + 40

    def fault(operation: str, _: object) -> None:
        if operation == broken and world.clock.now().timestamp() < until:
            raise RuntimeError("the link is in no state to do this")

    world.broker.fault = fault
    await world.run(most=12)
    await world.check_end()
    assert (await world.key()).status == KeyStatus.COMPLETED


async def test_a_clock_that_is_behind_does_not_keep_a_held_message_from_going_on() -> None:
    work = Work(("fail", "fail", "success"))
    world = World(work, max_deliveries=10, worker_skew=-300)
    await world.send(recorded=True)
    no_copies(world, 3600)
    message = world.broker.receive(QUEUE)
    assert message is not None
    assert await world.deliver(message) == Complete()
    assert work.began == [1, 2, 3]


async def test_no_attempt_begins_in_place_that_could_outlive_its_invocation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past functionTimeout the host kills the process with everybody in it."""
    elapsed = 0.0
    monkeypatch.setattr(deliver, "time", SimpleNamespace(monotonic=lambda: elapsed))

    class Long(Work):
        async def __call__(self, context: LaneContext) -> LaneResult:
            nonlocal elapsed
            elapsed += 239
            return await super().__call__(context)

    work = Long(("fail", "success"))
    world = World(work, max_deliveries=10)
    await world.send(recorded=True)
    no_copies(world, 3600)
    message = world.broker.receive(QUEUE)
    assert message is not None
    assert await world.deliver(message) == Abandon("retry")
    assert work.began == [1]
    await world.run()
    await world.check_end()


def test_an_invocation_is_over_before_the_host_ends_it() -> None:
    hours, minutes, seconds = json.loads((ROOT / "host.json").read_text())["functionTimeout"].split(":")
    limits = DeliveryLimits()
    assert limits.invocation + 2 * WAIT_SECONDS <= int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    assert limits.company + limits.solitude + limits.lane_deadline + limits.threads < limits.delivery


async def test_copies_whose_answers_are_lost_do_not_fill_the_queue() -> None:
    """Each is there all the same: a message that is held for two minutes leaves a handful."""
    world = World(Work(("fail",) * 4 + ("success",)), max_deliveries=10)
    await world.send(recorded=True)
    for _ in range(3):
        message = world._next()
        assert message is not None
        await world.deliver(message)
    message = world._next()
    assert message is not None
    world.broker.fault = lambda operation, _: "lost" if operation == "send" else None
    assert await world.deliver(message) == Abandon("retry")  # the fourth attempt failed: a wait of two minutes
    assert len(world.broker.peek(QUEUE)) <= 6
    world.broker.fault = lambda *_: None
    await world.run()
    await world.check_end()
