"""``./mosaic backup``: what is exported from a running stack restores to a history that the app goes on with."""

from __future__ import annotations

import gzip
import json
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from azure.data.tables import TableServiceClient

from mosaic_core.adapters.tables import TABLES, ensure_tables
from mosaic_core.config import Connection
from mosaic_local.stack import Stack, StackOptions
from mosaic_ops import backup
from tests.e2e.conftest import FAST
from tests.support.azurite import Azurite, running_azurite
from tests.support.live import CONVERSATION, INGESTION, Live, batch, live, message

NOW = datetime(2026, 11, 30, 3, tzinfo=UTC)
ODD: dict[str, Any] = {
    "PartitionKey": "p",
    "RowKey": "r",
    "Text": 'quotes " and ümläuts \u2028 and \U0001f600',
    "Empty": "",
    "Flag": False,
    "Small": -5,
    "Real": 0.1,
}


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with running_azurite() as it:
        yield it


@pytest.fixture
async def tables(azurite: Azurite) -> Any:
    """Empty tables: those of the test before are gone."""
    await ensure_tables(Connection(connection_string=azurite.tables.connection_string))
    with TableServiceClient.from_connection_string(azurite.tables.connection_string) as service:
        for table in TABLES:
            client = service.get_table_client(table)
            for entity in list(client.list_entities()):
                client.delete_entity(entity)
        yield service


def test_every_table_is_in_the_backup() -> None:
    assert set(backup.ORDER) == set(TABLES)
    assert len(backup.ORDER) == len(TABLES)


def test_what_points_at_something_is_read_before_it() -> None:
    """The reverse of the order in which a delivery and the API write (docs/protocol.md)."""
    written = ("AgentCommands", "AgentRunStages", "AgentRuns", "IdempotencyKeys", "AgentIndex")
    assert sorted(written, key=backup.ORDER.index, reverse=True) == list(written)


def test_types_and_values_come_back_as_they_were(tables: TableServiceClient, tmp_path: Path) -> None:
    from azure.data.tables import EdmType, EntityProperty

    exact = "2026-11-24T01:02:03.1234567Z"
    row = {
        **ODD,
        "Long": EntityProperty(2**40, EdmType.INT64),
        "Time": EntityProperty(exact, EdmType.DATETIME),
    }
    tables.get_table_client("AgentSignals").create_entity(row)
    for number in range(250):
        tables.get_table_client("LedgerTransactions").create_entity({"PartitionKey": "h", "RowKey": f"{number:03}"})
    first = backup.export(tables, tmp_path / "first", NOW)
    assert first["tables"]["LedgerTransactions"]["rows"] == 250
    with gzip.open(tmp_path / "first" / "AgentSignals.jsonl.gz", "rt") as lines:
        assert json.loads(lines.read()) == {
            "PartitionKey": ["Edm.String", "p"],
            "RowKey": ["Edm.String", "r"],
            "Text": ["Edm.String", ODD["Text"]],
            "Empty": ["Edm.String", ""],
            "Flag": ["Edm.Boolean", "false"],
            "Small": ["Edm.Int32", "-5"],
            "Real": ["Edm.Double", "0.1"],
            "Long": ["Edm.Int64", str(2**40)],
            "Time": ["Edm.DateTime", exact],
        }
    for table in ("AgentSignals", "LedgerTransactions"):
        for entity in list(tables.get_table_client(table).list_entities()):
            tables.get_table_client(table).delete_entity(entity)
    assert sum(backup.restore(tables, tmp_path / "first").values()) == 251
    assert backup.export(tables, tmp_path / "second", NOW) == first  # digest by digest


def test_the_index_is_read_at_both_ends(
    tables: TableServiceClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the other tables are read an approval is listed, and a night's progress moves on."""
    index = tables.get_table_client("AgentIndex")
    index.create_entity({"PartitionKey": "nightly", "RowKey": "progress", "CompletedNight": "20261123"})
    write = backup._write
    once = iter([True])

    def meanwhile(out: Any, entity: Any) -> None:
        write(out, entity)
        if next(once, False):
            index.create_entity({"PartitionKey": "approvals", "RowKey": "new"})
            index.update_entity({"PartitionKey": "nightly", "RowKey": "progress", "CompletedNight": "20261124"})

    monkeypatch.setattr(backup, "_write", meanwhile)
    made = backup.export(tables, tmp_path / "b", NOW)
    assert made["tables"]["AgentIndex"]["rows"] == 2
    for entity in list(index.list_entities()):
        index.delete_entity(entity)
    backup.restore(tables, tmp_path / "b")
    assert index.get_entity("nightly", "progress")["CompletedNight"] == "20261123"
    assert index.get_entity("approvals", "new")


def test_only_its_owner_reads_a_backup(tables: TableServiceClient, tmp_path: Path) -> None:
    backup.export(tables, tmp_path / "b", NOW)
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "b").glob("*.gz")} == {0o600}
    with pytest.raises(backup.BackupError, match="there already"):
        backup.export(tables, tmp_path / "b", NOW)


def test_a_backup_that_is_not_whole_restores_nothing(tables: TableServiceClient, tmp_path: Path) -> None:
    backup.export(tables, tmp_path / "b", NOW)

    def broken(name: str) -> Path:
        return Path(shutil.copytree(tmp_path / "b", tmp_path / name))

    (broken("cut") / backup.MANIFEST).unlink()
    (broken("lost") / "AgentRuns.jsonl.gz").unlink()
    (broken("changed") / "AgentRuns.jsonl.gz").write_bytes(gzip.compress(b"{}\n"))
    (broken("newer") / backup.MANIFEST).write_text('{"version": 2, "tables": {}}')
    for name in ("cut", "lost", "changed", "newer", "none"):
        with pytest.raises(backup.BackupError):
            backup.restore(tables, tmp_path / name)


def test_two_histories_do_not_mix(tables: TableServiceClient, tmp_path: Path) -> None:
    tables.get_table_client("HouseholdMembers").create_entity(ODD)
    backup.export(tables, tmp_path / "b", NOW)
    with pytest.raises(backup.BackupError, match="HouseholdMembers is not empty"):
        backup.restore(tables, tmp_path / "b")


def test_the_command_says_what_is_wrong_in_one_line(
    azurite: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(backup.SETTING, raising=False)
    assert backup.main(["export", str(tmp_path / "b")]) == 1
    assert backup.main(["export", "--endpoint", "http://tables.example", str(tmp_path / "b")]) == 1
    assert backup.main(["verify", str(tmp_path / "none")]) == 1
    monkeypatch.setenv(backup.SETTING, "nonsense")
    assert backup.main(["export", str(tmp_path / "b")]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 4
    assert "Traceback" not in told


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_the_app_goes_on_from_a_restored_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The drill of docs/backup.md: export of a running stack, a new account, the app on it. What was finished is known
    as finished; what is new runs."""
    before = batch("t-1", "t-2")
    with Stack(StackOptions(app_settings=FAST)) as stack:
        async with live(stack) as lived:
            await lived.finish(await lived.send(INGESTION, before))
            status, asked = await lived.doors.call("POST", MESSAGES, body=QUESTION)
            assert status == 202
            run = await _run(lived, asked["commandId"])
            monkeypatch.setenv(backup.SETTING, stack.settings["TablesConnection"])
            assert backup.main(["export", str(tmp_path / "b")]) == 0
    with Stack(StackOptions(app_settings=FAST, with_worker=False, with_seed=False)) as stack:
        monkeypatch.setenv(backup.SETTING, stack.settings["TablesConnection"])
        assert backup.main(["verify", str(tmp_path / "b")]) == 0
        assert backup.main(["restore", str(tmp_path / "b")]) == 0
        assert "restore: " in capsys.readouterr().out
        stack.start_worker()
        async with live(stack) as lived:
            assert await _run(lived, asked["commandId"]) == run
            # the same client id is the same command; its duplicate does nothing
            assert (await lived.doors.call("POST", MESSAGES, body=QUESTION))[1] == asked
            journey = await lived.finish(await lived.send(INGESTION, before))
            assert journey.run is not None
            assert journey.run.attempt == 1
            fresh = await lived.finish(await lived.send(CONVERSATION, message("What did we spend in November 2026?")))
            assert fresh.run is not None
            assert str(fresh.run.status) == "Completed"
            assert await _run(lived, asked["commandId"]) == run


MESSAGES = "/conversations/c0ffee0000000000000000000000bacc/messages"
QUESTION = {"message": "What did we spend in November 2026?", "clientMessageId": "backup-1"}


async def _run(lived: Live, command_id: str) -> dict[str, Any]:
    """The conversation's run of a command, once it is final, as the API shows it."""

    async def look() -> dict[str, Any]:
        _, stream = await lived.doors.call("GET", MESSAGES.replace("/messages", "/stream"))
        return next((run for run in stream.get("runs", []) if run["commandId"] == command_id), {})

    return await lived.until(look, lambda run: run.get("isFinal"))
