"""Spans of a drill's command, from the embedded stack's files and from a workspace, in the same words."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from azure.core.exceptions import HttpResponseError

from mosaic_ops.ops.spans import OfFiles, OfWorkspace
from mosaic_ops.smoke.errors import NotReachableError

COMMAND = "a1" * 16


def line(name: str, trace: str, span: str, **attributes: str) -> str:
    said = {"name": name, "service.name": "MosaicMoney.Worker", "traceId": trace, "spanId": span}
    return json.dumps({**said, "startTime": f"2026-01-31T08:00:0{span}Z", "attributes": attributes}) + "\n"


def test_the_files_give_all_spans_of_the_traces_that_name_the_command(tmp_path: Path) -> None:
    (tmp_path / "telemetry").mkdir()
    (tmp_path / "telemetry" / "spans.jsonl").write_text(
        line("request", "t1", "1")
        + line("runtime.command.enqueue", "t1", "2", commandId=COMMAND)
        + line("runtime.lane", "t2", "3", commandId=COMMAND)
        + line("another", "t3", "4", commandId="b2" * 16)
    )
    found = asyncio.run(OfFiles(tmp_path, seconds=0)(COMMAND))
    assert [span["name"] for span in found] == ["request", "runtime.command.enqueue", "runtime.lane"]


def test_a_stack_that_has_told_nothing_has_no_spans(tmp_path: Path) -> None:
    assert asyncio.run(OfFiles(tmp_path, seconds=0)(COMMAND)) == []


class Client:
    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, ""

    async def query_workspace(self, workspace_id: str, query: str, **_: Any) -> Any:
        self.asked = query
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Table:
    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = rows
        self.tables = [self]


def test_the_workspace_gives_them_in_the_same_words() -> None:
    row = {
        "TimeGenerated": datetime(2026, 1, 31, 8, tzinfo=UTC),
        "DurationMs": 2.5,
        "Name": "runtime.lane",
        "OperationId": "t1",
        "Id": "s1",
        "ParentId": "",
        "Success": False,
        "Properties": json.dumps({"service.name": "MosaicMoney.Worker", "commandId": COMMAND}),
    }
    client = Client(Table(row))
    [span] = asyncio.run(OfWorkspace(cast(Any, client), "w", 0)(COMMAND))
    assert f"'{COMMAND}'" in client.asked
    assert (span["service.name"], span["traceId"], span["status"]) == ("MosaicMoney.Worker", "t1", "ERROR")
    assert (span["startTime"], span["parentSpanId"]) == ("2026-01-31T08:00:00Z", None)


@pytest.mark.parametrize("answer", [HttpResponseError("no"), object()])
def test_a_workspace_that_cannot_be_asked_says_so(answer: Any) -> None:
    with pytest.raises(NotReachableError, match="workspace"):
        asyncio.run(OfWorkspace(cast(Any, Client(answer)), "w", 0)(COMMAND))
