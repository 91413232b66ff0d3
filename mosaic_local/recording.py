"""A command recorded as the API records it, for what is then sent straight to a queue: a worker acts on nothing else.

The demo, the benchmarks and the tests use it where they want a command that no route makes.
"""

from __future__ import annotations

from mosaic_core.domain.envelope import decode
from mosaic_core.domain.lanes import Lane
from mosaic_core.domain.records import Command
from mosaic_core.ports import Stores


async def record(stores: Stores, lane: Lane, queue: str, body: bytes, *, subject: str = "") -> bool:
    """Record ``body`` at its own time, and list it. False: its id was recorded before.

    Raises `PoisonError` for what is no command.
    """
    envelope = decode(body, lane)
    command = Command(
        command_id=envelope.command_id,
        household_id=envelope.household_id,
        queue=queue,
        command_type=envelope.command_type,
        request_hash=envelope.request_hash,
        envelope=body.decode(),
        recorded_at=envelope.created_at,
        subject=subject,
    )
    await stores.commands.list_recorded(command)
    is_new = await stores.commands.insert(command)
    if is_new and envelope.household_id and envelope.conversation_id:
        await stores.commands.index_conversation(
            envelope.household_id, envelope.conversation_id, envelope.created_at, queue, envelope.command_id
        )
    return is_new
