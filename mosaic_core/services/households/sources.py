"""Where a household's things of one kind are: rows and blobs, or messages in the queues. Each source looks, removes and
exports in its own way; who erases or exports asks all of them alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from mosaic_core.concurrency import each
from mosaic_core.domain.households import HouseholdKind, HouseholdRow
from mosaic_core.ports import HouseholdData, Stored
from mosaic_core.services.households.household_letters import HouseholdLetters, told

PAGE: Final = 100
EXPORTED: Final = 200
COUNTED: Final = 1000
_AT_ONCE: Final = 16


class Source(Protocol):
    """A cursor is of this source's own; empty: from the beginning, or nothing is left. Raises `ValueError` or what the
    store raises where it is none."""

    async def count(self, household_id: str, cursor: str) -> tuple[int, str]: ...
    async def remove(self, household_id: str, cursor: str) -> tuple[int, int, str]:
        """How many were found and how many of them went: what another holds at the moment is found again."""
        ...

    async def rows(self, household_id: str, cursor: str) -> tuple[list[Mapping[str, Any]], str]: ...


@dataclass(frozen=True, slots=True)
class Rows:
    """Of tables and blobs."""

    kind: HouseholdKind
    data: HouseholdData

    async def count(self, household_id: str, cursor: str) -> tuple[int, str]:
        page = await self.data.page(self.kind, household_id, cursor, COUNTED, whole=False)
        return len(page.items), page.cursor

    async def remove(self, household_id: str, cursor: str) -> tuple[int, int, str]:
        page = await self.data.page(self.kind, household_id, cursor, PAGE, whole=False)

        async def remove(stored: Stored[HouseholdRow]) -> int:
            return await self.data.remove(stored.value, stored.etag) or 0

        return len(page.items), sum(await each(page.items, remove, at_once=_AT_ONCE)), page.cursor

    async def rows(self, household_id: str, cursor: str) -> tuple[list[Mapping[str, Any]], str]:
        page = await self.data.page(self.kind, household_id, cursor, EXPORTED, whole=True)
        return [stored.value.content for stored in page.items], page.cursor


@dataclass(frozen=True, slots=True)
class Messages:
    """Of the dead-letter queues."""

    letters: HouseholdLetters

    async def count(self, household_id: str, cursor: str) -> tuple[int, str]:
        letters, following = await self.letters.dead(household_id, cursor)
        return len(letters), following

    async def remove(self, household_id: str, cursor: str) -> tuple[int, int, str]:
        letters, following = await self.letters.dead(household_id, cursor)
        return len(letters), await self.letters.remove(letters), following

    async def rows(self, household_id: str, cursor: str) -> tuple[list[Mapping[str, Any]], str]:
        letters, following = await self.letters.dead(household_id, cursor)
        return [dict(told(letter)) for letter in letters], following


def source_of(kind: HouseholdKind, data: HouseholdData, letters: HouseholdLetters) -> Source:
    return Messages(letters) if kind is HouseholdKind.DEAD_LETTERS else Rows(kind, data)
