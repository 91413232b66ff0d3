"""Rows of the drills' commands as they are stored, by point and range reads: every property, and the ETag."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from mosaic_core.adapters import record_rows
from mosaic_core.adapters.tables import TableStores
from mosaic_core.adapters.tables.keys import encode
from mosaic_core.domain import ids

_STAGE: Final = ("PartitionKey", "RowKey", "ProvenanceCount", *record_rows.STAGE.properties)
_DECISION: Final = ("PartitionKey", "RowKey", *record_rows.DECISION.properties)
_LEDGER: Final = (
    *("PartitionKey", "RowKey", "ContentHash", "BatchId", "RunId", "RecordedAtUtc"),
    *record_rows.TRANSACTION.properties,
)


@dataclass(frozen=True, slots=True)
class RawRow:
    table: str
    row: Mapping[str, Any]
    etag: str


@dataclass(frozen=True, slots=True)
class RawRows:
    """Raises `StoreUnreachableError`."""

    opened: TableStores

    async def of_command(self, queue: str, command_id: str) -> list[RawRow]:
        """Its record, key, run, stages and signals, in this order."""
        run_id = ids.run_id(queue, command_id)
        found = [
            await self._point("AgentCommands", encode(command_id), "command"),
            await self.key(queue, command_id),
            await self._point("AgentRuns", encode(run_id), "run"),
            *await self._range("AgentRunStages", encode(run_id), _STAGE),
        ]
        stores = self.opened.stores
        listed = [*await stores.signals.of_run(run_id), *await stores.signals.about(command_id)]
        named = dict.fromkeys([ids.failure_signal_id(run_id), *(signal.signal_id for signal in listed)])
        found += [await self._point("AgentSignals", encode(signal_id), "signal") for signal_id in named]
        return [row for row in found if row is not None]

    async def key(self, queue: str, command_id: str) -> RawRow | None:
        return await self._point("IdempotencyKeys", encode(command_id), encode(queue))

    async def decisions(self, run_id: str) -> list[RawRow]:
        return await self._range("AgentDecisionAudit", encode(run_id), _DECISION)

    async def ledger(self, household_id: str) -> list[RawRow]:
        return await self._range("LedgerTransactions", encode(household_id), _LEDGER)

    async def _point(self, table: str, partition: str, row_key: str) -> RawRow | None:
        found = await self.opened.tables.read(table, partition, row_key)
        return RawRow(table, plain(found.row), found.etag) if found is not None else None

    async def _range(self, table: str, partition: str, select: tuple[str, ...]) -> list[RawRow]:
        found = self.opened.tables.query_with_etags(table, partition, select=select)
        return [RawRow(table, plain(row), etag) async for row, etag in found]


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has it: times are ISO 8601 text in UTC, and a property that is empty is none."""
    return {
        name: _iso(value) if isinstance(value, datetime) else value for name, value in row.items() if value is not None
    }


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
