"""A paused lane: nothing of it is worked on, nothing is counted, nothing is lost, and it costs next to nothing."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mosaic_core.domain.errors import StoredRowError, StoreUnreachableError
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.lifecycle import RunStatus
from mosaic_core.domain.records import LanePause
from mosaic_core.domain.settlement import AWAY_SINCE, FIRST_ENQUEUED, STORAGE_ENDED, Abandon, Reschedule
from mosaic_core.ports import Stored
from mosaic_core.services.lanes_watch import PAUSED, LanesWatch
from mosaic_core.services.pauses import FRESH_SECONDS, Pauses, wait_of
from mosaic_ops.memory.messaging import ManualClock, MemoryBroker
from tests.support.api import ApiWorld
from tests.support.world import QUEUE, Work, World

ADMIN = "ada+Mosaic.Operator.Admin"
READER = "olga+Mosaic.Operator.Read"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PAUSE = LanePause(lane=Lane.CONVERSATION, is_paused=True, changed_by="ada", reason="a bad deploy", changed_at=NOW)


class Store:
    """What there is to read, or the error that says why there is not."""

    def __init__(self, *answers: LanePause | Exception | None) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def read(self, lane: Lane) -> Stored[LanePause] | None:
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return Stored(answer, "e") if answer is not None else None

    async def save(self, pause: LanePause, etag: str | None) -> str | None:
        raise AssertionError("a worker pauses nothing")


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# --------------------------------------------------------------------------------------------- what a process knows


async def test_any_number_of_deliveries_cost_one_request_every_few_seconds() -> None:
    store, seconds = Store(None), Seconds()
    pauses = Pauses(store, seconds)
    await asyncio.gather(*(pauses.of(Lane.CONVERSATION) for _ in range(100)))
    seconds.now += FRESH_SECONDS - 0.1
    await pauses.of(Lane.CONVERSATION)
    assert store.asked == 1
    seconds.now += 0.2
    await asyncio.gather(*(pauses.of(Lane.CONVERSATION) for _ in range(100)))
    assert store.asked == 2


async def test_a_pause_and_its_end_are_known_within_seconds() -> None:
    store, seconds = Store(None, PAUSE, replace(PAUSE, is_paused=False)), Seconds()
    pauses = Pauses(store, seconds)
    found = []
    for _ in range(3):
        found.append(await pauses.of(Lane.CONVERSATION))
        seconds.now += FRESH_SECONDS
    assert found == [None, PAUSE, None]


@pytest.mark.parametrize(
    "error", [StoreUnreachableError("503"), StoredRowError("IsPaused cannot be read"), ValueError("a bug")]
)
@pytest.mark.parametrize("known", [None, PAUSE])
async def test_a_row_that_cannot_be_read_leaves_it_as_last_known(known: LanePause | None, error: Exception) -> None:
    store, seconds = Store(known, error), Seconds()
    pauses = Pauses(store, seconds)
    for _ in range(5):
        assert await pauses.of(Lane.CONVERSATION) == known
        seconds.now += FRESH_SECONDS
    assert store.asked == 5
    unknown = Pauses(Store(error), seconds)
    assert await unknown.of(Lane.CONVERSATION) is None


async def test_a_store_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mosaic_core.services.pauses.PATIENCE_SECONDS", 0.001)

    class Silent(Store):
        async def read(self, lane: Lane) -> Stored[LanePause] | None:
            self.asked += 1
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

    store = Silent(None)
    pauses = Pauses(store, Seconds())
    assert [await pauses.of(Lane.CONVERSATION) for _ in range(3)] == [None] * 3
    assert store.asked == 1  # nobody asks a second time beside it


@pytest.mark.parametrize(("lasted", "wait"), [(-3600, 5), (0, 5), (30, 15), (120, 60), (86400, 60)])
def test_the_wait_grows_with_the_pause_and_is_bounded(lasted: float, wait: float) -> None:
    assert wait_of(PAUSE, NOW + timedelta(seconds=lasted), 1.0) == wait
    assert wait_of(PAUSE, NOW + timedelta(seconds=lasted), 1.2) == wait * 1.2


# --------------------------------------------------------------------------------------------------------- a delivery


class Held(World):
    """A world whose workers look at the pause anew each time."""

    def service(self, handler: Any = None) -> Any:
        return replace(super().service(handler), pauses=Pauses(self.stored.pauses, Seconds()))

    async def pause(self, is_paused: bool = True) -> None:
        there = await self.stored.pauses.read(Lane.CONVERSATION)
        pause = replace(PAUSE, is_paused=is_paused, changed_at=self.clock.now())
        assert await self.stored.pauses.save(pause, there.etag if there else None)


async def test_a_paused_lanes_message_waits_uncounted_for_days_and_then_runs() -> None:
    """No row is written, no delivery and no attempt is counted, and everything about the message stays."""
    work = Work(("success",))
    world = Held(work)
    await world.pause()
    await world.send()
    began = world.clock.now()
    looks = 0
    while world.clock.now() - began < timedelta(days=2):
        message = world._next()
        assert message is not None
        assert message.delivery_count == 1
        settlement = await world.deliver(message)
        assert isinstance(settlement, Reschedule)
        assert settlement.why == "lane_paused"
        looks += 1
    assert looks < 2 * 24 * 60 + 20
    assert (work.began, await world.key(), await world.run_row()) == ([], None, None)
    await world.pause(False)
    resumed = world.clock.now()
    await world.run()
    await world.check_end()
    assert work.began == [1]
    assert world.clock.now() - resumed <= timedelta(seconds=73)


async def test_what_waits_comes_in_the_order_in_which_it_falls_due() -> None:
    world = Held(Work(("success",)))
    await world.pause()
    for n in range(3):
        await world.send(message_id=f"m-{n}")
        message = world._next()
        assert message is not None
        await world.deliver(message)
        world.clock.advance(0.5)
    await world.pause(False)
    came = []
    while (message := world._next()) is not None:
        came.append(message.message_id)
        await world.deliver(message)
    assert came == ["m-0", "m-1", "m-2"]


async def test_no_mark_but_an_outage_s_begin_is_lost_on_the_way() -> None:
    """Nobody asks storage during a pause: the day that an outage may last does not go on through it."""
    world = Held(Work(("success",)))
    await world.pause()
    await world.send()
    message = world._next()
    assert message is not None
    marks = {AWAY_SINCE: "2025-12-31T00:00:00Z", STORAGE_ENDED: "a-token", FIRST_ENQUEUED: "2025-12-30T00:00:00Z"}
    await world.deliver(replace(message, properties={**message.properties, **marks, "failedSteps": 2}))
    world.clock.advance(60)
    copy = world._next()
    assert copy is not None
    kept = {name: copy.properties.get(name) for name in (*marks, "failedSteps", "recorded")}
    assert kept == {**marks, AWAY_SINCE: None, "failedSteps": 2, "recorded": True}


async def test_poison_waits_as_well_and_a_drain_gives_back() -> None:
    world = Held(Work(("success",)))
    await world.pause()
    await world.send(b"no json", recorded=False)
    message = world._next()
    assert message is not None
    assert isinstance(await world.deliver(message), Reschedule)
    assert world.broker.dead_letters(QUEUE) == []
    service = world.service()
    service.drain.begin()
    await world.send()
    message = world._next()
    assert message is not None
    assert await service.deliver(Lane.CONVERSATION, message) == Abandon("draining")


async def test_what_is_at_work_ends_and_another_lane_goes_on() -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def slow(context: Any) -> Any:
        entered.set()
        await go_on.wait()
        return await Work(("success",))(context)

    world = Held(slow)
    await world.send()
    message = world._next()
    assert message is not None
    delivery = asyncio.create_task(world.deliver(message))
    await entered.wait()
    await world.pause()
    go_on.set()
    await delivery
    run = await world.run_row()
    assert run.status == RunStatus.COMPLETED
    assert await Pauses(world.stored.pauses).of(Lane.SWEEP) is None


# ------------------------------------------------------------------------------------------------------------ the API


async def post(world: ApiWorld, path: str, reason: object = "why", token: str | None = ADMIN) -> Any:
    return await world.post(f"/ops/lanes/{path}", {"reason": reason}, token=token)


async def pause_in_lanes(world: ApiWorld, lane: str) -> Any:
    answer = await world.get("/ops/lanes", token=READER)
    return next(one["pause"] for one in answer.json["lanes"] if one["lane"] == lane)


async def test_a_lane_is_paused_once_and_resumed_once_and_both_are_audited(caplog: pytest.LogCaptureFixture) -> None:
    world = ApiWorld()
    with caplog.at_level(logging.INFO):
        first = await post(world, "sweep/pause", "one")
    assert (first.status, first.json["isChanged"]) == (200, True)
    told = {"pausedBy": "ada", "reason": "one", "pausedAtUtc": "2026-03-01T08:00:00Z"}
    assert first.json["pause"] == told
    assert await pause_in_lanes(world, "sweep") == told
    assert await pause_in_lanes(world, "ingestion") is None
    world.clock.advance(60)
    again = await post(world, "sweep/pause", "another", token="eve+Mosaic.Operator.Admin")
    assert (again.json["isChanged"], again.json["pause"]) == (False, told)
    for is_changed in (True, False):
        resumed = await post(world, "sweep/resume", "over")
        assert (resumed.json["isChanged"], resumed.json["pause"]) == (is_changed, None)
    assert await pause_in_lanes(world, "sweep") is None
    audited = await world.stores.decisions.of_run("lane:sweep")
    assert sorted((d.actor, d.action, d.rationale) for d in audited) == [
        ("ada", "lane_paused", "one"),
        ("ada", "lane_resumed", "over"),
    ]
    assert any(r.__dict__.get("lane") == "sweep" and r.__dict__.get("subject") == "ada" for r in caplog.records)
    never = await post(world, "ingestion/resume")
    assert (never.status, never.json["isChanged"], never.json["pause"]) == (200, False, None)


async def test_of_two_who_pause_at_once_one_word_stands() -> None:
    world = ApiWorld()
    tokens = [f"op{n}+Mosaic.Operator.Admin" for n in range(4)]
    answers = await asyncio.gather(*(post(world, "sweep/pause", token, token=token) for token in tokens))
    assert sum(answer.json["isChanged"] for answer in answers) == 1
    assert len({answer.json["pause"]["pausedBy"] for answer in answers}) == 1


@pytest.mark.parametrize("word", ["pause", "resume"])
@pytest.mark.parametrize(
    ("lane", "reason", "token", "status"),
    [
        ("nowhere", "why", ADMIN, 400),
        ("Sweep", "why", ADMIN, 400),
        ("sweep%0a", "why", ADMIN, 400),
        ("sweep", "", ADMIN, 400),
        ("sweep", "   ", ADMIN, 400),
        ("sweep", "a\x1b[31mb", ADMIN, 400),
        ("sweep", "x" * 501, ADMIN, 400),
        ("sweep", None, ADMIN, 400),
        ("sweep", "why", "rolf+Mosaic.Operator.Replay", 403),
        ("sweep", "why", "alice", 403),
        ("sweep", "why", None, 401),
    ],
)
async def test_who_may_not_and_what_is_no_lane_pauses_nothing(
    word: str, lane: str, reason: object, token: str | None, status: int
) -> None:
    world = ApiWorld()
    answer = await post(world, f"{lane}/{word}", reason, token)
    assert answer.status == status, answer.body
    assert [await world.stores.pauses.read(one) for one in Lane] == [None] * 3


# ------------------------------------------------------------------------------------------------- health and alerts


async def test_the_watch_warns_for_as_long_as_a_pause_lasts(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock(NOW + timedelta(minutes=10))
    broker = MemoryBroker(clock)
    watch = LanesWatch(browser=broker, clock=clock, queues={Lane.CONVERSATION: QUEUE}, pauses=Store(PAUSE, None))
    await watch.tick()
    [line] = [r for r in caplog.records if r.getMessage() == PAUSED]
    assert (line.__dict__["lane"], line.__dict__["pausedSeconds"]) == ("conversation", 600)
    assert line.__dict__["overdue"] is False
    caplog.clear()
    await watch.tick()
    assert not [r for r in caplog.records if r.getMessage() == PAUSED]
    away = replace(watch, pauses=Store(StoreUnreachableError("503")))
    assert await away.tick() == {Lane.CONVERSATION: 0.0}


@pytest.mark.parametrize(("minutes", "overdue"), [(30, False), (31, True)])
async def test_a_pause_that_lasts_longer_than_the_setting_is_told_as_overdue(
    caplog: pytest.LogCaptureFixture, minutes: int, overdue: bool
) -> None:
    """What the alert `paused-lane` waits for: what waits in a paused lane is not due, so no other tells of it."""
    clock = ManualClock(NOW + timedelta(minutes=minutes))
    watch = LanesWatch(
        browser=MemoryBroker(clock),
        clock=clock,
        queues={Lane.CONVERSATION: QUEUE},
        pauses=Store(PAUSE),
        pause_alert=timedelta(minutes=30),
    )
    await watch.tick()
    [line] = [r for r in caplog.records if r.getMessage() == PAUSED]
    assert line.__dict__["overdue"] is overdue
