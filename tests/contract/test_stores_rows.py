"""Rows of every earlier version still decode, and the rows that are written now have the contract's shape.

``rows/*.json`` are rows as Table Storage returned them, one file per version that wrote them; files are added, never
changed.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables.aio import TableClient

from mosaic_core.adapters import record_rows
from mosaic_core.adapters.record_rows import Codec
from mosaic_core.adapters.tables import open_table_stores
from mosaic_core.domain.errors import StoredRowError
from tests.support import records
from tests.support.azurite import Azurite
from tests.support.contract import properties

STORED = sorted((Path(__file__).parent / "rows").glob("*.json"))
RECORDS: dict[str, tuple[Codec[Any], Any]] = {
    "AgentCommands": (record_rows.COMMAND, records.COMMAND),
    "IdempotencyKeys": (record_rows.KEY, records.KEY),
    "AgentRuns": (record_rows.RUN, records.RUN),
    "AgentRunStages": (record_rows.STAGE, records.STAGE),
    "AgentSignals": (record_rows.SIGNAL, records.SIGNAL),
    "AgentApprovals": (record_rows.APPROVAL, records.APPROVAL),
    "AgentDecisionAudit": (record_rows.DECISION, records.DECISION),
    "HouseholdMembers": (record_rows.MEMBERSHIP, records.MEMBERSHIP),
    "LedgerTransactions": (record_rows.TRANSACTION, records.TRANSACTION),
    "AgentIndex": (record_rows.SWEEP_PROGRESS, records.PROGRESS),
}

TABLES = ("AgentCommands", "AgentRuns", "AgentRunStages", "AgentSignals", "IdempotencyKeys")


@pytest.fixture(params=STORED, ids=lambda path: path.stem)
def stored(request: pytest.FixtureRequest) -> dict[str, dict[str, Any]]:
    path: Path = request.param
    found: dict[str, dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return found


def test_there_are_stored_rows() -> None:
    assert STORED


@pytest.mark.parametrize("table", RECORDS)
def test_a_stored_row_decodes(stored: dict[str, dict[str, Any]], table: str) -> None:
    codec, record = RECORDS[table]
    assert codec.decode(stored[table]) == record


@pytest.mark.parametrize("table", RECORDS)
def test_a_row_of_a_later_version_decodes(stored: dict[str, dict[str, Any]], table: str) -> None:
    codec, record = RECORDS[table]
    assert codec.decode({**stored[table], "Novelty": "x", "Novelty@odata.type": "Edm.Guid"}) == record


@pytest.mark.parametrize("table", RECORDS)
def test_a_property_that_is_missing_is_named_or_has_a_default(stored: dict[str, dict[str, Any]], table: str) -> None:
    codec, record = RECORDS[table]
    defaults = {field.name for field in fields(record) if field.default is not MISSING}
    missing = []
    for name in codec.properties:
        row = {key: value for key, value in stored[table].items() if key != name}
        try:
            codec.decode(row)
        except StoredRowError as error:
            missing.append((name, str(error)))
    assert all(name in said for name, said in missing)
    assert len(missing) == len(codec.properties) - len(defaults)


def test_a_status_that_is_not_known_is_named(stored: dict[str, dict[str, Any]]) -> None:
    with pytest.raises(StoredRowError, match="Status of a stored Run"):
        record_rows.RUN.decode({**stored["AgentRuns"], "Status": "Sleeping"})


@pytest.mark.parametrize("table", TABLES)
def test_properties_are_the_contracts(table: str) -> None:
    codec, record = RECORDS[table]
    encoders: dict[str, Any] = {
        "IdempotencyKeys": record_rows.encode_key,
        "AgentRuns": record_rows.encode_run,
        "AgentRunStages": record_rows.encode_stage,
    }
    written = encoders.get(table, codec.encode)(record)
    assert set(written) == properties(table)


async def test_rows_are_written_as_they_are_stored(azurite: Azurite) -> None:
    """The newest file is what this version writes, keys and types included."""
    opened = open_table_stores(azurite.tables, azurite.blobs, now=lambda: records.NOW)
    newest: dict[str, dict[str, Any]] = json.loads(STORED[-1].read_text("utf-8"))
    ours = records.new_id()
    await opened.stores.runs.insert(replace(records.RUN, run_id=ours))
    await opened.stores.keys.insert(replace(records.KEY, command_id=ours))
    await opened.close()
    run = await on_the_wire(azurite, "AgentRuns", ours, "run")
    assert run == {**newest["AgentRuns"], "PartitionKey": ours, "RunId": ours}
    key = await on_the_wire(azurite, "IdempotencyKeys", ours, records.KEY.queue)
    names = {"PartitionKey": ours, "CommandId": ours, "KeyValue": ours}
    assert key == {**newest["IdempotencyKeys"], **names}
    assert key["SequenceNumber@odata.type"] == "Edm.Int64"


async def on_the_wire(azurite: Azurite, table: str, partition: str, row_key: str) -> dict[str, Any]:
    """A row as the service sends it, without what the service adds."""
    answers: list[dict[str, Any]] = []
    async with TableClient.from_connection_string(azurite.tables.connection_string, table) as client:
        await client.get_entity(
            partition, row_key, raw_response_hook=lambda it: answers.append(it.http_response.json())
        )
    (row,) = answers
    return {name: value for name, value in row.items() if not name.startswith(("odata.", "Timestamp"))}
