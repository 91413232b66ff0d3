"""What is old, and its removal, on Table and Blob Storage."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from mosaic_core.adapters import record_rows
from mosaic_core.adapters.blobs import AzureBlobs
from mosaic_core.adapters.tables.keys import SEPARATOR, encode, join
from mosaic_core.adapters.tables.replay_rows import replays_of
from mosaic_core.adapters.tables.stores import (
    COMMANDS,
    CONVERSATIONS,
    INDEX,
    KEYS,
    READS_AT_ONCE,
    RUNS,
    SIGNALS,
    STAGES,
    lists_of_command,
    lists_of_signal,
)
from mosaic_core.adapters.tables.table_client import TableService
from mosaic_core.concurrency import each
from mosaic_core.domain.errors import StoredRowError
from mosaic_core.domain.lifecycle import KeyStatus
from mosaic_core.domain.records import Conversation, Key, Run, Signal
from mosaic_core.ports import AgedCommand, AgedListing, ETag, Page, Stored

log = logging.getLogger(__name__)

_CONVERSATION: Final = (
    "HouseholdId",
    "ConversationId",
    "RunId",
    "Attempt",
    "LastModifiedAtUtc",
    "HolderQueue",
    "HolderCommandId",
    "HolderAttempt",
)


_LISTS: Final = ("about", "commands", "recent", "signals")
_LISTING: Final = ("PartitionKey", "RowKey", "CommandId", "SignalId")


def _listing(row: Mapping[str, Any]) -> AgedListing:
    partition, row_key = str(row["PartitionKey"]), str(row["RowKey"])
    kind, of_kind = partition.partition(SEPARATOR)[0], row_key.partition(SEPARATOR)
    place = of_kind[2] if kind == "signals" else row_key
    try:
        return AgedListing(
            partition=partition,
            row_key=row_key,
            command_id=str(row.get("CommandId") or ""),
            signal_id=str(row.get("SignalId") or ""),
            at=record_rows.time_of(place) if kind != "about" else None,
            of_open=kind == "signals" and of_kind[0] == "open",
        )
    except ValueError as error:
        raise StoredRowError(f"the row {row_key} of the list {partition} has no place in it") from error


class TableAged:
    """A cursor is the service's own continuation token, so a page begins where the last one ended whatever was removed
    in between. Conditions are the service's: what is young is passed there."""

    def __init__(self, tables: TableService, blobs: AzureBlobs, now: Callable[[], datetime]) -> None:
        self._tables = tables
        self._blobs = blobs
        self._now = now

    async def keys(self, before: datetime, cursor: str, limit: int) -> Page[Key]:
        final = ("Status", "ne", KeyStatus.RESERVED.value)
        conditions = (final, ("FinalizedAtUtc", "lt", before), ("ExpiresAtUtc", "lt", self._now()))
        return await self._walk(KEYS, conditions, record_rows.KEY.properties, record_rows.KEY.decode, cursor, limit)

    async def commands(self, before: datetime, cursor: str, limit: int) -> Page[AgedCommand]:
        old = (("RecordedAtUtc", "lt", before),)
        return await self._walk(COMMANDS, old, record_rows.AGED_COMMAND, record_rows.decode_aged_command, cursor, limit)

    async def signals(self, before: datetime, cursor: str, limit: int) -> Page[Signal]:
        old = (("RaisedAtUtc", "lt", before),)
        return await self._walk(SIGNALS, old, record_rows.SIGNAL.properties, record_rows.SIGNAL.decode, cursor, limit)

    async def conversations(self, before: datetime, cursor: str, limit: int) -> Page[Conversation]:
        old = (("LastModifiedAtUtc", "lt", before),)
        return await self._walk(CONVERSATIONS, old, _CONVERSATION, record_rows.decode_bare_conversation, cursor, limit)

    async def blobs(self, before: datetime, cursor: str, limit: int) -> Page[str]:
        found, following = await self._blobs.older(before, cursor, limit)
        return Page([Stored(name, etag) for name, etag in found], following)

    async def listings(self, before: datetime, cursor: str, limit: int) -> Page[AgedListing]:
        """Which of the lists are walked stands in front of the service's own token."""
        number, _, token = cursor.partition(" ")
        walked = int(number or 0)
        first = f"{_LISTS[walked]}{SEPARATOR}"
        conditions: tuple[tuple[str, str, str | datetime], ...] = (
            ("PartitionKey", "gt", first),
            ("PartitionKey", "lt", first[:-1] + chr(ord(SEPARATOR) + 1)),
            ("Timestamp", "lt", before),
        )
        page = await self._walk(INDEX, conditions, _LISTING, _listing, token, limit)
        if page.cursor:
            return Page(page.items, f"{walked} {page.cursor}")
        return Page(page.items, f"{walked + 1} " if walked + 1 < len(_LISTS) else "")

    async def marks(self, before: str, limit: int) -> int:
        removed, prefix = 0, f"active{SEPARATOR}"
        async for partition in self._tables.partitions(INDEX, prefix):
            if partition.removeprefix(prefix) >= before:
                break
            removed += await self._clear(INDEX, partition, limit - removed)
            if removed >= limit:
                break
        return removed

    async def remove_key(self, key: Key, etag: ETag) -> bool:
        return await self._tables.delete(KEYS, encode(key.command_id), encode(key.queue), etag)

    async def remove_run(self, run: Run, etag: ETag) -> bool:
        await self._clear(STAGES, encode(run.run_id))
        await self._clear(INDEX, join("run", run.run_id))
        return await self._tables.delete(RUNS, encode(run.run_id), "run", etag)

    async def remove_command(self, command: AgedCommand, etag: ETag) -> bool:
        if command.conversation_id:
            await self._drop(
                INDEX,
                join("conversation", command.household_id, command.conversation_id),
                join(record_rows.newest_first(command.recorded_at), command.queue, command.command_id),
            )
        await self._clear(INDEX, replays_of(command.queue, command.command_id))
        listed = lists_of_command(command.household_id, command.queue, command.command_id, command.recorded_at)
        await each(listed, lambda place: self._drop(INDEX, *place))
        if not await self._tables.delete(COMMANDS, encode(command.command_id), "command", etag):
            return False
        if command.envelope_blob:
            # last: a row never points at nothing
            await self._blobs.remove(command.envelope_blob, None)
        return True

    async def remove_signal(self, signal: Signal, etag: ETag) -> bool:
        if signal.household_id is not None:
            of_signal = (("SignalId", "eq", signal.signal_id),)
            await self._clear(INDEX, join("finding", signal.household_id), conditions=of_signal)
        if signal.run_id is not None:
            await self._drop(INDEX, join("run", signal.run_id), encode(signal.signal_id))
        if not await self._tables.delete(SIGNALS, encode(signal.signal_id), "signal", etag):
            return False
        # after the row: one that somebody opens again keeps its lists, and what is cut off here points at nothing
        await each(lists_of_signal(signal), lambda place: self._drop(INDEX, *place))
        return True

    async def remove_listing(self, listing: AgedListing, etag: ETag) -> bool:
        return await self._tables.delete(INDEX, listing.partition, listing.row_key, etag)

    async def remove_conversation(self, conversation: Conversation, etag: ETag) -> bool:
        keys = encode(conversation.household_id), encode(conversation.conversation_id)
        return await self._tables.delete(CONVERSATIONS, *keys, etag)

    async def remove_blob(self, name: str, etag: ETag) -> bool:
        return await self._blobs.remove(name, etag)

    async def keep_blob(self, name: str) -> None:
        await self._blobs.touch(name)

    # ---------------------------------------------------------------------------------------------------------- parts

    async def _walk[T](
        self,
        table: str,
        conditions: Iterable[tuple[str, str, str | datetime]],
        select: Iterable[str],
        decode: Callable[[Mapping[str, Any]], T],
        cursor: str,
        limit: int,
    ) -> Page[T]:
        found, following = await self._tables.page(table, conditions, select=tuple(select), size=limit, token=cursor)
        items: list[Stored[T]] = []
        for row, etag in found:
            try:
                items.append(Stored(decode(row), etag))
            except StoredRowError as error:
                log.error("an old row cannot be read", extra={"table": table, "rationale": error.rationale})
        return Page(items, following)

    async def _clear(
        self, table: str, partition: str, most: int = 1000, conditions: Iterable[tuple[str, str, str]] = ()
    ) -> int:
        """Remove rows of one partition, at most so many; how many went."""
        found: list[tuple[str, ETag]] = []
        query = self._tables.query_with_etags(table, partition, conditions, select=("RowKey",), page=min(most, 1000))
        async for row, etag in query:
            found.append((str(row["RowKey"]), etag))
            if len(found) == most:
                break

        async def remove(one: tuple[str, ETag]) -> bool:
            return await self._tables.delete(table, partition, *one)

        return sum(await each(found, remove, at_once=READS_AT_ONCE))

    async def _drop(self, table: str, partition: str, row_key: str) -> None:
        there = await self._tables.read(table, partition, row_key, "PartitionKey")
        if there is not None:
            await self._tables.delete(table, partition, row_key, there.etag)
