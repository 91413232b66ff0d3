"""Table Storage's operations in memory, for the stores that are built on them: each is atomic by itself, and others
come between any two of them. Requests are counted, and any of them can go wrong."""

from __future__ import annotations

import asyncio
import itertools
import operator
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from mosaic_core.adapters.record_rows import Row
from mosaic_core.adapters.tables.stores import TableHouseholds, TableLedger, TableSignals
from mosaic_core.adapters.tables.table_client import Entity, TableService
from mosaic_core.domain.errors import StoreUnreachableError
from mosaic_core.ports import Clock, ETag, Stores
from mosaic_ops.memory.stores import memory_stores

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
}


@dataclass
class MemoryTables:
    """``requests`` names each one that was made: kind, table, partition. Those whose number (from 1) is in ``unsent``
    never arrive; those in ``lost`` are carried out, and no answer comes."""

    requests: list[tuple[str, str, str]] = field(default_factory=list)
    unsent: set[int] = field(default_factory=set)
    lost: set[int] = field(default_factory=set)
    rows: dict[tuple[str, str, str], tuple[Row, ETag]] = field(default_factory=dict)
    _etags: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    async def insert(self, table: str, partition: str, row_key: str, row: Row) -> ETag | None:
        def work() -> ETag | None:
            return None if (table, partition, row_key) in self.rows else self._write(table, partition, row_key, row)

        return await self._request("insert", table, partition, work)

    async def update(self, table: str, partition: str, row_key: str, row: Row, etag: ETag) -> ETag | None:
        def work() -> ETag | None:
            there = self.rows.get((table, partition, row_key))
            return self._write(table, partition, row_key, row) if there and there[1] == etag else None

        return await self._request("update", table, partition, work)

    async def read(self, table: str, partition: str, row_key: str, *select: str) -> Entity | None:
        def work() -> Entity | None:
            there = self.rows.get((table, partition, row_key))
            return Entity(dict(there[0]), there[1], 0.0) if there else None

        return await self._request("read", table, partition, work)

    async def delete(self, table: str, partition: str, row_key: str, etag: ETag) -> bool:
        def work() -> bool:
            there = self.rows.get((table, partition, row_key))
            if there is not None and there[1] != etag:
                return False
            self.rows.pop((table, partition, row_key), None)
            return True

        return await self._request("delete", table, partition, work)

    async def insert_all(self, table: str, partition: str, rows: Mapping[str, Row]) -> bool:
        def work() -> bool:
            if any((table, partition, row_key) in self.rows for row_key in rows):
                return False
            for row_key, row in rows.items():
                self._write(table, partition, row_key, row)
            return True

        return await self._request("transaction", table, partition, work)

    async def query(
        self,
        table: str,
        partition: str,
        conditions: Iterable[tuple[str, str, str]] = (),
        *,
        select: Sequence[str],
        page: int = 1000,
    ) -> AsyncIterator[dict[str, Any]]:
        after, terms = "", list(conditions)
        while True:

            def work(after: str = after) -> list[dict[str, Any]]:
                found = [
                    {"RowKey": key, **row}
                    for (of, within, key), (row, _) in sorted(self.rows.items())
                    if (of, within) == (table, partition) and key > after
                ]
                return [row for row in found if all(_OPERATORS[how](row[name], text) for name, how, text in terms)]

            found = (await self._request("query", table, partition, work))[:page]
            for row in found:
                after = str(row["RowKey"])
                yield {name: row[name] for name in (*select, "RowKey") if name in row}
            if len(found) < page:
                return

    async def query_partitions(
        self,
        table: str,
        first: str,
        end: str,
        conditions: Iterable[tuple[str, str, str]] = (),
        *,
        select: Sequence[str],
        page: int = 1000,
    ) -> AsyncIterator[dict[str, Any]]:
        after, terms = ("", ""), list(conditions)
        while True:

            def work(after: tuple[str, str] = after) -> list[dict[str, Any]]:
                found = [
                    {"PartitionKey": within, "RowKey": key, **row}
                    for (of, within, key), (row, _) in sorted(self.rows.items())
                    if of == table and first <= within < end and (within, key) > after
                ]
                return [row for row in found if all(_OPERATORS[how](row[name], text) for name, how, text in terms)]

            found = (await self._request("query", table, first, work))[:page]
            for row in found:
                after = str(row["PartitionKey"]), str(row["RowKey"])
                yield {name: row[name] for name in (*select, "PartitionKey", "RowKey") if name in row}
            if len(found) < page:
                return

    async def partitions(self, table: str, prefix: str, *, after: str = "") -> AsyncIterator[str]:
        after = max(prefix, after)
        while True:

            def work(after: str = after) -> list[str]:
                found = {of for of, _ in self.keys(table) if of > after and of.startswith(prefix)}
                return sorted(found)[:1]

            for partition in await self._request("partitions", table, prefix, work):
                after = partition
                yield partition
                break
            else:
                return

    def keys(self, table: str) -> list[tuple[str, str]]:
        """Partition and row key of every row of a table, in order."""
        return sorted((partition, key) for of, partition, key in self.rows if of == table)

    def _write(self, table: str, partition: str, row_key: str, row: Row) -> ETag:
        etag = f'W/"{next(iter(self._etags))}"'
        self.rows[(table, partition, row_key)] = (dict(row), etag)
        return etag

    async def _request[T](self, kind: str, table: str, partition: str, work: Callable[[], T]) -> T:
        self.requests.append((kind, table, partition))
        number = len(self.requests)
        await asyncio.sleep(0)  # on the wire: others are served meanwhile
        if number in self.unsent:
            raise StoreUnreachableError(f"{kind} in {table}: no answer")
        answer = work()
        await asyncio.sleep(0)
        if number in self.lost:
            raise StoreUnreachableError(f"{kind} in {table}: no answer")
        return answer


def service(tables: MemoryTables) -> TableService:
    return cast("TableService", tables)


def on_tables(clock: Clock, tables: MemoryTables, stores: Stores | None = None) -> Stores:
    """Stores of which the ledger, signals and households are the table stores themselves, on ``tables``."""
    return replace(
        stores or memory_stores(clock),
        ledger=TableLedger(service(tables), clock.now),
        signals=TableSignals(service(tables)),
        households=TableHouseholds(service(tables)),
    )
