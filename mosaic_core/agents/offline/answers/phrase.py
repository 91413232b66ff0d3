"""Figures in words. Every number that is written here comes in as an argument."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from mosaic_core.ledger.compute import Sum, rounded
from mosaic_core.ledger.periods import Period
from mosaic_core.ledger.query import Flow, Subject
from mosaic_core.ledger.rows import Row

_VERBS: Final = {Flow.SPENDING: "You spent", Flow.INCOME: "Your income was"} | {
    flow: f"{flow.value.capitalize()} came to"
    for flow in (*(Flow.REFUNDS, Flow.TRANSFERS, Flow.TRANSFERS_IN, Flow.TRANSFERS_OUT, Flow.MONEY_IN, Flow.MONEY_OUT),)
}
_NOUNS: Final = {
    Flow.SPENDING: ("payment", "payments"),
    Flow.INCOME: ("income payment", "income payments"),
    Flow.REFUNDS: ("refund", "refunds"),
    Flow.TRANSFERS: ("transfer", "transfers"),
    Flow.TRANSFERS_IN: ("transfer in", "transfers in"),
    Flow.TRANSFERS_OUT: ("transfer out", "transfers out"),
    Flow.MONEY_IN: ("deposit", "deposits"),
    Flow.MONEY_OUT: ("payment out", "payments out"),
}
_COMES_FROM: Final = (Flow.INCOME, Flow.REFUNDS, Flow.MONEY_IN, Flow.TRANSFERS_IN)


def money(amount: Decimal, currency: str) -> str:
    return f"{rounded(amount, currency):,f} {currency}"


def sums(totals: Sequence[Sum]) -> str:
    return " and ".join(money(total.amount, total.currency) for total in totals) or "nothing"


def day(value: date) -> str:
    return f"{value.day} {value:%B %Y}"


def span(period: Period, first: date, last: date) -> str:
    """The days that the figure covers, as they fall within the ledger."""
    start, end = max(period.start, first), min(period.end, last)
    days = day(start) if start == end else f"{day(start)} to {day(end)}"
    return days if not period.explicit else f"{period.label} ({days})"


def about(subjects: Sequence[Subject], flow: Flow) -> str:
    if not subjects:
        return ""
    word = "from" if flow in _COMES_FROM else "at" if all(s.kind == "merchant" for s in subjects) else "on"
    return f" {word} {' and '.join(s.name for s in subjects)}"


def verb(flow: Flow) -> str:
    return _VERBS.get(flow, "It came to")


def counted(flow: Flow, count: int) -> str:
    return f"{count} {_NOUNS.get(flow, ('transaction', 'transactions'))[count != 1]}"


def size(row: Row) -> str:
    return money(row.size, row.tx.currency)


def line(row: Row) -> str:
    return f"{row.day.isoformat()} {row.name} {size(row)}"


def where_and_when(row: Row) -> str:
    return f"{size(row)} at {row.name} on {day(row.day)}"
