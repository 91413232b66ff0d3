"""The nightly enqueueing: each active household once a night, whatever dies, doubles or is missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from mosaic_core.adapters.memory import memory_stores
from mosaic_core.adapters.memory_messaging import ManualClock, MemoryPublisher, MemorySender
from mosaic_core.domain import ids
from mosaic_core.domain.envelope import NightlyAnomalySweep, decode
from mosaic_core.domain.errors import QueueUnavailableError, StoreUnreachableError
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.records import SweepProgress
from mosaic_core.ports import ETag, HouseholdStore, Stored
from mosaic_core.services.enqueue import EnqueueService
from mosaic_core.services.nightly import NightlyReport, NightlySweep, merged, months

NIGHT = date(2026, 11, 24)
HOUSEHOLDS = [f"{n:032x}" for n in range(1, 8)]


@dataclass
class Watched:
    """The household store, with its calls by name; ``before`` may change the course of any of them."""

    store: HouseholdStore
    calls: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None

    def active(self, month: str, after: str = "") -> AsyncIterator[str]:
        self.calls.append(f"active {month} {after}".rstrip())
        return self.store.active(month, after)

    async def mark_active(self, household_id: str, day: date) -> None:
        await self.store.mark_active(household_id, day)

    async def sweep_progress(self) -> Stored[SweepProgress] | None:
        self.calls.append("progress")
        self.before("progress")
        return await self.store.sweep_progress()

    async def save_sweep_progress(self, progress: SweepProgress, etag: ETag | None) -> ETag | None:
        self.calls.append("save")
        self.before("save")
        saved = await self.store.save_sweep_progress(progress, etag)
        self.after("save")
        return saved


class NightWorld:
    """The real enqueueing on memory stores; it is two o'clock in the night of `NIGHT`."""

    def __init__(self, at: datetime = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)) -> None:
        self.clock = ManualClock(at)
        self.stores = memory_stores(self.clock)
        self.sender = MemorySender()
        self.watched = Watched(self.stores.households)

    def sweep(self, **changes: object) -> NightlySweep:
        """A timer of a process of its own."""
        enqueuer = EnqueueService(
            stores=self.stores,
            sender=self.sender,
            publisher=MemoryPublisher(),
            clock=self.clock,
            queues={lane: rules.default_queue for lane, rules in RULES.items()},
        )
        nightly = NightlySweep(households=self.watched, enqueuer=enqueuer, clock=self.clock, page=3)
        return replace(nightly, **changes)  # type: ignore[arg-type]

    async def activate(self, *households: str, day: date = NIGHT) -> None:
        for household in households:
            await self.stores.households.mark_active(household, day)

    def sent(self) -> list[tuple[date, str]]:
        """(night, household) of each message, in order."""
        out = []
        for item in self.sender.sent:
            payload = decode(item.message.body, Lane.SWEEP).payload
            assert isinstance(payload, NightlyAnomalySweep)
            out.append((payload.sweep_date, payload.household_id))
        return out

    def clear(self) -> None:
        self.sender.sent.clear()
        self.watched.calls.clear()

    async def progress(self) -> SweepProgress | None:
        stored = await self.stores.households.sweep_progress()
        return stored.value if stored else None


@pytest.fixture
def world() -> NightWorld:
    return NightWorld()


# --------------------------------------------------------------------------------------------------------- one night


async def test_each_active_household_gets_one_sweep(world: NightWorld) -> None:
    await world.activate(*HOUSEHOLDS)
    assert await world.sweep(lookback_days=90).tick() == NightlyReport((NIGHT,), 7)
    assert sorted(world.sent()) == [(NIGHT, h) for h in HOUSEHOLDS]
    for item in world.sender.sent:
        envelope = decode(item.message.body, Lane.SWEEP)
        payload = envelope.payload
        assert isinstance(payload, NightlyAnomalySweep)
        assert payload.lookback_days == 90
        assert envelope.command_id == ids.sweep_command_id(payload.household_id, "20261124")
        assert item.message.message_id == envelope.command_id
        assert item.message.queue == "runtime-nightly-anomaly-sweep"
        assert item.due is None
        assert await world.stores.commands.read(envelope.command_id) is not None
    assert await world.progress() == SweepProgress(completed_night="2026-11-24")


async def test_a_tick_with_nothing_to_do_is_one_point_read(world: NightWorld) -> None:
    await world.activate(*HOUSEHOLDS)
    await world.sweep().tick()
    world.clear()
    world.clock.advance(600)
    assert await world.sweep().tick() == NightlyReport()
    assert (world.watched.calls, world.sent()) == (["progress"], [])


async def test_the_same_night_twice_is_the_same_commands_and_requests(world: NightWorld) -> None:
    """The cursor is lost, and a setting has changed meanwhile: still the commands as first recorded."""
    await world.activate(*HOUSEHOLDS)
    await world.sweep(lookback_days=180).tick()
    first = [decode(s.message.body, Lane.SWEEP) for s in world.sender.sent]
    world.clear()
    world.clock.advance(3600)
    world.watched.store = memory_stores(world.clock).households
    for household in HOUSEHOLDS:
        await world.watched.store.mark_active(household, NIGHT)
    await world.sweep(lookback_days=365).tick()
    again = [decode(s.message.body, Lane.SWEEP) for s in world.sender.sent]
    assert {(e.command_id, e.request_hash, e.created_at) for e in again} == {
        (e.command_id, e.request_hash, e.created_at) for e in first
    }
    assert len(again) == 7


@pytest.mark.parametrize(
    ("at", "hour", "night"),
    [
        (datetime(2026, 11, 24, 1, 59, 59, tzinfo=UTC), 2, date(2026, 11, 23)),
        (datetime(2026, 11, 24, 2, 0, tzinfo=UTC), 2, date(2026, 11, 24)),
        (datetime(2026, 11, 24, 0, 0, tzinfo=UTC), 0, date(2026, 11, 24)),
        (datetime(2026, 11, 24, 22, 59, tzinfo=UTC), 23, date(2026, 11, 23)),
        (datetime(2027, 1, 1, 1, 0, tzinfo=UTC), 2, date(2026, 12, 31)),
        (datetime(2028, 3, 1, 1, 0, tzinfo=UTC), 2, date(2028, 2, 29)),
    ],
)
async def test_a_night_is_due_at_its_hour_in_utc(at: datetime, hour: int, night: date) -> None:
    world = NightWorld(at)
    await world.activate(HOUSEHOLDS[0], day=at.date())
    report = await world.sweep(hour_utc=hour).tick()
    assert report.nights == (night,)


async def test_no_active_household_is_a_night_done(world: NightWorld) -> None:
    assert await world.sweep().tick() == NightlyReport((NIGHT,), 0)
    assert await world.progress() == SweepProgress(completed_night="2026-11-24")


# -------------------------------------------------------------------------------------------------------- who is active


async def test_the_active_are_found_by_month_and_without_a_scan(world: NightWorld) -> None:
    await world.activate(HOUSEHOLDS[0], day=date(2026, 11, 2))
    await world.activate(HOUSEHOLDS[1], day=date(2026, 9, 30))
    await world.activate(HOUSEHOLDS[2], day=date(2026, 8, 31))  # three months ago: no longer
    await world.activate(HOUSEHOLDS[0], day=date(2026, 10, 2))  # in two months, once a night
    await world.sweep().tick()
    assert [h for _, h in world.sent()] == HOUSEHOLDS[:2]
    assert [c for c in world.watched.calls if c.startswith("active")] == [
        "active 202611",
        "active 202610",
        "active 202609",
    ]


@pytest.mark.parametrize(
    ("night", "expected"),
    [
        (date(2026, 11, 24), ["202611", "202610", "202609"]),
        (date(2027, 1, 1), ["202701", "202612", "202611"]),
        (date(2027, 2, 28), ["202702", "202701", "202612"]),
        (date(2026, 12, 31), ["202612", "202611", "202610"]),
    ],
)
def test_months_go_over_the_years_end(night: date, expected: list[str]) -> None:
    assert months(night, 3) == expected


async def test_a_household_of_last_year_is_swept_in_the_new_one() -> None:
    world = NightWorld(datetime(2027, 1, 5, 3, 0, tzinfo=UTC))
    await world.activate(HOUSEHOLDS[0], day=date(2026, 11, 30))
    await world.activate(HOUSEHOLDS[1], day=date(2026, 10, 31))
    await world.sweep().tick()
    assert world.sent() == [(date(2027, 1, 5), HOUSEHOLDS[0])]


async def test_merged_streams_ascend_and_name_each_once() -> None:
    async def of(*values: str) -> AsyncIterator[str]:
        for value in values:
            yield value

    sources = [of("a", "c", "d"), of(), of("b", "c"), of("c", "e")]
    assert [v async for v in merged(sources)] == ["a", "b", "c", "d", "e"]


# ------------------------------------------------------------------------------------------------------- missed nights


async def test_missed_nights_are_caught_up_oldest_first(world: NightWorld) -> None:
    await world.activate(*HOUSEHOLDS[:2])
    await world.sweep().tick()
    world.clear()
    world.clock.advance(4 * 86_400)
    nights = [NIGHT + timedelta(days=n) for n in range(1, 5)]
    assert await world.sweep().tick() == NightlyReport(tuple(nights), 8)
    assert [night for night, _ in world.sent()] == [n for night in nights for n in (night, night)]


async def test_nights_too_long_ago_are_left_out_and_said(world: NightWorld, caplog: pytest.LogCaptureFixture) -> None:
    await world.activate(HOUSEHOLDS[0])
    await world.sweep().tick()
    world.clear()
    world.clock.advance(30 * 86_400)
    with caplog.at_level(logging.ERROR):
        report = await world.sweep(catch_up_nights=7).tick()
    last = NIGHT + timedelta(days=30)
    assert report.nights == tuple(last - timedelta(days=n) for n in range(6, -1, -1))
    [record] = caplog.records
    assert (record.__dict__["first"], record.__dict__["skipped"]) == ("2026-11-25", 23)
    # said once: the nights after are as usual
    caplog.clear()
    world.clock.advance(86_400)
    assert (await world.sweep(catch_up_nights=7).tick()).nights == (last + timedelta(days=1),)
    assert caplog.records == []


async def test_as_many_missed_as_may_be_caught_up_is_no_loss(
    world: NightWorld, caplog: pytest.LogCaptureFixture
) -> None:
    await world.sweep().tick()
    world.clock.advance(7 * 86_400)
    assert len((await world.sweep(catch_up_nights=7).tick()).nights) == 7
    assert caplog.records == []


async def test_a_clock_that_goes_back_sweeps_nothing_and_forgets_nothing(world: NightWorld) -> None:
    await world.activate(HOUSEHOLDS[0])
    await world.sweep().tick()
    world.clear()
    world.clock.advance(-3 * 86_400)
    assert await world.sweep().tick() == NightlyReport()
    assert (world.sent(), await world.progress()) == ([], SweepProgress(completed_night="2026-11-24"))


# ------------------------------------------------------------------------------------------------------ what goes wrong


async def test_a_tick_that_died_in_a_page_is_gone_on_with_from_the_cursor(world: NightWorld) -> None:
    await world.activate(*HOUSEHOLDS)
    sends = 0

    class Dies(MemorySender):
        async def send(self, message: object, *, due: datetime | None = None) -> None:
            nonlocal sends
            sends += 1
            if sends == 5:  # the second page is under way
                raise QueueUnavailableError("no answer")
            await world.sender.send(message, due=due)  # type: ignore[arg-type]

    nightly = world.sweep()
    assert isinstance(nightly.enqueuer, EnqueueService)
    with pytest.raises(QueueUnavailableError):
        await replace(nightly, enqueuer=replace(nightly.enqueuer, sender=Dies())).tick()
    assert await world.progress() == SweepProgress(
        completed_night="2026-11-23", current_night="2026-11-24", cursor=HOUSEHOLDS[2]
    )
    world.clear()
    assert await world.sweep().tick() == NightlyReport((NIGHT,), 4)
    # the first page is not sent again, the second wholly
    assert [h for _, h in world.sent()] == HOUSEHOLDS[3:]
    assert next(c for c in world.watched.calls if c.startswith("active")) == f"active 202611 {HOUSEHOLDS[2]}"


@pytest.mark.parametrize("landed", [False, True])
@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_a_tick_that_died_while_saving_leaves_no_household_out(world: NightWorld, at: int, landed: bool) -> None:
    await world.activate(*HOUSEHOLDS)
    saves = 0

    def dies(call: str) -> None:
        nonlocal saves
        saves += call == "save"
        if call == "save" and saves == at:
            raise StoreUnreachableError("no answer")

    if landed:
        world.watched.after = dies
    else:
        world.watched.before = dies
    with pytest.raises(StoreUnreachableError):
        await world.sweep().tick()
    await world.sweep().tick()
    assert set(world.sent()) == {(NIGHT, h) for h in HOUSEHOLDS}
    assert await world.progress() == SweepProgress(completed_night="2026-11-24")


async def test_a_night_half_done_when_it_became_too_old_is_left(world: NightWorld) -> None:
    await world.activate(*HOUSEHOLDS)
    await world.stores.households.save_sweep_progress(
        SweepProgress(completed_night="2026-11-01", current_night="2026-11-02", cursor=HOUSEHOLDS[5]), None
    )
    report = await world.sweep(catch_up_nights=2).tick()
    assert report.nights == (NIGHT - timedelta(days=1), NIGHT)
    # the old night's cursor is not taken for theirs
    assert [h for night, h in world.sent() if night == NIGHT] == HOUSEHOLDS
    assert report.enqueued == 14


async def test_two_ticks_at_once_enqueue_the_same_commands_and_one_stops(world: NightWorld) -> None:
    await world.activate(*HOUSEHOLDS)
    both_read = asyncio.Barrier(2)

    class Together(Watched):
        async def sweep_progress(self) -> Stored[SweepProgress] | None:
            found = await super().sweep_progress()
            await both_read.wait()
            return found

    together = Together(world.stores.households)
    reports = await asyncio.gather(world.sweep(households=together).tick(), world.sweep(households=together).tick())
    assert sorted(r.nights for r in reports) == [(), (NIGHT,)]
    assert set(world.sent()) == {(NIGHT, h) for h in HOUSEHOLDS}
    # the loser sent its first page and saw at its first save that it had lost
    assert sorted(r.enqueued for r in reports) == [3, 7]
    assert len({s.message.message_id for s in world.sender.sent}) == 7
    assert await world.progress() == SweepProgress(completed_night="2026-11-24")


async def test_a_household_that_becomes_active_while_the_night_runs_comes_the_next_night(world: NightWorld) -> None:
    await world.activate(*HOUSEHOLDS[3:])
    await world.sweep().tick()
    await world.activate(HOUSEHOLDS[0])
    world.clear()
    assert await world.sweep().tick() == NightlyReport()
    world.clock.advance(86_400)
    await world.sweep().tick()
    assert HOUSEHOLDS[0] in {h for _, h in world.sent()}
