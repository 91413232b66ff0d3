"""The cost sheet: prices are inputs, counts are the product's, and the sum is theirs alone."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mosaic_core.config import table
from mosaic_core.entrypoints import timers
from mosaic_local.host.schedule import Schedule
from mosaic_ops import costs
from mosaic_ops.costs import PRICES, Assumptions, PriceError
from tests.support.documents import read

ASSUMED = Assumptions(memory_gb=2, seconds=0.5, span_bytes=1000, line_bytes=500, host_lines=2, throughput_units=3)
COUNTS = {
    "httpRequests": 1,
    "deliveries": 2,
    "tableReads": 10,
    "tableWrites": 20,
    "tableTransactions": 4,
    "queueOperations": 5,
    "events": 3,
    "spans": 8,
    "logLines": 2,
}


def file(folder: Path, **changes: object) -> Path:
    path = folder / "prices.json"
    path.write_text(json.dumps({**dict.fromkeys(PRICES, 1), **changes}))
    return path


def test_what_one_command_takes() -> None:
    assert costs.units(COUNTS, ASSUMED) == {
        "functionExecutions": 3,
        "functionGbSeconds": 3.0,
        "tableReads": 10,
        "tableWrites": 20,
        "tableTransactions": 4,
        "queueOperations": 5,
        "events": 3,
        "logGb": (8 * 1000 + (2 + 6) * 500) / 1e9,
    }


def test_a_price_is_of_its_own_unit() -> None:
    of_a_million = costs.cost(costs.units(COUNTS, ASSUMED), dict.fromkeys(PRICES, 2.0), 1e6)
    assert of_a_million == pytest.approx(
        {
            "functionExecutions": 6.0,
            "functionGbSeconds": 6_000_000.0,
            "tableReads": 2_000.0,
            "tableWrites": 4_000.0,
            "tableTransactions": 800.0,
            "queueOperations": 10.0,
            "events": 6.0,
            "logGb": 24.0,
        }
    )


def test_an_idle_month_is_the_timers_and_the_hours() -> None:
    counted = {tick: {**dict.fromkeys(COUNTS, 0), "tableReads": 1} for tick in costs.TICKS_A_DAY}
    month = costs.month(counted, ASSUMED)
    ticks = (144 + 1440 + 144 + 288) * 730 / 24
    assert month["functionExecutions"] == month["tableReads"] == pytest.approx(ticks)
    assert (month["queueHours"], month["throughputUnitHours"]) == (730, 2190)


@pytest.mark.parametrize(
    ("tick", "schedule"),
    [
        ("sweepTick", table.SWEEP_SCHEDULE.default),
        ("outboxTick", table.OUTBOX_SCHEDULE.default),
        ("approvalsTick", timers.APPROVALS_SCHEDULE),
        ("watchTick", timers.WATCH_SCHEDULE),
    ],
)
def test_ticks_are_counted_by_the_timers_own_schedules(tick: str, schedule: str) -> None:
    found, at = 0, datetime(2026, 1, 1, tzinfo=UTC) - timedelta(seconds=1)
    parsed = Schedule.parse(schedule)
    while (at := parsed.next_after(at)) < datetime(2026, 1, 2, tzinfo=UTC):
        found += 1
    assert costs.TICKS_A_DAY[tick] == found


def test_every_kind_has_its_sheet_and_its_total() -> None:
    sheet = costs.sheet(costs.operations(), dict.fromkeys(PRICES, 1.0), ASSUMED)
    assert set(sheet) == {*costs.COMMANDS, "poll", "idle month"}
    for parts in sheet.values():
        assert parts["total"] == pytest.approx(sum(v for name, v in parts.items() if name != "total"))
        assert parts["total"] > 0
    assert set(sheet["idle month"]) == {*PRICES, "total"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"logGb": None}, "logGb"),
        ({"logGb": "1"}, "logGb"),
        ({"logGb": -1}, "logGb"),
        ({"logGb": True}, "logGb"),
        ({"logGB": 1}, "logGB"),
    ],
)
def test_a_price_that_is_none_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, object], named: str
) -> None:
    assert costs.main(["--prices", str(file(tmp_path, **changes))]) == 2
    assert named in capsys.readouterr().err


def test_prices_that_cannot_be_read(tmp_path: Path) -> None:
    for text in ("[]", "{", ""):
        (tmp_path / "p.json").write_text(text)
        with pytest.raises(PriceError):
            costs.prices(tmp_path / "p.json")
    with pytest.raises(PriceError):
        costs.prices(tmp_path / "none.json")


def test_the_command_shows_counts_or_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert costs.main([]) == 0
    assert capsys.readouterr().out.strip() == costs.table(costs.operations())
    assert costs.main(["--prices", str(file(tmp_path)), "--json", "--seconds", "0.5"]) == 0
    assert json.loads(capsys.readouterr().out)["message"]["functionGbSeconds"] == pytest.approx(2_000_000)
    assert costs.main(["--prices", str(file(tmp_path))]) == 0
    shown = capsys.readouterr().out
    assert all(re.search(rf"^{name} ", shown, re.MULTILINE) for name in (*PRICES, "total"))


def test_the_sheet_has_the_counted_figures_and_every_price() -> None:
    document = read("docs/costs.md")
    assert costs.table(costs.operations()) in document
    assert {name for name in PRICES if f"| `{name}` |" not in document} == set()


def test_the_capacity_sheet_computes_with_the_same_figures() -> None:
    counted, assumed = costs.operations(), Assumptions()
    requests = [
        sum(counted[kind][name] for name in ("tableReads", "tableWrites", "tableTransactions"))
        for kind in costs.COMMANDS
    ]
    message, look = (costs.units(counted[kind], assumed)["logGb"] * 1e6 for kind in ("message", "poll"))
    capacity = read("docs/capacity.md")
    assert f"| {min(requests)} to {max(requests)} requests |" in capacity
    assert f"about {round(message)} KB, and {round(look)} KB for each look" in capacity
    a_day = 5e6 / message, 5e6 / (message + 3 * look)
    assert [f"{round(commands, -4):,.0f}" in capacity for commands in a_day] == [True, True], a_day
