"""Transfers between a household's own accounts: a row and its counterpart in another account. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from mosaic_core.domain.ledger import Transaction

TRANSFERS: Final = frozenset({"TRANSFER_IN", "TRANSFER_OUT"})
WITHIN_DAYS: Final = 3
"""How many days apart the two sides of one transfer are posted."""

MATCHED: Final = "transfer_match"
MATCHED_CONFIDENCE: Final = 0.95


def match_transfers(rows: Sequence[Transaction], ledger: Iterable[Transaction]) -> dict[str, str]:
    """Counterparts by transaction id, of those ``rows`` that look like transfers: the opposite amount in another
    account, posted within `WITHIN_DAYS` days, itself a transfer by its category. Each counterpart serves one row, the
    nearest in time."""
    others: dict[tuple[str, Decimal], dict[str, Transaction]] = {}
    for t in [*ledger, *rows]:
        if t.category in TRANSFERS:
            others.setdefault((t.currency, t.amount), {})[t.transaction_id] = t
    candidates = sorted(
        (abs((a.posted_on - b.posted_on).days), a.transaction_id, b.transaction_id)
        for a in rows
        if a.category in TRANSFERS
        for b in others.get((a.currency, -a.amount), {}).values()
        if a.account_id != b.account_id and abs((a.posted_on - b.posted_on).days) <= WITHIN_DAYS
    )
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for _, row, counterpart in candidates:
        # of two rows of the batch each is the other's counterpart
        if taken.get(row, counterpart) == counterpart and taken.get(counterpart, row) == row and row not in found:
            found[row] = counterpart
            taken[row], taken[counterpart] = counterpart, row
    return found


def confirmed(row: Transaction) -> Transaction:
    """The row with a counterpart found: certainly a transfer."""
    return replace(row, category_confidence=max(row.category_confidence, MATCHED_CONFIDENCE), category_source=MATCHED)
