"""Timer triggers: when they run and what they are told, on a clock of the tests' own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mosaic_local.host import timers
from mosaic_local.host.functions import Function, TimerTrigger
from mosaic_local.host.schedule import Schedule
from mosaic_local.host.timers import TimerListener


class World:
    """A clock that sleeping moves on, and an invoker whose runs take the times it is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, start: str, *takes: timedelta) -> None:
        self.now = datetime.fromisoformat(start).replace(tzinfo=UTC)
        self.takes = list(takes)
        self.runs: list[tuple[str, dict[str, Any]]] = []
        self.enough = asyncio.Event()
        world = self

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> Any:
                return world.now

        @asynccontextmanager
        async def timeout(seconds: float) -> AsyncIterator[None]:
            world.now += timedelta(seconds=seconds)
            await asyncio.sleep(0)
            if seconds >= 0:
                raise TimeoutError
            yield

        monkeypatch.setattr(timers, "datetime", Clock)
        monkeypatch.setattr(timers, "asyncio", SimpleNamespace(**vars(asyncio) | {"timeout": timeout}))

    async def run(self, function: Function, data: Any) -> None:
        self.runs.append((self.now.strftime("%H:%M:%S"), json.loads(data.json)))
        if not self.takes:
            self.enough.set()
            await asyncio.Event().wait()
        self.now += self.takes.pop(0)

    async def times(self, listener: TimerListener, crashed: bool = False) -> list[str]:
        listener.start(crashed)
        await asyncio.wait_for(self.enough.wait(), 5)
        assert listener._task is not None
        listener._task.cancel()
        return [at for at, _ in self.runs]


def listener(world: World, state: Path, schedule: str, **options: Any) -> TimerListener:
    trigger = TimerTrigger("t", Schedule.parse(schedule), **{"run_on_startup": False, "use_monitor": True, **options})
    return TimerListener(Function("f", "1", trigger, (), disabled=False), trigger, state, cast("Any", world))


async def test_what_fell_due_during_a_run_is_run_once_right_after_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(monkeypatch, "2026-11-24T10:02:30", timedelta(minutes=11), timedelta(seconds=1), timedelta(0))
    assert await world.times(listener(world, tmp_path, "0 */5 * * * *")) == [
        "10:05:00",
        "10:16:00",  # for 10:10 and 10:15 together
        "10:20:00",
        "10:25:00",
    ]
    assert not any(told["IsPastDue"] for _, told in world.runs)
    assert world.runs[1][1]["ScheduleStatus"] == {
        "Last": "2026-11-24T10:05:00+00:00",
        "Next": "2026-11-24T10:10:00+00:00",
        "LastUpdated": "2026-11-24T10:05:00+00:00",
    }


async def test_a_run_at_startup_changes_no_occurrence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World(monkeypatch, "2026-11-24T10:04:00", timedelta(minutes=2), timedelta(0))
    told = await world.times(listener(world, tmp_path, "0 */5 * * * *", run_on_startup=True))
    assert told == ["10:04:00", "10:06:00", "10:10:00"]


async def test_what_was_missed_while_nothing_ran_is_past_due_and_made_up_for_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world = World(monkeypatch, "2026-11-24T10:02:00", timedelta(0))
    assert await world.times(listener(world, tmp_path, "0 */5 * * * *")) == ["10:05:00", "10:10:00"]
    world = World(monkeypatch, "2026-11-24T10:22:00", timedelta(0))
    assert await world.times(listener(world, tmp_path, "0 */5 * * * *")) == ["10:22:00", "10:25:00"]
    assert [told["IsPastDue"] for _, told in world.runs] == [True, False]


async def test_a_run_in_which_the_app_crashed_was_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    world = World(monkeypatch, "2026-11-24T10:02:00", timedelta(0))
    await world.times(listener(world, tmp_path, "0 */5 * * * *"))
    world = World(monkeypatch, "2026-11-24T10:12:00", timedelta(0))
    assert await world.times(listener(world, tmp_path, "0 */5 * * * *"), crashed=True) == ["10:15:00", "10:20:00"]


@pytest.mark.parametrize(
    ("schedule", "use_monitor", "told"),
    [("0 */5 * * * *", True, True), ("0 */5 * * * *", False, False), ("*/10 * * * * *", True, False)],
)
async def test_only_a_monitored_timer_is_told_its_status_and_remembered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, schedule: str, use_monitor: bool, told: bool
) -> None:
    world = World(monkeypatch, "2026-11-24T10:02:00", timedelta(0))
    await world.times(listener(world, tmp_path, schedule, use_monitor=use_monitor))
    assert (world.runs[0][1]["ScheduleStatus"] is not None) is told
    assert (tmp_path / "timers" / "f.json").exists() is told
