"""Resident memory of the worker process while many commands go through a lane.

The embedded stack's worker process is host and worker in one, so this is an upper bound of the worker's own. Between
the samples the tables are emptied: Azurite slows with every row, which has nothing to do with the worker.
"""

from __future__ import annotations

from typing import Final

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

from bench.load import running
from bench.results import Row, at_most

COMMANDS: Final = 10_000
FIRST: Final = 1_000
ROWS: Final = (f"worker_rss_after_{COMMANDS}", "worker_rss_growth")


async def measure(quick: bool) -> list[Row]:
    """``quick`` takes a tenth of the commands, and says so in the row's name."""
    commands, step = (COMMANDS // 10, FIRST // 10) if quick else (COMMANDS, FIRST)
    samples: list[float] = []
    async with running("instant") as app:
        worker = psutil.Process(app.stack.pids["worker"])
        for _ in range(0, commands, step):
            await app.burst(step)
            samples.append(worker.memory_info().rss / 2**20)
            await app.empty_tables()
    growth = [it / samples[0] for it in samples[1:]]
    return [
        Row(f"worker_rss_after_{commands}", samples[-1], "MB", (min(samples), max(samples)), at_most(249)),
        Row("worker_rss_growth", growth[-1], "ratio", (min(growth), max(growth)), at_most(1.1)),
    ]
