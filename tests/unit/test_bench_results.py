"""Rows, goals, the file, the comparison, and what --only chooses."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from bench import __main__ as command
from bench import machine, report
from bench.measures import CATALOGUE, Measurement, memory, storage
from bench.results import Goal, Row, at_least, at_most, number, typical, worst

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (at_most(5), 5, True),
        (at_most(5), 5.01, False),
        (at_least(0.3), 0.3, True),
        (at_least(0.3), 0.29, False),
    ],
)
def test_goals(goal: Goal, value: float, met: bool) -> None:
    assert goal.met(value) is met
    assert Row("row", value, "unit", (value, value), goal).missed is not met


def test_a_row_without_a_goal_cannot_fail() -> None:
    assert not Row("row", 1e9, "unit", (0, 1e9)).missed


def test_typical_is_the_median_and_worst_is_the_worst() -> None:
    rounds = [5.0, 1.0, 3.0]
    assert (typical("a", rounds, "u").value, typical("a", rounds, "u").spread) == (3, (1, 5))
    assert worst("a", rounds, "u", at_most(4)).value == 5
    assert worst("a", rounds, "u", at_least(4)).value == 1


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (5, "5"), (0.30004, "0.3"), (12345.6, "12350"), (0.0081, "0.0081")]
)
def test_numbers_for_people(value: float, text: str) -> None:
    assert number(value) == text


def test_the_file_has_the_contracts_fields_and_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    report.write(file, [Row("a", 1.23456, "s", (1, 2), at_most(4)), Row("b", 3, "ms", (3, 3))], {"cores": 2})
    written = json.loads(file.read_text())
    assert set(written) == {"rows", "machine"}
    assert written["rows"][0] == {
        "name": "a", "value": 1.235, "goal": 4, "better": "lower", "unit": "s", "spread": [1, 2],
    }  # fmt: skip
    assert written["rows"][1]["goal"] is None
    assert report.read(file) == {"a": 1.235, "b": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]


@pytest.mark.parametrize("text", ["[]", '{"rows": 3}', '{"rows": [{"name": "a"}]}', "nonsense"])
def test_a_file_that_is_none_of_ours(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bench.json"
    file.write_text(text)
    with pytest.raises(ValueError):
        report.read(file)


def shown(rows: list[Row], before: dict[str, float] | None = None) -> str:
    console = Console(width=160, record=True, file=io.StringIO())
    report.show(console, rows, before)
    return console.export_text()


def test_the_table_marks_what_is_missed_and_compares() -> None:
    good, bad = Row("good", 3, "s", (2, 4), at_most(4)), Row("bad", 5, "s", (5, 5), at_most(4))
    lines = {line.split()[3]: line for line in shown([good, bad], {"good": 4.0}).splitlines() if "≤ 4" in line}
    assert "✓" in lines["good"]
    assert "-25.0%" in lines["good"]
    assert "2 – 4" in lines["good"]
    assert "✗" in lines["bad"]
    assert "new" in lines["bad"]


def test_only_chooses_by_name() -> None:
    everything = command.select(None)
    assert {it.what for it in CATALOGUE} - {it.what for it in everything} == {"the demo on a bare clone"}
    assert [it.rows for it in command.select("demo_cold")] == [("demo_cold",)]
    assert command.select("nosuch") == []


def test_row_names_are_unique_and_the_issues_are_there() -> None:
    names = [name for it in CATALOGUE for name in it.rows]
    assert len(names) == len(set(names))
    assert {
        "requests_success", "levels_success", "requests_duplicate", "enqueue_to_completed_p50", "throughput_ratio",
        "worker_rss_after_10000", "worker_rss_growth", "stack_start_to_first_message", "demo_warm", "demo_cold",
    } <= set(names)  # fmt: skip
    assert memory.ROWS[0] == "worker_rss_after_10000"
    assert {(case.requests, case.levels) for case in storage.CASES if case.name in ("success", "duplicate")} == {
        (6, 5),
        (4, 3),
    }


@pytest.mark.parametrize("arguments", [["--only", "nosuch"], ["--compare", "--against", "no/such/file"]])
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments) == 2
    assert "mosaic: " in capsys.readouterr().err


def test_a_missed_goal_and_a_broken_measurement_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def measured(quick: bool) -> list[Row]:
        return [Row("slow", 5, "s", (5, 5), at_most(4)), Row("fast", 3, "s", (3, 3), at_most(4))]

    async def broken(quick: bool) -> list[Row]:
        raise RuntimeError("no stack")

    def run(*arguments: str) -> int:
        return command.main(list(arguments))

    catalogue = (
        Measurement(("slow", "fast"), measured, "it"),
        Measurement(("broken",), broken, "nothing"),
    )
    monkeypatch.setattr(command, "CATALOGUE", catalogue)
    monkeypatch.setattr(command, "FILE", str(tmp_path / "bench.json"))
    assert run("--only", "fast") == 0
    assert report.read(tmp_path / "bench.json") == {"fast": 3}
    assert run("--only", "slow") == 1
    assert run("--only", "broken") == 1


def test_the_machine_is_told_without_names_and_paths() -> None:
    text = json.dumps(machine.describe(ROOT))
    assert '"cores"' in text
    assert "/" not in text


@pytest.mark.parametrize("app", ["instant", "noop"])
def test_the_bench_apps_run_under_the_products_host_json(app: str) -> None:
    product = json.loads((ROOT / "host.json").read_text())
    mine = json.loads((ROOT / "bench" / "apps" / app / "host.json").read_text())
    assert {name: product[name] for name in mine} == mine
    assert mine["extensions"]["serviceBus"]["maxConcurrentCalls"] == 16
