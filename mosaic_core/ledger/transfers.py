"""Transfers between a household's own accounts: a row and its counterpart in another account. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from mosaic_core.computing import unless_stopped
from mosaic_core.domain.transactions import Transaction

TRANSFERS: Final = frozenset({"TRANSFER_IN", "TRANSFER_OUT"})
WITHIN_DAYS: Final = 3
"""How many days apart the two sides of one transfer are posted."""

MATCHED: Final = "transfer_match"
MATCHED_CONFIDENCE: Final = 0.95


def match_transfers(rows: Sequence[Transaction], ledger: Iterable[Transaction]) -> dict[str, str]:
    """Counterparts by transaction id, of those ``rows`` that look like transfers: the opposite amount in another
    account, posted within `WITHIN_DAYS` days, itself a transfer by its category.

    Each counterpart serves one row. The pairs nearest in time are made first; of equally near ones the row with the
    lowest id comes first and takes the counterpart with the lowest id. The time is that of sorting the rows, however
    many could be paired.
    """
    own = {t.transaction_id: t for t in rows if t.category in TRANSFERS}
    alike: dict[tuple[str, Decimal], dict[str, Transaction]] = defaultdict(dict)
    for t in [*ledger, *own.values()]:
        if t.category in TRANSFERS:
            alike[(t.currency, t.amount)][t.transaction_id] = t
    by_day: dict[tuple[str, Decimal, date], list[Transaction]] = defaultdict(list)
    for (currency, amount), same in alike.items():
        for t in same.values():
            by_day[(currency, amount, t.posted_on)].append(t)
    found: dict[str, str] = {}
    paired: set[str] = set()
    offers = {key: _Offers(same, paired) for key, same in by_day.items()}
    waiting = sorted(own)
    for apart in range(WITHIN_DAYS + 1):
        for row_id in unless_stopped(waiting):
            if row_id in paired:
                continue
            row = own[row_id]
            near = [
                other
                for day in _days(row.posted_on, apart)
                if (there := offers.get((row.currency, -row.amount, day))) is not None
                and (other := there.first(row)) is not None
            ]
            if near:
                counterpart = min(near, key=lambda t: t.transaction_id)
                found[row_id] = counterpart.transaction_id
                if own.get(counterpart.transaction_id) is counterpart:
                    found[counterpart.transaction_id] = row_id
                paired |= {row_id, counterpart.transaction_id}
        waiting = [row_id for row_id in waiting if row_id not in paired]
    return found


def _days(day: date, apart: int) -> set[date]:
    """The one or two days that lie ``apart`` days from ``day``, as far as the calendar goes."""
    reach = timedelta(days=apart)
    days = {day}
    if apart:
        days = {day - reach} if day - date.min >= reach else set()
        if date.max - day >= reach:
            days.add(day + reach)
    return days


class _Offers:
    """Transfers of one amount on one day, by id: whoever of them is still unpaired.

    Only two places are kept: the first that is unpaired, and the first of another account than that one's. Neither ever
    moves back, so all questions together cost one walk.
    """

    def __init__(self, offered: Iterable[Transaction], paired: set[str]) -> None:
        self._offered = sorted(offered, key=lambda t: t.transaction_id)
        self._paired = paired
        self._first = self._second = 0

    def first(self, row: Transaction) -> Transaction | None:
        """The unpaired one with the lowest id in another account than the row's."""
        self._first = self._next(self._first, None)
        if self._first == len(self._offered):
            return None
        first = self._offered[self._first]
        if first.account_id != row.account_id:
            return first
        self._second = self._next(max(self._second, self._first), first.account_id)
        return self._offered[self._second] if self._second < len(self._offered) else None

    def _next(self, place: int, account_id: str | None) -> int:
        """From ``place`` on, the first that is unpaired and not of the account."""
        while place < len(self._offered) and (
            self._offered[place].transaction_id in self._paired or self._offered[place].account_id == account_id
        ):
            place += 1
        return place


def confirmed(row: Transaction) -> Transaction:
    """The row with a counterpart found: certainly a transfer."""
    return replace(row, category_confidence=max(row.category_confidence, MATCHED_CONFIDENCE), category_source=MATCHED)
