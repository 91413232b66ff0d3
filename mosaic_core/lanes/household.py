"""The household's ledger as its people see it: with the categories that they chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from mosaic_core.concurrency import together
from mosaic_core.domain.transactions import Transaction
from mosaic_core.ports import Stores

CATEGORY: Final = "category"
LEARNED: Final = "learned"
RECURRING: Final = "recurring"
NOTE: Final = "note"
"""Kinds of annotations."""

CHOSEN: Final = "household_correction"
_EARLIEST: Final = date(1900, 1, 1)


async def ledger_up_to(stores: Stores, household_id: str, day: date) -> list[Transaction]:
    """Every transaction up to ``day``, by date, a person's categories in place."""
    transactions, chosen = await together(
        stores.ledger.between(household_id, _EARLIEST, day), categories_chosen(stores, household_id)
    )
    return corrected(transactions, chosen)


async def categories_chosen(stores: Stores, household_id: str) -> dict[str, str]:
    """The categories that the household's people chose, by transaction id."""
    return {a.subject: a.value for a in await stores.annotations.of_household(household_id, CATEGORY)}


def corrected(transactions: Sequence[Transaction], chosen: Mapping[str, str]) -> list[Transaction]:
    """``chosen`` are categories by transaction id."""
    if not chosen:
        return list(transactions)
    return [
        replace(t, category=chosen[t.transaction_id], category_confidence=1.0, category_source=CHOSEN)
        if t.transaction_id in chosen
        else t
        for t in transactions
    ]


async def learned_categories(stores: Stores, household_id: str) -> dict[str, str]:
    """What the household's people taught, by `ledger.categories.categorise.learning_key`."""
    return {a.subject: a.value for a in await stores.annotations.of_household(household_id, LEARNED)}
