"""``./mosaic costs``: what a million commands ask of each service, and what that costs at prices that you give.

The counts are docs/reference/operations.json, counted on the running product; prices differ by region, agreement and
year and are therefore none of the project's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

OPERATIONS: Final = Path(__file__).resolve().parent.parent / "docs" / "reference" / "operations.json"

COMMANDS: Final = ("message", "request", "decision", "ingestion", "sweep")
TICKS_A_DAY: Final[Mapping[str, int]] = {"sweepTick": 144, "outboxTick": 1440, "approvalsTick": 144, "watchTick": 288}
"""By the schedules of `mosaic_core.entrypoints.timers`."""

HOURS_A_MONTH: Final = 730
DAYS_A_MONTH: Final = HOURS_A_MONTH / 24
_GB: Final = 1_000_000_000

PRICES: Final[Mapping[str, tuple[str, float]]] = {
    "functionExecutions": ("a million executions of a function", 1e6),
    "functionGbSeconds": ("a GB-second of an instance at work", 1),
    "tableReads": ("10,000 table reads or queries", 1e4),
    "tableWrites": ("10,000 table writes", 1e4),
    "tableTransactions": ("10,000 table transactions (batches)", 1e4),
    "queueOperations": ("a million Service Bus operations", 1e6),
    "queueHours": ("an hour of the Service Bus namespace", 1),
    "events": ("a million Event Hubs events", 1e6),
    "throughputUnitHours": ("an hour of one Event Hubs throughput unit", 1),
    "logGb": ("a GB that the workspace takes in", 1),
}
"""Name in the price file: what it is the price of, and how many units that is."""


class PriceError(ValueError):
    """The price file lacks a price, or has one that is none; one line for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """What cannot be counted without a deployment. ``seconds`` of an instance's time are billed for one execution (the
    platform bills a second at least; executions that run beside one another share it)."""

    memory_gb: float = 2.0
    seconds: float = 1.0
    span_bytes: int = 1000
    line_bytes: int = 700
    host_lines: int = 3
    """Log lines of the host's own for one execution."""
    throughput_units: int = 1


type Counts = Mapping[str, int]


def operations(file: Path = OPERATIONS) -> dict[str, Counts]:
    found: dict[str, Counts] = json.loads(file.read_text("utf-8"))
    return found


def prices(file: Path) -> dict[str, float]:
    """Raises PriceError, naming each price that is missing, unknown or no number from 0 on."""
    try:
        given = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise PriceError(f"{file} cannot be read ({type(error).__name__})") from None
    if not isinstance(given, dict):
        raise PriceError(f"{file} is no JSON object")
    wrong = [name for name in PRICES if not _is_price(given.get(name))] + sorted(set(given) - set(PRICES))
    if wrong:
        raise PriceError(f"{file}: missing, unknown, or no number from 0 on: {', '.join(wrong)}")
    return {name: float(given[name]) for name in PRICES}


def _is_price(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")


def units(counts: Counts, assumed: Assumptions) -> dict[str, float]:
    """What one command (or look, or tick) takes of each priced thing."""
    executions = counts["httpRequests"] + counts["deliveries"]
    lines = counts["logLines"] + executions * assumed.host_lines
    return {
        "functionExecutions": executions,
        "functionGbSeconds": executions * assumed.seconds * assumed.memory_gb,
        "tableReads": counts["tableReads"],
        "tableWrites": counts["tableWrites"],
        "tableTransactions": counts["tableTransactions"],
        "queueOperations": counts["queueOperations"],
        "events": counts["events"],
        "logGb": (counts["spans"] * assumed.span_bytes + lines * assumed.line_bytes) / _GB,
    }


def month(counted: Mapping[str, Counts], assumed: Assumptions) -> dict[str, float]:
    """What a month takes in which nobody asks for anything: the timers, and what is paid by the hour."""
    found: dict[str, float] = {}
    for tick, times in TICKS_A_DAY.items():
        for name, amount in units({**counted[tick], "deliveries": 1}, assumed).items():
            found[name] = found.get(name, 0.0) + amount * times * DAYS_A_MONTH
    return found | {"queueHours": HOURS_A_MONTH, "throughputUnitHours": HOURS_A_MONTH * assumed.throughput_units}


def cost(amounts: Mapping[str, float], prices: Mapping[str, float], times: float = 1) -> dict[str, float]:
    """By priced thing, for ``times`` of ``amounts``."""
    return {name: amount * times / PRICES[name][1] * prices[name] for name, amount in amounts.items()}


def sheet(
    counted: Mapping[str, Counts], prices: Mapping[str, float], assumed: Assumptions
) -> dict[str, dict[str, float]]:
    """The cost of a million of each kind, and of an idle month; ``total`` in each."""
    columns = {kind: cost(units(counted[kind], assumed), prices, 1e6) for kind in (*COMMANDS, "poll")}
    columns["idle month"] = cost(month(counted, assumed), prices)
    return {kind: {**parts, "total": sum(parts.values())} for kind, parts in columns.items()}


def table(counted: Mapping[str, Counts]) -> str:
    """The counts as the Markdown table of docs/costs.md."""
    kinds = (*COMMANDS, "poll")
    rows = [("counted", *kinds), ("---", *("---:" for _ in kinds))]
    rows += [(name, *(str(counted[kind][name]) for kind in kinds)) for name in counted["message"]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(arguments: Sequence[str]) -> int:
    """Returns 0, or 2 where the prices cannot be used."""
    assumed = Assumptions()
    parser = argparse.ArgumentParser(
        prog="mosaic costs",
        description="What a million commands ask of each service; with --prices, what that costs.",
        epilog="Prices: a JSON object with " + "; ".join(f"{name}: {what}" for name, (what, _) in PRICES.items()) + ".",
    )
    parser.add_argument("--prices", type=Path, metavar="FILE", help="the prices, as a JSON object")
    parser.add_argument("--memory-gb", type=float, default=assumed.memory_gb, help="of an instance (%(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=assumed.seconds, help="of an instance's time billed an execution (%(default)s)"
    )
    parser.add_argument("--span-bytes", type=int, default=assumed.span_bytes, help="of one span (%(default)s)")
    parser.add_argument("--line-bytes", type=int, default=assumed.line_bytes, help="of one log line (%(default)s)")
    parser.add_argument(
        "--host-lines", type=int, default=assumed.host_lines, help="log lines of the host, an execution (%(default)s)"
    )
    parser.add_argument("--throughput-units", type=int, default=assumed.throughput_units, help="(%(default)s)")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    options = vars(parser.parse_args(arguments))
    file, as_json = options.pop("prices"), options.pop("json")
    counted = operations()
    if file is None:
        print(json.dumps(counted, indent=2) if as_json else table(counted))
        return 0
    try:
        costs = sheet(counted, prices(file), Assumptions(**options))
    except PriceError as error:
        print(f"mosaic: {error}", file=sys.stderr)
        return 2
    print(json.dumps(costs, indent=2) if as_json else _shown(costs))
    return 0


def _shown(costs: Mapping[str, Mapping[str, float]]) -> str:
    width = max(map(len, PRICES))
    lines = [" " * width + "".join(f"{kind:>12}" for kind in costs)]
    lines += [
        f"{name:<{width}}" + "".join(f"{parts.get(name, 0.0):12,.2f}" for parts in costs.values())
        for name in (*PRICES, "total")
    ]
    return "\n".join([*lines, "Of a million of each, and of a month in which nobody asks for anything."])
