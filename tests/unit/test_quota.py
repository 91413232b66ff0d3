"""A household's quota: as many as its bucket holds, whoever counts, and never more."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosaic_core.domain.errors import RequestError, StoreUnreachableError
from mosaic_core.domain.quota import Allowance, full, grant
from mosaic_core.ports import ETag, QuotaStore, StoredAllowance
from mosaic_core.services import quota_buckets
from mosaic_core.services.quota_buckets import CommandQuota
from mosaic_ops.memory.messaging import ManualClock
from mosaic_ops.memory.stores import memory_stores

HOUSEHOLD = "a11ce000000000000000000000000001"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def store(clock: ManualClock) -> QuotaStore:
    return memory_stores(clock).quotas


class Slow:
    """Gives everybody else a turn within each request; counts requests."""

    def __init__(self, store: QuotaStore) -> None:
        self._store = store
        self.reads = 0
        self.writes = 0

    async def read(self, household_id: str) -> StoredAllowance | None:
        self.reads += 1
        found = await self._store.read(household_id)
        await asyncio.sleep(0)
        return found

    async def insert(self, allowance: Allowance) -> ETag | None:
        self.writes += 1
        await asyncio.sleep(0)
        return await self._store.insert(allowance)

    async def update(self, allowance: Allowance, etag: ETag) -> ETag | None:
        self.writes += 1
        await asyncio.sleep(0)
        return await self._store.update(allowance, etag)


async def ask(quotas: list[CommandQuota], count: int, household: str = HOUSEHOLD) -> tuple[int, list[int]]:
    """How many were let through, and the seconds that the others were told to wait."""
    answers = await asyncio.gather(
        *(quotas[n % len(quotas)].take(household) for n in range(count)), return_exceptions=True
    )
    waits = []
    for answer in answers:
        if answer is not None:
            assert isinstance(answer, RequestError)
            assert answer.code == "quota_exceeded"
            assert answer.retry_after is not None
            waits.append(answer.retry_after)
    return count - len(waits), waits


async def test_a_household_has_a_minutes_worth_and_then_one_at_a_time(clock: ManualClock, store: QuotaStore) -> None:
    counted = CommandQuota(store, 30)
    assert (await ask([counted], 40))[0] == 30
    assert (await ask([counted], 5))[0] == 0
    clock.advance(2)
    assert (await ask([counted], 5))[0] == 1
    clock.advance(3600)
    assert (await ask([counted], 100))[0] == 30


async def test_another_household_has_its_own(store: QuotaStore) -> None:
    counted = CommandQuota(store, 5)
    await ask([counted], 50)
    assert (await ask([counted], 5, "b0b00000000000000000000000000001"))[0] == 5


async def test_who_waits_as_long_as_told_is_let_through(clock: ManualClock, store: QuotaStore) -> None:
    counted = CommandQuota(store, 20)
    await ask([counted], 20)
    _, [wait] = await ask([counted], 1)
    assert wait == 3
    clock.advance(wait)
    assert (await ask([counted], 1))[0] == 1


async def test_those_that_are_refused_together_are_told_to_come_back_one_after_another(store: QuotaStore) -> None:
    _, waits = await ask([CommandQuota(Slow(store), 60)], 65)
    assert sorted(waits) == [1, 2, 3, 4, 5]


async def test_instances_count_together(store: QuotaStore) -> None:
    """Four at once on one row: each loses rounds to the others, and no command is counted away."""
    assert (await ask([CommandQuota(Slow(store), 50) for _ in range(4)], 400))[0] == 50


async def test_what_asks_at_once_is_counted_at_once(store: QuotaStore) -> None:
    """Never more than one read and one write for a command, and for a flood hardly any."""
    slow = Slow(store)
    counted = CommandQuota(slow, 1000)
    assert (await ask([counted], 500))[0] == 500
    assert slow.reads <= 2
    assert slow.writes <= 2
    for _ in range(10):
        await counted.take(HOUSEHOLD)
    assert slow.reads + slow.writes <= 4 + 2 * 10
    assert counted._lines == {}


async def test_a_household_that_has_used_its_quota_up_writes_nothing(store: QuotaStore) -> None:
    slow = Slow(store)
    counted = CommandQuota(slow, 5)
    await ask([counted], 5)
    writes = slow.writes
    await ask([counted], 100)
    assert slow.writes == writes


async def test_who_loses_every_round_is_refused_for_a_moment(store: QuotaStore) -> None:
    class Contended(Slow):
        async def update(self, allowance: Allowance, etag: ETag) -> ETag | None:
            return None

        async def insert(self, allowance: Allowance) -> ETag | None:
            return None

    contended = Contended(store)
    assert await ask([CommandQuota(contended, 100)], 1) == (0, [1])
    assert contended.reads == quota_buckets.LOOKS


async def test_without_storage_the_command_passes_and_somebody_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Away:
        async def read(self, household_id: str) -> StoredAllowance | None:
            raise StoreUnreachableError("no answer")

    class Mute:
        async def read(self, household_id: str) -> StoredAllowance | None:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(quota_buckets, "_STORAGE_SECONDS", 0.01)
    for store in (Away(), Mute()):
        caplog.clear()
        cast: Any = store
        assert (await ask([CommandQuota(cast, 5)], 50))[0] == 50
        assert "a household's quota cannot be counted" in caplog.text


async def test_who_goes_away_while_it_is_counted_takes_nobody_with_it(store: QuotaStore) -> None:
    entered, go = asyncio.Event(), asyncio.Event()

    class Held(Slow):
        async def read(self, household_id: str) -> StoredAllowance | None:
            entered.set()
            await go.wait()
            return await super().read(household_id)

    counted = CommandQuota(Held(store), 5)
    first = asyncio.create_task(counted.take(HOUSEHOLD))
    await entered.wait()
    others = [asyncio.create_task(counted.take(HOUSEHOLD)) for _ in range(4)]
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    await asyncio.gather(*others)
    assert first.cancelled() or (await asyncio.gather(first, return_exceptions=True))
    assert counted._lines == {}


async def test_no_quota_asks_nothing(store: QuotaStore) -> None:
    slow = Slow(store)
    assert (await ask([CommandQuota(slow, 0)], 1000))[0] == 1000
    assert slow.reads == 0


@given(
    per_minute=st.integers(1, 600),
    steps=st.lists(st.tuples(st.floats(-30, 90), st.integers(1, 400)), min_size=1, max_size=30),
)
def test_whatever_the_clock_does_no_more_than_the_bucket_and_its_filling(
    per_minute: int, steps: list[tuple[float, int]]
) -> None:
    """A clock that goes back fills nothing twice."""
    now = furthest = NOON
    first = full(HOUSEHOLD, asked=steps[0][1], per_minute=per_minute)
    granted, allowance = first.granted, replace(first.allowance, counted_at=NOON)
    for seconds, asked in steps[1:]:
        now += timedelta(seconds=seconds)
        counted = grant(allowance, now, asked=asked, per_minute=per_minute)
        furthest = max(furthest, now)
        assert 0 <= counted.granted <= asked
        assert 0 <= counted.allowance.left <= per_minute
        granted, allowance = granted + counted.granted, counted.allowance
    filled = (furthest - NOON).total_seconds() * per_minute / 60
    assert granted <= per_minute + max(0.0, filled) + 1e-6
