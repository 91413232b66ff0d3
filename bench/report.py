"""The table that a person reads, and the file that a later run is compared with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.results import Row, number


def read(file: Path) -> dict[str, float]:
    """Values of a former run by row name. Raises ValueError where the file is none of ours."""
    try:
        rows = json.loads(file.read_text("utf-8"))["rows"]
        return {str(row["name"]): float(row["value"]) for row in rows}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file.name} holds no benchmark rows") from error


def write(file: Path, rows: Sequence[Row], machine: Mapping[str, Any]) -> None:
    """Atomic: a run that is interrupted leaves the former file."""
    text = json.dumps({"rows": [row.to_json() for row in rows], "machine": machine}, indent=1, ensure_ascii=False)
    draft = file.with_name(f"{file.name}.draft")
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(file)


def show(console: Console, rows: Iterable[Row], before: Mapping[str, float] | None) -> None:
    """One line a row; ``before`` adds the change against a former run."""
    table = Table(title="Benchmarks", title_justify="left")
    table.add_column("")
    table.add_column("row")
    for name in ("value", "unit", "goal", "spread"):
        table.add_column(name, justify="left" if name == "unit" else "right")
    if before is not None:
        table.add_column("before", justify="right")
        table.add_column("change", justify="right")
    for row in rows:
        mark = "" if row.goal is None else "[red]✗[/]" if row.missed else "[green]✓[/]"
        low, high = row.spread
        spread = "" if low == high else f"{number(low)} – {number(high)}"
        cells = [mark, row.name, number(row.value), row.unit, str(row.goal or ""), spread]
        if before is not None:
            cells += _compared(row, before.get(row.name))
        table.add_row(*cells)
    console.print(table)


def _compared(row: Row, former: float | None) -> list[str]:
    if former is None:
        return ["", "new"]
    if former == 0:
        return ["0", "" if row.value == 0 else f"+{number(row.value)}"]
    return [number(former), f"{(row.value - former) / former:+.1%}"]
