"""The measurements. Each is a coroutine function that returns its rows; `CATALOGUE` lists them in the order in which
they run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from bench.measures import (
    broker,
    isolation,
    lanes,
    latency,
    memory,
    read_models,
    retention,
    startup,
    storage,
    throughput,
)
from bench.results import Row


@dataclass(frozen=True, slots=True)
class Measurement:
    """``rows`` are the names that it yields. ``on_request``: it runs only where ``--only`` names it."""

    rows: tuple[str, ...]
    run: Callable[[bool], Awaitable[list[Row]]]
    what: str
    on_request: bool = False


CATALOGUE: Final = (
    Measurement(storage.ROWS, storage.measure, "storage requests of a command"),
    Measurement(startup.STACK_ROWS, startup.measure_stack, "the stack's start"),
    Measurement(latency.ROWS, latency.measure, "enqueue to Completed on an idle stack"),
    Measurement(lanes.ROWS, lanes.measure, "the lanes' own work"),
    Measurement(read_models.ROWS, read_models.measure, "the read models over many runs"),
    Measurement(retention.ROWS, retention.measure, "retention over many commands"),
    Measurement(throughput.ROWS, throughput.measure, "throughput against a function that does nothing"),
    Measurement(broker.ROWS, broker.measure, "the embedded broker beside one that keeps nothing"),
    Measurement(memory.ROWS, memory.measure, "the worker's memory over many commands"),
    *(
        Measurement(isolation.rows_of(name), isolation.of(name), f"everybody else under {what}")
        for name, what in isolation.LOADS.items()
    ),
    Measurement(startup.DEMO_ROWS, startup.measure_demo, "the demo"),
    Measurement(startup.COLD_ROWS, startup.measure_cold_demo, "the demo on a bare clone", on_request=True),
)
