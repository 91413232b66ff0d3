"""One ledger prepared for the analyses: rows by merchant, recurring series, and what is usual for the household."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from mosaic_core.domain.transactions import Finding
from mosaic_core.ledger.recurring import Series, by_merchant, median
from mosaic_core.ledger.rows import Row

_MOVES_MONEY = re.compile(
    r"transfer|xfer|zelle|venmo|cash ?app|wire|withdraw|atm|saving|checking|deposit|check|contribution|invest|ira\b"
    r"|loan|mortgage|mtg|card|crd|autopay|payment|pymt|pmt|lease|financ|lending|credit|brokerage"
    r"|vanguard|fidelity|schwab"
)
_NOT_PURCHASES = frozenset({"TRANSFER_IN", "TRANSFER_OUT", "LOAN_PAYMENTS", "BANK_FEES", "INCOME"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evident:
    """A finding and the ordinal of the day on which the ledger first shows it."""

    finding: Finding
    evident_day: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerView:
    """``unit`` is the household's everyday purchase (median) in its main currency, the yardstick for tiny and large;
    ``horizon`` the ordinal of the last day that the ledger can speak of."""

    rows: Sequence[Row]
    merchants: Mapping[tuple[str, str, bool], list[Row]]
    series: Sequence[Series]
    in_series: frozenset[str]
    currency: str
    unit: float
    start: int
    horizon: int
    account_start: Mapping[str, int]
    account_end: Mapping[str, int]
    account_rows: Mapping[str, int]

    @staticmethod
    def of(rows: Sequence[Row], series: Sequence[Series], as_of: date) -> LedgerView:
        currency = min(Counter(c.tx.currency for c in rows).items(), key=lambda item: (-item[1], item[0]))[0]
        in_series = frozenset(c.tx_id for s in series for c in s.occurrences)
        # By merchant, so that two coffees a day do not make the household a spender of small change.
        visited: dict[str, list[float]] = defaultdict(list)
        for c in rows:
            if is_purchase(c) and c.tx.currency == currency and c.tx_id not in in_series:
                visited[c.merchant].append(c.magnitude)
        everyday = [median(sizes) for sizes in visited.values()]
        everyday = everyday or [c.magnitude for c in rows if not c.incoming] or [c.magnitude for c in rows]
        starts: dict[str, int] = {}
        ends: dict[str, int] = {}
        counts: Counter[str] = Counter()
        for c in rows:
            starts.setdefault(c.tx.account_id, c.ordinal)
            ends[c.tx.account_id] = c.ordinal
            counts[c.tx.account_id] += 1
        return LedgerView(
            rows=rows,
            merchants=by_merchant(rows),
            series=series,
            in_series=in_series,
            currency=currency,
            unit=median(everyday),
            start=rows[0].ordinal,
            horizon=min(as_of.toordinal(), rows[-1].ordinal),
            account_start=starts,
            account_end=ends,
            account_rows=counts,
        )

    def known_since(self, charge: Row) -> int:
        """The first day from which "never before" means something for this row's account."""
        return max(self.start, self.account_start[charge.tx.account_id])


def is_purchase(charge: Row) -> bool:
    """Money spent at a merchant: no transfer, loan, fee or pay."""
    return not charge.incoming and not charge.own_transfer and charge.usual_category not in _NOT_PURCHASES


def is_one_off(charge: Row) -> bool:
    """A purchase, or money sent to a named stranger (an exchange) in other words than a transfer's."""
    if charge.incoming or charge.own_transfer or charge.usual_category in ("INCOME", "BANK_FEES", "TRANSFER_IN"):
        return False
    return charge.usual_category not in _NOT_PURCHASES or not _MOVES_MONEY.search(charge.tx.description.casefold())


def is_pay(charge: Row) -> bool:
    """Money earned. An employer's name may read like a shop's or a clinic's, so all that is no transfer counts."""
    if not charge.incoming or charge.own_transfer:
        return False
    if charge.usual_category in ("TRANSFER_IN", "TRANSFER_OUT", "LOAN_PAYMENTS", "BANK_FEES"):
        return False
    return charge.usual_category == "INCOME" or not _MOVES_MONEY.search(charge.tx.description.casefold())


def is_payment(charge: Row) -> bool:
    """Money paid to someone, bills and loans included, transfers not."""
    return (
        not charge.incoming
        and not charge.own_transfer
        and charge.usual_category not in ("TRANSFER_IN", "TRANSFER_OUT", "INCOME")
    )


def grouped(rows: Sequence[Row]) -> Mapping[str, list[Row]]:
    """Rows by account, in order."""
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        parts[row.tx.account_id].append(row)
    return parts


def money(size: float, currency: str) -> str:
    return f"{size:,.2f} {currency}"


def short(name: str) -> str:
    return name if len(name) <= 40 else name[:39] + "…"
