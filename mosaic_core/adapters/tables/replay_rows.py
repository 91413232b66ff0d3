"""Replays on Table Storage: an operation and its plan are one partition, what replays a command another."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

from mosaic_core.adapters import record_rows
from mosaic_core.adapters.tables.keys import join
from mosaic_core.adapters.tables.stores import INDEX
from mosaic_core.adapters.tables.table_client import TableService
from mosaic_core.domain.replay import CHUNK, Replay, ReplayClaim, ReplayItem
from mosaic_core.ports import ETag, ListedReplay, Stored

_PAGE: Final = 50


class TableReplays:
    def __init__(self, tables: TableService) -> None:
        self._tables = tables

    async def insert(self, replay: Replay) -> ETag | None:
        place = join(record_rows.newest_first(replay.created_at), replay.replay_id)
        await self._tables.insert(INDEX, "replays", place, {"ReplayId": replay.replay_id})
        return await self._tables.insert(INDEX, _of(replay.replay_id), "operation", record_rows.REPLAY.encode(replay))

    async def read(self, replay_id: str) -> Stored[Replay] | None:
        found = await self._tables.read(INDEX, _of(replay_id), "operation")
        return Stored(record_rows.REPLAY.decode(found.row), found.etag) if found else None

    async def update(self, replay: Replay, etag: ETag) -> ETag | None:
        return await self._tables.update(
            INDEX, _of(replay.replay_id), "operation", record_rows.REPLAY.encode(replay), etag
        )

    async def listed(self, *, after: str = "") -> AsyncIterator[ListedReplay]:
        span = [("RowKey", "gt", after)] if after else []
        found = self._tables.query(INDEX, "replays", span, select=("RowKey", "ReplayId"), page=_PAGE)
        async for row in found:
            yield ListedReplay(replay_id=str(row["ReplayId"]), place=str(row["RowKey"]))

    async def save_items(self, replay_id: str, items: Sequence[ReplayItem]) -> None:
        for first in range(0, len(items), CHUNK):
            row = record_rows.encode_items(items[first : first + CHUNK])
            await self._tables.insert(INDEX, _of(replay_id), _piece(first // CHUNK), row)

    async def items(self, replay_id: str, first: int, count: int) -> list[ReplayItem]:
        pieces = [("RowKey", "ge", _piece(first // CHUNK)), ("RowKey", "le", _piece((first + count - 1) // CHUNK))]
        found = self._tables.query(INDEX, _of(replay_id), pieces, select=("Items",))
        items = [item async for row in found for item in record_rows.decode_items(row)]
        begin = first % CHUNK
        return items[begin : begin + count]

    async def claim(self, claim: ReplayClaim) -> bool:
        partition = replays_of(claim.queue, claim.command_id)
        row = record_rows.REPLAY_CLAIM.encode(claim)
        return await self._tables.insert(INDEX, partition, f"{claim.generation:06}", row) is not None

    async def claims(self, queue: str, command_id: str) -> list[ReplayClaim]:
        partition = replays_of(queue, command_id)
        found = self._tables.query(INDEX, partition, select=record_rows.REPLAY_CLAIM.properties)
        return [record_rows.REPLAY_CLAIM.decode(row) async for row in found]


def replays_of(queue: str, command_id: str) -> str:
    """The partition of what replays a command."""
    return join("replayed", queue, command_id)


def _of(replay_id: str) -> str:
    return join("replay", replay_id)


def _piece(number: int) -> str:
    return f"plan-{number:06}"
