"""``./mosaic bench``: measures the running product, prints a table, writes bench.json.

Exit codes: 0 every goal is met, 1 one is missed or could not be measured, 2 usage.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from bench import machine, report
from bench.measures import CATALOGUE, Measurement
from bench.results import Row

ROOT: Final = Path(__file__).resolve().parent.parent
FILE: Final = "bench.json"


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    chosen = select(options.only)
    if not chosen:
        print(f"mosaic: no such row: {options.only}; --list names them", file=sys.stderr)
        return 2
    if options.list:
        for measurement in CATALOGUE:
            print("\n".join(measurement.rows))
        return 0
    file = ROOT / FILE
    try:
        before = report.read(options.against or file) if options.compare else None
    except (OSError, ValueError) as error:
        print(f"mosaic: nothing to compare with: {error}", file=sys.stderr)
        return 2
    console = Console()
    described = machine.describe(ROOT)
    rows, failed = asyncio.run(_measure(chosen, console, quick=options.quick))
    if options.only:
        rows = [row for row in rows if options.only in row.name]
    report.show(console, rows, before)
    report.write(file, rows, described | {"quick": options.quick})
    missed = [row.name for row in rows if row.missed]
    if missed:
        console.print(f"[red]✗ goals missed: {', '.join(missed)}[/]")
    if not missed and not failed:
        console.print("[green]✓ every goal is met[/]")
    return 1 if missed or failed else 0


def select(only: str | None) -> list[Measurement]:
    """The measurements to run: those with a row whose name contains ``only``, else all that need not be asked for."""
    if only is None:
        return [it for it in CATALOGUE if not it.on_request]
    return [it for it in CATALOGUE if any(only in row for row in it.rows)]


async def _measure(chosen: Sequence[Measurement], console: Console, *, quick: bool) -> tuple[list[Row], int]:
    """The rows, and how many measurements broke off: the others are still worth having."""
    rows: list[Row] = []
    failed = 0
    for number, measurement in enumerate(chosen, start=1):
        with console.status(f"{number}/{len(chosen)}  {measurement.what} …"):
            try:
                rows += await measurement.run(quick)
            except Exception as error:
                failed += 1
                console.print(f"[red]✗ {measurement.what}:[/] {type(error).__name__}: {error}", highlight=False)
    return rows, failed


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mosaic bench", description="The benchmarks, as a table and bench.json.")
    parser.add_argument("--only", metavar="NAME", help="only rows whose name contains NAME")
    parser.add_argument("--compare", action="store_true", help="show the change against the bench.json that is there")
    parser.add_argument("--against", metavar="FILE", type=Path, help="with --compare: another file to compare with")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and messages; good for nothing but a look")
    parser.add_argument("--list", action="store_true", help="name the rows and end")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
