"""Timer triggers: when they are due, and what was last run, kept over restarts."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from mosaic_local.host.functions import Function, TimerTrigger
from mosaic_local.host.guard import Guard
from mosaic_local.host.invocations import Invoker
from mosaic_local.host.messages import TypedData

log = logging.getLogger("Host.Triggers.Timer")

TIMERS = "$timers"
"""Where the guard keeps the names of those that run; no queue's name begins so."""

_NEVER = "0001-01-01T00:00:00+00:00"


class TimerListener:
    """One timer function. Occurrences never overlap. One that fell due while nothing ran is made up for once, as past
    due; one that fell due while the function ran, once as soon as that ends, and not as past due.

    Only monitored schedules are remembered over a restart and tell the function their status."""

    def __init__(
        self,
        function: Function,
        trigger: TimerTrigger,
        state_dir: Path,
        invoker: Invoker,
        guard: Guard | None = None,
    ) -> None:
        self._function, self._trigger, self._invoker = function, trigger, invoker
        self._guard = guard or Guard()
        self._path = state_dir / "timers" / f"{function.name}.json"
        self._last: datetime | None = None
        self._next: datetime | None = None
        self._task: asyncio.Task[None] | None = None
        self._by_hand: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._time_moved, self._waiting = asyncio.Event(), asyncio.Event()
        self._monitored = trigger.use_monitor and not trigger.schedule.within_a_minute

    @property
    def listening(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(self, crashed: bool = False) -> None:
        """``crashed``: this function was running when the process before this one crashed. That was a run, as on the
        platform, whose host goes on."""
        self._task = asyncio.create_task(self._run(crashed), name=f"{self._function.name}-timer")

    def run_now(self) -> None:
        """One run by hand, whatever the schedule; the schedule is not changed by it."""
        task = asyncio.create_task(self._fire(past_due=False))
        self._by_hand.add(task)
        task.add_done_callback(self._by_hand.discard)

    @property
    def due(self) -> datetime | None:
        """When it runs next; None where it does not listen."""
        return self._next if self.listening else None

    async def catch_up(self) -> None:
        """After time was moved: returns when what fell due by that has run, and what falls due next is awaited."""
        self._waiting.clear()
        self._time_moved.set()
        if self.listening:
            await self._waiting.wait()

    async def stop(self) -> None:
        """No further run; one in flight ends first."""
        async with self._turn:
            if self._task is not None:
                self._task.cancel()
        await asyncio.gather(*self._by_hand, return_exceptions=True)

    async def _run(self, crashed: bool) -> None:
        now = datetime.now(UTC)
        self._load()
        if crashed:
            self._advance(now)
        past_due = self._monitored and self._next is not None and self._next < now
        if self._next is None:
            self._next = self._trigger.schedule.next_after(now)
            self._save()
        if past_due or self._trigger.run_on_startup:
            await self._fire(past_due=past_due)
            self._advance(now)
        while True:
            await self._sleep_until(self._next)
            began = max(datetime.now(UTC), self._next)
            await self._fire(past_due=False)
            # From the moment at which it began: one that passed meanwhile is due at once, as on the platform.
            self._advance(began)

    async def _sleep_until(self, due: datetime) -> None:
        # In short steps: a suspended laptop or a set clock must not shift the schedule.
        while (left := (due - datetime.now(UTC)).total_seconds()) > 0:
            self._waiting.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, 30.0)):
                    await self._time_moved.wait()
            self._time_moved.clear()
        self._waiting.clear()

    def _advance(self, moment: datetime) -> None:
        self._last = moment
        self._next = self._trigger.schedule.next_after(moment)
        self._save()

    async def _fire(self, past_due: bool) -> None:
        info = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": self._status() if self._monitored else None,
            "IsPastDue": past_due,
        }
        async with self._turn:
            with self._guard.held(TIMERS, self._function.name):
                await self._invoker.run(self._function, TypedData(json=json.dumps(info)))

    def _status(self) -> dict[str, str | None]:
        last = self._last.isoformat() if self._last else _NEVER
        return {"Last": last, "Next": self._next.isoformat() if self._next else None, "LastUpdated": last}

    def _load(self) -> None:
        if not self._monitored:
            return
        try:
            saved = json.loads(self._path.read_text("utf-8"))
            if saved["schedule"] != self._trigger.schedule.text:
                return  # what was due by another schedule is not due by this one
            self._last = datetime.fromisoformat(saved["last"]) if saved["last"] else None
            self._next = datetime.fromisoformat(saved["next"])
        except FileNotFoundError:
            return
        except (ValueError, KeyError, TypeError) as exc:
            log.warning("timer %s: its saved status is not readable and is begun anew: %s", self._function.name, exc)

    def _save(self) -> None:
        if not self._monitored or self._next is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        status = {
            "schedule": self._trigger.schedule.text,
            "last": self._last.isoformat() if self._last else None,
            "next": self._next.isoformat(),
        }
        temporary.write_text(json.dumps(status), "utf-8")
        temporary.replace(self._path)
