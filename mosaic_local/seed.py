"""Household members of the embedded stack. The app reads them; only this, and an operator, writes them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from azure.core.exceptions import ResourceExistsError
from azure.data.tables import TableServiceClient, UpdateMode

HOUSEHOLDS: Final = "Households"
MEMBERS: Final = "HouseholdMembers"


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


def seed_if_empty(tables_connection: str) -> bool:
    """Writes the two sample households where there is no household at all. Returns whether it did."""
    with TableServiceClient.from_connection_string(tables_connection) as service:
        for table in (HOUSEHOLDS, MEMBERS):
            service.create_table_if_not_exists(table)
        households = service.get_table_client(HOUSEHOLDS)
        if next(iter(households.list_entities(results_per_page=1, select=["PartitionKey"])), None) is not None:
            return False
        for member in SAMPLE:
            add_household(service, member.household_id, member.household_name)
            add_member(service, member.subject, member.household_id, member.household_user_id)
    return True


def add_household(service: TableServiceClient, household_id: str, name: str) -> None:
    """Inserts a household; one that is there stays as it is."""
    entity: dict[str, Any] = {
        "PartitionKey": household_id,
        "RowKey": "household",
        "HouseholdId": household_id,
        "Name": name,
        "Status": "Active",
        "CreatedAtUtc": datetime.now(UTC),
    }
    with contextlib.suppress(ResourceExistsError):
        service.get_table_client(HOUSEHOLDS).create_entity(entity)


def add_member(
    service: TableServiceClient, subject: str, household_id: str, household_user_id: str, role: str = "Owner"
) -> None:
    """Makes ``subject`` an active member of the household, or changes that membership."""
    entity: dict[str, Any] = {
        "PartitionKey": subject,
        "RowKey": household_user_id,
        "Subject": subject,
        "HouseholdId": household_id,
        "HouseholdUserId": household_user_id,
        "Role": role,
        "Status": "Active",
        "CreatedAtUtc": datetime.now(UTC),
    }
    service.get_table_client(MEMBERS).upsert_entity(entity, mode=UpdateMode.REPLACE)
