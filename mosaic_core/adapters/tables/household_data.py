"""Everything of one household on Table and Blob Storage. Its rows lie in partitions of its own, or name it in a
property, by which the service filters: walks through tables, a bounded request at a time, for what few ask."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from mosaic_core.adapters import record_rows
from mosaic_core.adapters.blobs import AzureBlobs
from mosaic_core.adapters.tables.keys import SEPARATOR, encode, join
from mosaic_core.adapters.tables.stores import (
    ANNOTATIONS,
    APPROVALS,
    COMMANDS,
    CONVERSATIONS,
    DECISIONS,
    HOUSEHOLDS,
    INDEX,
    KEYS,
    LEDGER,
    MEMBERS,
    READS_AT_ONCE,
    RUNS,
    SIGNALS,
    STAGES,
    lists_of_signal,
)
from mosaic_core.adapters.tables.table_client import TableService
from mosaic_core.concurrency import each
from mosaic_core.domain import ids
from mosaic_core.domain.errors import StoredRowError
from mosaic_core.domain.households import EDITS, ERASED, HouseholdKind, HouseholdRow, is_about
from mosaic_core.ports import ETag, Page, Stored

type _Conditions = tuple[tuple[str, str, str], ...]

_KEYS: Final = ("PartitionKey", "RowKey")


def _begin(prefix: str) -> _Conditions:
    return ("PartitionKey", "ge", prefix), ("PartitionKey", "lt", prefix[:-1] + chr(ord(prefix[-1]) + 1))


def _sources(kind: HouseholdKind, household_id: str) -> list[tuple[str, _Conditions]]:
    """Where rows of a kind lie, one after the other."""
    named: _Conditions = (("HouseholdId", "eq", household_id),)
    own: _Conditions = (("PartitionKey", "eq", encode(household_id)),)
    match kind:
        case HouseholdKind.MEMBERS:
            return [(MEMBERS, named)]
        case HouseholdKind.MARKS:
            return [(INDEX, (*_begin(f"active{SEPARATOR}"), *named))]
        case HouseholdKind.APPROVALS:
            return [(APPROVALS, own)]
        case HouseholdKind.COMMANDS:
            return [(COMMANDS, named)]
        case HouseholdKind.RUNS:
            return [(RUNS, named)]
        case HouseholdKind.SIGNALS:
            return [(SIGNALS, named)]
        case HouseholdKind.CONVERSATIONS:
            return [(CONVERSATIONS, own)]
        case HouseholdKind.ANNOTATIONS:
            return [(ANNOTATIONS, _begin(encode(household_id) + SEPARATOR))]
        case HouseholdKind.LEDGER:
            return [(LEDGER, own)]
        case HouseholdKind.HOUSEHOLDS:
            return [(HOUSEHOLDS, named), (HOUSEHOLDS, own)]
        case HouseholdKind.LISTS:
            lists = ("approvals", "commands", "finding", "members", "quota")
            partitions: list[_Conditions] = [(("PartitionKey", "eq", join(name, household_id)),) for name in lists]
            conversations = _begin(join("conversation", household_id) + SEPARATOR)
            return [(INDEX, each_of) for each_of in (*partitions, conversations, named)]
        case HouseholdKind.DECISIONS:
            return [(DECISIONS, (*named, ("Rationale", "ne", ERASED)))]
        case HouseholdKind.BLOBS | HouseholdKind.DEAD_LETTERS:
            return []


class TableHouseholdData:
    """A cursor is the number of the source and the service's own continuation token."""

    def __init__(self, tables: TableService, blobs: AzureBlobs) -> None:
        self._tables = tables
        self._blobs = blobs

    async def page(
        self, kind: HouseholdKind, household_id: str, cursor: str, limit: int, *, whole: bool
    ) -> Page[HouseholdRow]:
        number, _, token = cursor.partition(" ")
        at = int(number or 0)
        if kind is HouseholdKind.BLOBS:
            return await self._blob_page(household_id, at, token, limit, whole=whole)
        sources = _sources(kind, household_id)
        if not 0 <= at < len(sources):
            if cursor:
                raise ValueError("the cursor is none of this kind")
            return Page([])
        table, conditions = sources[at]
        found, following = await self._tables.page(table, conditions, select=None, size=limit, token=token)

        async def told(one: tuple[dict[str, Any], ETag]) -> Stored[HouseholdRow]:
            row, etag = one
            content = _plain(row)
            if whole:
                content |= await self._parts(kind, row)
            place = table, str(row["PartitionKey"]), str(row["RowKey"])
            return Stored(HouseholdRow(kind=kind, place=place, content=content), etag)

        return Page(await each(found, told, at_once=READS_AT_ONCE), _next(at, following, len(sources)))

    async def remove(self, row: HouseholdRow, etag: ETag) -> int | None:
        if row.kind is HouseholdKind.BLOBS:
            return 1 if await self._blobs.remove(row.place[0], etag) else None
        if row.kind is HouseholdKind.DECISIONS:
            return await self._silence(row, etag)
        table, partition, row_key = row.place
        parts = await self._remove_parts(row)
        return parts + 1 if await self._tables.delete(table, partition, row_key, etag) else None

    # ---------------------------------------------------------------------------------------------------------- parts

    async def _parts(self, kind: HouseholdKind, row: Mapping[str, Any]) -> dict[str, object]:
        if kind is HouseholdKind.RUNS:
            return {"Stages": await self._all(STAGES, encode(str(row["RunId"])))}
        if kind is HouseholdKind.COMMANDS:
            parts: dict[str, object] = {"Keys": await self._all(KEYS, encode(str(row["CommandId"])))}
            name = row.get("EnvelopeBlob")
            data = await self._blobs.get(str(name)) if name else None
            return parts if data is None else parts | {"Envelope": data.decode("utf-8", "replace")}
        return {}

    async def _all(self, table: str, partition: str) -> list[dict[str, object]]:
        found, token = list[dict[str, object]](), ""
        while True:
            page, token = await self._tables.page(
                table, [("PartitionKey", "eq", partition)], select=None, size=1000, token=token
            )
            found += [_plain(row) for row, _ in page]
            if not token:
                return found

    async def _remove_parts(self, row: HouseholdRow) -> int:
        content = row.content
        if row.kind is HouseholdKind.RUNS:
            run_id = str(content["RunId"])
            return await self._clear(STAGES, encode(run_id)) + await self._clear(INDEX, join("run", run_id))
        if row.kind is HouseholdKind.COMMANDS:
            queue, command_id = str(content["Queue"]), str(content["CommandId"])
            gone = 0
            for name in ("outbox", "followed"):
                shard = join(name, queue, ids.outbox_shard(command_id))
                gone += await self._clear(INDEX, shard, (("CommandId", "eq", command_id),))
            gone += await self._clear(KEYS, encode(command_id))
            envelopes, _ = await self._blobs.below(f"envelopes/{encode(command_id)}/", "", 100)
            for name, _etag in envelopes:
                gone += await self._blobs.remove(name, None)
            return gone
        if row.kind is HouseholdKind.SIGNALS:
            return await self._unlist(row)
        return 0

    async def _unlist(self, row: HouseholdRow) -> int:
        _, partition, row_key = row.place
        there = await self._tables.read(SIGNALS, partition, row_key)
        if there is None:
            return 0
        try:
            signal = record_rows.SIGNAL.decode(there.row)
        except StoredRowError:
            return 0  # its places in the lists of queues name the household themselves
        places = lists_of_signal(signal)
        if signal.run_id is not None:
            places.append((join("run", signal.run_id), encode(signal.signal_id)))
        gone = 0
        for place in places:
            listed = await self._tables.read(INDEX, *place, "PartitionKey")
            if listed is not None:
                gone += await self._tables.delete(INDEX, *place, listed.etag)
        return gone

    async def _silence(self, row: HouseholdRow, etag: ETag) -> int | None:
        table, partition, row_key = row.place
        there = await self._tables.read(table, partition, row_key)
        if there is None:
            return 0
        kept = {name: value for name, value in there.row.items() if name not in _KEYS} | {"Rationale": ERASED}
        return 1 if await self._tables.update(table, partition, row_key, kept, etag) is not None else None

    async def _clear(self, table: str, partition: str, conditions: _Conditions = ()) -> int:
        found = [
            (str(row["RowKey"]), etag)
            async for row, etag in self._tables.query_with_etags(table, partition, conditions, select=("RowKey",))
        ]
        return sum(
            await each(found, lambda one: self._tables.delete(table, partition, one[0], one[1]), at_once=READS_AT_ONCE)
        )

    async def _blob_page(
        self, household_id: str, at: int, token: str, limit: int, *, whole: bool
    ) -> Page[HouseholdRow]:
        prefixes = (f"{household_id}/", f"agent/{household_id}/", EDITS)
        if not 0 <= at < len(prefixes):
            raise ValueError("the cursor is none of this kind")
        found, following = await self._blobs.below(prefixes[at], token, 1 if whole else limit)
        items = []
        for name, etag in found:
            content: dict[str, object] = {"Name": name}
            data = await self._blobs.get(name) or b"" if whole or prefixes[at] == EDITS else b""
            if prefixes[at] == EDITS and not is_about(data, household_id):
                continue
            if whole:
                content |= told_bytes(data)
            items.append(Stored(HouseholdRow(kind=HouseholdKind.BLOBS, place=(name,), content=content), etag))
        return Page(items, _next(at, following, len(prefixes)))


def _next(at: int, following: str, sources: int) -> str:
    if following:
        return f"{at} {following}"
    return f"{at + 1} " if at + 1 < sources else ""


def told_bytes(data: bytes) -> dict[str, object]:
    """As text, where it is such."""
    try:
        return {"Text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"Base64": base64.b64encode(data).decode()}


def _plain(row: Mapping[str, Any]) -> dict[str, object]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
