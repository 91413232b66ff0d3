"""Turns the runtime's events into notifications of a household's own front end: rows that it reads, one for each event.

A row of the table `HouseholdNotifications` has the household as its PartitionKey and, as its RowKey, the event's time
counted down and its id: the newest come first in a range read, and the same event is the same row, however often the
hub delivers it. Nothing is sent anywhere.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from azure.core.exceptions import ResourceExistsError

log = logging.getLogger(__name__)

TABLE: Final = "HouseholdNotifications"

TEXTS: Final[Mapping[str, str]] = {
    "mosaic.runtime.approval_requested": "Something waits for your approval.",
    "mosaic.runtime.approval_expiring": "An approval that waits for you is soon over.",
    "mosaic.runtime.finding_raised": "Something unusual was found in your transactions.",
    "mosaic.runtime.review_opened": "Something needs a person to look at it.",
}
"""What a household is told, by the event's type. All other events, and later types, are passed over."""

_ID: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LAST: Final = datetime(9999, 1, 1, tzinfo=UTC)


class Table(Protocol):
    """What is asked of a `azure.data.tables.TableClient`."""

    def create_entity(self, entity: dict[str, Any]) -> object: ...


def notification(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """The row of a CloudEvent, None where nobody is told of it: another type, or no household. Raises ValueError,
    TypeError or KeyError where it is no event of the runtime."""
    text = TEXTS.get(str(event["type"]))
    if text is None:
        return None
    data, household_id, event_id = event["data"], event["data"]["householdId"], event["id"]
    if household_id is None:  # an operator's matter
        return None
    if not (_ID.fullmatch(household_id) and _ID.fullmatch(event_id)):
        raise ValueError("an id is none of the runtime's")
    at = datetime.fromisoformat(event["time"])
    return {
        "PartitionKey": household_id,
        "RowKey": f"{int((_LAST - at).total_seconds()):012}-{event_id}",
        "Kind": str(event["type"]).rpartition(".")[2],
        "Text": text,
        "AtUtc": at,
        **{name: data[key] for name, key in _LINKS.items() if data.get(key)},
    }


_LINKS: Final = {
    "ApprovalId": "approvalId",
    "ConversationId": "conversationId",
    "RunId": "runId",
    "SignalId": "signalId",
    "SignalCode": "signalCode",
    "ExpiresAtUtc": "expiresAtUtc",
}
"""What the front end asks the runtime's API by, with its own member's token."""


def tell(bodies: Iterable[bytes], table: Callable[[], Table]) -> int:
    """Write what the events tell, once; how many rows are new.

    Raises what the table raises where it is away: the trigger's retry policy then delivers the batch again. An event
    that nobody can read is logged and passed over, as it would stop its partition for ever."""
    new = 0
    for body in bodies:
        try:
            row = notification(json.loads(body))
        except (ValueError, TypeError, KeyError) as error:
            log.warning("an event cannot be read; passed over", extra={"error": type(error).__name__})
            continue
        if row is None:
            continue
        try:
            table().create_entity(row)
        except ResourceExistsError:  # told before
            continue
        new += 1
    return new
