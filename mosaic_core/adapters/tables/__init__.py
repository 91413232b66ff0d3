"""The stores on Azure Storage: tables, and blobs for what no row holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mosaic_core.adapters.blobs import AzureBlobs
from mosaic_core.adapters.storage import Account, Connection, Transport, resolve
from mosaic_core.adapters.tables.aged import TableAged
from mosaic_core.adapters.tables.household_data import TableHouseholdData
from mosaic_core.adapters.tables.replay_rows import TableReplays
from mosaic_core.adapters.tables.stores import (
    TABLES,
    TableAnnotations,
    TableApprovals,
    TableCommands,
    TableConversations,
    TableCursors,
    TableDecisions,
    TableHouseholds,
    TableKeys,
    TableLedger,
    TableMembers,
    TableOutbox,
    TablePauses,
    TableQuotas,
    TableRuns,
    TableSignals,
    TableStages,
)
from mosaic_core.adapters.tables.table_client import Observation, Observer, TableService
from mosaic_core.ports import Stores

__all__ = ["TABLES", "Observation", "Observer", "TableStores", "ensure_tables", "open_table_stores"]


_ONCE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class TableStores:
    """``stores`` of one storage account, and what they share. ``once`` and ``blobs_once`` are for health: one try, of
    which no observer is told."""

    stores: Stores
    tables: TableService
    blobs: AzureBlobs
    once: TableService
    blobs_once: AzureBlobs
    accounts: tuple[Account, Account]
    transport: Transport

    async def close(self) -> None:
        await self.transport.close()
        for account in self.accounts:
            await account.close()


def _now() -> datetime:
    return datetime.now(UTC)


def open_table_stores(
    tables: Connection,
    blobs: Connection,
    *,
    observer: Observer | None = None,
    now: Callable[[], datetime] = _now,
) -> TableStores:
    """The stores behind two connections. Nothing is sent before the first operation; all of them belong to one event
    loop. ``observer`` is told of every table request that is sent; ``now`` stamps the ledger's rows.

    Raises ConfigurationError where a connection cannot be used.
    """
    accounts = resolve(tables, "table"), resolve(blobs, "blob")
    transport = Transport()
    service = TableService(accounts[0], transport, observer=observer)
    blob_store = AzureBlobs(accounts[1], transport)
    stores = Stores(
        commands=TableCommands(service, blob_store),
        keys=TableKeys(service),
        runs=TableRuns(service),
        stages=TableStages(service),
        signals=TableSignals(service),
        ledger=TableLedger(service, now),
        approvals=TableApprovals(service, now),
        decisions=TableDecisions(service),
        households=TableHouseholds(service),
        members=TableMembers(service),
        blobs=blob_store,
        conversations=TableConversations(service),
        annotations=TableAnnotations(service),
        outbox=TableOutbox(service, "outbox"),
        followed=TableOutbox(service, "followed"),
        cursors=TableCursors(service),
        aged=TableAged(service, blob_store, now),
        quotas=TableQuotas(service),
        household_data=TableHouseholdData(service, blob_store),
        replays=TableReplays(service),
        pauses=TablePauses(service),
    )
    return TableStores(
        stores=stores,
        tables=service,
        blobs=blob_store,
        once=TableService(accounts[0], transport, retries=0, operation_seconds=_ONCE_SECONDS),
        blobs_once=AzureBlobs(accounts[1], transport, retries=0, operation_seconds=_ONCE_SECONDS),
        accounts=accounts,
        transport=transport,
    )


async def ensure_tables(tables: Connection, blobs: Connection | None = None) -> None:
    """Create the tables, and the blob container where ``blobs`` is given; what is there stays as it is.

    Deployment does this in Azure, the embedded stack at its start; the hot path never does. Raises
    StoreUnreachableError, ConfigurationError.
    """
    transport = Transport()
    accounts = [resolve(tables, "table")]
    try:
        service = TableService(accounts[0], transport)
        for table in TABLES:
            await service.create(table)
        if blobs is not None:
            accounts.append(resolve(blobs, "blob"))
            await AzureBlobs(accounts[1], transport).create_container()
    finally:
        await transport.close()
        for account in accounts:
            await account.close()
