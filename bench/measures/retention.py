"""What it costs to remove a command that is past its date, by how many of them the tables hold."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from bench import requests
from bench.measures.read_models import DAYS, FEW, filled, many_runs
from bench.results import Row
from mosaic_core.services.retention import PAGE, TICK_SECONDS, Ages, Retention

TICKS: Final = 5
_AGE: Final = timedelta(days=90)
ROWS: Final = ("retention_requests", "retention_ms", "retention_growth")


async def measure(quick: bool) -> list[Row]:
    """Requests and milliseconds of one expired command, in ticks that end after a page of each kind."""
    count = many_runs()
    now = datetime.now(UTC) - _AGE - timedelta(days=DAYS)
    few, many = [await _removed(runs, now, TICKS if not quick else 2) for runs in (FEW, count)]
    growth = many["ms"] / few["ms"]
    return [
        Row("retention_requests", many["requests"], "a command", (few["requests"], many["requests"])),
        Row("retention_ms", many["ms"], "ms a command", (few["ms"], many["ms"])),
        Row("retention_growth", growth, f"× of {FEW} commands", (growth, growth)),
    ]


async def _removed(runs: int, now: datetime, ticks: int) -> Mapping[str, float]:
    """All of the commands are old. Each tick has to remove a whole page of them, however many there are."""
    async with filled(runs, now, kept_days=DAYS) as tables:
        began = time.perf_counter()
        with requests.recorded() as sent:
            for _ in range(ticks):
                retention = Retention(stores=tables.tables.stores, clock=_Late(), ages=Ages(commands=_AGE))
                report = await retention.tick()
                if report.failed or report.removed < PAGE:
                    raise AssertionError(f"a tick over {runs} expired commands says {report}")
        seconds = time.perf_counter() - began
    commands = ticks * PAGE
    return {"requests": len(sent) / commands, "ms": seconds * 1000 / commands}


class _Late:
    """A tick begins, and at once its time is over: it takes a page of each kind."""

    def __init__(self) -> None:
        self._asked = 0

    def now(self) -> datetime:
        self._asked += 1
        return datetime.now(UTC) + timedelta(seconds=0 if self._asked == 1 else TICK_SECONDS + 1)
