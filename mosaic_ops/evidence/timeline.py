"""A drill's timeline as a picture: a row each for run, key, attempts, signals and the stream's events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from mosaic_ops.evidence.claims import SETTLED, Record

WIDTH: Final = 920
LEFT: Final = 150
RIGHT: Final = 60
ROW: Final = 30
TOP: Final = 12
TICKS: Final = 5
_LEAST: Final = 3.0
"""Of a bar, in the picture's units: what took a millisecond is to be seen as well."""

_MOODS: Final[Mapping[str, str]] = {
    "Completed": "good",
    "Succeeded": "good",
    "Skipped": "quiet",
    "NeedsReview": "wait",
    "Failed": "bad",
    "Rejected": "bad",
}


@dataclass(frozen=True, slots=True)
class Bar:
    begin: datetime
    end: datetime
    mood: str
    says: str


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    bars: Sequence[Bar]


def stream(drill: str, records: Sequence[Record]) -> list[tuple[str, Mapping[str, Any]]]:
    """The drill's events with their times, in order, each once."""
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for record in records:
        event = record.get("event")
        if record.get("kind") == "event" and record.get("drill") == drill and isinstance(event, Mapping):
            found.setdefault(str(event.get("id")), (str(event.get("time")), event))
    return sorted(found.values(), key=lambda it: (it[0], str(it[1].get("type"))))


def picture(drill: str, records: Sequence[Record]) -> str:
    """An SVG element; of a drill of which nothing has a time, one that says so."""
    lines = [line for line in _lines(drill, records) if line.bars]
    dots = [(number, _time(at)) for number, (at, _) in enumerate(stream(drill, records), start=1)]
    times = [t for line in lines for bar in line.bars for t in (bar.begin, bar.end)]
    times += [at for _, at in dots if at is not None]
    height = TOP + ROW * (len(lines) + 1) + 30
    label = escape(f"Timeline of the drill {drill}")
    head = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}"><title>{label}</title>'
    if not times:
        return f'{head}<text x="{LEFT}" y="{TOP + 18}">nothing of it has a time</text></svg>'
    first, last = min(times), max(times)
    span = max((last - first).total_seconds(), 0.001)

    def x(at: datetime) -> float:
        return LEFT + (at - first).total_seconds() / span * (WIDTH - LEFT - RIGHT)

    drawn = [head, _axis(first, span, height)]
    for place, line in enumerate(lines):
        drawn.append(_line(line, TOP + ROW * place, x))
    drawn.append(_dots(dots, TOP + ROW * len(lines), x))
    return "".join([*drawn, "</svg>"])


def _line(line: Line, y: float, x: Any) -> str:
    drawn = [f'<text x="0" y="{y + 19:g}">{escape(line.name)}</text>']
    for bar in line.bars:
        begin = x(bar.begin)
        width = max(x(bar.end) - begin, _LEAST)
        drawn.append(
            f'<rect class="{bar.mood}" x="{begin:.1f}" y="{y + 6:g}" width="{width:.1f}" height="18" rx="3">'
            f"<title>{escape(bar.says)}</title></rect>"
        )
    return "".join(drawn)


def _dots(dots: Iterable[tuple[int, datetime | None]], y: float, x: Any) -> str:
    """Those that would lie on each other stand beside each other."""
    drawn, reached = [f'<text x="0" y="{y + 19:g}">events</text>'], 0.0
    for number, at in dots:
        if at is None:
            continue
        place = max(x(at), reached + 17)
        reached = place
        drawn.append(
            f'<circle class="dot" cx="{place:.1f}" cy="{y + 15:g}" r="8"/>'
            f'<text class="number" x="{place:.1f}" y="{y + 19:g}">{number}</text>'
        )
    return "".join(drawn)


def _axis(first: datetime, span: float, height: float) -> str:
    drawn = []
    for tick in range(TICKS + 1):
        place = LEFT + tick / TICKS * (WIDTH - LEFT - RIGHT)
        anchor = "end" if tick == TICKS else "middle"
        drawn.append(
            f'<line class="grid" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" y2="{height - 22}"/>'
            f'<text class="tick" x="{place:.1f}" y="{height - 6}" text-anchor="{anchor}">'
            f"{'' if tick else first.strftime('%H:%M:%S')}{f'+{span * tick / TICKS:.1f} s' if tick else ''}</text>"
        )
    return "".join(drawn)


def _lines(drill: str, records: Sequence[Record]) -> Iterable[Line]:
    own = [r for r in records if r.get("kind") == "row" and r.get("drill") == drill and r.get("seen") == SETTLED]
    by_table: dict[str, list[Mapping[str, Any]]] = {}
    for record in own:
        if isinstance(row := record.get("row"), Mapping):
            by_table.setdefault(str(record.get("table")), []).append(row)
    for row in by_table.get("AgentRuns", []):
        bar = _bar(row, "CreatedAtUtc", "CompletedAtUtc", str(row.get("Status")), f"run {row.get('Status')}")
        yield Line(f"run: {row.get('Status')}", bar)
    for row in by_table.get("IdempotencyKeys", []):
        bar = _bar(row, "CreatedAtUtc", "FinalizedAtUtc", str(row.get("Status")), f"key {row.get('Status')}")
        yield Line(f"key: {row.get('Status')}", bar)
    stages = by_table.get("AgentRunStages", [])
    for attempt in sorted({int(row["Attempt"]) for row in stages if isinstance(row.get("Attempt"), int)}):
        bars = [
            bar
            for row in stages
            if row.get("Attempt") == attempt
            for bar in _bar(
                row,
                "StartedAtUtc",
                "CompletedAtUtc",
                str(row.get("Status")),
                f"stage {row.get('StageName')} {row.get('Status')}: {row.get('OutcomeCode')}",
            )
        ]
        yield Line(f"stages, attempt {attempt}", bars)
    for row in by_table.get("AgentSignals", []):
        resolved = bool(row.get("IsResolved"))
        end = "ResolvedAtUtc" if resolved else "RaisedAtUtc"
        says = f"signal {row.get('SignalCode')}, {'resolved' if resolved else 'open'}"
        yield Line(
            f"signal: {'resolved' if resolved else 'open'}",
            _bar(row, "RaisedAtUtc", end, "NeedsReview" if resolved else "Failed", says),
        )


def _bar(row: Mapping[str, Any], begin: str, end: str, status: str, says: str) -> list[Bar]:
    first, last = _time(row.get(begin)), _time(row.get(end) or row.get(begin))
    if first is None or last is None:
        return []
    return [Bar(first, max(first, last), _MOODS.get(status, "quiet"), says)]


def _time(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None
