"""Messages a second of a lane whose handler is instant, against a function that only settles, on the same host.

Both stacks run at the same time and are loaded in turns, so that a machine that slows down slows both. The tables are
emptied before each round: otherwise Azurite, which slows with every row, takes twice the time for the last of them.
"""

from __future__ import annotations

from typing import Final

from bench.load import BenchApp, running
from bench.results import Row, at_least, typical

ROWS: Final = (
    "throughput_ratio",
    "throughput_instant",
    "throughput_noop",
    "worker_cpu_instant",
    "worker_cpu_noop",
)
WARM_UP: Final = 300
MESSAGES: Final = 2000
ROUNDS: Final = 3


async def measure(quick: bool) -> list[Row]:
    messages, rounds = (400, 2) if quick else (MESSAGES, ROUNDS)
    ratios: list[float] = []
    rates: dict[str, list[float]] = {"instant": [], "noop": []}
    cpus: dict[str, list[float]] = {"instant": [], "noop": []}
    async with running("instant") as instant, running("noop") as noop:
        apps: dict[str, BenchApp] = {"instant": instant, "noop": noop}
        for app in apps.values():  # connections, imports, all sixteen slots
            await app.burst(WARM_UP)
        for _ in range(rounds):
            await instant.empty_tables()
            for name, app in apps.items():
                told = await app.burst(messages)
                rates[name].append((told.handled - 1) / told.seconds)
                cpus[name].append(1000 * told.cpu_seconds / told.handled)
            ratios.append(rates["instant"][-1] / rates["noop"][-1])
    return [
        typical("throughput_ratio", ratios, "ratio", at_least(0.30)),
        typical("throughput_instant", rates["instant"], "messages/s"),
        typical("throughput_noop", rates["noop"], "messages/s"),
        typical("worker_cpu_instant", cpus["instant"], "ms/message"),
        typical("worker_cpu_noop", cpus["noop"], "ms/message"),
    ]
