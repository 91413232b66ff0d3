"""Storage of the embedded stack before the app runs: its tables, and the sample households' members.

The app reads memberships; only this, and an operator, writes them. Importing this module is cheap: the adapters'
clients are loaded when they are first needed, while the other parts start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mosaic_core.adapters.tables import TableStores

_MARKER: Final = "seeded"


@dataclass(frozen=True, slots=True)
class SampleMember:
    """A household with its one member. Ids are 32 lower-case hex digits; ``subject`` is the ``sub`` of the member's
    token."""

    household_id: str
    household_name: str
    subject: str
    household_user_id: str


SAMPLE: Final[Sequence[SampleMember]] = (
    SampleMember("a11ce000000000000000000000000001", "Alice's household", "alice", "a11ce000000000000000000000000002"),
    SampleMember("b0b00000000000000000000000000001", "Bob's household", "bob", "b0b00000000000000000000000000002"),
)


def load() -> None:
    """Imports what ``prepare_storage`` needs, while Azurite is still starting."""
    import mosaic_core.adapters.tables
    import mosaic_core.config  # noqa: F401


def prepare_storage(tables_connection: str, blobs_connection: str, state_dir: Path, with_samples: bool) -> None:
    """Makes the tables and the blob container; on a state that was never seeded, ``with_samples``, the sample
    members too."""
    marker = state_dir / _MARKER
    wanted = SAMPLE if with_samples and not marker.exists() else ()
    asyncio.run(_prepare(tables_connection, blobs_connection, wanted))
    if wanted:
        marker.touch()


def prepare_emulated_storage(tables_connection: str, blobs_connection: str) -> None:
    """Makes the tables, the blob container and the sample members where they are missing; repeated, nothing. Raises
    StoreUnreachableError."""
    asyncio.run(_prepare(tables_connection, blobs_connection, SAMPLE))


def add_member(tables_connection: str, blobs_connection: str, member: SampleMember, role: str = "Member") -> bool:
    """Makes ``member`` an active member of the household, which is made where it is missing. False: it was one
    already."""

    async def add() -> bool:
        from mosaic_core.adapters.tables import open_table_stores
        from mosaic_core.config import Connection

        stores = open_table_stores(
            Connection(connection_string=tables_connection), Connection(connection_string=blobs_connection)
        )
        try:
            return await _add(stores, member, role)
        finally:
            await stores.close()

    return asyncio.run(add())


async def _prepare(tables_connection: str, blobs_connection: str, members: Sequence[SampleMember]) -> None:
    from mosaic_core.adapters.tables import ensure_tables, open_table_stores
    from mosaic_core.config import Connection

    connections = Connection(connection_string=tables_connection), Connection(connection_string=blobs_connection)
    await ensure_tables(*connections)
    stores = open_table_stores(*connections)
    try:
        for member in members:
            await _add(stores, member, "Member")
    finally:
        await stores.close()


async def _add(stores: TableStores, member: SampleMember, role: str) -> bool:
    from mosaic_core.adapters.tables.keys import encode
    from mosaic_core.adapters.tables.stores import HOUSEHOLDS
    from mosaic_core.domain.records import Membership

    now = datetime.now(UTC)
    household: dict[str, str | bool | int | float | datetime] = {
        "HouseholdId": member.household_id,
        "Name": member.household_name,
        "Status": "Active",
        "CreatedAtUtc": now,
    }
    await stores.tables.insert(HOUSEHOLDS, encode(member.household_id), "household", household)
    return await stores.stores.members.insert(
        Membership(
            subject=member.subject,
            household_id=member.household_id,
            household_user_id=member.household_user_id,
            role=role,
            status="Active",
            created_at=now,
        )
    )
