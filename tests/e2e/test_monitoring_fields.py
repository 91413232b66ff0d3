"""What the alerts, the workbook and the saved queries ask for is what a running app hands to Azure Monitor: its spans
and lines, converted by the exporter that is deployed, against the committed list and against each query."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from mosaic_local.stack import Stack, StackOptions
from mosaic_ops.checks.infra.kql import EMITTED, Emitted, Monitoring, Query
from tests.support.exported import ROOT, SETTINGS, Play, Row, rows_of, summary
from tests.support.live import live

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Of a stack of its own: which codes and stages there are depends on what is in the ledger."""

    async def play(stack: Stack) -> None:
        async with live(stack) as running:
            await Play(running).all()

    with Stack(StackOptions(app_settings=SETTINGS)) as stack:
        asyncio.run(play(stack))
        return rows_of(stack.state_dir / "telemetry")


def leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for name, it in value.items():
            yield from leaves(it, (*path, name))
    else:
        yield from ((*path, it) for it in value)


def test_the_committed_list_is_what_the_app_emits(rows: list[Row]) -> None:
    """A run may see more, such as a warning of a busy machine: what no query may name yet."""
    committed = json.loads((ROOT / EMITTED).read_text("utf-8"))
    missing = set(leaves(committed)) - set(leaves(summary(rows)))
    assert not missing, "not emitted any more: write the list anew with python -m tests.support.exported"


def test_every_name_of_every_query_was_emitted(rows: list[Row]) -> None:
    emitted, queries = Emitted.of(summary(rows)), list(Monitoring(ROOT).queries())
    assert len(queries) > 30
    assert [(where, found) for where, text in queries if (found := Query(emitted, text).read())] == []


def test_lines_and_spans_of_a_command_share_their_trace(rows: list[Row]) -> None:
    """The story of a command is put together by its ids and its trace's."""
    started = {
        (row.properties["commandId"], row.columns["OperationId"]) for row in rows if row.name == "attempt started"
    }
    executed = {
        (row.properties["commandId"], row.columns["OperationId"])
        for row in rows
        if row.name == "runtime.command.execute"
    }
    assert started
    assert started <= executed


def test_nothing_that_a_household_said_is_in_any_row(rows: list[Row]) -> None:
    told = json.dumps([[str(value) for value in (*row.columns.values(), *row.properties.values())] for row in rows])
    for said in ("landlord", "largest expenses", "STARBUCKS", "Something else"):
        assert said not in told
