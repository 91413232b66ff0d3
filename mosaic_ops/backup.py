"""``./mosaic backup``: the runtime's tables as files, and back. The service has no backup of tables of its own.

Nothing stops the app meanwhile, so the tables are read in the reverse of the order in which a delivery writes them:
what points at something is read before it, and what was under way looks afterwards as if its process had died. The
index, which is written both before and after what it points at, is read at the beginning and at the end. docs/backup.md
says what that means and what a backup does not hold.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from azure.data.tables import TableServiceClient

SETTING: Final = "TablesConnection"
"""The environment variable of the connection string; never an argument, which every process could read."""

INDEX: Final = "AgentIndex"
ORDER: Final = (
    INDEX,
    "IdempotencyKeys",
    "AgentRuns",
    "AgentRunStages",
    "AgentSignals",
    "AgentDecisionAudit",
    "AgentApprovals",
    "AgentConversations",
    "HouseholdAnnotations",
    "LedgerTransactions",
    "AgentCommands",
    "HouseholdMembers",
    "Households",
)
"""All tables: pointers, then keys, then what they are the keys of, then what caused it."""

MANIFEST: Final = "manifest.json"
VERSION: Final = 1
_BATCH: Final = 100
_BATCH_BYTES: Final = 3_000_000
"""A transaction takes 4 MiB; properties are longer on the wire than in the file."""

type Row = dict[str, list[str]]
"""Property → its type (``Edm.String``, …) and its value as text."""


class BackupError(Exception):
    """The backup cannot be made, or not be restored; one line for a person."""


def export(service: TableServiceClient, folder: Path, now: datetime) -> dict[str, Any]:
    """Writes ``<table>.jsonl.gz`` of every table and, last, the manifest, into a new folder that its owner alone may
    read. Raises BackupError where the folder is there."""
    try:
        folder.mkdir(parents=True, mode=0o700)
    except FileExistsError:
        raise BackupError(f"{folder} is there already: name a new folder") from None
    counts: dict[str, int] = {}
    seen: set[tuple[str, str]] = set()
    for table in ORDER:
        with _new_file(folder, table) as out:
            counts[table] = 0
            for entity in service.get_table_client(table).list_entities():
                _write(out, entity)
                counts[table] += 1
                if table == INDEX:
                    seen.add((entity["PartitionKey"], entity["RowKey"]))
    # A row that is in both stays as it was at the beginning: a night that was not enqueued yet is enqueued again.
    with gzip.GzipFile(folder / f"{INDEX}.jsonl.gz", "ab", mtime=0) as out:
        for entity in service.get_table_client(INDEX).list_entities():
            if (entity["PartitionKey"], entity["RowKey"]) not in seen:
                _write(out, entity)
                counts[INDEX] += 1
    tables = {
        table: {"rows": count, "sha256": _sha256(folder / f"{table}.jsonl.gz")} for table, count in counts.items()
    }
    manifest = {"version": VERSION, "begunAtUtc": f"{now:%Y-%m-%dT%H:%M:%SZ}", "tables": tables}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    return manifest


@contextmanager
def _new_file(folder: Path, table: str) -> Iterator[gzip.GzipFile]:
    """Readable to its owner alone. The same rows make the same bytes: no time, no name in it."""
    opened = os.open(folder / f"{table}.jsonl.gz", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opened, "wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as out:
        yield out


def _write(out: gzip.GzipFile, entity: Mapping[str, Any]) -> None:
    out.write(json.dumps(_row(entity), ensure_ascii=True, sort_keys=True).encode() + b"\n")


def verify(folder: Path) -> dict[str, Any]:
    """The manifest, where every file is there and as it was written. Raises BackupError."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
        version, tables = manifest["version"], manifest["tables"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupError(
            f"{folder} is no whole backup: its {MANIFEST} is not readable ({type(error).__name__})"
        ) from None
    if version != VERSION or set(tables) != set(ORDER):
        raise BackupError(f"{folder} is of another version, or of other tables")
    for table, told in tables.items():
        file = folder / f"{table}.jsonl.gz"
        if not file.is_file() or _sha256(file) != told["sha256"]:
            raise BackupError(f"{file} is missing, or not as it was written")
    return manifest


def restore(service: TableServiceClient, folder: Path) -> dict[str, int]:
    """Inserts every row into tables that are there and empty; rows by table. Raises BackupError before the first row
    where a table is missing or holds something: two histories must not mix."""
    manifest = verify(folder)
    for table in ORDER:
        _check_empty(service, table)
    # what points at something comes after it
    for table in reversed(ORDER):
        client = service.get_table_client(table)
        for batch in _batches(_rows(folder / f"{table}.jsonl.gz")):
            client.submit_transaction([("create", _entity(row)) for row in batch])
    return {table: int(told["rows"]) for table, told in manifest["tables"].items()}


def _check_empty(service: TableServiceClient, table: str) -> None:
    from azure.core.exceptions import ResourceNotFoundError

    try:
        found = next(iter(service.get_table_client(table).list_entities(results_per_page=1)), None)
    except ResourceNotFoundError:
        raise BackupError(f"{table} is missing: deploy the infrastructure first, which makes the tables") from None
    if found is not None:
        raise BackupError(f"{table} is not empty: restore into a new account")


def _row(entity: Mapping[str, Any]) -> Row:
    """Nothing is lost: times keep their 100 ns, numbers their width. The service's own Timestamp is not the row's."""
    from azure.data.tables import EdmType, EntityProperty

    row: Row = {}
    for name, value in entity.items():
        if isinstance(value, EntityProperty):
            row[name] = [EdmType(value[1]).value, str(value[0])]
        elif isinstance(value, bool):
            row[name] = ["Edm.Boolean", "true" if value else "false"]
        elif isinstance(value, int):
            row[name] = ["Edm.Int32", str(value)]
        elif isinstance(value, float):
            row[name] = ["Edm.Double", repr(value)]
        elif isinstance(value, datetime):
            row[name] = ["Edm.DateTime", getattr(value, "tables_service_value", "") or value.isoformat()]
        elif isinstance(value, str):
            row[name] = ["Edm.String", value]
        else:
            raise BackupError(f"a property is of a type that no row of the runtime has: {type(value).__name__}")
    return row


def _entity(row: Row) -> dict[str, Any]:
    from azure.data.tables import EdmType, EntityProperty

    read: dict[str, Any] = {"Edm.Boolean": "true".__eq__, "Edm.Int32": int, "Edm.Int64": int, "Edm.Double": float}
    return {
        name: value if kind == "Edm.String" else EntityProperty(read.get(kind, str)(value), EdmType(kind))
        for name, (kind, value) in row.items()
    }


def _rows(file: Path) -> Iterator[Row]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows of one partition, as the service lists them, up to what one transaction takes."""
    for _, partition in itertools.groupby(rows, key=lambda row: row["PartitionKey"]):
        batch: list[Row] = []
        size = 0
        for row in partition:
            length = len(json.dumps(row))
            if batch and (len(batch) == _BATCH or size + length > _BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(row)
            size += length
        yield batch


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _service(endpoint: str | None) -> TableServiceClient:
    """By the identity of whoever is signed in, or by the connection string of the environment. Raises BackupError."""
    from azure.data.tables import TableServiceClient

    if endpoint is not None:
        if not endpoint.startswith("https://"):
            raise BackupError("the endpoint is no https URL")
        from azure.identity import DefaultAzureCredential

        return TableServiceClient(endpoint=endpoint, credential=DefaultAzureCredential())
    connection = os.environ.get(SETTING, "")
    if not connection:
        raise BackupError(f"name the account: --endpoint URL, or a connection string in {SETTING}")
    try:
        return TableServiceClient.from_connection_string(connection)
    except ValueError:
        raise BackupError(f"{SETTING} is no connection string") from None


def main(arguments: Sequence[str]) -> int:
    """Returns 0, 1 where the backup is not whole or cannot be restored, 3 where storage does not answer."""
    parser = argparse.ArgumentParser(prog="mosaic backup", description="The runtime's tables as files, and back.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("export", "write all tables into a new folder"),
        ("restore", "insert a backup into empty tables"),
        ("verify", "say whether a backup is whole"),
    ):
        command = commands.add_parser(name, help=what, description=what)
        command.add_argument("folder", type=Path)
        if name != "verify":
            command.add_argument(
                "--endpoint", help=f"the account's table endpoint, by your identity; without it {SETTING} counts"
            )
    options = parser.parse_args(arguments)
    from azure.core.exceptions import AzureError

    try:
        if options.command == "verify":
            rows = {table: told["rows"] for table, told in verify(options.folder)["tables"].items()}
        else:
            with _service(options.endpoint) as service:
                if options.command == "export":
                    manifest = export(service, options.folder, datetime.now(UTC))
                    rows = {table: told["rows"] for table, told in manifest["tables"].items()}
                else:
                    rows = restore(service, options.folder)
    except BackupError as error:
        print(f"mosaic: {error}", file=sys.stderr)
        return 1
    except AzureError as error:
        status = getattr(error, "status_code", None)
        print(f"mosaic: storage did not do it: {type(error).__name__} {status or ''}".rstrip(), file=sys.stderr)
        return 3
    for table, count in rows.items():
        print(f"{table:<22}{count:>10}")
    print(f"{options.command}: {sum(rows.values())} rows of {len(rows)} tables, {options.folder}")
    return 0
