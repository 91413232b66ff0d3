"""The nightly enqueueing: each active household once a night, whatever dies, doubles or is missed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from mosaic_core.domain import ids
from mosaic_core.domain.envelope import NightlyAnomalySweep, decode
from mosaic_core.domain.errors import QueueUnavailableError, StoredRowError, StoreUnreachableError
from mosaic_core.domain.lanes import RULES, Lane
from mosaic_core.domain.lifecycle import KeyStatus, Severity
from mosaic_core.domain.records import Signal, SweepProgress
from mosaic_core.ports import ETag, HouseholdStore, Stored
from mosaic_core.services.enqueue import EnqueueService
from mosaic_core.services.nightly import NightlyReport, NightlySweep, merged, months
from mosaic_ops.memory.messaging import ManualClock, MemoryPublisher, MemorySender
from mosaic_ops.memory.stores import memory_stores
from tests.support import records

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
        nightly = NightlySweep(
            households=self.watched, enqueuer=enqueuer, clock=self.clock, page=3, signals=self.stores.signals
        )
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

    async def signal(self, household: str, night: str = "20261124") -> Signal | None:
        stored = await self.stores.signals.read(ids.sweep_enqueue_signal_id(household, night))
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
            if sends > 3:  # from the second page on
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


# ------------------------------------------------------------------------------------------------ one stops nobody else


@dataclass
class Sick:
    """The real enqueueing, except that some households fail, each with its error, and ``down`` with everybody."""

    enqueuer: object
    errors: dict[str, Exception] = field(default_factory=dict)
    down: Exception | None = None
    tried: list[str] = field(default_factory=list)

    async def enqueue_sweep(self, household_id: str, sweep_date: date, lookback_days: int) -> object:
        self.tried.append(household_id)
        error = self.down or self.errors.get(household_id)
        if error is not None:
            raise error
        return await self.enqueuer.enqueue_sweep(household_id, sweep_date, lookback_days)  # type: ignore[attr-defined]


ERRORS = [
    StoredRowError("a stored Command lacks RequestHash"),
    StoreUnreachableError("its partition does not answer"),
    QueueUnavailableError("its message does not get through"),
    ValueError("nobody expected this"),
]


def sick(world: NightWorld, *households: str, error: Exception = ERRORS[0]) -> tuple[NightlySweep, Sick]:
    nightly = world.sweep()
    enqueuer = Sick(nightly.enqueuer, dict.fromkeys(households, error))
    return replace(nightly, enqueuer=enqueuer), enqueuer


@pytest.mark.parametrize(
    ("place", "error"),
    [
        pytest.param(place, error, marks=() if place % len(ERRORS) == number else pytest.mark.slow)
        for place in range(7)
        for number, error in enumerate(ERRORS)
    ],
)
async def test_a_household_that_cannot_be_enqueued_stops_nobody(
    world: NightWorld, place: int, error: Exception
) -> None:
    """Wherever it stands, also all by itself in the last page, and whatever its trouble is, for three nights."""
    await world.activate(*HOUSEHOLDS)
    one = HOUSEHOLDS[place]
    nightly, enqueuer = sick(world, one, error=error)
    for _ in range(3 * 144 - 1):
        await nightly.tick()
        world.clock.advance(600)
    nights = [NIGHT + timedelta(days=n) for n in range(3)]
    assert sorted(world.sent()) == [(night, h) for night in nights for h in HOUSEHOLDS if h != one]
    signal = await world.signal(one)
    assert signal is not None
    assert (signal.signal_code, signal.severity) == ("sweep_enqueue_failed", Severity.ERROR)
    assert (signal.requires_human_review, signal.is_resolved, signal.household_id) == (True, False, one)
    enqueuer.errors.clear()
    report = await nightly.tick()
    assert (report.enqueued, report.left_behind) == (3, 0)  # all three nights of it
    assert {(night, h) for night, h in world.sent() if h == one} == {(night, one) for night in nights}
    for night in nights:
        told = await world.signal(one, f"{night:%Y%m%d}")
        assert told is not None
        assert (told.is_resolved, told.resolution_note) == (True, "enqueued")


async def test_one_failure_does_not_cancel_its_neighbours(world: NightWorld) -> None:
    """The household that fails does so while the others of its page are under way."""
    await world.activate(*HOUSEHOLDS[:3])
    nightly, _ = sick(world, HOUSEHOLDS[0])
    under_way, failed = asyncio.Event(), asyncio.Event()
    real = nightly.enqueuer

    class Slow:
        async def enqueue_sweep(self, household_id: str, sweep_date: date, lookback_days: int) -> object:
            if household_id == HOUSEHOLDS[0]:
                await under_way.wait()
                failed.set()
            else:
                under_way.set()
                await failed.wait()
            return await real.enqueue_sweep(household_id, sweep_date, lookback_days)

    report = await replace(nightly, enqueuer=Slow()).tick()
    assert (report.enqueued, report.left_behind) == (2, 1)
    assert [h for _, h in world.sent()] == HOUSEHOLDS[1:3]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_outage_stops_the_tick_and_accuses_no_household(world: NightWorld, error: Exception) -> None:
    await world.activate(*HOUSEHOLDS)
    nightly, enqueuer = sick(world)
    enqueuer.down = error
    for _ in range(6):
        with pytest.raises(type(error)):
            await nightly.tick()
        world.clock.advance(600)
    assert set(enqueuer.tried) == set(HOUSEHOLDS[:3])
    assert await world.progress() is None
    assert [await world.signal(h) for h in HOUSEHOLDS] == [None] * 7
    enqueuer.down = None
    assert await nightly.tick() == NightlyReport((NIGHT,), 7)


async def test_an_outage_over_fewer_than_a_page_accuses_nobody_either(world: NightWorld) -> None:
    await world.activate(*HOUSEHOLDS)
    nightly, enqueuer = sick(world)
    enqueuer.down = StoreUnreachableError("503")
    with pytest.raises(StoreUnreachableError):
        await replace(nightly, page=100).tick()
    assert [await world.signal(h) for h in HOUSEHOLDS] == [None] * 7
    enqueuer.down = None
    assert await replace(nightly, page=100).tick() == NightlyReport((NIGHT,), 7)


async def test_a_last_page_of_sick_households_holds_up_no_later_night(world: NightWorld) -> None:
    """Two of five, both in the last page and both unreachable: the others get every night."""
    await world.activate(*HOUSEHOLDS[:5])
    nightly, _ = sick(world, *HOUSEHOLDS[3:5], error=StoreUnreachableError("their partition is away"))
    for _ in range(3 * 144):
        with contextlib.suppress(StoreUnreachableError):
            await nightly.tick()
        world.clock.advance(600)
    nights = [NIGHT + timedelta(days=n) for n in range(3)]
    assert sorted(world.sent()) == [(night, h) for night in nights for h in HOUSEHOLDS[:3]]
    assert None not in [await world.signal(h) for h in HOUSEHOLDS[3:5]]


async def test_an_outage_while_some_are_left_behind_accuses_nobody_and_forgets_nobody(world: NightWorld) -> None:
    await world.activate(*HOUSEHOLDS)
    nightly, enqueuer = sick(world, HOUSEHOLDS[0], HOUSEHOLDS[3], error=StoreUnreachableError("away"))
    assert (await nightly.tick()).left_behind == 2
    assert [await world.signal(h) for h in HOUSEHOLDS] == [None] * 7  # it may pass
    enqueuer.down = StoreUnreachableError("everything is away")
    world.clock.advance(600)
    assert (await nightly.tick()).left_behind == 2
    assert [await world.signal(h) for h in HOUSEHOLDS] == [None] * 7
    enqueuer.down, enqueuer.errors = None, {}
    assert (await nightly.tick()) == NightlyReport((), 2, 0)
    assert {h for _, h in world.sent()} == set(HOUSEHOLDS)


async def test_who_is_left_behind_is_remembered_in_bounds_and_told_of_beyond(
    world: NightWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mosaic_core.services.nightly.LEFT_BEHIND", 2)
    many = [f"{n:032x}" for n in range(1, 13)]
    bad = [h for n, h in enumerate(many) if n % 3]
    await world.activate(*many)
    nightly, enqueuer = sick(world, *bad, error=StoreUnreachableError("away"))
    assert (await nightly.tick()) == NightlyReport((NIGHT,), 4, 2)
    assert [h for h in bad if await world.signal(h) is not None] == bad[2:]
    enqueuer.errors.clear()
    assert (await nightly.tick()).enqueued == 2


async def test_a_night_that_became_too_old_is_tried_no_more(world: NightWorld) -> None:
    await world.activate(*HOUSEHOLDS)
    nightly, enqueuer = sick(world, HOUSEHOLDS[0])
    nightly = replace(nightly, catch_up_nights=2)
    await nightly.tick()
    enqueuer.errors.clear()
    world.clock.advance(2 * 86_400)
    assert (await nightly.tick()).left_behind == 0
    assert (NIGHT, HOUSEHOLDS[0]) not in world.sent()
    signal = await world.signal(HOUSEHOLDS[0])
    assert signal is not None
    assert not signal.is_resolved


async def test_a_tick_that_died_after_a_retry_resolves_the_signal_the_next_time(world: NightWorld) -> None:
    await world.activate(*HOUSEHOLDS)
    nightly, enqueuer = sick(world, HOUSEHOLDS[0])
    await nightly.tick()
    enqueuer.errors.clear()

    class Away:
        def __getattr__(self, name: str) -> object:
            return getattr(world.stores.signals, name)

        async def update(self, *_: object) -> None:
            raise StoreUnreachableError("no answer")

    assert (await replace(nightly, signals=Away()).tick()).left_behind == 1  # type: ignore[arg-type]
    assert (await nightly.tick()).left_behind == 0
    signal = await world.signal(HOUSEHOLDS[0])
    assert signal is not None
    assert signal.is_resolved


async def test_a_progress_row_of_an_earlier_version_or_one_that_somebody_edited_is_read(world: NightWorld) -> None:
    await world.activate(*HOUSEHOLDS)
    await world.stores.households.save_sweep_progress(
        SweepProgress(completed_night="2026-11-23", left_behind=("nonsense", f"20261123:{HOUSEHOLDS[1]}")), None
    )
    report = await world.sweep().tick()
    assert (report.enqueued, report.left_behind) == (8, 0)


async def test_a_sweep_that_was_rejected_is_done_and_adds_no_dead_letter(world: NightWorld) -> None:
    """The cursor is lost, the night comes round again, and one household's sweep was rejected meanwhile."""
    await world.activate(*HOUSEHOLDS)
    await world.sweep().tick()
    command_id = ids.sweep_command_id(HOUSEHOLDS[2], "20261124")
    queue = RULES[Lane.SWEEP].default_queue
    key = replace(records.KEY, command_id=command_id, queue=queue, status=KeyStatus.REJECTED)
    assert await world.stores.keys.insert(key)
    world.clear()
    world.watched.store = memory_stores(world.clock).households
    for household in HOUSEHOLDS:
        await world.watched.store.mark_active(household, NIGHT)
    assert await world.sweep().tick() == NightlyReport((NIGHT,), 7)
    assert HOUSEHOLDS[2] not in {h for _, h in world.sent()}
    assert len(world.sent()) == 6


async def test_a_household_that_becomes_active_while_the_night_runs_comes_the_next_night(world: NightWorld) -> None:
    await world.activate(*HOUSEHOLDS[3:])
    await world.sweep().tick()
    await world.activate(HOUSEHOLDS[0])
    world.clear()
    assert await world.sweep().tick() == NightlyReport()
    world.clock.advance(86_400)
    await world.sweep().tick()
    assert HOUSEHOLDS[0] in {h for _, h in world.sent()}
