"""The list of commands that have not ended yet, as far as the reconciler has seen.

Every command is listed before it is recorded, by whoever records it, and stays listed until the reconciler's timer has
seen its key at its end. So one whose message is gone is found without looking through any table.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from mosaic_core.domain.records import OutboxEntry
from mosaic_core.ports import CommandList

STALLED_AFTER: Final = timedelta(minutes=15)
"""When the timer looks first. A command whose key nobody has written for so long has stalled."""

_ENTRY: Final = "f"


async def follow(followed: CommandList, queue: str, command_id: str, recorded_at: datetime) -> None:
    """List the command. The same call again changes nothing."""
    entry = OutboxEntry(
        entry_id=_ENTRY,
        command_id=command_id,
        queue=queue,
        announced_at=recorded_at,
        due_at=recorded_at + STALLED_AFTER,
    )
    await followed.insert(entry)
