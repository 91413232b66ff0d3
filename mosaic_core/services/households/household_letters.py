"""A household's messages in the queues: what waits there, and what is dead-lettered."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mosaic_core.domain.body import inflate
from mosaic_core.domain.ids import guid_or_empty
from mosaic_core.ports import BrowsedMessage, DeadLetterDesk, QueueBrowser
from mosaic_core.services.browsing import browsed

PAGE: Final = 100
LOOKED_THROUGH: Final = 10_000
"""Messages of a queue that are looked through; what a longer one holds is not known, and counts as somebody's."""

_SECONDS: Final = 8.0


@dataclass(frozen=True, slots=True)
class HouseholdLetters:
    """Raises `QueueUnavailableError` where the broker does not answer."""

    browser: QueueBrowser
    desk: DeadLetterDesk
    queues: Collection[str]

    async def waiting(self, household_id: str) -> int:
        """Messages that wait, are at work or are scheduled. One more for a queue that is too long to be looked
        through."""
        found = 0
        for queue in self.queues:
            looked_at = 0
            async for message in browsed(self.browser, queue, size=PAGE):
                found += is_of(message, household_id)
                looked_at += 1
                if looked_at >= LOOKED_THROUGH:
                    found += 1
                    break
        return found

    async def dead(self, household_id: str, cursor: str) -> tuple[list[BrowsedMessage], str]:
        """Those of the next page of dead letters, and where the next begins (empty: nowhere). Raises `ValueError` where
        the cursor is none."""
        number, _, last = cursor.partition(" ")
        queues, at, after = list(self.queues), int(number or 0), int(last or 0)
        if not 0 <= at < len(queues) or not 0 <= after < 2**63:
            raise ValueError("the cursor is none of dead letters")
        page = await self.browser.browse(queues[at], dead=True, after=after, limit=PAGE)
        if page:
            return [one for one in page if is_of(one, household_id)], f"{at} {page[-1].sequence_number}"
        return [], f"{at + 1} 0" if at + 1 < len(queues) else ""

    async def remove(self, letters: Collection[BrowsedMessage]) -> int:
        """Complete these and no other; how many went. What another holds at the moment stays, and is found again."""
        gone = 0
        for queue in {letter.queue for letter in letters}:
            wanted = {one.sequence_number: one.message_id for one in letters if one.queue == queue}
            async with self.desk.session(queue) as session:
                gone += len(await session.complete(wanted, seconds=_SECONDS))
        return gone


def is_of(message: BrowsedMessage, household_id: str) -> bool:
    """By what the message is about; where it cannot be decoded, by what its sender said of it, and then by whether the
    id stands in it: what nobody can read is nobody else's."""
    body, _ = inflate(message.body, message.properties)
    try:
        named: Any = json.loads(body)["payload"]["householdId"]
    except (ValueError, TypeError, KeyError, RecursionError):
        named = message.properties.get("householdId")
        if named is None:
            return household_id.encode() in body.replace(b"-", b"").lower()
    return guid_or_empty(named) == household_id


def told(letter: BrowsedMessage) -> Mapping[str, object]:
    body, _ = inflate(letter.body, letter.properties)
    return {
        "Queue": letter.queue,
        "MessageId": letter.message_id,
        "SequenceNumber": letter.sequence_number,
        "Reason": letter.reason,
        "Description": letter.description,
        "Body": body.decode("utf-8", "replace"),
    }
