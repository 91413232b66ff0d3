"""Tables for a person, JSON for a program. Ids are there to be copied: a column of them is never cut or wrapped.

rich is imported where something is shown with it: a program does not wait for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_STYLES = {
    "Completed": "green",
    "Succeeded": "green",
    "up": "green",
    "ready": "green",
    "NeedsReview": "yellow",
    "Reserved": "yellow",
    "Warning": "yellow",
    "Running": "cyan",
    "Rejected": "red",
    "Failed": "red",
    "Error": "red",
    "Critical": "red",
    "down": "red",
    "not_ready": "red",
}


def console() -> Console:
    """Where the output goes to no terminal it is as wide as what it shows."""
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    return Console(file=sys.stdout, width=None if is_terminal else 4000, highlight=False, soft_wrap=True)


def as_json(found: Any) -> None:
    sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=False) + "\n")


def width() -> int | None:
    """The terminal's; None where the output goes to none."""
    return console().width if sys.stdout.isatty() else None


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A line a row. Where a terminal is too narrow for all but the last column, a line a value: half of an id, or a
    heading of two letters, helps nobody."""
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table

    cells = [[_cell(cell) for cell in row] for row in rows]
    if not cells:
        line("none" if not title else f"{title}: none")
        return
    widths = [
        max(cell_len(str(heading)), *(cell_len(row[place].plain) for row in cells))
        for place, heading in enumerate(headings)
    ]
    there = width()
    if there is not None and sum(widths[:-1]) + 2 * len(widths) + min(widths[-1], 24) > there:
        if title:
            line(title, "italic")
        for number, row in enumerate(cells):
            if number:
                line("")
            fields(zip(headings, row, strict=True))
        return
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, no_wrap=True, overflow="ignore")
    for row in cells:
        made.add_row(*row)
    # the terminal itself breaks the last column's long texts
    wide = Console(file=sys.stdout, width=max(sum(widths) + 2 * len(widths), 20), highlight=False, soft_wrap=True)
    wide.print(made, soft_wrap=True, crop=False)


def prose(text: str, *, indent: int = 0, style: str = "") -> None:
    """Broken between words, where a terminal is narrower."""
    import textwrap

    there, said = width(), _harmless(text)
    if there is None:
        line(said, style)
        return
    for part in textwrap.wrap(
        said, max(there - 1, 20), subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    ):
        line(part, style)


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """A name and a value a line; what is not there is left out. On a terminal sentences are broken between words, and
    what is copied (an id, a command) is not broken at all."""
    import textwrap

    from rich.text import Text

    shown = [(name, value) for name, value in pairs if value not in (None, [], "") and str(value) != ""]
    wide = max((len(name) for name, _ in shown), default=0)
    there, out = width(), console()
    for name, value in shown:
        cell = _cell(value)
        if there is not None and there - wide > 24 and " " in cell.plain and not cell.plain.startswith("./"):
            broken = textwrap.wrap(cell.plain, there - wide - 3, break_long_words=False, break_on_hyphens=False)
            cell = Text(f"\n{' ' * (wide + 2)}".join(broken), style=cell.style)
        out.print(Text.assemble((name.ljust(wide), "bold"), "  ", cell), soft_wrap=True)


def line(text: str, style: str = "") -> None:
    from rich.text import Text

    console().print(Text(_harmless(text), style=style), soft_wrap=True)


def aside(text: str) -> None:
    """To standard error, where no program reads a result."""
    print(_harmless(text), file=sys.stderr)


def _cell(value: object) -> Text:
    from rich.text import Text

    if isinstance(value, Text):
        return value
    said = "" if value is None else "yes" if value is True else "no" if value is False else str(value)
    return Text(_harmless(said), style=_STYLES.get(said, ""))


def _harmless(text: str) -> str:
    """In one line, and nothing that a terminal would obey."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
