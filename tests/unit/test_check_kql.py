"""The check of the queries: each planted fault is found, in a line that names the file and what is wrong with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mosaic_ops.checks.infra.kql import EMITTED, FOLDER, MODULE, WORKBOOK, Emitted, Query, problems

ROOT = Path(__file__).resolve().parents[2]

FAILURES = f"{FOLDER}/alerts/failure-rate.kql"
API = f"{FOLDER}/alerts/api-failures.kql"
LANES = f"{FOLDER}/kql/prerequisites-lanes.kql"
SPANS = f"{FOLDER}/kql/retry-2-command-spans.kql"
CLOSED = f"{FOLDER}/kql/retry-3-failed-closed.kql"
TRACES = f"{FOLDER}/kql/retry-2-traces.kql"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The folder and the module that loads it."""
    shutil.copytree(ROOT / FOLDER, tmp_path / FOLDER)
    (tmp_path / MODULE).parent.mkdir()
    shutil.copy(ROOT / MODULE, tmp_path / MODULE)
    return tmp_path


def test_the_queries_are_in_order() -> None:
    assert problems(ROOT) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (
            FAILURES,
            "where Message in",
            "where Mesage in",
            "Mesage: no column here, nor one that the app fills (Message?)",
        ),
        (FAILURES, "Properties.lane", "Properties.laen", "Properties.laen: no property of AppTraces rows named"),
        (FAILURES, "AppTraces", "traces", "traces: no table that the app fills"),
        (FAILURES, "AppTraces", "AppTrace", "AppTrace: no table that the app fills (AppTraces?)"),
        (FAILURES, '"attempt failed")\n', '"attempt fails")\n', '"attempt fails": no Message that the app gave'),
        (FAILURES, 'Message == "attempt failed"', 'Message == "attempt"', '"attempt": no Message that the app gave'),
        (FAILURES, "failed * 5 >= started", "failed * 5 >= begun", "begun: no column here"),
        (FAILURES, "countif", "count_if", "count_if: no function that this check knows (countif?)"),
        (FAILURES, "by lane", "by queue", "queue: no column here"),
        (FAILURES, "| summarize", "| summarise", "summarise: is an operator that this check does not know"),
        (FAILURES, "failed = countif", "countif", "countif: is given no name"),
        (FAILURES, ")\n| extend", "\n| extend", "a bracket is not closed"),
        (FAILURES, "failed >= 5", "failed >= 5 $", "$: is nothing that a query of ours holds"),
        (FAILURES, "Properties.lane", "Properties.oldestSeconds", "Properties.oldestSeconds: no property of"),
        (API, '"MosaicMoney.Api"', '"MosaicMoney.API"', '"MosaicMoney.API": no service.name that the app gave'),
        (API, 'Properties["service.name"]', "Properties.service_name", "Properties.service_name: no property of"),
        (API, "ResultCode", "resultCode", "resultCode: no column here, nor one that the app fills (ResultCode?)"),
        (API, "Name", "Message", "Message: no column here"),
        (LANES, "attempts on lane", "attempts on queue", "queue: no column here"),
        (LANES, "join kind=leftouter attempts", "join kind=leftouter attemts", "attemts: no table that the app fills"),
        (LANES, "lookedAt = TimeGenerated", "lookedAt = Timestamp", "Timestamp: no column here"),
        (SPANS, "OperationId == traceId", "OperationId == trace", "trace: no column here"),
        (SPANS, 'Properties["mosaic.settlement"]', 'Properties["db.collection.name"]', "Properties.db.collection.name"),
        (CLOSED, '"worker_command_failed"', '"worker_command_fail"', "no signalCode that the app gave"),
        (CLOSED, "by commandId, queue\n", "by commandId, queue,,\n| where lane == 1\n", "lane: no column here"),
        (TRACES, '"runtime.command.execute"', '"runtime.execute"', '"runtime.execute": no Name that the app gave'),
        (TRACES, "where TimeGenerated", "where lane == 'swep' and TimeGenerated", "lane: no column here"),
        (TRACES, "| top 50", "| where lane == 'swep' | top 50", "'swep': no lane that the app gave (sweep?)"),
        (TRACES, "| top 50", "| where 'sweep' == lane | top 50", "stands on the left"),
        (TRACES, "| top 50", "| where lane in ('sweep', 'nightly') | top 50", "'nightly': no lane that the app gave"),
        (TRACES, "| top 50", "| where lane !in ('swep') | top 50", "'swep': no lane that the app gave"),
        (TRACES, "| top 50", "| | top 50", "an operator is missing"),
        (TRACES, "| top 50", "| where commandId.x == 1 | top 50", "follows commandId"),
        (WORKBOOK, "Properties.waitedSeconds", "Properties.waited", "Properties.waited: no property of AppTraces rows"),
        (WORKBOOK, "percentiles(DurationMs", "percentiles(Duration", "Duration: no column here"),
        (TRACES, "ago(1d) and", "ago(1d) and Properties.lane == 'swep' and", "'swep': no lane that the app gave"),
        (TRACES, "ago(1d) and", "ago(1d) and Properties['lane'] != 'swep' and", "'swep': no lane that the app gave"),
        (TRACES, "| top 50", "| where lane has 'swep' | top 50", "'swep': no lane that the app gave"),
        (TRACES, "ago(1d) and", "ago(1d) and Name !startswith 'run_' and", "'run_': no Name that the app gave"),
    ],
)
def test_a_planted_fault_is_named(copy: Path, file: str, old: str, new: str, told: str) -> None:
    path = copy / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    found = problems(copy)
    assert found, "not found"
    assert all(line.startswith(file) for line in found), found
    assert any(told in line for line in found), found


def test_the_line_is_the_faults(copy: Path) -> None:
    path = copy / FAILURES
    path.write_text(path.read_text("utf-8").replace("failed * 5 >= started", "failed * 5 >= begun"), encoding="utf-8")
    (found,) = problems(copy)
    last = len(path.read_text("utf-8").splitlines())
    assert found.startswith(f"{FAILURES}:{last}: begun")


def test_an_app_that_tells_less_is_found(copy: Path) -> None:
    """Each property that an alert relies on, taken from the list of what is emitted."""
    told = json.loads((copy / EMITTED).read_text("utf-8"))
    for row in told["tables"]["AppTraces"]["rows"].values():
        row[:] = [name for name in row if name != "oldestSeconds"]
    (copy / EMITTED).write_text(json.dumps(told), encoding="utf-8")
    assert {line.split(":")[0] for line in problems(copy)} >= {f"{FOLDER}/alerts/oldest-message.kql", LANES}


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda root: (root / FOLDER / "kql" / "new.kql").write_text("AppTraces"), "new.kql: is loaded by no"),
        (lambda root: (root / EMITTED).unlink(), f"{EMITTED}: is missing"),
        (lambda root: (root / FOLDER / "alerts" / "no-sweep.kql").write_text("// all of it\n"), "1: says nothing"),
        (lambda root: (root / FOLDER / "alerts" / "no-sweep.kql").unlink(), "no-sweep.kql: is not there"),
        (lambda root: (root / MODULE).unlink(), "workbook.json: is loaded by no"),
        (
            lambda root: (root / "infra/modules/own.bicep").write_text("a: {\n  query: 'traces'\n}"),
            "own.bicep:2: a query",
        ),
    ],
)
def test_files_and_module_go_together(copy: Path, spoil: Callable[[Path], object], told: str) -> None:
    spoil(copy)
    assert any(told in line for line in problems(copy)), problems(copy)


def test_a_query_of_a_document_is_read_too(copy: Path) -> None:
    (copy / "docs").mkdir()
    (copy / "docs" / "page.md").write_text(
        "```kql\nAppTraces | take 5\n```\n\n```kql\nAppTraces\n| where Text == 1\n```\n"
    )
    assert problems(copy) == ["docs/page.md (query 2):2: Text: no column here, nor one that the app fills"]


def test_a_tree_without_monitoring_has_nothing_to_say(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("let x = 5; AppTraces | take x", ""),
        ("AppTraces | summarize count() by bin(TimeGenerated, 1h) | order by count_ desc", ""),
        ("AppTraces | where TimeGenerated between (ago(2h) .. ago(1h)) | count", ""),
        # of two kinds of row, a property of either will do; of one kind, only its own
        (
            "AppTraces | where Message in ('attempt started', 'lane looked at') | extend x = Properties.oldestSeconds",
            "",
        ),
        ("AppTraces | where Message == 'attempt started' | extend x = Properties.oldestSeconds", "oldestSeconds: no"),
        # a filter that an `or` loosens keeps every kind
        ("AppTraces | where Message == 'attempt started' or true | extend x = Properties.oldestSeconds", ""),
        # a union has what either side has, a join what both have
        ("AppTraces | union (AppRequests | project Name) | where Name == 'x' or Message == 'y'", "'x': no Name"),
        ("AppTraces | project ParentId | join kind=inner AppRequests on ParentId | where Nam == 1", "Nam: no column"),
        ("AppTraces | summarize arg_max(TimeGenerated, *) by OperationId | where Message == 'x'", "'x': no Message"),
        (
            "AppRequests | where tostring(Properties['mosaic.settlement']) == 'Deadletter'",
            "'Deadletter': no mosaic.sett",
        ),
        ("AppTraces | summarize x = countif(tostring(Properties.lane) == 'swep')", "'swep': no lane"),
        ("AppTraces | extend q = Properties.queue | where q == 'runtime-nightly-sweep'", "no queue that the app gave"),
        ("let least = 5; AppTraces | where SeverityLevel > lest", "lest: no column here"),
        ("AppTraces | project-away Mesage", "Mesage: no column here"),
        ("AppTraces | summarize count() by bin(TimeGeneratd, 1h)", "TimeGeneratd: no column here"),
        ("AppTraces | project Properties.lane", "is given no name"),
        ("AppTraces | evaluate bag_unpack(Properties)", "evaluate: is an operator that this check does not know"),
        ("AppTraces | join AppRequests on OperationId", "says no kind"),
        ("everything", "no table that the app fills"),
        ("", "says nothing"),
    ],
)
def test_a_query_is_read_as_kusto_reads_it(query: str, told: str) -> None:
    emitted = Emitted.of(json.loads((ROOT / EMITTED).read_text("utf-8")))
    found = [what for _, what in Query(emitted, query).read()]
    assert any(told in what for what in found) if told else not found, found
